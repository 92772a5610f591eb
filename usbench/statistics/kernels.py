"""Metrics as functions of weights: one code path for the point estimate, the bootstrap and the jackknife.

A *kernel* is a metric prepared for one outcome. It takes weights of the units, float64 [n_draws, n_units],
and returns the metric of each weighted sample, float64 [n_draws]. Weights of one give the metric itself,
resampling counts give a bootstrap distribution, leaving a subject's weights at zero gives a jackknife.
Sorting and comparing happen once, in the preparation; a draw costs a matrix product or a cumulative sum. NaN
marks a draw for which the metric does not exist (no positive unit, no spread, ...); it never leaves this
package: the public functions turn it into None.

A metric over several repeats is the mean of the repeats' values.
"""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import numpy as np

from usbench.statistics._types import AnyArray, BoolArray, FloatArray, IntArray
from usbench.statistics.predictions import Predictions

Kernel = Callable[[FloatArray], FloatArray]


def ratio(top: FloatArray, bottom: FloatArray) -> FloatArray:
    """Divide, with NaN instead of a warning where the divisor is zero."""
    out = np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan)
    np.divide(top, bottom, out=out, where=bottom > 0)
    return out


def accuracy(outcome: Predictions) -> Kernel:
    """Share of units whose class is predicted rightly."""
    right = (outcome.predicted == outcome.y).mean(axis=0)
    return lambda weights: ratio(weights @ right, weights.sum(axis=1))


def recall(outcome: Predictions, label: int) -> Kernel:
    """Share of the units of class `label` that are predicted as such."""
    member = (outcome.y == label).astype(np.float64)
    hit = member * (outcome.predicted == label).mean(axis=0)
    return lambda weights: ratio(weights @ hit, weights @ member)


def balanced_accuracy(outcome: Predictions) -> Kernel:
    """Mean recall over the classes."""
    # All classes in one product: weights are many, and reading them is what takes the time.
    member = (outcome.y[:, None] == np.arange(outcome.n_classes)).astype(np.float64)
    hit = member * (outcome.predicted == outcome.y).mean(axis=0)[:, None]
    return lambda weights: ratio(weights @ hit, weights @ member).mean(axis=1)


def f1(outcome: Predictions, label: int) -> Kernel:
    """Harmonic mean of precision and recall of class `label`, 2 TP / (2 TP + FP + FN)."""
    member = (outcome.y == label)[:, None]
    claimed = (outcome.predicted == label).T
    double_hit = 2.0 * (member & claimed)
    total = member.astype(np.float64) + claimed
    return lambda weights: ratio(weights @ double_hit, weights @ total).mean(axis=1)


def macro_f1(outcome: Predictions) -> Kernel:
    """Mean F1 over the classes."""
    labels = np.arange(outcome.n_classes)
    member = outcome.y[:, None, None] == labels
    claimed = outcome.predicted.T[:, :, None] == labels  # unit, repeat, class
    double_hit = (2.0 * (member & claimed)).reshape(len(outcome.y), -1)
    total = (member.astype(np.float64) + claimed).reshape(len(outcome.y), -1)
    return lambda weights: ratio(weights @ double_hit, weights @ total).mean(axis=1)


def auc(outcome: Predictions, within_folds: bool) -> Kernel:
    """Probability that a positive unit scores above a negative one, ties counting half.

    Multi-class outcomes: mean over the classes of one class against the rest. Regression outcomes: the
    positive units are those at or above the threshold.

    Args:
        outcome: What to score.
        within_folds: Count only pairs tested in the same fold of the same repeat, and pool the pairs of all
            folds and repeats. Otherwise all pairs of a repeat count, and the repeats are averaged.
    """
    if outcome.kind == "multiclass":
        classes = range(outcome.n_classes)
        return _mean([_auc(outcome.y == k, outcome.score[:, :, k], outcome.fold, within_folds) for k in classes])
    if outcome.kind in ("regression", "ordinal"):
        if outcome.threshold is None:
            return lambda weights: np.full(len(weights), np.nan)
        return _auc(outcome.y >= outcome.threshold, outcome.score, outcome.fold, within_folds)
    return _auc(outcome.y == 1, outcome.score, outcome.fold, within_folds)


def pearson(outcome: Predictions) -> Kernel:
    """Pearson correlation of truth and prediction."""
    y = outcome.y - outcome.y.mean()
    x = outcome.score - outcome.score.mean(axis=1, keepdims=True)
    # Below this share of its own scale a spread is rounding, not variation.
    floor_x = (1e-9 * np.abs(outcome.score).max(axis=1)) ** 2
    floor_y = (1e-9 * np.abs(outcome.y).max()) ** 2

    def kernel(weights: FloatArray) -> FloatArray:
        total = weights.sum(axis=1, keepdims=True)
        mean_y = ratio((weights @ y)[:, None], total)
        mean_x = ratio(weights @ x.T, total)
        var_y = ratio((weights @ y**2)[:, None], total) - mean_y**2
        var_x = ratio(weights @ (x**2).T, total) - mean_x**2
        cov = ratio(weights @ (x * y).T, total) - mean_x * mean_y
        product = np.where((var_x > floor_x) & (var_y > floor_y), var_x * var_y, 0.0)
        r: FloatArray = np.clip(ratio(cov, np.sqrt(product)), -1.0, 1.0).mean(axis=1)
        return r

    return kernel


def pearson_within_folds(outcome: Predictions) -> Kernel:
    """Correlation of truth and prediction within folds: 0 in expectation where there is no signal.

    Each fold has a model of its own, whose mean leans against the test fold: the higher the targets that are tested,
    the lower those that were trained on. Both are therefore centred within the fold. Predictions are also divided by
    their spread in the fold: a model that finds nothing shrinks to a constant, and does so when its training folds
    contradict each other, so that folds that happen to rank rightly would weigh too little.
    """
    repeats = []
    for score, fold in zip(outcome.score, outcome.fold, strict=True):
        member = (fold[:, None] == np.unique(fold)).astype(np.float64)
        size = member.sum(axis=0)
        # Centred before anything is squared: what is left of a constant is then rounding, not a difference of squares.
        x, y = (v - member @ ((member.T @ v) / size) for v in (score, outcome.y))
        sums = np.concatenate([member * v[:, None] for v in (np.ones_like(x), x, y, x * x, y * y, x * y)], axis=1)
        repeats.append((sums, (1e-9 * np.abs(score).max()) ** 2))
    floor_y = (1e-9 * np.abs(outcome.y).max()) ** 2

    def kernel(weights: FloatArray) -> FloatArray:
        found = np.empty((len(repeats), len(weights)))
        for k, (sums, floor_x) in enumerate(repeats):
            n, sx, sy, sxx, syy, sxy = np.split(weights @ sums, 6, axis=1)
            safe = np.where(n > 0, n, 1.0)
            square_x, square_y, product = sxx - sx**2 / safe, syy - sy**2 / safe, sxy - sx * sy / safe
            varies = square_x > floor_x * safe
            spread = np.sqrt(np.where(varies, square_x / safe, 1.0))
            units, square = np.where(varies, n, 0.0).sum(axis=1), np.where(varies, square_y, 0.0).sum(axis=1)
            square[square <= floor_y * units] = 0.0
            found[k] = ratio(np.where(varies, product / spread, 0.0).sum(axis=1), np.sqrt(units * square))
        mean: FloatArray = np.clip(found, -1.0, 1.0).mean(axis=0)
        return mean

    return kernel


def mean_absolute_error(outcome: Predictions) -> Kernel:
    """Mean absolute error."""
    error = np.abs(outcome.predicted - outcome.y).mean(axis=0)  # of a regression, the score itself
    return lambda weights: ratio(weights @ error, weights.sum(axis=1))


def root_mean_squared_error(outcome: Predictions) -> Kernel:
    """Root mean squared error."""
    square = ((outcome.score - outcome.y) ** 2).T
    return lambda weights: np.sqrt(ratio(weights @ square, weights.sum(axis=1, keepdims=True))).mean(axis=1)


def _mean(kernels: list[Kernel]) -> Kernel:
    return lambda weights: np.mean([kernel(weights) for kernel in kernels], axis=0)


def _auc(positive: BoolArray, score: FloatArray, fold: IntArray, within_folds: bool) -> Kernel:
    repeats = [
        _concordance(positive, s, f if within_folds else np.zeros_like(f)) for s, f in zip(score, fold, strict=True)
    ]

    def kernel(weights: FloatArray) -> FloatArray:
        pairs = [count(weights) for count in repeats]
        if within_folds:
            return ratio(np.sum([p[0] for p in pairs], axis=0), np.sum([p[1] for p in pairs], axis=0))
        mean: FloatArray = np.mean([ratio(*p) for p in pairs], axis=0)
        return mean

    return kernel


def _concordance(
    positive: BoolArray, score: FloatArray, fold: IntArray
) -> Callable[[FloatArray], tuple[FloatArray, FloatArray]]:
    """Prepare the weighted count of concordant pairs and of all pairs within folds.

    The negatives are laid out by fold and score, so that the weight of those below a positive is a difference
    of two cumulative sums: n log n work where comparing all pairs would take n squared.
    """
    folds = _dense_rank(fold)
    key = folds * (len(score) + 1) + _dense_rank(score)
    negative = np.flatnonzero(~positive)
    negative = negative[np.argsort(key[negative], kind="stable")]
    pos = np.flatnonzero(positive)
    pos = pos[np.argsort(folds[pos], kind="stable")]
    sorted_keys = key[negative]
    below = np.searchsorted(sorted_keys, key[pos], side="left")
    not_above = np.searchsorted(sorted_keys, key[pos], side="right")
    tied = not np.array_equal(below, not_above)
    # Of folds that have a positive: where their positives begin, and where their negatives begin and end.
    present, first = np.unique(folds[pos], return_index=True)
    start = np.searchsorted(sorted_keys, present * (len(score) + 1), side="left")
    end = np.searchsorted(sorted_keys, (present + 1) * (len(score) + 1), side="left")

    def count(weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        if not len(pos):
            return np.zeros(len(weights)), np.zeros(len(weights))
        # A row a unit: sums run over whole rows, and the draws of a unit are read in one piece.
        turned = weights.T
        cumulative = _cumulative(turned, negative)
        mine = turned[pos]
        of_fold = np.add.reduceat(mine, first, axis=0)
        lower = 0.5 * (cumulative[below] + cumulative[not_above]) if tied else cumulative[below]
        wins = np.einsum("ib,ib->b", mine, lower) - np.einsum("fb,fb->b", of_fold, cumulative[start])
        return wins, np.einsum("fb,fb->b", of_fold, cumulative[end] - cumulative[start])

    return count


def _cumulative(rows: FloatArray, chosen: IntArray) -> FloatArray:
    """Return the sums of the first 0, 1, 2, ... chosen rows, a row each.

    In stretches, and then one stretch after the other: both add many values at a time, which NumPy's own running sum
    does not.
    """
    stretch = isqrt(len(chosen)) + 1
    n = -(-(len(chosen) + 1) // stretch)
    sums = np.zeros((n, stretch, rows.shape[1]))
    flat = sums.reshape(n * stretch, -1)
    np.take(rows, chosen, axis=0, out=flat[1 : len(chosen) + 1], mode="clip")
    for k in range(1, stretch):
        sums[:, k] += sums[:, k - 1]
    for k in range(1, n):
        sums[k] += sums[k - 1, -1]
    return flat


def _dense_rank(values: AnyArray) -> IntArray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
