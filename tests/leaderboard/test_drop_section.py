"""The section of a page on what a score loses on data from elsewhere: its numbers, its words, its intervals."""

import shutil
from dataclasses import replace
from math import sqrt

import pandas as pd
import pytest
from scipy import stats
from scipy.optimize import brentq

from usbench import run
from usbench.cli.summary import drop_sentence
from usbench.evaluation.drop import with_drop
from usbench.leaderboard.board import gather
from usbench.leaderboard.html import render_site
from usbench.leaderboard.markdown.task_page import task_page
from usbench.leaderboard.tables import drop as drop_table
from usbench.plugins.catalog import load_task
from usbench.results.schema import load, save
from usbench.statistics.half_samples import half_sample_error
from usbench.submission.deidentify import prepare
from usbench.submission.validate import validate


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Both encoders trained on one country and tested in the other, from the data in the package."""
    folder = tmp_path_factory.mktemp("pair")
    task = replace(load_task("breast_transfer"), protocols=("knn@1",))
    run(["texture", "pixels"], task, data="subset", results_dir=folder, label_efficiency=False)
    return folder


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    folder = tmp_path_factory.mktemp("held_out")
    task = replace(load_task("breast_lesion_scanner"), protocols=("knn@1",))
    run(["texture", "pixels"], task, data="subset", results_dir=folder, label_efficiency=False)
    return folder


@pytest.fixture(params=["pair", "held_out"])
def folder(request):
    return request.getfixturevalue(request.param)


def test_the_drop_is_what_is_lost_and_its_error_is_of_both_refitted_in_the_same_halves(folder):
    (board,) = gather(folder, tasks=())
    for entry in board.entries:
        figures = entry.result.figures.get("drop")
        if not figures:
            continue
        protocol = entry.result.protocols["knn@1"]
        assert figures["uncertainty"]["method"] == protocol.uncertainty["method"] == "half-samples"
        for name, found in figures["metrics"].items():
            drop = found["drop"]
            assert found["elsewhere"]["value"] == protocol.metrics[name].value
            assert drop["value"] == pytest.approx(found["within"]["value"] - found["elsewhere"]["value"], abs=2e-6)
            assert drop["value"] == pytest.approx((drop["high"] + drop["low"]) / 2, abs=2e-6)
            assert (drop["p"] < 0.05) == (drop["low"] > 0 or drop["high"] < 0)
            halved = half_sample_error(figures["uncertainty"]["halves"][name], protocol.uncertainty["halves"][name])
            # The error under fixed predictions is not stated: it is the one that gives the width of the interval.
            tested = zip(entry.result.units.subject, figures["repeats"][0]["fold"], strict=True)
            reach, subjects = (
                (drop["high"] - drop["low"]) / 2,
                len({subject for subject, fold in tested if fold is not None}),
            )

            def both(fixed: float, halved: float = halved, n: int = subjects) -> tuple[float, float]:
                parts = (1 - 2**-0.5) * fixed**2, 2**-0.5 * max(fixed, halved) ** 2
                known = parts[0] ** 2 / (n - 1) + parts[1] ** 2 * (1 / 12 + 1 / (n - 1))
                return sqrt(sum(parts)), sum(parts) ** 2 / known

            def excess(fixed: float, reach: float = reach) -> float:
                error, freedom = both(fixed)
                return stats.t.ppf(0.975, freedom) * error - reach

            error, freedom = both(brentq(excess, 1e-6, reach))
            assert drop["p"] == pytest.approx(2 * stats.t.sf(abs(drop["value"]) / error, freedom), abs=1e-3)


def test_halves_are_of_the_same_subjects_within_and_elsewhere(pair):
    """An encoder that answers alike within and elsewhere would otherwise have an error of its own."""
    (board,) = gather(pair, tasks=())
    result = next(e.result for e in board.entries if e.name == "texture")
    within, elsewhere = result.figures["drop"]["uncertainty"], result.protocols["knn@1"].uncertainty
    assert [within[key] for key in ("halvings", "seed")] == [elsewhere[key] for key in ("halvings", "seed")]
    assert len(within["halves"]["auc"]) == len(elsewhere["halves"]["auc"]) == 12
    alone = replace(
        result, figures={"drop": {**result.figures["drop"], "uncertainty": {"method": "fixed predictions"}}}
    )
    fixed = with_drop(alone).figures["drop"]["metrics"]["fold_auc"]["drop"]
    joint = result.figures["drop"]["metrics"]["fold_auc"]["drop"]
    assert fixed["value"] == joint["value"]
    assert fixed["high"] - fixed["low"] != joint["high"] - joint["low"]


def test_the_page_shows_these_numbers_and_says_how_they_came_about(folder):
    (board,) = gather(folder, tasks=())
    section = drop_table.section(board)
    text = "".join(span.text for span in section.blocks[0].spans)
    assert "positive is worse" in text
    assert "join refits of both in the same half-samples" in text
    paired = board.first.figures["drop"]["paired"]
    assert ("the same units are answered twice" in text) == paired
    assert ("the patients are others" in text) != paired
    first = section.blocks[1]
    assert [heading.key for heading in first.headings] == ["encoder", "within", "elsewhere", "drop", "interval", "p"]
    # Scanners held out are folds, another country is one test set.
    title = "AUC within folds" if paired else "AUC"
    assert first.caption == f"The drop on data from elsewhere: {title}"
    measured = {e.title: e.result.figures["drop"]["metrics"]["fold_auc"] for e in board.entries if e.file}
    assert len(first.rows) == len(measured) == 2
    for row in first.rows:
        found = measured[row.cells[0].text]
        assert row.cells[1].text == f"{found['within']['value']:.3f}"
        assert row.cells[2].text == f"{found['elsewhere']['value']:.3f}"
        assert row.cells[3].text == f"{found['drop']['value']:+.3f}".replace("-", "−")
        assert row.cells[4].text == f"{found['drop']['low']:+.3f} to {found['drop']['high']:+.3f}".replace("-", "−")
    page, site = task_page(board), render_site(folder)
    assert "## The drop on data from elsewhere" in page
    for row in first.rows:
        assert row.cells[4].text in page
        assert any(row.cells[4].text in text for name, text in site.items() if name.endswith(".html"))


def test_the_sentence_in_the_terminal_agrees_with_the_table(folder):
    (board,) = gather(folder, tasks=())
    results = [e.result for e in board.entries if e.file]
    best = max(results, key=lambda r: r.figures["drop"]["metrics"]["fold_auc"]["elsewhere"]["value"])
    drop = best.figures["drop"]["metrics"]["fold_auc"]["drop"]
    told = drop_sentence(results)
    title = "AUC within folds" if best.figures["drop"]["paired"] else "AUC"
    here = best.figures["drop"]["metrics"]["fold_auc"]["elsewhere"]["value"]
    assert f"{best.encoder['name']} does best of both: {title} {here:.2f} (" in told
    assert f"{abs(drop['value']):.2f} {'lost' if drop['value'] > 0 else 'gained'}" in told
    assert ("which may be chance" in told) == (drop["low"] <= 0 <= drop["high"])


def test_a_result_with_a_drop_is_valid_also_after_names_are_hidden(folder, tmp_path):
    path = next(folder.glob("*/texture.json"))
    assert validate(path, folder) == []
    prepared = prepare(path, secret=b"0" * 32)
    hidden = save(tmp_path, prepared.result)
    assert validate(hidden, tmp_path) == []
    a, b = (r.figures["drop"]["metrics"]["fold_auc"] for r in (prepared.result, load(path)))
    assert a["drop"]["value"] == b["drop"]["value"]


def test_a_drop_that_was_changed_by_hand_is_found(folder, tmp_path):
    copy = tmp_path / next(folder.glob("*/pixels.json")).relative_to(folder)
    result = load(next(folder.glob("*/pixels.json")))
    figures = result.figures["drop"]
    for side, part in (("drop", "value"), ("drop", "high"), ("within", "low")):
        entry = figures["metrics"]["fold_auc"]
        changed = {**entry, side: {**entry[side], part: 0.001}}
        metrics = {**figures["metrics"], "fold_auc": changed}
        save(tmp_path, replace(result, figures={"drop": {**figures, "metrics": metrics}}))
        (finding,) = validate(copy, tmp_path)
        assert finding.where == f"figures/drop/fold_auc, {side}/{part}"


def test_too_few_patients_to_halve_is_said(tmp_path, bus_bra_subset):
    table = pd.read_csv(bus_bra_subset / "bus_data.csv").drop_duplicates("Case")
    number = table.groupby("Pathology").cumcount()
    for name, chosen in (("old", number < 6), ("new", number.between(6, 8))):
        part = table[chosen]
        for image in part["ID"]:
            shutil.copy(bus_bra_subset / "Images" / f"{image}.png", tmp_path / f"{image}.png")
        pd.DataFrame(
            {
                "path": part["ID"] + ".png",
                "subject": part["Case"],
                "label": part["Pathology"].eq("malignant").astype(int),
            }
        ).to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "few.toml").write_text(
        'train = "old.csv"\ntest = "new.csv"\ntarget = "label"\nunit = "image"\nprotocols = ["knn@1"]\n'
    )
    (result,) = run("pixels", str(tmp_path / "few.toml"), results_dir=tmp_path / "results")
    drop = result.figures["drop"]
    assert drop["uncertainty"]["method"] == "fixed predictions"
    assert "too few to refit in halves" in drop["uncertainty"]["reason"]
    entry = drop["metrics"]["accuracy"]["drop"]
    assert entry["low"] < entry["value"] < entry["high"]
    (board,) = gather(tmp_path / "results", tasks=())
    text = task_page(board)
    assert "Intervals are 95 % and resample subjects under fixed predictions; the patients are others" in text
