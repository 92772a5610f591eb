"""Every instrument finds what was planted, says when it does not apply, and is kept with the result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from usbench import results
from usbench.diagnostics.suite import DIAGNOSTICS, audit
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.leaderboard.board import gather
from usbench.leaderboard.diagnostics_text import findings
from usbench.leaderboard.tables.task_page import scores
from usbench.submission.validate import validate


@pytest.fixture
def confounded(tmp_path: Path) -> pd.DataFrame:
    """Grey pictures whose brightness tells the scanner, and nothing but the scanner tells the label."""
    from PIL import Image

    rng = np.random.default_rng(3)
    (tmp_path / "grey").mkdir()
    rows = []
    for k in range(200):
        scanner = k % 2
        ill = rng.random() < (0.85 if scanner else 0.15)
        picture = np.clip(rng.normal(150 if scanner else 90, 15, (20, 20)), 0, 255).astype(np.uint8)
        path = tmp_path / "grey" / f"{k}.png"
        Image.fromarray(picture).save(path)
        rows.append({"path": str(path), "subject": f"p{k}", "label": int(ill), "device": f"scanner {scanner}"})
    return pd.DataFrame(rows)


def test_a_scanner_that_gives_the_answer_away_is_found(confounded: pd.DataFrame, run: Any, brightness: Encoder) -> None:
    ready, result, options, settings = run(confounded, brightness, positive="1")
    assert result.protocols["svc-nested@2"].metrics["fold_auc"].value > 0.7
    found = audit(ready, result, options, settings, ["shortcut"]).instruments["shortcut"]
    assert found["column"] == "device"
    assert found["estimate"]["value"] > 0.97
    assert found["chance"] == 0.5
    within = found["within"]
    assert 0.3 < within["estimate"]["value"] < 0.7
    assert within["difference"]["high"] < 0


def test_scanners_with_too_few_patients_are_left_out_by_name(images: pd.DataFrame, run: Any) -> None:
    people = sorted(set(images["subject"]))
    names = {p: ("rare" if k < 2 else "a" if k % 2 else "b") for k, p in enumerate(people)}
    ready, result, options, settings = run(images.assign(device=images["subject"].map(names)))
    measured = audit(ready, result, options, settings, ["shortcut"])
    assert measured.instruments["shortcut"]["left_out"] == {"rare": 2}
    assert "Left out as too few: rare (2)" in findings(measured)["shortcut"]
    assert validate(results.result_path(options.results, measured), options.results) == []


def test_a_picture_under_two_names_is_found_across_the_split(images: pd.DataFrame, run: Any, tmp_path: Path) -> None:
    from PIL import Image

    row = images.iloc[0]
    picture = Image.open(row["path"]).convert("L")
    copy = tmp_path / "copy.jpg"
    picture.resize((int(picture.width * 0.8), int(picture.height * 0.8))).save(copy, quality=80)
    other = {**row.to_dict(), "path": str(copy), "subject": "alias"}
    ready, result, options, settings = run(pd.concat([images, pd.DataFrame([other])], ignore_index=True))
    found = audit(ready, result, options, settings, ["duplicates"]).instruments["duplicates"]
    assert found["pairs"] == 1
    folds = [repeat.fold for repeat in result.protocols["svc-nested@2"].repeats]
    a, b = (result.units.id.index(p) for p in (row["path"], str(copy)))
    assert found["across"] == int(any(f[a] != f[b] for f in folds))


def test_all_instruments_in_one_call_and_none_twice(images: pd.DataFrame, run: Any, monkeypatch: Any) -> None:
    ready, result, options, settings = run(images)
    measured = audit(ready, result, options, settings, n_permutations=39)
    assert list(measured.instruments) == list(DIAGNOSTICS)
    assert set(findings(measured)) == set(DIAGNOSTICS)
    path = results.result_path(options.results, measured)
    assert results.load(path) == measured
    assert validate(path, options.results) == []
    assert measured.instruments["permutation"]["n"] == 39
    assert "Not measured: there is one frame per decision" in findings(measured)["frame_budget"]
    monkeypatch.setattr("usbench.diagnostics.suite.label_permutation.permutation_of_labels", None)
    again = audit(ready, measured, options, settings, n_permutations=39)
    assert again == measured


def test_optimism_is_the_difference_of_the_two_protocols(images: pd.DataFrame, run: Any) -> None:
    ready, result, options, settings = run(images, protocols=("svc-nested@1", "svc-paper@1"))
    found = audit(ready, result, options, settings, ["optimism"]).instruments["optimism"]
    flat, nested = (result.protocols[p].metrics["accuracy"].value for p in ("svc-paper@1", "svc-nested@1"))
    assert found["estimate"]["value"] == pytest.approx(flat - nested, abs=2e-6)


def test_optimism_is_measured_where_the_nested_protocol_has_another_grid(images: pd.DataFrame, run: Any) -> None:
    """The nested protocol that differs in nothing else is run on the same vectors and splits."""
    both = run(images, protocols=("svc-nested@1", "svc-paper@1"))
    expected = audit(*both, ["optimism"]).instruments["optimism"]
    ready, result, options, settings = run(images, protocols=("svc-nested@2", "svc-paper@1"))
    measured = audit(ready, result, options, settings, ["optimism"])
    assert "svc-nested@1" not in measured.protocols
    assert measured.instruments["optimism"] == expected
    assert expected["estimate"]["value"] is not None
    assert validate(results.result_path(options.results, measured), options.results) == []
    (board,) = gather(options.results, tasks=())
    (entry,) = board.encoders or board.floors[:1]
    assert board.optimism(entry) == expected["estimate"]["value"]
    shown = scores(board, "svc-paper@1", headline=False)
    assert [heading.key for heading in shown.headings][-1] == "optimism"


def test_unknown_names(images: pd.DataFrame, run: Any) -> None:
    ready, result, options, settings = run(images)
    with pytest.raises(UsbenchError, match="Did you mean 'permutation'"):
        audit(ready, result, options, settings, ["permutations"])
    with pytest.raises(UsbenchError, match=r"--shortcut devise: .*Did you mean 'device'"):
        audit(ready, result, options, settings, ["shortcut"], shortcut_column="devise")


def usbench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "usbench", *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "COLUMNS": "200"},
    )


def test_one_command_prints_and_keeps_everything(images: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    images.to_csv(path, index=False)
    (tmp_path / "mine.toml").write_text(
        'name = "mine"\ndataset = "mine.csv"\ntarget = "label"\npositive = "malignant"\nunit = "image"\n'
        "[split]\nfolds = 3\nrepeats = 1\n"
    )
    keep = ["--results", str(tmp_path / "results")]
    done = usbench("audit", "-e", "pixels", "-t", str(tmp_path / "mine.toml"), "--permutations", "19", *keep)
    assert done.returncode == 0, done.stderr
    for word in ("leakage", "baseline", *(name.replace("_", " ") for name in DIAGNOSTICS), "19 times"):
        assert word in done.stdout
    task = ["run", "-e", "pixels", "-t", str(tmp_path / "mine.toml"), *keep]
    done = usbench(*task, "--by", "device", "--shift", "gain:1..2")
    assert done.returncode == 0, done.stderr
    assert "by device" in done.stdout
    assert "gain:2" in done.stdout
    assert "tested on shifted" in " ".join(done.stdout.split())
    for arguments, told in (
        (["--shift", "gian:1"], "error: --shift gian:1: unknown shift 'gian'. Did you mean 'gain'"),
        (["--shift", "gain:7"], "error: --shift gain:7: severity 7 is out of range, which is 1 to 5."),
        (["--by", "devise"], "error: --by devise: "),
    ):
        done = usbench(*task, *arguments)
        assert done.returncode == 2
        assert done.stderr.strip().splitlines()[-1].startswith(told)
