"""Instruments on pages: columns, notes, figure and numbers, and nothing where nothing was measured."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ElementTree
from typing import Any

import pandas as pd
import pytest

from usbench import results
from usbench.diagnostics.shifts import parse_shifts
from usbench.diagnostics.shifts.robustness import measure_shifts
from usbench.diagnostics.subgroups import measure_strata
from usbench.diagnostics.suite import audit
from usbench.encoder.base import Encoder
from usbench.leaderboard import gather, number_format, render
from usbench.leaderboard.figures import shifts


@pytest.fixture
def folder(clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder) -> Any:
    """Two encoders on one board, one of them with every diagnostic."""
    run(clips, "pixels", **clip_task)
    ready, result, options, settings = run(clips, brightness, **clip_task)
    result = measure_strata(ready, result, ["sex"], options, settings)
    result = measure_shifts(ready, result, parse_shifts(["gain:1,5", "text:2"]), options, settings)
    result = audit(ready, result, options, settings, n_permutations=19)
    results.save(options.results, result)
    return options.results


def test_page_figure_and_numbers_say_the_same(folder: Any) -> None:
    pages = render(folder)
    (name,) = [path for path in pages if path.endswith("-shifts.csv")]
    rows = list(csv.DictReader(io.StringIO(pages[name])))
    assert [(row["shift"], row["severity"]) for row in rows] == [("gain", "1"), ("gain", "5"), ("text", "2")]
    assert [row["trained"] for row in rows] == ["false", "false", "true"]
    ElementTree.fromstring(pages[name.replace(".csv", ".svg")])
    board = name.removeprefix("figures/").removesuffix("-shifts.csv")
    page = pages[f"{board}.md"]
    assert "## How far to trust these scores" in page
    assert "## Under acquisition shifts" in page
    assert f"figures/{board}-shifts.svg" in page
    table = page.split("## Under acquisition shifts")[1]
    assert "| gain 5 | text 2 |" in " ".join(table.split())
    cells = [cell.strip() for cell in next(line for line in table.splitlines() if "Brightness" in line).split("|")]
    assert cells[3].removesuffix("†") == number_format.column("fold_auc").difference(float(rows[1]["difference"]))
    assert "[" in table.split("Drift")[0].split("Brightness")[1]  # text, which it was trained to ignore
    assert "| 1 frame |" in " ".join(page.split("## How many frames the score needs")[1].split())
    strata = " ".join(page.split("## By stratum")[1].split("## How far")[0].split())
    assert "| Sex → | f (20 subjects) | m (20 subjects) |" in strata
    assert "| Brightness | 0." in strata or "| Brightness | 1." in strata
    assert "Near-duplicates: No two of 80 files" in page
    assert "(n = 19)" in page


def test_the_constant_answer_inherits_no_instruments(folder: Any) -> None:
    (board,) = [b for b in gather(folder, tasks=()) if b.entries]
    constant = next(e for e in board.entries if e.name == "constant")
    assert constant.result.instruments == {}
    assert {c.entry.name for c in shifts.curves_of(board)} == {"brightness"}


def test_without_instruments_there_is_no_section(clips: pd.DataFrame, clip_task: dict[str, Any], run: Any) -> None:
    _, _, options, _ = run(clips, "pixels", **clip_task)
    text = "\n".join(render(options.results).values())
    assert "How far to trust" not in text
    assert "acquisition shifts" not in text
