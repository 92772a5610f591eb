"""What the protocols say when there is nothing to find.

Labels are assigned at random among subjects. A protocol that is honest scores at chance on average; what the
flat one scores above the nested one is the price of tuning on the folds that are scored. Run the slow part with
`-s` to print the figures that docs/statistics.md quotes.
"""

from __future__ import annotations

import numpy as np
import pytest
from documented import figures
from scipy import stats

from usbench.probes import ProbeData, mean_by_unit, run_protocol
from usbench.probes.squared_hinge_svm import balanced_weights, fit_scaler, svc_path
from usbench.statistics import (
    Predictions,
    Split,
    bootstrap,
    compute,
    leave_one_group_out,
    permute_labels,
    repeated_subject_folds,
    subject_folds,
)


def cohort(n_subjects: int, width: int, signal: float, rng: np.random.Generator) -> ProbeData:
    """Embeddings whose variances fall off as those of real encoders do; one label per subject, 48 % negative."""
    y = rng.permutation(np.arange(n_subjects) >= round(0.48 * n_subjects)).astype(int)
    latent = rng.normal(size=(n_subjects, width))
    latent[:, :2] += signal * y[:, None]
    mixed = (latent / np.sqrt(1 + np.arange(width))) @ np.linalg.qr(rng.normal(size=(width, width)))[0]
    unit = np.repeat(np.arange(n_subjects), 2)
    frames = mixed[unit] + 0.05 * rng.normal(size=(len(unit), width))
    return ProbeData(frames.astype(np.float32), unit, y, np.arange(n_subjects))


def score(name: str, data: ProbeData, splits: list[list[Split]], seed: int, *metrics: str) -> list[float]:
    outcome = run_protocol(name, data, splits, seed=seed).predictions.tested()
    return [compute(metric, outcome) for metric in metrics]


def shuffled(n_shuffles: int, n_subjects: int, width: int, repeats: int, seed: int) -> dict[str, np.ndarray]:
    """Scores of both protocols for labels assigned at random, on the same splits; embeddings stay as they are."""
    rng = np.random.default_rng(seed)
    base = cohort(n_subjects, width, 0.0, rng)
    rows = []
    for k in range(n_shuffles):
        data = ProbeData(base.embeddings, base.unit, permute_labels(base.y, base.groups, rng), base.groups)
        splits = repeated_subject_folds(data.groups, data.y, 5, repeats, seed=k)
        nested = score("svc-nested@1", data, splits, k, "fold_auc", "auc", "balanced_accuracy", "accuracy")
        rows.append([*nested, *score("svc-paper@1", data, splits, k, "fold_auc", "auc", "accuracy")])
    names = ("fold_auc", "auc", "balanced_accuracy", "accuracy", "flat_fold_auc", "flat_auc", "flat_accuracy")
    return dict(zip(names, np.array(rows).T, strict=True))


def standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def report(title: str, scores: dict[str, np.ndarray]) -> None:
    print(f"\n{title}")
    for name, values in scores.items():
        error = standard_error(values)
        print(f"  {name:20s} mean {values.mean():.4f} +- {error:.4f} (SD {values.std(ddof=1):.3f})")


def test_shuffled_labels_score_at_chance_nested_and_above_it_flat() -> None:
    scores = shuffled(n_shuffles=120, n_subjects=40, width=6, repeats=1, seed=0)
    assert stats.ttest_1samp(scores["fold_auc"], 0.5).pvalue > 0.001
    assert abs(scores["fold_auc"].mean() - 0.5) < 0.04
    gain = scores["flat_accuracy"] - scores["accuracy"]
    assert stats.ttest_1samp(gain, 0.0, alternative="greater").pvalue < 0.001
    assert gain.mean() > 0.02


def linear_svc_outcome(data: ProbeData, splits: list[Split], balanced: bool) -> Predictions:
    """One linear SVC a fold at a single C, with or without balanced classes."""
    features, fold, values = mean_by_unit(data), np.empty(data.n_units, dtype=int), np.empty(data.n_units)
    for k, split in enumerate(splits):
        scaler = fit_scaler(features[split.train])
        positive = data.y[split.train] == 1
        weight = balanced_weights(positive) if balanced else np.ones(len(positive))
        coef, intercept = svc_path(scaler(features[split.train]), positive, weight, [0.1])
        values[split.test] = scaler(features[split.test]) @ coef[0] + intercept[0]
        fold[split.test] = k
    return Predictions.binary(data.y, values, fold=fold)


def pooling(n_shuffles: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """AUC pooled over folds and within folds, for three kinds of decision value and two kinds of split."""
    rng = np.random.default_rng(3)
    base = cohort(63, 16, 0.0, rng)
    pooled: dict[str, list[float]] = {}
    within: dict[str, list[float]] = {}
    for k in range(n_shuffles):
        data = ProbeData(base.embeddings, base.unit, permute_labels(base.y, base.groups, rng), base.groups)
        kinds = {
            "unstratified": subject_folds(data.groups, None, 5, seed=k, stratify=False),
            "one subject": leave_one_group_out(data.groups),
        }
        for name, splits in kinds.items():
            constant = run_protocol("constant@1", data, [splits]).predictions.tested()
            outcomes = {
                "constant": constant,
                "SVC": linear_svc_outcome(data, splits, balanced=False),
                "balanced SVC": linear_svc_outcome(data, splits, balanced=True),
            }
            for kind, outcome in outcomes.items():
                pooled.setdefault(f"{kind}, {name}", []).append(compute("auc", outcome))
                if name != "one subject":
                    within.setdefault(f"{kind}, {name}", []).append(compute("fold_auc", outcome))
    return {k: np.array(v) for k, v in pooled.items()}, {k: np.array(v) for k, v in within.items()}


def test_pooled_decision_values_are_biased_without_a_signal_and_folds_are_not() -> None:
    """The fewer positives a fold trains on, the more it tests: what remembers the training share ranks backwards.

    Balancing the classes takes the share out of the SVC; the constant is nothing but the share.
    """
    pooled, within = pooling(150)
    report("63 subjects, 16 features, shuffled labels: pooled AUC", pooled)
    report("the same: AUC within folds", within)
    assert (pooled["constant, one subject"] == 0).all()
    assert pooled["constant, unstratified"].mean() < 0.4
    assert stats.ttest_1samp(pooled["SVC, one subject"], 0.5, alternative="less").pvalue < 0.001
    rows = {
        "constant": "constant (training share)",
        "SVC": "linear SVC",
        "balanced SVC": "linear SVC, classes balanced",
    }
    for kind, row in rows.items():
        stated = figures("statistics.md", f"| {row} | # | # | # |")
        found = [pooled[f"{kind}, unstratified"], pooled[f"{kind}, one subject"], within[f"{kind}, unstratified"]]
        assert stated == pytest.approx([values.mean() for values in found], abs=0.002)
    most = max(standard_error(values) for values in (*pooled.values(), *within.values()))
    assert figures("statistics.md", "mean of # shuffles, standard error at most #:") == [150, round(most, 3)]
    for values in within.values():
        assert abs(values.mean() - 0.5) < 3.5 * values.std(ddof=1) / np.sqrt(len(values)) + 1e-12


@pytest.mark.slow
def test_a_cohort_of_covid_size_with_shuffled_labels() -> None:
    scores = shuffled(n_shuffles=250, n_subjects=63, width=64, repeats=5, seed=2)
    scores["optimism_accuracy"] = scores["flat_accuracy"] - scores["accuracy"]
    scores["optimism_auc"] = scores["flat_auc"] - scores["auc"]
    report("63 subjects, 64 features, shuffled labels, 5 x 5 folds, 250 shuffles", scores)
    assert stats.ttest_1samp(scores["fold_auc"], 0.5).pvalue > 0.001
    assert abs(scores["fold_auc"].mean() - 0.5) < 0.015
    rows = {"accuracy": ("accuracy", True), "AUC, pooled": ("auc", True), "AUC within folds": ("fold_auc", False)}
    for row, (name, with_error) in rows.items():
        gain = scores[f"flat_{name}"] - scores[name]
        found = [f(v) for v in (scores[name], scores[f"flat_{name}"], gain) for f in (np.mean, standard_error)]
        cells = "| # ± # | # ± # | # ± # |" if with_error else "| # ± # | # ± # | # |"
        assert figures("statistics.md", f"| {row} {cells}") == pytest.approx(found[: 6 if with_error else 5], abs=0.001)
    balanced = scores["balanced_accuracy"]
    stated = figures("statistics.md", "| balanced accuracy | # ± # | | |")
    assert stated == pytest.approx([balanced.mean(), standard_error(balanced)], abs=0.001)
    assert stats.ttest_1samp(scores["optimism_accuracy"], 0.0, alternative="greater").pvalue < 1e-6


@pytest.mark.slow
def test_intervals_of_cross_validated_scores_cover_what_the_protocol_scores_on_average() -> None:
    """A harder question than the interval answers: training varies too, so coverage may fall a little short."""
    found = []
    for seed in range(200):
        data = cohort(63, 16, 0.9, np.random.default_rng([4, seed]))
        splits = repeated_subject_folds(data.groups, data.y, 5, 5, seed)
        outcome = run_protocol("svc-nested@1", data, splits, seed=seed).predictions.tested()
        interval = bootstrap(outcome, ["fold_auc", "auc", "accuracy"], n_resamples=1000, seed=seed)
        found.append([(e.value, e.low, e.high) for e in interval.values()])
    values = np.array(found)
    print("\n63 subjects, signal, nested protocol, 200 cohorts: coverage of the mean score by the 95 % interval")
    for k, name in enumerate(("fold_auc", "auc", "accuracy")):
        truth = values[:, k, 0].mean()
        covered = np.mean((values[:, k, 1] <= truth) & (truth <= values[:, k, 2]))
        width = (values[:, k, 2] - values[:, k, 1]).mean()
        print(f"  {name:10s} mean {truth:.3f}, coverage {covered:.3f}, mean width {width:.3f}")
        assert covered > 0.85
    passage = "In # cohorts of # subjects the nested protocol scored # within folds and # pooled."
    expected = [200, 63, values[:, 0, 0].mean(), values[:, 1, 0].mean()]
    assert figures("statistics.md", passage) == pytest.approx(expected, abs=0.001)
