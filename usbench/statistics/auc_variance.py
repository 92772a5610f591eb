"""Variance of an AUC, and covariance of two AUCs on the same units, without resampling.

The AUC is a mean over pairs of a positive and a negative unit. What one unit contributes to it, its
*structural component*, is the mean over the pairs it takes part in; the AUC's variance follows from the
spread of these components over subjects. With one unit per subject this is the estimate of DeLong et al.
(1988); when a subject has several units, components are first added up within subjects, which is the estimate
of Obuchowski (1997).

Two generalisations use the same projection: predictions of several repeats contribute the mean of their
components, and the AUC within folds counts only pairs of the same fold, the folds being taken as given.

References:
    DeLong ER, DeLong DM, Clarke-Pearson DL. Comparing the areas under two or more correlated receiver
    operating
        characteristic curves: a nonparametric approach. Biometrics 1988;44:837-845.
    Obuchowski NA. Nonparametric analysis of clustered ROC curve data. Biometrics 1997;53:567-578.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import erfc, sqrt
from weakref import WeakKeyDictionary

import numpy as np

from usbench.errors import DataError
from usbench.statistics._types import AnyArray, BoolArray, FloatArray, IntArray
from usbench.statistics.predictions import Predictions
from usbench.statistics.thresholds import at_threshold, is_auc

_Influence = tuple[float, FloatArray]
_INFLUENCES: WeakKeyDictionary[Predictions, dict[bool, _Influence | None]] = WeakKeyDictionary()


@dataclass(frozen=True)
class AucTest:
    """Two AUCs on the same units, compared.

    Attributes:
        difference: First minus second.
        standard_error: Standard error of the difference.
        p: Two-sided p value of the normal test; 1 where the two rank every pair alike.
        clustered: Whether a subject has several units (Obuchowski) or one each (DeLong).
    """

    difference: float
    standard_error: float
    p: float
    clustered: bool


def auc_covariance(
    a: Predictions, b: Predictions, within_folds: bool = False
) -> tuple[float, float, FloatArray] | None:
    """Estimate two AUCs and their covariance matrix.

    Args:
        a: Binary outcome, or a regression outcome with a threshold.
        b: Another outcome on the same units.
        within_folds: Whether only pairs tested in the same fold count.

    Returns:
        The two AUCs and their covariance, float64 [2, 2]; None where an AUC does not exist, or fewer than two
        subjects have a positive or a negative unit.

    Raises:
        DataError: If an outcome is multi-class.
    """
    if "multiclass" in (a.kind, b.kind):
        raise DataError("The variance of a multi-class AUC has no closed form here: use the paired bootstrap.")
    positive = _positive(a)
    first, second = _influence(a, within_folds), _influence(b, within_folds)
    with_positive = len(np.unique(a.group[positive]))
    with_negative = len(np.unique(a.group[~positive]))
    if first is None or second is None or min(with_positive, with_negative) < 2:
        return None
    sums = np.zeros((2, 2, a.n_groups))
    for system, (_, influence) in enumerate((first, second)):
        np.add.at(sums[system, 0], a.group[positive], influence[positive])
        np.add.at(sums[system, 1], a.group[~positive], influence[~positive])
    up, down = sums[:, 0], sums[:, 1]
    cross = up @ down.T
    covariance = (
        with_positive / (with_positive - 1) * (up @ up.T)
        + with_negative / (with_negative - 1) * (down @ down.T)
        + a.n_groups / (a.n_groups - 1) * (cross + cross.T)
    )
    return first[0], second[0], covariance


def auc_test(a: Predictions, b: Predictions, within_folds: bool = False) -> AucTest | None:
    """Test whether two AUCs on the same units differ (DeLong; Obuchowski where subjects have several units).

    Args:
        a: Binary outcome, or a regression outcome with a threshold.
        b: Another outcome on the same units.
        within_folds: Whether only pairs tested in the same fold count.

    Returns:
        The test, or None where it does not exist (see `auc_covariance`).

    Raises:
        DataError: If an outcome is multi-class.
    """
    found = auc_covariance(a, b, within_folds)
    if found is None:
        return None
    auc_a, auc_b, covariance = found
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    # Rounding leaves a trace where the two rankings agree; below it there is no variance and nothing to test.
    floor = 1e-12 * (covariance[0, 0] + covariance[1, 1])
    error = sqrt(max(float(variance), 0.0))
    difference = auc_a - auc_b
    if variance <= floor:
        return AucTest(difference, 0.0, 1.0, a.n_groups < a.n_units) if abs(difference) < 1e-12 else None
    return AucTest(difference, error, erfc(abs(difference) / error / sqrt(2)), a.n_groups < a.n_units)


def metric_test(metric: str, a: Predictions, b: Predictions) -> AucTest | None:
    """Compare two systems by a metric that is an AUC.

    Args:
        metric: Name of any metric.
        a: Predictions of the first.
        b: Predictions of the second, for the same units.

    Returns:
        The test, or None where the metric is no AUC of two sides, or the test does not exist.

    Raises:
        DataError: As `auc_covariance`.
    """
    if not is_auc(metric) or a.kind == "multiclass":
        return None
    a, b = at_threshold(metric, a), at_threshold(metric, b)
    if a.kind in ("regression", "ordinal") and a.threshold is None:
        return None
    return auc_test(a, b, within_folds=metric == "fold_auc")


def _positive(outcome: Predictions) -> BoolArray:
    if outcome.kind == "binary":
        return np.asarray(outcome.y == 1)
    if outcome.threshold is None:
        raise DataError("The AUC of a regression needs a threshold: units at or above it are positive.")
    positive: BoolArray = outcome.y >= outcome.threshold
    return positive


def _influence(outcome: Predictions, within_folds: bool) -> _Influence | None:
    """Return the AUC and its derivative by the weight of each unit, float64 [n_units], computed once an outcome.

    A board compares everybody with everybody.
    """
    known = _INFLUENCES.setdefault(outcome, {})
    if within_folds not in known:
        known[within_folds] = _computed_influence(outcome, within_folds)
    return known[within_folds]


def _computed_influence(outcome: Predictions, within_folds: bool) -> _Influence | None:
    positive = _positive(outcome)
    wins = np.zeros(outcome.n_units)
    pairs = np.zeros(outcome.n_units)
    for score, fold in zip(outcome.score, outcome.fold, strict=True):
        own_fold = fold if within_folds else np.zeros_like(fold)
        for members, sign in ((positive, 1.0), (~positive, -1.0)):
            won, met = _against(score * sign, own_fold, members)
            wins[members] += won
            pairs[members] += met
    total = pairs[positive].sum()
    if total == 0:
        return None
    value = wins[positive].sum() / total
    return float(value), (wins - value * pairs) / total


def _against(score: FloatArray, fold: IntArray, members: BoolArray) -> tuple[FloatArray, FloatArray]:
    """For each member: non-members of its fold that score below (ties half), and their number."""
    size = len(score) + 1
    fold_rank = _rank(fold)
    key = fold_rank * size + _rank(score)
    others = np.sort(key[~members])
    mine, base = key[members], fold_rank[members] * size
    start = np.searchsorted(others, base, side="left")
    below = np.searchsorted(others, mine, side="left")
    not_above = np.searchsorted(others, mine, side="right")
    end = np.searchsorted(others, base + size, side="left")
    won = 0.5 * (below + not_above) - start
    return won.astype(np.float64), (end - start).astype(np.float64)


def _rank(values: AnyArray) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
