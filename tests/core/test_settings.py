"""Places: precedence, registration, malformed configuration."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from usbench.core.settings import config_path, load_settings, register
from usbench.errors import UsbenchError


def test_argument_before_environment_before_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / name for name in ("argument", "environment", "file")]
    for folder in folders:
        folder.mkdir()
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text(f'[paths]\ndata = ["{folders[2]}"]\n')
    monkeypatch.setenv("USBENCH_DATA_ROOT", str(folders[1]))
    assert load_settings([folders[0]]).data_roots == tuple(folders)


def test_several_roots_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBENCH_DATA_ROOT", os.pathsep.join([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert load_settings().data_roots == (tmp_path / "a", tmp_path / "b")


def test_register_keeps_comments_and_other_entries(tmp_path: Path) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text('# mine\n[data]\nold = "/data/old"  # why\n')
    register("data", "new", tmp_path / "manifest.csv")
    text = config_path().read_text()
    assert "# mine" in text
    assert "# why" in text
    assert load_settings().data == {"old": Path("/data/old"), "new": (tmp_path / "manifest.csv").resolve()}


def test_malformed_file_is_reported_and_kept(tmp_path: Path) -> None:
    config_path().parent.mkdir(parents=True, exist_ok=True)
    config_path().write_text("[paths\n")
    with pytest.raises(UsbenchError, match=r"config\.toml: not valid TOML"):
        register("data", "new", tmp_path)
    assert config_path().read_text() == "[paths\n"


def test_missing_data_root_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsbenchError, match="no such folder"):
        load_settings([tmp_path / "none"])


ADD = """
import sys
from pathlib import Path
from usbench.core.settings import register
for i in range(5):
    register("data", f"{sys.argv[1]}-{i}", Path("."))
"""


def test_eight_that_add_at_once_keep_all_eight(tmp_path: Path) -> None:
    environment = {**os.environ, "USBENCH_CONFIG": str(tmp_path / "config.toml")}
    running = [subprocess.Popen([sys.executable, "-c", ADD, f"set{i}"], env=environment) for i in range(8)]
    assert [process.wait(timeout=300) for process in running] == [0] * 8
    with (tmp_path / "config.toml").open("rb") as file:
        assert len(tomllib.load(file)["data"]) == 40


@pytest.mark.parametrize(
    "text",
    [
        "[paths]\ndata = 3",
        "[paths]\ndata = [1]",
        "[paths]\ncache = ['a']",
        "[paths]\nweights = {a = 1}",
        "[paths]\nstore = 1.5",
        "paths = 'a'",
        "[data]\na = 1",
        "data = [1]",
        "[weights]\na = ['b']",
        '[data]\na = "\\u0000"',
        "a = " + "[" * 5000,
        "a = \xff",
        "[paths",
    ],
)
def test_any_fault_of_the_configuration_file_is_one_message(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.toml"
    path.write_text(text, "latin-1")
    monkeypatch.setenv("USBENCH_CONFIG", str(path))
    for name in ("USBENCH_CACHE", "USBENCH_WEIGHTS", "USBENCH_STORE"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsbenchError) as error:
        load_settings()
    assert str(path) in str(error.value)
    assert len(str(error.value)) < 400
    assert path.read_text("latin-1") == text
