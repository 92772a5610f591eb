"""Is A better than B on the same subjects?

The difference comes with a bootstrap interval for which the same subjects are drawn for both (Efron &
Tibshirani 1993), and with the test that suits the metric:

- an AUC: DeLong, or Obuchowski where subjects have several units (`usbench.statistics.auc_variance`);
- accuracy: McNemar's exact test, or its form for subjects with several units or repeats
(`usbench.statistics.exact`);
- anything else: the bootstrap, whose p value is the smallest level at which its interval excludes zero.

All take the predictions as given: they tell whether these two fitted systems differ on patients like these,
not whether they would on other training data.

References:
    Efron B, Tibshirani RJ. An Introduction to the Bootstrap. Chapman & Hall 1993.
    Dietterich TG. Approximate statistical tests for comparing supervised classification learning algorithms.
    Neural
        Computation 1998;10:1895-1923.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import lcm

import numpy as np

from usbench.errors import DataError
from usbench.statistics._types import FloatArray
from usbench.statistics.auc_variance import metric_test
from usbench.statistics.bootstrap import draw, percentile_bounds
from usbench.statistics.exact import mcnemar_exact, sign_flip_exact
from usbench.statistics.metrics import prepare
from usbench.statistics.predictions import Predictions
from usbench.statistics.thresholds import is_auc


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same subjects.

    Attributes:
        metric: Key of `usbench.statistics.METRICS`.
        value_a: Metric of the first, None where it does not exist.
        value_b: Metric of the second, None where it does not exist.
        difference: First minus second, None where one is missing.
        low: Lower bound of the difference.
        high: Upper bound of the difference.
        p: Two-sided p value of `test`, None where it does not exist.
        test: Name of the test behind `p`.
    """

    metric: str
    value_a: float | None
    value_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    test: str


def compare(
    a: Predictions,
    b: Predictions,
    metric: str,
    name_a: str = "A",
    name_b: str = "B",
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> Comparison:
    """Compare two systems that answered for the same units.

    Args:
        a: Predictions of the first system.
        b: Predictions of the second system; same units, labels and subjects in the same order. The number of
            repeats may differ.
        metric: Key of `usbench.statistics.METRICS`.
        name_a: Name of the first system, for messages.
        name_b: Name of the second system.
        n_resamples: Bootstrap resamples of subjects.
        level: Confidence level.
        seed: Seed of the resampling.

    Returns:
        The comparison.

    Raises:
        DataError: If the outcomes are not about the same units.
        UnknownNameError: If the metric is unknown or does not fit the outcomes.
    """
    if a.kind != b.kind or not np.array_equal(a.y, b.y) or not np.array_equal(a.group, b.group):
        raise DataError(
            f"{name_a} and {name_b} did not answer for the same units: compare results of the same task, frames and "
            "split policy."
        )
    kernel_a, kernel_b = prepare(metric, a), prepare(metric, b)

    def difference_of(weights: FloatArray) -> FloatArray:
        return kernel_a(weights) - kernel_b(weights)

    draws = draw(a, {"d": difference_of}, n_resamples, level, seed)["d"]
    draws = draws[~np.isnan(draws)]
    ones = np.ones((1, a.n_units))
    value_a, value_b = _number(kernel_a(ones)[0]), _number(kernel_b(ones)[0])
    difference = None if value_a is None or value_b is None else value_a - value_b
    low: float | None = None
    high: float | None = None
    p_bootstrap: float | None = None
    if difference is not None and a.n_groups > 1 and len(draws) >= n_resamples / 2:
        low, high = percentile_bounds(draws, level)
        p_bootstrap = bootstrap_p(draws)
    p, test = _test(a, b, metric, p_bootstrap)
    return Comparison(metric, value_a, value_b, difference, low, high, None if difference is None else p, test)


def bootstrap_p(draws: FloatArray) -> float:
    """Two-sided p value of a bootstrapped difference: twice the smaller share on one side of zero.

    Args:
        draws: Differences in the resamples, [n_resamples], all defined.

    Returns:
        The p value, never zero: the observed sample counts as one draw on either side.
    """
    smaller = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return float(min(1.0, 2 * (smaller + 1) / (len(draws) + 1)))


def _test(a: Predictions, b: Predictions, metric: str, p_bootstrap: float | None) -> tuple[float | None, str]:
    """The p value of the test that suits the metric, and the test's name."""
    if is_auc(metric) and a.kind != "multiclass":
        found = metric_test(metric, a, b)
        clustered = a.n_groups < a.n_units
        return (None if found is None else found.p), ("Obuchowski" if clustered else "DeLong")
    if metric == "accuracy":
        right_a, right_b = a.predicted == a.y, b.predicted == b.y
        if a.n_groups == a.n_units and len(right_a) == len(right_b) == 1:
            only_a, only_b = right_a[0] & ~right_b[0], right_b[0] & ~right_a[0]
            return mcnemar_exact(int(only_a.sum()), int(only_b.sum())), "exact McNemar"
        common = lcm(len(right_a), len(right_b))
        per_unit = right_a.sum(axis=0) * (common // len(right_a)) - right_b.sum(axis=0) * (common // len(right_b))
        per_subject = np.bincount(a.group, weights=per_unit, minlength=a.n_groups)
        return sign_flip_exact(np.rint(per_subject)), "exact sign-flip test by subject"
    return p_bootstrap, "paired bootstrap"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
