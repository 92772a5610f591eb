from __future__ import annotations

import time

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from usbench.errors import UsbenchError
from usbench.statistics import METRICS, Predictions, bootstrap, compute
from usbench.statistics.bootstrap import draw, subject_counts
from usbench.statistics.calibration import platt_probabilities
from usbench.statistics.metrics import prepare


def clustered_scores(rng: np.random.Generator, n_subjects: int, shift: float = 1.0) -> Predictions:
    """Subjects with one to three units whose scores share most of their noise."""
    units = rng.integers(1, 4, n_subjects)
    groups = np.repeat(np.arange(n_subjects), units)
    y = (np.arange(n_subjects) % 2)[groups]
    score = shift * y + np.sqrt(0.8) * rng.normal(size=n_subjects)[groups] + np.sqrt(0.2) * rng.normal(size=len(y))
    return Predictions.binary(y, score, groups=groups)


CALIBRATED = ("brier", "calibration_slope")
"""Metrics of probabilities, which belong to the predictions: resamples weigh them and do not scale anew."""


def scores_with_ties() -> tuple[Predictions, np.ndarray]:
    """Two repeats of 40 units, and how often each is drawn."""
    rng = np.random.default_rng(1)
    y, fold = rng.integers(0, 2, 40), rng.integers(0, 3, (2, 40))
    score = np.round(rng.normal(size=(2, 40)) + y, 1)
    return Predictions.binary(y, score, fold=fold), rng.integers(0, 4, 40)


@pytest.mark.parametrize("name", [m.name for m in METRICS.values() if "binary" in m.kinds and m.name not in CALIBRATED])
def test_weights_mean_what_copies_would_mean(name: str) -> None:
    """A unit of weight two scores as the unit listed twice does, with folds, ties and repeats in play."""
    outcome, times = scores_with_ties()
    copies = np.repeat(np.arange(40), times)
    weighted = prepare(name, outcome)(times[None].astype(float))[0]
    listed = Predictions.binary(outcome.y[copies], outcome.score[:, copies], fold=outcome.fold[:, copies])
    assert weighted == pytest.approx(compute(name, listed))


def test_weights_mean_what_copies_of_units_with_their_probabilities_would_mean() -> None:
    outcome, times = scores_with_ties()
    copies = np.repeat(np.arange(40), times)
    probability = platt_probabilities(outcome)
    assert probability is not None
    y, weights = outcome.y[copies], times[None].astype(float)
    error = ((probability[:, copies] - y) ** 2).mean()
    assert prepare("brier", outcome)(weights)[0] == pytest.approx(error)
    slopes = [
        sm.GLM(y, sm.add_constant(np.log(p) - np.log1p(-p)), family=sm.families.Binomial()).fit().params[1]
        for p in probability[:, copies]
    ]
    assert prepare("calibration_slope", outcome)(weights)[0] == pytest.approx(np.mean(slopes), rel=1e-5)


@pytest.mark.parametrize("name", ["pearson_r", "mae", "rmse", "auc", "fold_auc"])
def test_weights_mean_what_copies_would_mean_for_regression(name: str) -> None:
    rng = np.random.default_rng(2)
    y, fold = rng.normal(size=30), rng.integers(0, 3, (3, 30))
    predicted = y + rng.normal(size=(3, 30))
    copies = rng.integers(0, 30, 30)
    weights = np.bincount(copies, minlength=30)[None].astype(float)
    weighted = prepare(name, Predictions.regression(y, predicted, fold, threshold=0.2))(weights)[0]
    listed = compute(name, Predictions.regression(y[copies], predicted[:, copies], fold[:, copies], threshold=0.2))
    assert weighted == pytest.approx(listed)


def test_every_resample_has_as_many_subjects_as_there_are() -> None:
    counts = np.concatenate(list(subject_counts(10, 500, seed=0, n_units=50)))
    assert counts.shape == (500, 10)
    assert (counts.sum(axis=1) == 10).all()
    assert counts.mean(axis=0) == pytest.approx(1.0, abs=0.2)


def test_counts_do_not_depend_on_the_block_size() -> None:
    whole = np.concatenate(list(subject_counts(20, 300, seed=5, n_units=20)))
    pieces = np.concatenate(list(subject_counts(20, 300, seed=5, n_units=100_000)))
    assert (whole == pieces).all()


def test_a_seed_fixes_the_interval() -> None:
    outcome = clustered_scores(np.random.default_rng(0), 40)
    assert bootstrap(outcome, ["auc"], seed=3) == bootstrap(outcome, ["auc"], seed=3)
    assert bootstrap(outcome, ["auc"], seed=3) != bootstrap(outcome, ["auc"], seed=4)


def test_ignoring_clusters_would_make_the_interval_too_narrow() -> None:
    rng = np.random.default_rng(0)
    subjects = np.repeat(np.arange(40), 10)
    y = (np.arange(40) % 2)[subjects]
    score = y + rng.normal(size=40)[subjects]
    whole = bootstrap(Predictions.binary(y, score, groups=subjects), ["auc"])["auc"]
    apart = bootstrap(Predictions.binary(y, score), ["auc"])["auc"]
    assert whole.high - whole.low > 2 * (apart.high - apart.low)


def test_percentile_interval_agrees_with_scipy() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=80)
    error = rng.exponential(size=80)
    mine = bootstrap(Predictions.regression(y, y + error), ["mae"], n_resamples=20_000)["mae"]
    scipy = stats.bootstrap((error,), np.mean, n_resamples=20_000, method="percentile", rng=1)
    assert (mine.low, mine.high) == pytest.approx(tuple(scipy.confidence_interval), abs=0.01)


def test_clustered_auc_interval_has_near_nominal_coverage() -> None:
    """600 cohorts of 60 subjects with one to three units; two standard errors of the coverage are 1.8 points."""
    truth = float(stats.norm.cdf(1.0 / np.sqrt(2)))
    hits = 0
    for seed in range(600):
        outcome = clustered_scores(np.random.default_rng(seed), 60)
        found = bootstrap(outcome, ["auc"], n_resamples=500, seed=seed)["auc"]
        hits += found.low <= truth <= found.high
    print(f"\n60 subjects, 1-3 units each, AUC 0.76: coverage {hits / 600:.3f}")
    assert 0.92 <= hits / 600 <= 0.98


def test_correlation_and_error_intervals_have_near_nominal_coverage() -> None:
    hits = {"pearson_r": 0, "mae": 0}
    truth = {"pearson_r": 0.6, "mae": float(np.sqrt(2 / np.pi) * np.sqrt(0.8))}
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=60)
        y = 0.6 * x + 0.8 * rng.normal(size=60)
        found = bootstrap(Predictions.regression(y, x), list(hits), n_resamples=500, seed=seed)
        for name in hits:
            hits[name] += found[name].low <= truth[name] <= found[name].high
    print("\n60 subjects, r = 0.6: coverage", {name: count / 400 for name, count in hits.items()})
    assert all(0.90 <= count / 400 <= 0.98 for count in hits.values()), hits


def test_undefined_resamples_are_left_out() -> None:
    """A third of the resamples lack the one positive unit; the interval stands on the others."""
    outcome = Predictions.binary([1, 0, 0, 0, 0, 0], [3.0, 1.0, 2.0, 4.0, 0.0, 1.0])
    draws = draw(outcome, {"auc": prepare("auc", outcome)}, 2000, 0.95, 0)["auc"]
    assert 0.2 < np.isnan(draws).mean() < 0.5
    found = bootstrap(outcome, ["auc"], seed=0)["auc"]
    assert (found.low, found.high) == pytest.approx(tuple(np.nanquantile(draws, [0.025, 0.975])))


def test_no_interval_where_there_is_no_value_or_one_subject() -> None:
    one_class = bootstrap(Predictions.binary([1, 1], [1.0, 2.0]), ["auc"])["auc"]
    assert (one_class.value, one_class.low, one_class.high) == (None, None, None)
    one_subject = bootstrap(Predictions.binary([1, 0], [1.0, 2.0], groups=["a", "a"]), ["auc"])["auc"]
    assert one_subject.value == 0.0
    assert one_subject.low is None


def test_a_perfect_score_is_marked_as_degenerate() -> None:
    found = bootstrap(Predictions.binary([1, 0] * 10, [1.0, -1.0] * 10), ["auc"])["auc"]
    assert found.degenerate
    assert not bootstrap(clustered_scores(np.random.default_rng(0), 30), ["auc"])["auc"].degenerate


def test_repeats_are_resampled_jointly() -> None:
    """Five identical repeats are no more information than one."""
    rng = np.random.default_rng(0)
    y = np.arange(50) % 2
    score = y + rng.normal(size=50)
    once = bootstrap(Predictions.binary(y, score), ["auc"])["auc"]
    five = bootstrap(Predictions.binary(y, np.tile(score, (5, 1))), ["auc"])["auc"]
    assert (five.low, five.high) == pytest.approx((once.low, once.high))


def test_bad_options_are_refused() -> None:
    outcome = Predictions.binary([1, 0], [1, 0])
    with pytest.raises(UsbenchError, match="too few"):
        bootstrap(outcome, n_resamples=10)
    with pytest.raises(UsbenchError, match="confidence level"):
        bootstrap(outcome, level=95)


def test_a_breast_cohort_takes_about_a_second() -> None:
    """1,064 subjects with 1,875 images; the bound leaves room for a busy machine."""
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(1064), rng.integers(0, 1064, 811)])
    y = rng.integers(0, 2, 1064)[groups]
    outcome = Predictions.binary(y, rng.normal(size=1875) + y, groups=groups)
    start = time.perf_counter()
    bootstrap(outcome, ["auc"])
    assert time.perf_counter() - start < 3.0
