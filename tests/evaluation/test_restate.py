"""Results whose intervals an earlier rule wrote: valid as they stand, and brought up to date without any training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import usbench
from usbench import results
from usbench.cli import main
from usbench.evaluation.drop import with_drop
from usbench.evaluation.intervals import estimates
from usbench.evaluation.restate import with_current_intervals
from usbench.evaluation.scoring import predictions_of
from usbench.results.schema import Result
from usbench.submission.validate import validate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result, Result]:
    """A folder with a result of today, that result, and the same as the first rule stated it."""
    folder = tmp_path_factory.mktemp("made")
    (today,) = usbench.run("pixels", "breast_lesion", data="subset", results_dir=folder, label_efficiency=False)
    protocols = {}
    for name, entry in today.protocols.items():
        uncertainty = {key: value for key, value in entry.uncertainty.items() if key != "rule"}
        found = estimates(predictions_of(today, name), list(entry.metrics), uncertainty)
        protocols[name] = replace(entry, metrics=found, uncertainty=uncertainty)
    return folder, today, replace(today, protocols=protocols)


def test_the_first_rule_is_narrower_and_refused_beside_results_of_today(
    made: tuple[Path, Result, Result], tmp_path: Path
) -> None:
    _, today, earlier = made
    new, old = (r.protocols["svc-nested@2"].metrics["fold_auc"] for r in (today, earlier))
    assert new.value == old.value
    assert new.high - new.low > old.high - old.low
    path = results.save(tmp_path, earlier)
    assert {finding.where for finding in validate(path, tmp_path)} == {
        f"{name}, uncertainty" for name in earlier.protocols
    }
    assert "usbench results migrate" in validate(path, tmp_path)[0].what
    assert validate(results.save(tmp_path, with_current_intervals(earlier)), tmp_path) == []


def test_restated_they_are_what_is_computed_today(made: tuple[Path, Result, Result]) -> None:
    _, today, earlier = made
    restated = with_current_intervals(earlier)
    assert restated.to_json() == today.to_json()
    assert with_current_intervals(today) is today


def test_a_repeated_run_and_migrate_restate_what_is_kept(made: tuple[Path, Result, Result], tmp_path: Path) -> None:
    _, today, earlier = made
    path = results.save(tmp_path, earlier)
    (answered,) = usbench.run("pixels", "breast_lesion", data="subset", results_dir=tmp_path, label_efficiency=False)
    assert answered.protocols == today.protocols
    assert results.load(path).protocols == today.protocols
    results.save(tmp_path, earlier)
    with pytest.raises(SystemExit):
        main(["results", "migrate", str(path)])
    assert results.load(path).protocols == today.protocols


def test_results_of_before_there_were_half_samples_stay(made: tuple[Path, Result, Result]) -> None:
    _, today, _ = made
    bare = {name: replace(entry, uncertainty={}) for name, entry in today.protocols.items()}
    fixed = {name: replace(entry, uncertainty={"method": "fixed predictions"}) for name, entry in bare.items()}
    for protocols in (bare, fixed):
        old = replace(today, protocols=protocols)
        assert with_current_intervals(old) is old


def test_a_drop_is_restated_with_the_scores_it_is_of(tmp_path: Path) -> None:
    """From one dataset to another: the committed result of texture, put back under the first rule."""
    board = Path(__file__).resolve().parents[2] / "leaderboards" / "results" / "breast_transfer" / "texture.json"
    today = results.load(board)

    def back(uncertainty: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in uncertainty.items() if key != "rule"}

    drop = {**today.figures["drop"], "uncertainty": back(today.figures["drop"]["uncertainty"])}
    protocols = {n: replace(entry, uncertainty=back(entry.uncertainty)) for n, entry in today.protocols.items()}
    earlier = with_drop(replace(today, protocols=protocols, figures={**today.figures, "drop": drop}))
    metric = "auc"
    old, new = (r.figures["drop"]["metrics"][metric]["drop"] for r in (earlier, today))
    assert old["value"] == new["value"]
    assert new["high"] - new["low"] > old["high"] - old["low"]
    assert with_current_intervals(earlier).figures["drop"] == today.figures["drop"]


def test_metrics_of_further_thresholds_are_restated_too() -> None:
    """An ejection fraction is asked about at two thresholds; the second one's metric is in no registry."""
    board = (
        Path(__file__).resolve().parents[2] / "leaderboards" / "results" / "camus_ejection_fraction" / "texture.json"
    )
    today = results.load(board)
    entry = today.protocols["knn@1"]
    assert "auc_at_40" in entry.metrics
    uncertainty = {key: value for key, value in entry.uncertainty.items() if key != "rule"}
    found = estimates(predictions_of(today, "knn@1"), list(entry.metrics), uncertainty)
    old = replace(today, protocols={**today.protocols, "knn@1": replace(entry, metrics=found, uncertainty=uncertainty)})
    assert old.protocols["knn@1"].metrics["auc_at_40"] != entry.metrics["auc_at_40"]
    assert with_current_intervals(old).protocols["knn@1"] == entry
