"""What commands say beside their figures: plain words for protocols, one line for one cause, what a folder hides."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from usbench.cli import build_app
from usbench.cli.result_table import print_board
from usbench.data.image_folder import PictureFolder
from usbench.probes import PROTOCOLS
from usbench.probes.facts import PROTOCOL_FACTS, with_plain_words
from usbench.results.schema import Result


def typed(*arguments: str) -> str:
    done = CliRunner().invoke(build_app(arguments), list(arguments))
    return str(done.output)


def test_every_protocol_has_plain_words() -> None:
    assert all(facts.plain for facts in PROTOCOL_FACTS.values())
    for name in set(PROTOCOLS) - {"constant@1"}:  # which no table shows beside others
        assert with_plain_words(name) == f"{name} ({PROTOCOL_FACTS[name.partition('@')[0]].plain})"
    assert with_plain_words("theirs@3") == "theirs@3"  # a plugin's own


def test_a_table_says_what_its_protocols_are(
    make_result: Callable[..., Result], capsys: pytest.CaptureFixture[str]
) -> None:
    print_board(Console(width=80), [make_result()])
    shown = " ".join(capsys.readouterr().out.split())
    assert "(linear SVC, tuned inside the training data)" in shown
    assert "(linear SVC, tuned on the folds it scores, as in the paper)" in shown


def test_one_failure_is_not_followed_by_a_line_for_each_check_that_needed_it() -> None:
    """An encoder whose weights are not here: the checks that were not reached share a line."""
    lines = typed("check", "encoder", "usfm").splitlines()
    assert any(line.startswith("FAIL  ready") for line in lines)
    skipped = [line for line in lines if line.startswith("skip")]
    assert len(skipped) == 1
    assert "needs a check that failed: " in skipped[0]
    assert "deterministic" in skipped[0]


def test_a_new_package_is_installed_from_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "  pip install -e ./usbench-mine\n" in typed("new", "encoder", "mine", "--package")
    there = tmp_path / "there"
    assert f"  pip install -e {there}\n" in typed("new", "encoder", "mine", "--package", "--out", str(there))


@pytest.mark.parametrize(
    ("mask", "taken_for_one"),
    [
        ("case001_tumor.png", True),
        ("benign (1)_mask.png", True),
        ("benign (1)_mask_1.png", True),
        ("masks/case001.png", True),
        ("GroundTruth/a.png", True),
        ("a_gt.png", True),
        ("case001.png", False),
        ("unmasked.png", False),
        ("segment-study/case.png", False),
        ("tumours-clinic/a1.png", False),
    ],
)
def test_masks_in_a_folder_are_named(tmp_path: Path, bus_bra_subset: Path, mask: str, taken_for_one: bool) -> None:
    picture = next(bus_bra_subset.rglob("*.png"))
    for name in ("0001.png", mask):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(picture, tmp_path / name)
    notes = " ".join(PictureFolder(tmp_path).index.notes)
    assert (f"1 of 2 files are named as masks are, such as {mask}" in notes) is taken_for_one


def test_embedding_a_folder_says_that_patients_are_unknown(tmp_path: Path, bus_bra_subset: Path) -> None:
    (tmp_path / "scans").mkdir()
    for number, picture in enumerate(sorted(bus_bra_subset.rglob("*.png"))[:2]):
        shutil.copy(picture, tmp_path / "scans" / f"{number}_mask.png")
    said = typed("embed", "-e", "pixels", "-d", str(tmp_path / "scans"), "-o", str(tmp_path / "out"))
    assert "note: Every file counts as a subject of its own" in said
    assert "note: 2 of 2 files are named as masks are" in said
