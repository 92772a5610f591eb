"""The recipes of docs/extending.md, each followed with a small example."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import usbench
from usbench import results
from usbench.cli import main
from usbench.core.settings import load_settings
from usbench.diagnostics import suite
from usbench.evaluation.scoring import with_missing_metrics
from usbench.leaderboard import diagnostics_text, render
from usbench.pipeline.context import Options, prepare
from usbench.plugins.catalog import load_encoder, load_task
from usbench.probes import facts, protocols
from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, Problem, fold_prediction, stack
from usbench.statistics import kernels
from usbench.statistics.metrics import METRICS, Metric
from usbench.statistics.outcome import Outcome
from usbench.submission.validate import validate
from usbench.task.kinds import KINDS

TASK = """
title = "Toy"
dataset = "bus-bra-subset"
target = "pathology"
positive = "malignant"
unit = "image"
split = "official"
protocols = ["{protocol}"]
"""


def run_toy(folder: Path, protocol: str) -> results.Result:
    (folder / "toy.toml").write_text(TASK.format(protocol=protocol))
    (result,) = usbench.run("pixels", str(folder / "toy.toml"), results_dir=folder / "results")
    return result


def gmean(outcome: Outcome) -> kernels.Kernel:
    negative, positive = kernels.recall(outcome, 0), kernels.recall(outcome, 1)
    return lambda weights: np.sqrt(negative(weights) * positive(weights))


def test_a_metric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = run_toy(tmp_path, "knn@1")
    with monkeypatch.context() as patch:
        metric = Metric("gmean", "G-mean", "%", True, ("binary",), 0.5, "Geometric mean of the recalls.", gmean)
        patch.setitem(METRICS, "gmean", metric)
        patch.setitem(KINDS, "binary", replace(KINDS["binary"], shown=(*KINDS["binary"].shown, "gmean")))

        path = results.result_path(tmp_path / "results", before)
        assert validate(path) == []  # a younger metric does not make an older file wrong
        with pytest.raises(SystemExit) as ended:
            main(["results", "migrate", str(path)])
        assert not ended.value.code
        after = results.load(path)
        found = after.protocols["knn@1"].metrics
        sensitivity, specificity = found["sensitivity"].value, found["specificity"].value
        assert found["gmean"].value == pytest.approx((sensitivity * specificity) ** 0.5, abs=1e-6)
        assert found["gmean"].low < found["gmean"].value < found["gmean"].high
        assert {name: e for name, e in found.items() if name != "gmean"} == before.protocols["knn@1"].metrics

        page = render(tmp_path / "results")["toy@bus-bra-subset.md" if before.board != "toy" else "toy.md"]
        assert "G-mean" in page
        assert f"{100 * found['gmean'].value:.1f}" in page
    assert with_missing_metrics(before) == before


def centroid(problem: Problem) -> Answer:
    """Nearest centroid of two classes."""
    answers, choices = [], []
    for repeat, fold, split in problem.folds():
        x, y = problem.features[split.train], problem.y[split.train]
        means = [x[y == label].mean(axis=0) for label in (0, 1)]
        far, near = (np.linalg.norm(problem.features[split.test] - mean, axis=1) for mean in means)
        answers.append(fold_prediction(repeat, fold, split, far - near, far > near))
        choices.append(FoldChoice(repeat, fold, split.fold, {}))
    return stack(answers), tuple(choices)


def test_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = replace(protocols.PROTOCOLS["knn@1"], name="centroid", title="Nearest centroid", run=centroid)
    monkeypatch.setitem(protocols.PROTOCOLS, "centroid@1", info)
    told = facts.ProtocolFacts("centroid", "Nearest centroid", "The nearer class mean answers.", model="centroid")
    monkeypatch.setitem(facts.PROTOCOL_FACTS, "centroid", told)

    result = run_toy(tmp_path, "centroid@1")
    assert result.protocols["centroid@1"].metrics["fold_auc"].value > 0.5
    page = next(text for name, text in render(tmp_path / "results").items() if name.startswith("toy") and ".md" in name)
    assert "Nearest centroid" in page
    assert "The nearer class mean answers." in page


def test_a_diagnostic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def norms(request: suite.Request) -> dict[str, Any]:
        lengths = np.linalg.norm(request.clean().vectors, axis=1)
        return {"version": 1, "mean": float(lengths.mean()), "note": ""}

    monkeypatch.setitem(suite.DIAGNOSTICS, "norms", suite.Diagnostic("How long the vectors are.", 1, norms))
    monkeypatch.setitem(
        diagnostics_text._TEXTS, "norms", lambda result, section: f"Mean length of a vector: {section['mean']:.1f}."
    )
    result = run_toy(tmp_path, "knn@1")
    settings, options = load_settings(), Options(results=tmp_path / "results")
    prepared = prepare(load_encoder("pixels"), load_task(str(tmp_path / "toy.toml")), options, settings)
    measured = suite.audit(prepared, result, options, settings, ["norms"])
    assert measured.instruments["norms"]["mean"] > 0
    assert results.load(results.result_path(tmp_path / "results", result)) == measured
    assert diagnostics_text.findings(measured)["norms"].startswith("Mean length of a vector: ")
    page = next(text for name, text in render(tmp_path / "results").items() if name.startswith("toy") and ".md" in name)
    assert "Mean length of a vector" in page
