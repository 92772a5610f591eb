from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from usbench.errors import DataError
from usbench.statistics.half_samples import (
    StandardError,
    exact_bound,
    half_sample_error,
    interval,
    normal_p,
    standard_error,
)


def test_the_error_of_a_mean_is_the_textbook_one() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=400)
    pairs = []
    for _ in range(2000):
        order = rng.permutation(400)
        pairs.append([values[order[:200]].mean(), values[order[200:]].mean()])
    assert half_sample_error(pairs) == pytest.approx(values.std(ddof=1) / np.sqrt(400), rel=0.05)


def test_a_difference_is_that_of_the_same_halves() -> None:
    first = [[0.7, 0.6], [0.8, 0.5]] * 4
    second = [[0.6, 0.5], [0.7, 0.4]] * 4
    assert half_sample_error(first, second) == pytest.approx(0.0, abs=1e-12)
    assert half_sample_error(first) == pytest.approx(np.sqrt((0.1**2 + 0.3**2) / 2) / 2)


def test_halves_without_the_metric_do_not_count() -> None:
    assert half_sample_error([[0.7, None]] * 6 + [[0.7, 0.6]] * 6) == pytest.approx(0.05)
    assert half_sample_error([[0.7, None]] * 7 + [[0.7, 0.6]] * 5) is None


def test_training_and_testing_are_told_apart_by_how_they_fall_with_size() -> None:
    """Testing has a variance of 4 on the whole; training one of 9 that falls with the power 1.5 of the size."""
    testing, training = 4.0, 9.0
    halves = 2 * (2 * testing + 2**1.5 * training)  # variance of the difference between two halves
    pairs = [[np.sqrt(halves), 0.0], [0.0, np.sqrt(halves)]] * 6
    found = standard_error(np.sqrt(testing), pairs, subjects=10**9)
    assert found.value**2 == pytest.approx(testing + training)
    # With subjects without end the error under fixed predictions is known, and the rest from twelve pairs.
    estimated = 2**-0.5 * halves / 4
    assert found.freedom == pytest.approx(12 * ((testing + training) / estimated) ** 2)
    assert 12 < found.freedom < 20
    assert standard_error(np.sqrt(testing), pairs, subjects=63).freedom < found.freedom


@pytest.mark.parametrize("n", [20, 40, 200])
def test_halvings_of_the_same_subjects_know_less_than_separate_ones(n) -> None:
    """The mean of n normal numbers: how much its estimated variance varies says with how many degrees of freedom."""
    rng = np.random.default_rng(3)
    found = []
    for _ in range(4000):
        values = rng.normal(size=n)
        order = rng.permuted(np.tile(np.arange(n), (12, 1)), axis=1)
        pairs = np.stack([values[order[:, : n // 2]].mean(axis=1), values[order[:, n // 2 :]].mean(axis=1)], axis=1)
        found.append(half_sample_error(pairs.tolist()) ** 2)
    freedom = 2 * np.mean(found) ** 2 / np.var(found)
    assert standard_error(None, pairs.tolist(), subjects=n).freedom == pytest.approx(freedom, rel=0.08)


def test_of_one_error_alone_that_one_is_taken() -> None:
    pairs, freedom = [[0.7, 0.6]] * 8, 1 / (1 / 8 + 1 / 62)
    assert standard_error(0.04, subjects=63) == StandardError(0.04)
    for none in (None, 0.0):
        assert standard_error(none, pairs, subjects=63) == StandardError(pytest.approx(0.05), pytest.approx(freedom))
    assert standard_error(None, [[0.7, 0.6]] * 3, subjects=63) == StandardError(0.0)
    assert standard_error(0.04, [[0.7, 0.6]] * 3, subjects=63) == StandardError(0.04)
    assert standard_error(None, subjects=63) == StandardError(0.0)


def test_half_samples_below_fixed_predictions_take_nothing_from_them_and_nothing_jumps() -> None:
    pairs = [[0.7, 0.6]] * 12  # an error of 0.05
    assert standard_error(0.06, pairs, subjects=63).value == pytest.approx(0.06)
    assert standard_error(0.0, [[0.7, 0.7]] * 12, subjects=63).value == 0.0
    below, above = (standard_error(0.05 + by, pairs, subjects=63).reach() for by in (-1e-9, 1e-9))
    assert below == pytest.approx(above, rel=1e-6)
    reaches = [standard_error(fixed, pairs, subjects=63).reach() for fixed in np.linspace(0.02, 0.08, 25)]
    assert np.all(np.diff(reaches) > -1e-3 * reaches[0])


def test_the_first_rule_can_still_be_checked_and_a_later_one_is_refused() -> None:
    pairs = [[0.7, 0.6]] * 12
    expected = np.sqrt((0.03**2 + 0.05**2) / 2)
    assert standard_error(0.03, pairs, subjects=63, rule=1) == StandardError(pytest.approx(expected))
    assert standard_error(0.03, pairs, subjects=63).value > expected
    with pytest.raises(DataError, match="rule 3 are of a newer version"):
        standard_error(0.03, pairs, subjects=63, rule=3)


def test_an_error_from_few_halvings_reaches_farther() -> None:
    known, estimated = StandardError(0.1), StandardError(0.1, 12)
    assert known.reach() == pytest.approx(0.1959964, abs=1e-6)
    assert estimated.reach() == pytest.approx(0.1 * stats.t.ppf(0.975, 12))
    low, high = interval("unheard_of", 3.0, estimated)
    assert (low, high) == pytest.approx((3 - estimated.reach(), 3 + estimated.reach()))
    for difference in (0.0, 0.19, 0.2178, 0.2180, 0.6):
        p = estimated.p(difference)
        assert p == pytest.approx(2 * stats.t.sf(difference / 0.1, 12))
        assert (p < 0.05) == (difference > estimated.reach())
    assert StandardError(0.0).p(0.0) == 1.0
    assert StandardError(0.0).p(0.1) == 0.0


@pytest.mark.parametrize("metric", ["auc", "accuracy", "f1"])
def test_intervals_of_shares_stay_between_zero_and_one(metric) -> None:
    low, high = interval(metric, 0.97, 0.05)
    assert 0 < low < 0.97 < high < 1
    low, high = interval(metric, 0.6, 0.01)
    assert (low, high) == pytest.approx((0.6 - 1.96 * 0.01, 0.6 + 1.96 * 0.01), abs=2e-4)


def test_other_metrics_have_their_own_ends() -> None:
    low, high = interval("pearson_r", 0.95, 0.1)
    assert -1 < low < 0.95 < high < 1
    low, high = interval("mae", 0.5, 0.4)
    assert 0 < low < 0.5 < high
    assert interval("unheard_of", 3.0, 1.0) == pytest.approx((3 - 1.96, 3 + 1.96), abs=1e-3)
    assert interval("auc", 1.0, 0.1) is None
    assert interval("auc", 0.7, 0.0) is None


def test_a_perfect_score_has_the_exact_bound() -> None:
    low, high = exact_bound(1.0, 12)
    assert high == 1.0
    # One-sided at 95 % is two-sided at 90 %.
    assert low == pytest.approx(proportion_confint(12, 12, alpha=0.1, method="beta")[0])
    assert exact_bound(0.0, 12) == pytest.approx((0.0, 1 - low))
    assert exact_bound(0.9, 12) is None
    assert exact_bound(1.0, 2)[0] < 0.25


@pytest.mark.parametrize("z", [0.0, 0.5, 1.959, 1.961, 5.0])
def test_p_and_interval_say_the_same(z) -> None:
    p = normal_p(z * 0.1, 0.1)
    assert p == pytest.approx(2 * stats.norm.sf(z))
    assert (p < 0.05) == (z * 0.1 - 1.959964 * 0.1 > 0)
    assert normal_p(-z * 0.1, 0.1) == p
