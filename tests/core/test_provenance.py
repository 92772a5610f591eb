"""The command in a result: what was asked, without where it lies."""

import shlex
import sys
from pathlib import Path

import pytest

from usbench.core.provenance import typed_command


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        (["-e", "tusa", "-t", "covid"], "usbench run -e tusa -t covid"),
        (["-e", "timm:org/model", "--data-root", "/mnt/x y"], "usbench run -e timm:org/model --data-root PATH"),
        (["-e", "/home/jane/mine.py:Mine"], "usbench run -e mine.py:Mine"),
        (["-e", "work/mine.py:Mine", "--weights=/a/b.pt"], "usbench run -e mine.py:Mine --weights=PATH"),
        (["--data", "C:\\Users\\jane\\m.csv"], "usbench run --data m.csv"),
        (["--data=../private/m.csv"], "usbench run --data=m.csv"),
        (["-e", "precomputed:/home/jane/vectors/"], "usbench run -e precomputed:vectors"),
        (["--by", "site of scan"], "usbench run --by 'site of scan'"),
    ],
)
def test_paths_are_left_out(typed: list[str], kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/usbench", "run", *typed])
    assert typed_command() == kept
    assert shlex.split(kept)


def test_a_folder_that_is_there_is_a_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "jane" / "set").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["usbench", "run", "--data", "jane/set"])
    assert typed_command() == "usbench run --data set"
