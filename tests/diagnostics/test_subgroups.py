"""Scores by stratum, of units and of frames within units, and one clear line for a column that makes none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from usbench.diagnostics.subgroups import measure_strata
from usbench.encoder.base import Encoder
from usbench.errors import DataError


def test_strata_of_units_are_those_of_the_pages(images: pd.DataFrame, run: Any) -> None:
    from usbench.leaderboard import gather
    from usbench.leaderboard.subgroups import strata_of

    ready, result, options, settings = run(images)
    assert result.units.strata == {}
    measured = measure_strata(ready, result, ["device"], options, settings)
    section = measured.instruments["strata"]["columns"]["device"]
    assert section["scope"] == "units"
    assert [level["value"] for level in section["levels"]] == sorted(set(images["device"]))
    assert sum(level["units"] for level in section["levels"]) == len(images)
    assert measured.units.strata["device"]
    from usbench import results

    results.save(options.results, measured)
    board = next(b for b in gather(options.results, tasks=()) if b.entries)
    pages = {s.value: s for s in strata_of(board, board.entries[0])}
    for level in section["levels"]:
        page = pages[level["value"]]
        assert page.subjects == level["subjects"]
        if level["estimate"]["value"] is not None:
            assert page.estimate.value == pytest.approx(level["estimate"]["value"], abs=1e-6)
        else:
            assert level["note"]


def test_small_and_one_sided_strata_say_so(images: pd.DataFrame, run: Any) -> None:
    people = sorted(set(images["subject"]))
    few = set(people[:3])
    rows = images.assign(site=np.where(images["subject"].isin(few), "tiny", images["label"]))
    ready, result, options, settings = run(rows)
    levels = measure_strata(ready, result, ["site"], options, settings).instruments["strata"]["columns"]["site"]
    notes = {level["value"]: level["note"] for level in levels["levels"]}
    assert notes["tiny"] == "too small: 3 of at least 5 subjects"
    assert notes["benign"] == "one class only (benign)"


def test_files_of_one_patient_at_two_points_are_tested_apart(
    clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder
) -> None:
    ready, result, options, settings = run(clips, brightness, **clip_task)
    measured = measure_strata(ready, result, ["point", "sex"], options, settings)
    columns = measured.instruments["strata"]["columns"]
    assert columns["point"]["scope"] == "frames"
    assert columns["sex"]["scope"] == "units"
    found = {level["value"]: level for level in columns["point"]["levels"]}
    assert found["upper"]["units"] == found["lower"]["units"] == 40
    assert found["upper"]["estimate"]["value"] > 0.9  # where the finding shows
    assert 0.25 < found["lower"]["estimate"]["value"] < 0.75  # where it does not


@pytest.mark.parametrize(
    ("column", "told"),
    [
        ("devise", "has no column 'devise'. Did you mean 'device'"),
        ("label", "that is what mine predicts"),
        ("organ", "has one value only ('breast') in it, so there are no strata"),
        ("note", "has no value at all in it"),
        ("weight", "different values in it"),
        ("path", "has no column 'path'"),
    ],
)
def test_mistakes(images: pd.DataFrame, run: Any, column: str, told: str) -> None:
    rows = images.assign(organ="breast", note=None, weight=np.arange(len(images)) + 0.5)
    ready, result, options, settings = run(rows, keep=False)
    with pytest.raises(DataError) as caught:
        measure_strata(ready, result, [column], options, settings)
    assert told in str(caught.value)
    assert str(caught.value).startswith(f"--by {column}: ")
    assert "\n" not in str(caught.value)


def test_small_strata_have_no_interval_and_the_gap_between_the_others_has_one(images: pd.DataFrame, run: Any) -> None:
    people = sorted(set(images["subject"]))
    label = images.drop_duplicates("subject").set_index("subject")["label"]
    rank = {s: k for kind in ("benign", "malignant") for k, s in enumerate(p for p in people if label[p] == kind)}
    site = {s: "north" if rank[s] < 10 else "south" for s in people}  # ten patients a class, and eight
    wide = {s: "a" if rank[s] % 2 else "b" for s in people}  # nine a class each
    rows = images.assign(site=images["subject"].map(site), wide=images["subject"].map(wide))
    ready, result, options, settings = run(rows)
    columns = measure_strata(ready, result, ["site", "wide", "side"], options, settings).instruments["strata"][
        "columns"
    ]
    north, south = columns["site"]["levels"]
    assert north["estimate"]["low"] < north["estimate"]["value"] < north["estimate"]["high"]
    assert north["note"] == ""
    assert south["estimate"]["value"] is not None
    assert south["estimate"]["low"] is south["estimate"]["high"] is None
    assert south["note"].startswith("no interval: ")
    assert "subjects of class" in south["note"]
    assert "of at least 10" in south["note"]
    assert "gap" not in columns["site"]  # one stratum alone has an interval
    assert "gap" not in columns["wide"]

    sides = columns["side"]
    sure = {level["value"]: level["estimate"] for level in sides["levels"] if level["estimate"]["low"] is not None}
    assert len(sure) == 2, "left and right are both large enough"
    gap = sides["gap"]
    high, low = gap["between"]
    assert gap["value"] == pytest.approx(sure[high]["value"] - sure[low]["value"], abs=1e-6)
    assert gap["low"] < gap["value"] < gap["high"]
    assert (gap["p"] < 0.05) == (gap["low"] > 0)
    assert gap["strata"] == 2


def test_gap_and_missing_intervals_stand_on_the_page(images: pd.DataFrame, run: Any) -> None:
    from usbench import results
    from usbench.leaderboard import render

    ready, result, options, settings = run(images)
    measured = measure_strata(ready, result, ["side"], options, settings)
    path = results.save(options.results, measured)
    from usbench.submission.validate import validate

    assert validate(path, options.results) == []
    page = next(text for name, text in render(options.results).items() if name.startswith("mine") and ".md" in name)
    section = page.split("## By stratum")[1].split("\n## ")[0]
    assert "Largest gap" in section
    high, low = measured.instruments["strata"]["columns"]["side"]["gap"]["between"]
    assert f"{high} against {low} (" in section
    assert "fewer than 10 subjects of a class have none" in section
