"""Probabilities from decision values, and how well they are calibrated.

A support vector machine ranks; it gives no probability. `platt_probabilities` turns its decision values into
probabilities out of fold: the logistic curve for the units of one fold is fitted on the units that were tested in the
other folds of the same repeat, so that no unit takes part in scaling itself. With a single test fold there is nothing
to fit on, and metrics of calibration do not exist.

References:
    Platt J. Probabilistic outputs for support vector machines and comparisons to regularized likelihood methods.
        Advances in Large Margin Classifiers, MIT Press 1999:61-74.
    Cox DR. Two further applications of a model for binary regression. Biometrika 1958;45:562-565 (slope).
    Van Calster B et al. Calibration: the Achilles heel of predictive analytics. BMC Medicine 2019;17:230.
"""

from __future__ import annotations

import numpy as np

from usbench.statistics._types import BoolArray, FloatArray, IntArray
from usbench.statistics.kernels import Kernel, ratio
from usbench.statistics.predictions import Predictions

_QUICK_STEPS = 12
_STEPS = 60
_DONE = 1e-9
# A slope beyond this comes from classes that a threshold separates (almost) perfectly: it grows without bound.
_STEEPEST = 1e3
# Fits times units at a time: few enough to stay in a processor's cache.
_BLOCK = 60_000


def fit_logistic(x: FloatArray, target: FloatArray, weight: FloatArray, start: FloatArray | None = None) -> FloatArray:
    """Fit `P(1) = 1 / (1 + exp(-(a + b x)))` by maximum likelihood for each row of weights.

    Args:
        x: The predictor, float64 [n].
        target: Share of class 1 of each unit, between 0 and 1, float64 [n].
        weight: Weights of the units, float64 [n_fits, n], not negative.
        start: Coefficients to start from, float64 [2]; zero by default.

    Returns:
        Intercept a and slope b of each fit, float64 [n_fits, 2]; NaN where the likelihood has no maximum: the
        predictor does not vary, one class is missing, or a threshold separates the classes.
    """
    beta: FloatArray = np.zeros((len(weight), 2)) if start is None else np.tile(start, (len(weight), 1))
    powers = np.stack([np.ones_like(x), x, x**2], axis=1)
    rows = max(1, _BLOCK // len(x))
    with np.errstate(invalid="ignore"):  # of a predictor that is not finite, which has no maximum either
        for k in range(0, len(weight), rows):
            beta[k : k + rows] = _fit_block(beta[k : k + rows], powers, target, weight[k : k + rows])
    return beta


def _fit_block(start: FloatArray, powers: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    """Newton's method by full steps, which a few fits overshoot: these are done again with care."""
    beta, settled = _newton(start, powers, target, weight, _QUICK_STEPS, careful=False)
    if not settled.all():
        beta[~settled], sure = _newton(start[~settled], powers, target, weight[~settled], _STEPS, careful=True)
        beta[~settled] = np.where(sure[:, None], beta[~settled], np.nan)
    return beta


def _newton(
    start: FloatArray, powers: FloatArray, target: FloatArray, weight: FloatArray, steps: int, careful: bool
) -> tuple[FloatArray, BoolArray]:
    """Return coefficients [n_fits, 2] and whether each fit has come to its maximum, bool [n_fits]."""
    beta, settled = start.copy(), np.zeros(len(start), dtype=bool)
    todo = np.arange(len(start))
    x = powers[:, 1]
    for _ in range(steps):
        w = weight[todo]
        p = _sigmoid(beta[todo, :1] + beta[todo, 1:] * x)
        pull = w * p
        gradient = (w * target - pull) @ powers[:, :2]
        s0, s1, s2 = ((pull * (1 - p)) @ powers).T
        determinant = s0 * s2 - s1**2
        sound = determinant > 1e-12 * np.maximum(s0 * s2, 1e-300)  # False where anything is no number
        step = np.stack([s2 * gradient[:, 0] - s1 * gradient[:, 1], s0 * gradient[:, 1] - s1 * gradient[:, 0]], axis=1)
        step = np.where(sound[:, None], step / np.where(sound, determinant, 1.0)[:, None], 0.0)
        if careful:
            step *= _length(beta[todo], step, x, target, w)
        beta[todo] += step
        small = (np.abs(step) <= _DONE * (1 + np.abs(beta[todo]))).all(axis=1)
        settled[todo] = sound & small
        todo = todo[sound & ~small]
        if len(todo) == 0:
            break
    return beta, settled


def _length(beta: FloatArray, step: FloatArray, x: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    """Halve steps until the likelihood does not fall, float64 [n_fits, 1]: it is concave, but steps can overshoot."""
    length = np.ones((len(beta), 1))
    level = _log_likelihood(beta, x, target, weight)
    for _ in range(30):
        worse = ~(_log_likelihood(beta + length * step, x, target, weight) >= level - 1e-10 * (1 + np.abs(level)))
        if not worse.any():
            break
        length[worse] /= 2
    return length


def _log_likelihood(beta: FloatArray, x: FloatArray, target: FloatArray, weight: FloatArray) -> FloatArray:
    eta = beta[:, :1] + beta[:, 1:] * x
    found: FloatArray = np.einsum("bi,bi->b", weight, target * eta - np.logaddexp(0.0, eta))
    return found


def _sigmoid(eta: FloatArray) -> FloatArray:
    with np.errstate(over="ignore"):
        found: FloatArray = 1 / (1 + np.exp(-eta))
    return found


def platt_probabilities(outcome: Predictions) -> FloatArray | None:
    """Turn the decision values of a two-class outcome into probabilities, out of fold.

    Targets are Platt's: (N1 + 1) / (N1 + 2) for the N1 positive units and 1 / (N0 + 2) for the others, which keeps the
    curve finite where a threshold separates the classes.

    Args:
        outcome: A binary outcome.

    Returns:
        Probability of class 1, float64 [n_repeats, n_units]; None where a repeat has a single fold, the units of the
        other folds lack a class, or decision values do not vary.
    """
    positive = outcome.y == 1
    found = np.empty(outcome.score.shape)
    for repeat, (score, fold) in enumerate(zip(outcome.score, outcome.fold, strict=True)):
        names, code = np.unique(fold, return_inverse=True)
        spread = float(score.std())
        if len(names) < 2 or spread <= 1e-12 * max(float(np.abs(score).max()), 1e-300):
            return None
        x = (score - score.mean()) / spread
        curves = _platt_fits(x, positive, code.astype(np.int64), len(names))
        if np.isnan(curves).any():
            return None
        found[repeat] = _sigmoid(curves[code, 0] + curves[code, 1] * x)
    return found


def _platt_fits(x: FloatArray, positive: BoolArray, code: IntArray, n_folds: int) -> FloatArray:
    """Coefficients for each fold, fitted on all others, float64 [n_folds, 2]."""
    other = (code != np.arange(n_folds)[:, None]).astype(np.float64)
    ones, zeros = other @ positive, other @ ~positive
    if min(ones.min(), zeros.min()) == 0:
        return np.full((n_folds, 2), np.nan)
    # A unit with a share t of class 1 is a unit of class 1 of weight t and one of class 0 of weight 1 - t.
    high, low = (ones + 1) / (ones + 2), 1 / (zeros + 2)
    share = np.where(positive, high[:, None], low[:, None])
    doubled = np.concatenate([other * share, other * (1 - share)], axis=1)
    target = np.concatenate([np.ones(len(x)), np.zeros(len(x))])
    return fit_logistic(np.concatenate([x, x]), target, doubled)


def brier(outcome: Predictions) -> Kernel:
    """Mean squared difference between the out-of-fold probability and what was found."""
    p = platt_probabilities(outcome)
    if p is None:
        return _undefined
    square = ((p - outcome.y) ** 2).mean(axis=0)
    return lambda weights: ratio(weights @ square, weights.sum(axis=1))


def calibration_slope(outcome: Predictions) -> Kernel:
    """Slope of the logistic regression of the truth on the logit of the out-of-fold probability."""
    p = platt_probabilities(outcome)
    if p is None:
        return _undefined
    # On separated folds the curve is so steep that its ends round to 0 and 1: infinite logits, which no slope fits.
    with np.errstate(divide="ignore"):
        logits = np.log(p) - np.log1p(-p)
    starts = [fit_logistic(x, outcome.y, np.ones((1, len(x))))[0] for x in logits]

    return lambda weights: _slopes(logits, outcome.y, starts, weights)


def _slopes(logits: FloatArray, y: FloatArray, starts: list[FloatArray], weights: FloatArray) -> FloatArray:
    found = np.empty((len(logits), len(weights)))
    for repeat, (x, start) in enumerate(zip(logits, starts, strict=True)):
        slope = fit_logistic(x, y, weights, None if np.isnan(start).any() else start)[:, 1]
        found[repeat] = np.where(np.abs(slope) > _STEEPEST, np.nan, slope)
    mean: FloatArray = found.mean(axis=0)
    return mean


def _undefined(weights: FloatArray) -> FloatArray:
    return np.full(len(weights), np.nan)
