"""Standard errors, intervals and tests from scores of half-samples.

The two scores of a halving come from separate subjects, each half being trained and tested on by itself, so that their
difference holds the chance of testing and that of training. `standard_error` says how the error of the whole follows
from it, and the simulation in `benchmarks/interval_coverage.py` how well.

Intervals are symmetric on a scale without ends: the logit for shares and AUCs, Fisher's z for correlations, the
logarithm for errors. A difference is symmetric as it stands, and its test is the same statement as its interval: the p
value is below one minus the level exactly when the interval excludes zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import atanh, exp, inf, log, sqrt, tanh

import numpy as np

from usbench.errors import DataError
from usbench.statistics._types import FloatArray
from usbench.statistics.metrics import find_metric
from usbench.statistics.student_t import critical, two_sided_p

Pairs = Sequence[Sequence[float | None]]
"""Scores of both halves of each halving, None where the metric does not exist there."""

MIN_SUBJECTS = 20
"""Fewest subjects in all that are halved."""
MIN_OF_A_CLASS = 10
"""Fewest subjects of each class that are halved: a half must hold some to train on and some to test."""
MIN_PAIRS = 6
"""Fewest halvings in which a metric must exist for a standard error."""


RULE = 2
"""Number of the rule that `standard_error` follows; stored with a result, so that its intervals can be checked."""
TRAINING_POWER = 1.5
"""Power of the training set's size with which the variance that comes from training falls."""


@dataclass(frozen=True)
class StandardError:
    """A standard error and how well it is known.

    Attributes:
        value: The error, in the unit of the metric.
        freedom: Degrees of freedom of its estimate.
    """

    value: float
    freedom: float = inf

    def reach(self, level: float = 0.95) -> float:
        """Return half the width of an interval that is symmetric."""
        return critical(level, self.freedom) * self.value

    def p(self, difference: float) -> float:
        """Return the two-sided p value of a difference; 1 where it is zero with an error of zero, 0 for any other."""
        if self.value <= 0:
            return 1.0 if difference == 0 else 0.0
        return two_sided_p(difference / self.value, self.freedom)


def half_sample_error(first: Pairs, second: Pairs | None = None) -> float | None:
    """Estimate the standard error of a score, or of the difference of two scores on the same subjects.

    Args:
        first: Scores of the halves.
        second: Scores of another system in the same halves, to be subtracted.

    Returns:
        Half the root mean square of the difference between the halves; None where too few halvings have both scores.
    """
    return _error_of(_gaps(first, second))


def standard_error(
    fixed: float | None,
    first: Pairs | None = None,
    second: Pairs | None = None,
    *,
    subjects: int,
    rule: int = RULE,
) -> StandardError:
    """Combine the error under fixed predictions with that of half-samples.

    The variance that comes from testing falls with the size of the sample, the one that comes from training with a
    power p of it. A half has twice the variance of testing and 2^p times that of training; half the difference of two
    halves therefore holds the variance of testing once and that of training 2^(p-1) times. Fixed predictions hold the
    first alone, so that the variance of the whole is the one of fixed predictions and 2^(1-p) of what half-samples add
    to it; that they fall short of it can only be chance, and adds nothing. Theory leaves p open between 1 and 2; 1.5 is
    what the simulation bears out.

    A variance from N subjects is known with N - 1 degrees of freedom. The mean over the squared differences of n
    halvings of the same N subjects has 1 / (1/n + 1/(N-1)), and the sum those of Satterthwaite (1946).

    Args:
        fixed: Standard error under fixed predictions; ``None`` or 0 where there is none.
        first: Scores of the halves.
        second: Scores of another system in the same halves, to be subtracted.
        subjects: Number of subjects.
        rule: The rule; 1 is p = 2 with a normal distribution, by which earlier results were written.

    Returns:
        The error of both together; the one that exists where only one does, 0 where none does.

    Raises:
        DataError: There is no such rule.
    """
    if rule not in (1, RULE):
        raise DataError(f"half-samples by rule {rule} are of a newer version than this one, which knows {RULE}")
    gaps = np.zeros(0) if first is None else _gaps(first, second)
    halved = _error_of(gaps)
    if halved is None:
        return StandardError(fixed or 0.0)
    if rule == 1:
        return StandardError(halved if fixed is None else sqrt((fixed**2 + halved**2) / 2))
    of_subjects = max(subjects - 1, 1)
    of_halves = 1 / (1 / len(gaps) + 1 / of_subjects)
    if not fixed:
        return StandardError(halved, of_halves)
    share = 2 ** (1 - TRAINING_POWER)
    parts = ((1 - share) * fixed**2, share * max(halved, fixed) ** 2)
    freedom = sum(parts) ** 2 / (parts[0] ** 2 / of_subjects + parts[1] ** 2 / of_halves)
    return StandardError(sqrt(sum(parts)), freedom)


def _error_of(gaps: FloatArray) -> float | None:
    return float(np.sqrt((gaps**2).mean()) / 2) if len(gaps) >= MIN_PAIRS else None


def _gaps(first: Pairs, second: Pairs | None) -> FloatArray:
    """Differences between the halves, of the halvings in which both scores exist."""
    scores = _table(first) if second is None else _table(first) - _table(second)
    gaps: FloatArray = scores[:, 0] - scores[:, 1]
    return gaps[~np.isnan(gaps)]


def _table(pairs: Pairs) -> FloatArray:
    values = [[np.nan if v is None else v for v in pair] for pair in pairs]
    return np.array(values, dtype=np.float64).reshape(-1, 2)


def interval(
    metric: str, value: float, error: float | StandardError, level: float = 0.95
) -> tuple[float, float] | None:
    """Put an interval around a score.

    Args:
        metric: Name of the metric; it decides the scale.
        value: The score.
        error: Its standard error; a plain number is taken as known.
        level: Confidence level.

    Returns:
        The bounds; None where there is no interval to be had: no error at all, or a score at the end of its scale, for
        which see `exact_bound`.
    """
    known_error = error if isinstance(error, StandardError) else StandardError(error)
    if known_error.value <= 0:
        return None
    reach = known_error.reach(level)
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
    """Return the two-sided p value of a difference with a known standard error; 1 where both are zero."""
    return StandardError(error).p(difference)


def _logistic(x: float) -> float:
    return 1 / (1 + exp(-x)) if x >= 0 else exp(x) / (1 + exp(x))
