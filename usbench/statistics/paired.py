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

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import lcm

import numpy as np

from usbench.errors import DataError
from usbench.statistics._types import FloatArray
from usbench.statistics.auc_variance import auc_test
from usbench.statistics.bootstrap import Method as IntervalMethod
from usbench.statistics.bootstrap import bca_bounds, draw, jackknife, percentile_bounds
from usbench.statistics.exact import holm, mcnemar_exact, sign_flip_exact
from usbench.statistics.metrics import get_metric, prepare
from usbench.statistics.outcome import Outcome
from usbench.statistics.thresholds import at_threshold, threshold_of


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same subjects.

    Attributes:
        metric: Key of `usbench.statistics.METRICS`.
        name_a: Name of the first system.
        name_b: Name of the second system.
        value_a: Metric of the first, None where it does not exist.
        value_b: Metric of the second, None where it does not exist.
        difference: First minus second, None where one is missing.
        low: Lower bound of the difference.
        high: Upper bound of the difference.
        level: Confidence level of the bounds.
        p: Two-sided p value of `test`, None where it does not exist.
        test: Name of the test behind `p`.
        p_bootstrap: Two-sided p value of the paired bootstrap.
        p_adjusted: `p` after Holm's correction, where several comparisons were made together.
        n_comparisons: Number of comparisons the correction allowed for.
        n_subjects: Number of subjects.
        n_units: Number of units.
    """

    metric: str
    name_a: str
    name_b: str
    value_a: float | None
    value_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    level: float
    p: float | None
    test: str
    p_bootstrap: float | None
    n_subjects: int
    n_units: int
    p_adjusted: float | None = None
    n_comparisons: int = 1

    @property
    def p_final(self) -> float | None:
        """The p value to go by: the adjusted one where there is one."""
        return self.p if self.p_adjusted is None else self.p_adjusted

    @property
    def sentence(self) -> str:
        """Say in plain words what was found."""
        metric = get_metric(self.metric)
        if self.difference is None:
            return f"{metric.title} of {self.name_a} and {self.name_b} cannot be compared: it does not exist for one."
        scale, unit = (100.0, " points") if metric.unit == "%" else (1.0, "")
        size = f"{abs(self.difference) * scale:.{_digits(metric.unit)}f}{unit}"
        evidence = f"{self.n_subjects} subjects"
        if self.low is not None and self.high is not None:
            low, high = (f"{x * scale:+.{_digits(metric.unit)}f}" for x in (self.low, self.high))
            evidence = f"{100 * self.level:g} % interval of the difference {low} to {high}, {evidence}"
        p = self.p_final
        if p is None:
            return f"{metric.title}: {self.name_a} and {self.name_b} differ by {size} ({evidence}; no test exists)."
        verdict = _p_text(p) + f", {self.test}"
        if self.p_adjusted is not None:
            verdict += f", Holm over {self.n_comparisons} comparisons"
        if p >= 1 - self.level:
            return (
                f"{metric.title}: no difference shown between {self.name_a} and {self.name_b} "
                f"(they differ by {size}; {evidence}; {verdict})."
            )
        a_wins = (self.difference > 0) == metric.higher_is_better
        better, worse = (self.name_a, self.name_b) if a_wins else (self.name_b, self.name_a)
        return f"{metric.title}: {better} is better than {worse} by {size} ({evidence}; {verdict})."


def compare(
    a: Outcome,
    b: Outcome,
    metric: str,
    name_a: str = "A",
    name_b: str = "B",
    n_resamples: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
    method: IntervalMethod = "percentile",
    stratify: bool = False,
) -> Comparison:
    """Compare two systems that answered for the same units.

    Args:
        a: Outcome of the first system.
        b: Outcome of the second system; same units, labels and subjects in the same order. The number of
            repeats may differ.
        metric: Key of `usbench.statistics.METRICS`.
        name_a: Name of the first system, for the sentence.
        name_b: Name of the second system.
        n_resamples: Bootstrap resamples of subjects.
        level: Confidence level.
        seed: Seed of the resampling.
        method: Kind of interval, "percentile" or "bca".
        stratify: Resample subjects within classes.

    Returns:
        The comparison; its `sentence` says what it means.

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

    draws = draw(a, {"d": difference_of}, n_resamples, level, seed, stratify)["d"]
    draws = draws[~np.isnan(draws)]
    ones = np.ones((1, a.n_units))
    value_a, value_b = _number(kernel_a(ones)[0]), _number(kernel_b(ones)[0])
    difference = None if value_a is None or value_b is None else value_a - value_b
    low: float | None = None
    high: float | None = None
    p_bootstrap: float | None = None
    if difference is not None and a.n_groups > 1 and len(draws) >= n_resamples / 2:
        if method == "bca":
            low, high = bca_bounds(draws, difference, jackknife(difference_of, a), level)
        else:
            low, high = percentile_bounds(draws, level)
        p_bootstrap = bootstrap_p(draws)
    p, test = _test(a, b, metric, p_bootstrap)
    return Comparison(
        metric,
        name_a,
        name_b,
        value_a,
        value_b,
        difference,
        low,
        high,
        level,
        p if difference is not None else None,
        test,
        p_bootstrap,
        a.n_groups,
        a.n_units,
    )


def adjust(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Correct the p values of comparisons that are read together, by Holm's method.

    Args:
        comparisons: All comparisons of one family, such as every encoder against the best baseline.

    Returns:
        The comparisons with `p_adjusted` set, in the given order.
    """
    adjusted = holm([c.p for c in comparisons])
    family = sum(c.p is not None for c in comparisons)
    return [replace(c, p_adjusted=p, n_comparisons=family) for c, p in zip(comparisons, adjusted, strict=True)]


def bootstrap_p(draws: FloatArray) -> float:
    """Two-sided p value of a bootstrapped difference: twice the smaller share on one side of zero.

    Args:
        draws: Differences in the resamples, [n_resamples], all defined.

    Returns:
        The p value, never zero: the observed sample counts as one draw on either side.
    """
    smaller = min(np.count_nonzero(draws <= 0), np.count_nonzero(draws >= 0))
    return float(min(1.0, 2 * (smaller + 1) / (len(draws) + 1)))


def _test(a: Outcome, b: Outcome, metric: str, p_bootstrap: float | None) -> tuple[float | None, str]:
    """The p value of the test that suits the metric, and the test's name."""
    if (metric in ("auc", "fold_auc") or threshold_of(metric) is not None) and a.kind != "multiclass":
        a, b = at_threshold(metric, a), at_threshold(metric, b)
        found = (
            None
            if a.kind in ("regression", "ordinal") and a.threshold is None
            else auc_test(a, b, metric == "fold_auc")
        )
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


def _digits(unit: str) -> int:
    return {"%": 1, "target": 2}.get(unit, 3)


def _p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
