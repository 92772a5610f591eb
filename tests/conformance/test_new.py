"""What ``usbench new encoder`` writes works as it is: as one file, and as an installed package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from usbench.errors import NameClashError, UsbenchError
from usbench.plugins.catalog import ENCODERS
from usbench.plugins.scaffold import new_encoder


def called(*command: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "COLUMNS": "200", **environment},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("package", [False, True], ids=["file", "package"])
def test_what_is_written_is_in_style(package: bool, tmp_path: Path) -> None:
    new_encoder("my-net.v2", tmp_path, package)
    style = ["--isolated", "--line-length", "120"]
    called("ruff", "check", *style, "--select", "E,F,I,B,UP,D,RUF", "--ignore", "D203,D213,D103", ".", folder=tmp_path)
    called("ruff", "format", *style, "--check", ".", folder=tmp_path)


def test_one_file_from_writing_to_the_table(tmp_path: Path, bus_bra_subset: Path) -> None:
    said = called("usbench", "new", "encoder", "mine", folder=tmp_path)
    assert "usbench check encoder mine.py:Mine" in said
    plugin = tmp_path / "mine.py"
    edited = plugin.read_text().replace("nn.Conv2d(16, 64,", "nn.Conv2d(16, 72,").replace("9_696", "10_856")
    plugin.write_text(edited.replace("embedding_dim=64", "embedding_dim=72"))
    assert "mine keeps the contract" in called("usbench", "check", "encoder", "mine.py:Mine", folder=tmp_path)
    called("pytest", "-q", "-p", "no:cacheprovider", "test_mine.py", folder=tmp_path)
    run = (
        "run",
        "-e",
        "mine.py:Mine",
        "-e",
        "pixels",
        "-t",
        "breast_lesion",
        "--data",
        "subset",
        "--results",
        "results",
        "--no-label-efficiency",
    )
    table = called("usbench", *run, folder=tmp_path)
    assert any(line.split()[:1] == ["mine"] and "–" in line for line in table.splitlines()), table
    assert (tmp_path / "results" / "breast_lesion@bus-bra-subset" / "mine.json").is_file()


def test_an_edit_that_contradicts_the_card_is_found(tmp_path: Path) -> None:
    plugin, _ = new_encoder("mine", tmp_path)
    plugin.write_text(plugin.read_text().replace("nn.Conv2d(16, 64,", "nn.Conv2d(16, 72,"))
    command = [sys.executable, "-m", "usbench", "check", "encoder", f"{plugin}:Mine"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "the card says 9,696 parameters, the network has 10,856" in done.stdout


def test_a_package_is_installed_listed_and_checked(tmp_path: Path) -> None:
    new_encoder("my-net", tmp_path / "source", package=True)
    target = tmp_path / "site"
    install = ("install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    called("pip", *install, str(tmp_path / "source"), folder=tmp_path)
    environment = {"PYTHONPATH": os.pathsep.join([str(target), os.environ.get("PYTHONPATH", "")])}
    listed = called("usbench", "list", "encoders", folder=tmp_path, **environment)
    assert any(line.split() == ["my-net", "ready", "My", "net"] for line in listed.splitlines())
    called("pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "source" / "tests"), folder=tmp_path, **environment)
    described = called("usbench", "info", "my-net", folder=tmp_path, **environment)
    assert "9,696" in described


@pytest.mark.parametrize("name", ["Mine", "my encoder", "9mine", "mine-", "../mine", "timm:mine", ""])
def test_names_that_cannot_be(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsbenchError, match="cannot be the name of an encoder"):
        new_encoder(name, tmp_path)
    assert not list(tmp_path.rglob("*.py"))


def test_names_and_files_that_are_taken(tmp_path: Path) -> None:
    with pytest.raises(NameClashError, match="there is an encoder called 'tusa' already"):
        new_encoder("tusa", tmp_path)
    (tmp_path / "mine.py").write_text("work of weeks")
    with pytest.raises(UsbenchError, match=r"mine\.py: exists, and is not overwritten"):
        new_encoder("mine", tmp_path)
    assert (tmp_path / "mine.py").read_text() == "work of weeks"
    assert not (tmp_path / "test_mine.py").exists()


@pytest.mark.parametrize("name", ["class", "encoder", "test", "none"])
def test_names_that_mean_something_to_python(name: str, tmp_path: Path) -> None:
    plugin, _ = new_encoder(name, tmp_path)
    cls = next(
        line.split("(")[0].removeprefix("class ") for line in plugin.read_text().splitlines() if "(Encoder)" in line
    )
    assert ENCODERS.get(f"{plugin}:{cls}").value.card.name == name
