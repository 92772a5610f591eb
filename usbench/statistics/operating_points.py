"""What a two-class ranking gives at a threshold that somebody would choose, as kernels.

Folds are pooled, as for the pooled AUC: an operating point is one threshold for everybody, and a fold has too few units
to choose one. Where folds have scales of their own, as in protocols of before scores were distances, pooling costs.

References:
    Davis J, Goadrich M. The relationship between precision-recall and ROC curves. Proceedings of ICML 2006:233-240.
    Saito T, Rehmsmeier M. The precision-recall plot is more informative than the ROC plot when evaluating binary
        classifiers on imbalanced datasets. PLoS ONE 2015;10:e0118432.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from usbench.statistics._types import FloatArray, IntArray
from usbench.statistics.kernels import Kernel, ratio
from usbench.statistics.predictions import Predictions


def sensitivity_at(outcome: Predictions, specificity: float) -> Kernel:
    """Return the largest sensitivity of a threshold whose specificity is at least a given one.

    Args:
        outcome: A binary outcome.
        specificity: The specificity to keep, between 0 and 1.
    """

    def best(hits: FloatArray, alarms: FloatArray) -> FloatArray:
        total_hits, total_alarms = hits[:, -1], alarms[:, -1]
        # What is allowed to rounding: sums of whole weights would otherwise miss the specificity they meet.
        allowed = alarms <= ((1 - specificity) * total_alarms)[:, None] + 1e-9
        # Both counts rise as the threshold falls, so that the last allowed threshold is the best one.
        last = allowed.sum(axis=1)
        padded = np.concatenate([np.zeros((len(hits), 1)), hits], axis=1)
        found: FloatArray = ratio(padded[np.arange(len(hits)), last], total_hits)
        return np.where(total_alarms > 0, found, np.nan)

    return _over_thresholds(outcome, best)


def average_precision(outcome: Predictions) -> Kernel:
    """Area under the precision-recall curve, without interpolation: each gain in recall times the precision there."""

    def area(hits: FloatArray, alarms: FloatArray) -> FloatArray:
        gained = np.diff(hits, axis=1, prepend=0.0)
        precision = np.divide(hits, hits + alarms, out=np.zeros_like(hits), where=hits + alarms > 0)
        return ratio(np.einsum("bk,bk->b", gained, precision), hits[:, -1])

    return _over_thresholds(outcome, area)


def _over_thresholds(outcome: Predictions, summary: Callable[[FloatArray, FloatArray], FloatArray]) -> Kernel:
    """Return the mean over the repeats of what a summary makes of the two counts of :func:`_counts`."""
    positive = (outcome.y == 1).astype(np.float64)
    ranked = [_by_threshold(score) for score in outcome.score]

    def kernel(weights: FloatArray) -> FloatArray:
        found = np.empty((len(ranked), len(weights)))
        for repeat, (order, ends) in enumerate(ranked):
            found[repeat] = summary(*_counts(weights, positive, order, ends))
        mean: FloatArray = found.mean(axis=0)
        return mean

    return kernel


def _by_threshold(score: FloatArray) -> tuple[IntArray, IntArray]:
    """Order the units from the highest score, and say where each run of equal scores ends."""
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    ends = np.append(np.flatnonzero(falling[1:] != falling[:-1]), len(score) - 1)
    return order, ends


def _counts(
    weights: FloatArray, positive: FloatArray, order: IntArray, ends: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Weight of positive and of other units at or above each threshold, float64 [n_draws, n_thresholds] each."""
    ordered = weights[:, order]
    mine = positive[order]
    starts = np.append(0, ends[:-1] + 1)
    hits = np.cumsum(np.add.reduceat(ordered * mine, starts, axis=1), axis=1)
    alarms = np.cumsum(np.add.reduceat(ordered * (1 - mine), starts, axis=1), axis=1)
    return hits, alarms
