"""Places: precedence, registration, malformed configuration."""

from __future__ import annotations

import os
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
