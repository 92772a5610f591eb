"""Scores on fewer training subjects: what theory says, what a run of its own gives, and what is said without any."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd
import pytest

from usbench import results
from usbench.core.types import Frame
from usbench.diagnostics.label_efficiency import DRAWS, SHARES
from usbench.diagnostics.suite import audit
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.evaluation.scoring import evaluate, probe_data
from usbench.leaderboard.diagnostics_text import findings
from usbench.pipeline.vectors import embed
from usbench.statistics.training_subsets import training_subsets
from usbench.submission.validate import validate
from usbench.task.cohort import draw_splits
from usbench.task.task import SplitPlan

SIDE, TRAINED, TESTED, DISTANCE = 5, 120, 360, 2.0


class Grey(Encoder):
    """The pixels as they are: their distribution is known, and so is what can be learnt from them."""

    card = EncoderCard(name="grey", title="Grey", embedding_dim=SIDE**2, parameters=0, pretraining=())

    def preprocess(self, frame: Frame) -> Any:
        import torch

        return torch.tensor(frame.reshape(SIDE, SIDE, -1)[:, :, 0].ravel(), dtype=torch.float32)

    def encode(self, batch: Any) -> Any:
        return batch


@pytest.fixture
def gaussian(tmp_path: Path) -> pd.DataFrame:
    """Two classes of images of independent normal pixels, whose means lie `DISTANCE` standard deviations apart."""
    from PIL import Image

    rng = np.random.default_rng(0)
    (tmp_path / "noise").mkdir()
    n = TRAINED + TESTED
    label = np.arange(n) % 2
    apart = DISTANCE / SIDE * np.where(label, 0.5, -0.5)[:, None]  # along the diagonal of all pixels
    values = np.clip(128 + 20 * (apart + rng.normal(size=(n, SIDE**2))), 0, 255).round().astype(np.uint8)
    rows = []
    for k in range(n):
        path = tmp_path / "noise" / f"{k}.png"
        Image.fromarray(values[k].reshape(SIDE, SIDE)).save(path)
        split = "train" if k < TRAINED else "test"
        rows.append({"path": str(path), "subject": f"p{k:04d}", "label": label[k], "split": split})
    return pd.DataFrame(rows)


def test_the_curve_is_the_one_that_theory_gives(gaussian: pd.DataFrame, run: Any) -> None:
    """A classifier along the difference of two class means ranks as well as this difference points the right way.

    With n training units, half of each class, the difference is d along the true axis plus noise of variance 4/n on
    each of D axes, so that the AUC is near Phi(d^2 / sqrt(2 (d^2 + 4 D / n))).
    """
    ready, result, options, settings = run(gaussian, Grey(), positive="1", split=SplitPlan("fixed"))
    measured = audit(ready, result, options, settings, ["label_efficiency"])
    section = measured.instruments["label_efficiency"]
    assert section["metric"] == "fold_auc"
    assert [point["share"] for point in section["curve"]] == [*SHARES, 1.0]
    assert [point["subjects"] for point in section["curve"]] == [6, 12, 30, 60, 120]
    for point in section["curve"]:
        n = point["subjects"]
        expected = NormalDist().cdf(DISTANCE**2 / sqrt(2 * (DISTANCE**2 + 4 * SIDE**2 / n)))
        assert point["estimate"]["value"] == pytest.approx(expected, abs=0.05), n
        assert point["estimate"]["low"] < expected < point["estimate"]["high"], n
    values = [point["estimate"]["value"] for point in section["curve"]]
    assert values[:-1] == sorted(values[:-1])  # the whole is one training set, without draws that average out
    assert values[-1] > values[0] + 0.1
    assert validate(results.result_path(options.results, measured), options.results) == []
    assert results.load(results.result_path(options.results, measured)) == measured
    text = findings(measured)["label_efficiency"]
    assert "on 6 training subjects" in text
    assert "on 120" in text


def test_a_draw_scores_as_a_run_of_its_own_on_its_training_subjects(images: pd.DataFrame, run: Any) -> None:
    ready, result, options, settings = run(
        images, protocols=("knn@1",)
    )  # tunes nothing, so that both are exactly equal
    section = audit(ready, result, options, settings, ["label_efficiency"]).instruments["label_efficiency"]
    half = next(point for point in section["curve"] if point["share"] == 0.5)
    splits = draw_splits(ready.task.split, ready.cohort)
    labels, groups = np.asarray(ready.cohort.labels()), np.asarray(ready.cohort.groups)
    drawn = training_subsets(splits, groups, labels, 0.5, DRAWS)
    embedded = embed(ready, options, settings)
    for value, one in zip(half["values"], drawn, strict=True):
        data = probe_data(ready.cohort, embedded.vectors, embedded.unit_index)
        entry = evaluate(section["protocol"], ready.task, ready.cohort, data, [one], halves=False)
        assert entry.metrics["fold_auc"].value == value
    whole = section["curve"][-1]
    assert whole["estimate"]["value"] == result.protocols[section["protocol"]].metrics["fold_auc"].value
    assert len(whole["values"]) == ready.task.split.repeats
    assert [x["share"] for x in section["left_out"]] == [0.05, 0.1]
    assert section["left_out"][0]["reason"] == "1 training subjects of a class, of at least 2"


def test_a_regression_has_a_curve_as_well(images: pd.DataFrame, run: Any) -> None:
    rows = images.assign(label=[float(len(p)) + k % 7 for k, p in enumerate(images["path"])])
    fields: dict[str, Any] = {"kind": "regression", "protocols": ("ridge-nested@2", "knn@1"), "positive": "1"}
    ready, result, options, settings = run(rows, **fields)
    section = audit(ready, result, options, settings, ["label_efficiency"]).instruments["label_efficiency"]
    assert (section["protocol"], section["metric"]) == ("ridge-nested@2", "mae")
    assert [len(point["values"]) for point in section["curve"][:-1]] == [DRAWS] * (len(section["curve"]) - 1)
    assert all(p["estimate"]["low"] < p["estimate"]["value"] < p["estimate"]["high"] for p in section["curve"])


def test_where_there_is_no_curve_a_sentence_says_why(images: pd.DataFrame, run: Any) -> None:
    few = images[images["subject"].isin(sorted(set(images["subject"]))[::6])]
    counts = few.groupby("label")["subject"].nunique()
    assert counts.min() >= 2
    ready, result, options, settings = run(few, split=SplitPlan("grouped", folds=2, repeats=1), protocols=("knn@1",))
    measured = audit(ready, result, options, settings, ["label_efficiency"])
    told = findings(measured)["label_efficiency"]
    assert told.startswith("Not measured: too few training subjects (5 %: ")
    flat = replace(result, protocols={"svc-paper@1": result.protocols["knn@1"]})
    from usbench.diagnostics import label_efficiency

    assert label_efficiency._protocol(flat) == (
        "no protocol of the task both tunes inside the training folds and is quick enough to be repeated"
    )
