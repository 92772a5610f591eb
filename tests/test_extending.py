"""The recipes of docs/extending.md, each followed with a small example."""

from __future__ import annotations

from collections.abc import Iterator
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
from usbench.leaderboard import diagnostics_text, html, render
from usbench.leaderboard.board import Entry
from usbench.leaderboard.html import pages, render_site, templating
from usbench.leaderboard.tables import task_page
from usbench.leaderboard.tables.model import Cell, Heading, Link, Row, Table
from usbench.pipeline.context import Options, prepare
from usbench.plugins.catalog import load_encoder, load_task
from usbench.probes import facts, protocols
from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, Problem
from usbench.statistics import kernels
from usbench.statistics.metrics import METRICS, Metric
from usbench.statistics.predictions import Predictions
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


def gmean(outcome: Predictions) -> kernels.Kernel:
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
        answers.append((repeat, fold, split, far - near, far > near))
        choices.append(FoldChoice(repeat, fold, split.fold, {}))
    return problem.gather(answers), tuple(choices)


def test_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = replace(protocols.PROTOCOLS["knn@1"], name="centroid", run=centroid)
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


def test_a_column(session_board: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pixels(entry: Entry) -> Cell:
        side = entry.result.encoder.get("input_size", [0])[0]
        return Cell(f"{side} × {side}", side)

    heading = Heading("pixels", "Input, pixels", numeric=True)
    monkeypatch.setattr(task_page, "ENCODER_COLUMNS", [*task_page.ENCODER_COLUMNS, task_page.Part(heading, pixels)])
    page = render(session_board / "results")["covid.md"].split("## Encoders")[1]
    assert "Input, pixels" in page
    assert page.count("128 × 128") == 6
    site = render_site(session_board / "results")["boards/covid.html"].split('id="h-encoders"')[1]
    assert "Input, pixels" in site
    assert site.count('data-sort="128">128 × 128</td>') == 6


def test_a_page_of_the_site(session_board: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sizes.html").write_text(
        '{% extends "base.html" %}{% import "macros.html" as ui %}'
        "{% block content %}<h1>Sizes</h1>{{ ui.table(table, root) }}{% endblock %}"
    )

    def sizes(site: pages.Site) -> Iterator[tuple[str, dict[str, Any]]]:
        headings = [Heading("board", "Board"), Heading("encoders", "Encoders", numeric=True)]
        rows = [
            Row([Cell(b.name, b.name, link=Link("board", b.name)), Cell(str(n := len(b.encoders)), n)])
            for b in site.boards
        ]
        yield "about/sizes.html", {"table": Table("sizes", "Encoders per board", headings, rows)}

    monkeypatch.setattr(templating, "TEMPLATE_FOLDERS", [*templating.TEMPLATE_FOLDERS, tmp_path])
    monkeypatch.setattr(html, "PAGES", [*pages.PAGES, pages.Page("sizes.html", sizes, menu="Sizes")])
    site = render_site(session_board / "results")
    assert '<a href="../boards/covid.html">covid</a>' in site["about/sizes.html"]
    assert '<td class="number" data-sort="3">3</td>' in site["about/sizes.html"]
    assert '<link rel="stylesheet" href="../assets/style.css">' in site["about/sizes.html"]
    assert '<a href="about/sizes.html">Sizes</a>' in site["index.html"]
    assert '<a href="../about/sizes.html">Sizes</a>' in site["boards/covid.html"]
