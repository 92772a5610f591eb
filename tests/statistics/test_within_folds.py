"""Correlation within folds: what it is, and that 0 means no signal where the pooled one is pulled below."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.probes import ProbeData, run_protocol
from usbench.statistics import Predictions, compute, repeated_subject_folds
from usbench.statistics.metrics import prepare


def test_it_is_the_correlation_of_what_is_centred_within_folds_and_predictions_of_unit_spread() -> None:
    rng = np.random.default_rng(0)
    y, fold = rng.normal(95, 3, 50), np.stack([rng.permutation(50) % 5 for _ in range(3)])
    score = 95 + 0.5 * (y - 95) + rng.normal(size=(3, 50)) + 4 * fold

    def within(values: np.ndarray, folds: np.ndarray, scaled: bool) -> np.ndarray:
        parts = {f: values[folds == f] for f in folds}
        return np.array(
            [(v - parts[f].mean()) / (parts[f].std() if scaled else 1.0) for v, f in zip(values, folds, strict=True)]
        )

    expected = [np.corrcoef(within(y, f, False), within(s, f, True))[0, 1] for s, f in zip(score, fold, strict=True)]
    outcome = Predictions.regression(y, score, fold)
    assert compute("fold_pearson_r", outcome) == pytest.approx(np.mean(expected), abs=1e-12)
    assert compute("pearson_r", outcome) < compute("fold_pearson_r", outcome) - 0.1  # offsets between folds


def test_weights_are_how_often_a_unit_occurs() -> None:
    rng = np.random.default_rng(1)
    y, fold = rng.normal(size=30), rng.permutation(30) % 5
    score = y + rng.normal(size=30)
    weights = rng.integers(0, 3, 30)
    rows = np.repeat(np.arange(30), weights)
    found = prepare("fold_pearson_r", Predictions.regression(y, score, fold))(weights[None].astype(float))[0]
    assert found == pytest.approx(compute("fold_pearson_r", Predictions.regression(y[rows], score[rows], fold[rows])))


def test_it_does_not_exist_without_variation_within_folds() -> None:
    y = np.arange(10.0)
    assert compute("fold_pearson_r", Predictions.regression(y, y, np.arange(10))) is None  # one unit per fold
    assert compute("fold_pearson_r", Predictions.regression(y, np.arange(10) % 5 / 3, np.arange(10) % 5)) is None
    assert compute("fold_pearson_r", Predictions.regression(np.ones(10), y, np.arange(10) % 5)) is None


def test_without_a_signal_it_is_zero_where_the_pooled_one_is_not() -> None:
    found = {name: [] for name in ("pearson_r", "centred", "fold_pearson_r", "auc", "fold_auc")}
    for seed in range(100):
        rng = np.random.default_rng(seed)
        y, people = rng.normal(size=56), np.arange(56)
        data = ProbeData(rng.normal(size=(56, 20)).astype(np.float32), people, y, people)
        splits = repeated_subject_folds(people, None, 10, 1, seed, stratify=False)
        result = run_protocol("ridge-nested@2", data, splits, question="regression")
        outcome = result.predictions.tested(0.5)
        centres = [[v[outcome.fold[0] == f].mean() for f in outcome.fold[0]] for v in (y, outcome.score[0])]
        centred = float(np.corrcoef(y - centres[0], outcome.score[0] - centres[1])[0, 1])
        for name, values in found.items():
            value = centred if name == "centred" else compute(name, outcome)
            values += [] if value is None else [value]
    mean = {name: float(np.mean(values)) for name, values in found.items()}
    error = {name: float(np.std(values) / np.sqrt(len(values))) for name, values in found.items()}
    print({name: f"{mean[name]:.3f} +- {error[name]:.3f}" for name in mean})
    assert mean["pearson_r"] < -0.15
    assert mean["auc"] < 0.45
    assert mean["centred"] < -2 * error["centred"]  # centring alone is not enough
    assert abs(mean["fold_pearson_r"]) < 3 * error["fold_pearson_r"]
    assert abs(mean["fold_auc"] - 0.5) < 3 * error["fold_auc"]
