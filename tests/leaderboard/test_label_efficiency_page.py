"""Curves whose crossings are known, on the page, in the figure and in its numbers."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
from result_fixtures import MakeResult

from usbench.leaderboard import number_format, render
from usbench.leaderboard.board import gather
from usbench.leaderboard.html import render_site
from usbench.leaderboard.label_efficiency import Needed, Point, efficiency_of, subjects_needed
from usbench.results.schema import Estimate, Result, save

AUC, MAE = number_format.column("fold_auc"), number_format.column("mae", "%")


def points(sizes: list[float], means: list[float], spread: float = 0.0) -> list[Point]:
    drawn = [(m - spread, m, m + spread) for m in means[:-1]] + [(means[-1],)]
    whole = sizes[-1]
    return [Point(n / whole, n, v, Estimate(m)) for n, m, v in zip(sizes, means, drawn, strict=True)]


@pytest.mark.parametrize(
    ("means", "goal", "column", "expected"),
    [
        ([0.5, 0.6, 0.7, 0.8], 0.65, AUC, 10 * (4**0.5)),  # half way between 10 and 40 on a logarithmic scale
        ([0.5, 0.6, 0.7, 0.8], 0.70, AUC, 40),
        ([0.5, 0.6, 0.7, 0.8], 0.80, AUC, 160),
        ([0.5, 0.6, 0.7, 0.8], 0.81, AUC, None),
        ([0.6, 0.72, 0.64, 0.8], 0.70, AUC, 40 * (4 ** (0.06 / 0.16))),  # what is lost again was not reached
        ([0.6, 0.72, 0.64, 0.6], 0.65, AUC, None),
        ([4.0, 3.0, 2.0, 1.0], 1.5, MAE, 40 * (4**0.5)),
        ([4.0, 3.0, 2.0, 1.0], 0.9, MAE, None),
    ],
)
def test_the_number_of_subjects_is_read_where_the_curve_comes_to_stay(
    means: list[float], goal: float, column: number_format.Column, expected: float | None
) -> None:
    found = subjects_needed(points([2.5, 10, 40, 160], means), goal, column)
    assert not found.at_most
    assert found.subjects == (None if expected is None else pytest.approx(expected))
    if expected is not None:
        assert found.low == found.high == pytest.approx(expected)


def test_fewer_subjects_than_the_fewest_may_do() -> None:
    found = subjects_needed(points([2.5, 10, 40, 160], [0.7, 0.8, 0.8, 0.9]), 0.6, AUC)
    assert found == Needed(2.5, True, 2.5, 2.5)


def test_draws_give_its_range() -> None:
    found = subjects_needed(points([2.5, 10, 40, 160], [0.5, 0.6, 0.7, 0.9], spread=0.05), 0.65, AUC)
    assert found.low == pytest.approx(10)  # the best draw has .65 there
    assert found.high == pytest.approx(40)  # the worst one has it here
    assert log(found.subjects) == pytest.approx((log(10) + log(40)) / 2)


def with_curve(result: Result, steps: tuple[float, ...], **changes: Any) -> Result:
    """Give a result a curve that ends at its own score."""
    protocol, entry = next(iter(result.protocols.items()))
    metric = "fold_auc" if result.task["kind"] == "binary" else "mae"
    whole = entry.metrics[metric]
    curve = [
        {
            "share": share,
            "subjects": 48 * share,
            "units": 48 * share,
            "values": [round(whole.value - step + 0.01 * k, 6) for k in (-1, 0, 1)],
            "estimate": {"value": round(whole.value - step, 6), "low": whole.low - step, "high": whole.high - step},
        }
        for share, step in zip((0.1, 0.25, 0.5), steps, strict=True)
    ]
    last = {"value": whole.value, "low": whole.low, "high": whole.high}
    curve.append({"share": 1.0, "subjects": 48.0, "units": 48.0, "values": [whole.value], "estimate": last})
    left_out = [{"share": 0.05, "reason": "1 training subjects of a class, of at least 2"}]
    section = {"version": 1, "protocol": protocol, "metric": metric, "seed": 0, "curve": curve, "left_out": left_out}
    return replace(result, instruments={"label_efficiency": {**section, "note": "", **changes}})


@pytest.fixture
def results(tmp_path: Path, make_result: MakeResult) -> Path:
    folder = tmp_path / "results"
    for seed, (name, signal, floor) in enumerate((("good", 2.6, False), ("poor", 0.2, False), ("texture", 1.6, True))):
        save(folder, with_curve(make_result(name, signal=signal, floor=floor, seed=seed), (0.3, 0.2, 0.1)))
    save(folder, make_result("older", signal=2.0, seed=9))  # of before there were curves
    return folder


def test_section_figure_and_numbers_say_the_same(results: Path) -> None:
    (board,) = [b for b in gather(results, tasks=()) if b.entries]
    found = efficiency_of(board)
    assert found is not None
    assert [curve.entry.name for curve in found.curves] == ["good", "poor", "texture"]
    assert found.best_floor == "texture"
    good, poor, texture = (found.needed(curve, AUC) for curve in found.curves)
    assert good is not None
    assert 4.8 < good.low < good.subjects < good.high < 48
    assert poor == Needed(None)
    assert texture is None

    rendered = render(results)
    page = rendered[f"{board.name}.md"]
    section = page.split("## How many labelled subjects it takes")[1].split("\n## ")[0]
    lines = {line.split("|")[1].strip(" *"): line for line in section.splitlines() if line.startswith("| ")}
    assert f"{good.subjects:.0f} ({good.low:.0f} to {good.high:.0f})" in lines["Good"]
    assert "not reached" in lines["Poor"]
    assert "best baseline" in lines["Texture"]
    assert "10 % (5 subjects)" in section
    assert "a reading of the curve and not a test" in section
    assert section.count("figures/covid-label-efficiency.svg") == 1
    assert page.count("figures/covid-label-efficiency.svg") == 1
    assert page.split("## ")[1].count("label-efficiency.svg") == 0  # with its section, not with the scores

    rows = list(csv.DictReader(io.StringIO(rendered["figures/covid-label-efficiency.csv"])))
    assert {row["encoder"] for row in rows} == {"good", "poor", "texture"}
    assert [row["draw"] for row in rows[:4]] == ["all", "0", "1", "2"]
    first = found.curves[0].points[0]
    assert float(rows[0]["value"]) == pytest.approx(first.estimate.value, abs=1e-6)
    svg = rendered["figures/covid-label-efficiency.svg"]
    assert "best baseline, all subjects" in svg
    assert svg.count("<circle") == 8
    assert svg.count("M") > 0
    site = render_site(results)[f"boards/{board.name}.html"]
    assert "How many labelled subjects it takes" in site
    assert "figures/covid-label-efficiency.csv" in site


def test_curves_of_another_protocol_or_metric_do_not_stand_beside_the_others(
    tmp_path: Path, make_result: MakeResult
) -> None:
    save(tmp_path, with_curve(make_result("a", seed=1), (0.3, 0.2, 0.1)))
    save(tmp_path, with_curve(make_result("b", seed=2), (0.3, 0.2, 0.1), metric="accuracy"))
    save(tmp_path, with_curve(make_result("c", seed=3), (0.3, 0.2, 0.1), protocol="svc-paper@1"))
    (board,) = [b for b in gather(tmp_path, tasks=()) if b.entries]
    found = efficiency_of(board)
    assert found is not None
    assert [curve.entry.name for curve in found.curves] == ["a"]


def test_a_curve_that_is_none_is_refused_when_it_is_read(tmp_path: Path, make_result: MakeResult) -> None:
    from usbench.errors import ResultError

    for changes, where in (
        ({"curve": [{"share": 2}]}, "curve"),
        ({"curve": [1, 2]}, "curve"),
        ({"metric": "<b>"}, "metric"),
        ({"note": 3}, "note"),
    ):
        path = save(tmp_path, with_curve(make_result("a", seed=1), (0.3, 0.2, 0.1), **changes))
        with pytest.raises(ResultError, match=where):
            gather(tmp_path, tasks=())
        path.unlink()
