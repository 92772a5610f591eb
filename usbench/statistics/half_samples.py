"""Standard errors, intervals and tests from scores of half-samples.

The two scores of a halving come from separate subjects, each half being trained and tested on by itself, so that their
difference holds the chance of testing and that of training. `refit_error` says how the standard error of the whole
follows from it, and the simulation in `benchmarks/interval_coverage.py` how well.

Intervals are symmetric on a scale without ends: the logit for shares and AUCs, Fisher's z for correlations, the
logarithm for errors. A difference is symmetric as it stands, and its test is the same statement as its interval: the p
value is below one minus the level exactly when the interval excludes zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atanh, erfc, exp, log, sqrt, tanh
from statistics import NormalDist

import numpy as np

from usbench.statistics.metrics import find_metric

Pairs = Sequence[Sequence[float | None]]
"""Scores of both halves of each halving, None where the metric does not exist there."""

MIN_SUBJECTS = 20
"""Fewest subjects in all that are halved."""
MIN_OF_A_CLASS = 10
"""Fewest subjects of each class that are halved: a half must hold some to train on and some to test."""
MIN_PAIRS = 6
"""Fewest halvings in which a metric must exist for a standard error."""


def half_sample_error(first: Pairs, second: Pairs | None = None) -> float | None:
    """Estimate the standard error of a score, or of the difference of two scores on the same subjects.

    Args:
        first: Scores of the halves.
        second: Scores of another system in the same halves, to be subtracted.

    Returns:
        Half the root mean square of the difference between the halves; None where too few halvings have both scores.
    """
    whole = [[np.nan if v is None else v for v in pair] for pair in first]
    scores = np.array(whole, dtype=np.float64).reshape(-1, 2)
    if second is not None:
        other = np.array([[np.nan if v is None else v for v in pair] for pair in second], dtype=np.float64)
        scores = scores - other.reshape(-1, 2)
    gaps = scores[:, 0] - scores[:, 1]
    gaps = gaps[~np.isnan(gaps)]
    return float(np.sqrt((gaps**2).mean()) / 2) if len(gaps) >= MIN_PAIRS else None


def refit_error(fixed: float | None, halved: float | None) -> float:
    """Combine the error under fixed predictions with that of half-samples.

    A probe loses by its finite training set in proportion to one over its size, so that the part of the variance that
    comes from training falls with the square of the size, while the part from testing falls with the size. A half has
    twice the variance of testing and four times that of training; half the difference of two halves therefore holds the
    variance of testing once and that of training twice. Fixed predictions hold the first alone. The mean of the two
    variances is their sum.

    Args:
        fixed: Standard error under fixed predictions.
        halved: Standard error of `half_sample_error`.

    Returns:
        The standard error of both together; the one that exists where only one does, 0 where none does.
    """
    known = [error for error in (fixed, halved) if error is not None]
    return sqrt(sum(error**2 for error in known) / len(known)) if known else 0.0


def interval(metric: str, value: float, error: float, level: float = 0.95) -> tuple[float, float] | None:
    """Put an interval around a score.

    Args:
        metric: Name of the metric; it decides the scale.
        value: The score.
        error: Its standard error.
        level: Confidence level.

    Returns:
        The bounds; None where there is no interval to be had: no error at all, or a score at the end of its scale, for
        which see `exact_bound`.
    """
    reach = NormalDist().inv_cdf((1 + level) / 2) * error
    if error <= 0:
        return None
    known = find_metric(metric)
    scale = known.scale if known is not None else "plain"
    if scale == "correlation":
        if abs(value) >= 1:
            return None
        middle, width = atanh(value), reach / (1 - value**2)
        return tanh(middle - width), tanh(middle + width)
    if scale == "error":
        if value <= 0:
            return None
        width = reach / value
        return value * exp(-width), value * exp(width)
    if scale == "share":
        if not 0 < value < 1:
            return None
        middle, width = log(value / (1 - value)), reach / (value * (1 - value))
        return _logistic(middle - width), _logistic(middle + width)
    return value - reach, value + reach


def exact_bound(value: float, subjects: int, level: float = 0.95) -> tuple[float, float] | None:
    """Bound a share, or an AUC, of exactly one or zero.

    If every one of n subjects is right, a share p of right ones is refuted where p^n is below one minus the level
    (Clopper & Pearson 1934, one-sided because nothing lies beyond the end).

    Args:
        value: The score.
        subjects: Number of subjects; for an AUC that of the smaller class, of which each has to be ranked rightly.
        level: Confidence level.

    Returns:
        The bounds, one of them the value itself; None unless the value is 0 or 1.
    """
    if value not in (0.0, 1.0) or subjects < 1:
        return None
    bound = (1 - level) ** (1 / subjects)
    return (bound, 1.0) if value == 1.0 else (0.0, 1 - bound)


def normal_p(difference: float, error: float) -> float:
    """Return the two-sided p value of a difference with a standard error; 1 where both are zero."""
    if error <= 0:
        return 1.0 if difference == 0 else 0.0
    return erfc(abs(difference) / error / sqrt(2))


def _logistic(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
