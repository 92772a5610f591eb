"""The score on fewer frames: drawn from those of the run, compared with all, and shown as table and figure."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from usbench import results
from usbench.data.frame_sampling import AllFrames, FrameSource, RandomFrames, frame_rank
from usbench.diagnostics import perturbation
from usbench.diagnostics.suite import audit
from usbench.encoder.base import Encoder
from usbench.leaderboard import render
from usbench.leaderboard.board import gather
from usbench.leaderboard.diagnostics_text import findings
from usbench.leaderboard.figures.frames import csv_of
from usbench.leaderboard.tables import frame_budget as tables
from usbench.pipeline import vectors
from usbench.submission.deidentify import prepare
from usbench.submission.validate import validate
from usbench.task.slots import Slots


def budget_of(run: Any, rows: pd.DataFrame, encoder: Encoder | str, **task: Any) -> Any:
    ready, result, options, settings = run(rows, encoder, **task)
    measured = audit(ready, result, options, settings, ["frame_budget"])
    return measured, measured.instruments["frame_budget"], options


def test_the_first_draw_of_a_smaller_budget_scores_as_a_run_of_its_own(
    clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder
) -> None:
    result, section, options = budget_of(run, clips, brightness, **clip_task)
    curve = section["curve"]
    assert [point["frames"] for point in curve] == [1, 2, 4, 8, 10]
    assert all(len(point["draws"]) == 5 for point in curve[:-1])
    _, four, _, _ = run(clips, brightness, keep=False, **{**clip_task, "frames": RandomFrames(4)})
    assert curve[2]["draws"][0] == four.protocols["svc-nested@2"].metrics["fold_auc"].value
    assert curve[2]["estimate"]["value"] == pytest.approx(np.mean(curve[2]["draws"]), abs=2e-6)
    # Budgets are compared on the same predictions, so that nothing is refitted for their intervals.
    full = result.protocols["svc-nested@2"]
    fixed = perturbation.estimate(perturbation.read(result, full.repeats), "fold_auc")
    assert curve[-1]["estimate"] == {"value": full.metrics["fold_auc"].value, "low": fixed.low, "high": fixed.high}
    assert "difference" not in curve[-1]
    assert np.std(curve[0]["draws"]) > np.std(curve[3]["draws"])  # one frame is luck, eight are less
    assert validate(results.result_path(options.results, result), options.results) == []


def test_nothing_is_encoded_for_the_curve(
    clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, result, options, settings = run(clips, brightness, **clip_task)
    taken: list[int] = []
    original = vectors.embed

    def counted(*arguments: Any, **named: Any) -> Any:
        found = original(*arguments, **named)
        taken.append(found.extraction.encoded)
        return found

    monkeypatch.setattr(vectors, "embed", counted)
    assert len(audit(ready, result, options, settings, ["frame_budget"]).instruments["frame_budget"]["curve"]) == 5
    assert taken == [0]


def test_all_frames_can_be_fewer_too_and_grades_keep_their_answers(
    clips: pd.DataFrame, run: Any, brightness: Encoder
) -> None:
    graded = clips.assign(label=[(k // 2) % 3 for k in range(len(clips))])
    task = {
        "unit": "subject",
        "frames": AllFrames(),
        "kind": "ordinal",
        "positive": "1",
        "protocols": ("knn@1",),
        "threshold": 2.0,
    }
    result, section, options = budget_of(run, graded, brightness, **task)
    assert [point["frames"] for point in section["curve"]] == [1, 2, 4, 8, 24]
    assert section["metric"] == "quadratic_kappa"
    assert set(section["curve"][0]["predicted"][0][0]) <= {"0", "1", "2"}
    assert validate(results.result_path(options.results, result), options.results) == []


def test_what_has_places_or_one_frame_is_told_so(images: pd.DataFrame, run: Any) -> None:
    two = images[images.groupby("subject")["side"].transform("nunique") == 2]
    _, section, _ = budget_of(run, images, "pixels")
    assert section["note"] == "Not measured: there is one frame per decision, so that none can be left out."
    slots = Slots("side", tuple(sorted(two["side"].unique())), "side-by-side")
    _, section, _ = budget_of(run, two, "pixels", unit="subject", slots=slots)
    assert section["note"] == "Not measured: each frame has a place of its own, so that none can be left out."


def test_the_rank_of_a_frame_is_what_a_task_draws_by() -> None:
    sources = [FrameSource(30, key="a.mp4"), FrameSource(12, key="b.mp4")]
    pool = [(item, frame) for item, source in enumerate(sources) for frame in range(source.n_frames)]
    ranked = sorted(pool, key=lambda at: frame_rank(3, "patient", sources[at[0]].key, at[1]))
    for n in (1, 5, 20):
        assert RandomFrames(n, seed=3).select(sources, "patient").frames == tuple(sorted(ranked[:n]))


def test_a_draw_that_was_changed_by_hand_is_found(
    clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder, tmp_path: Path
) -> None:
    result, section, _ = budget_of(run, clips, brightness, **clip_task)
    first = {**section["curve"][0], "draws": [0.99, *section["curve"][0]["draws"][1:]]}
    changed = {**section, "curve": [first, *section["curve"][1:]]}
    path = results.save(tmp_path / "other", replace(result, instruments={"frame_budget": changed}))
    (finding,) = validate(path)
    assert finding.where == "instruments/frame_budget/1"
    assert "states 0.99" in finding.what
    hidden = results.save(tmp_path / "hidden", prepare(_saved(tmp_path, result), b"0" * 32).result)
    assert validate(hidden) == []


def test_table_and_figure(
    clips: pd.DataFrame, clip_task: dict[str, Any], run: Any, brightness: Encoder, tmp_path: Path
) -> None:
    for encoder in (brightness, "pixels"):
        result, section, options = budget_of(run, clips, encoder, **clip_task)
    assert options.results is not None
    (board,) = gather(options.results, tasks=())
    shown = tables.section(board)
    assert shown is not None
    text, table = shown.blocks
    told = "".join(span.text for span in text.spans)
    assert "Each budget is drawn 5 times from the frames that the task takes, the same for every encoder" in told
    budgets = ["1 frame", "2 frames", "4 frames", "8 frames", "10 frames"]
    assert [heading.label for heading in table.headings] == ["Encoder", *budgets]
    row = next(row for row in table.rows if row.cells[0].text == result.encoder["title"])
    one = section["curve"][0]
    sd = np.std(one["draws"], ddof=1)
    assert row.cells[1].text.rstrip("†") == f"{one['estimate']['value']:.3f} ± {sd:.3f}"
    assert row.cells[5].text == f"{section['curve'][-1]['estimate']['value']:.3f}"
    lines = csv_of(board).splitlines()
    assert len(lines) == 1 + 2 * (5 + 4 * 5)
    pages = render(options.results)
    page = (
        pages["mine@mine.md"] if "mine@mine.md" in pages else next(t for n, t in pages.items() if n.startswith("mine"))
    )
    assert "## How many frames the score needs" in page
    assert page.index("-frames.svg") > page.index("## How many frames the score needs")
    assert any(name.endswith("-frames.svg") for name in pages)
    assert "in 5 draws)" in findings(result)["frame_budget"]


def test_a_curve_of_before_there_were_draws_still_renders(make_result: Any, tmp_path: Path) -> None:
    result = make_result("tusa")
    score = [repeat.score for repeat in result.protocols["svc-nested@1"].repeats]
    e = perturbation.estimate(perturbation.read(result, result.protocols["svc-nested@1"].repeats), "fold_auc")
    stated = {"value": e.value, "low": e.low, "high": e.high}
    difference = {"value": 0.0, "low": -0.1, "high": 0.1, "p": 1.0, "test": "DeLong"}
    curve = [
        {"frames": 5, "estimate": stated, "difference": difference, "score": score},
        {"frames": 20, "estimate": stated},
    ]
    section = {"version": 1, "protocol": "svc-nested@1", "metric": "fold_auc", "curve": curve, "note": ""}
    path = results.save(tmp_path, replace(result, instruments={"frame_budget": section}))
    assert validate(path, tmp_path) == []
    page = render(tmp_path)["covid.md"]
    assert "| 5 frames | 20 frames |" in page
    assert "Each budget is drawn" not in page


def _saved(folder: Path, result: results.Result) -> Path:
    return results.save(folder / "sound", result)
