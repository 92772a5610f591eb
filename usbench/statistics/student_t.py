"""Student's t distribution, for pages that are rendered without SciPy, whose import takes longer than the page.

The tail is the regularised incomplete beta function, evaluated by its continued fraction with Lentz's method
(Abramowitz & Stegun 1964, 26.5.8 and 26.7.1).
"""

from __future__ import annotations

from functools import lru_cache
from math import erfc, exp, inf, isinf, lgamma, log, log1p, pi, sqrt
from statistics import NormalDist

_TINY = 1e-300
_ENOUGH = 1e-15
_MOST_TERMS = 500
_MOST_STEPS = 50
_CLOSE = 1e-12
_AS_GOOD_AS_NORMAL = 1e7


def two_sided_p(t: float, freedom: float = inf) -> float:
    """Return the probability of a value at least as far from zero.

    Args:
        t: The statistic.
        freedom: Degrees of freedom, above 0; infinite for the normal distribution.
    """
    if freedom > _AS_GOOD_AS_NORMAL:
        return erfc(abs(t) / sqrt(2))
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


@lru_cache(maxsize=4096)
def critical(level: float, freedom: float = inf) -> float:
    """Return the value within which the distribution holds a share of its mass, both sides together.

    Args:
        level: The share, such as 0.95.
        freedom: Degrees of freedom, above 0; infinite for the normal distribution.
    """
    low = NormalDist().inv_cdf((1 + level) / 2)
    if isinf(freedom):
        return low
    high = 2 * low
    while two_sided_p(high, freedom) > 1 - level:
        high *= 2
    low, high = _narrowed(low, high, level, freedom)
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if two_sided_p(middle, freedom) > 1 - level else (low, middle)
    # The upper end, where the probability is not above one minus the level: an interval and its test then agree.
    return high


def _narrowed(low: float, high: float, level: float, freedom: float) -> tuple[float, float]:
    """Narrow the ends between which the critical value lies, by Newton's method from below.

    The probability falls ever more slowly, so that no step leads too far.
    """
    if freedom > _AS_GOOD_AS_NORMAL:
        return low, high
    log_scale = lgamma((freedom + 1) / 2) - lgamma(freedom / 2) - log(freedom * pi) / 2
    t = low
    for _ in range(_MOST_STEPS):
        excess = two_sided_p(t, freedom) - (1 - level)
        step = excess / (2 * exp(log_scale - (freedom + 1) / 2 * log1p(t * t / freedom)))
        t += step
        if step <= _CLOSE * t:
            break
    below, above = max(low, t * (1 - _CLOSE)), min(high, t * (1 + _CLOSE))
    if two_sided_p(below, freedom) > 1 - level:
        low = below
    return (low, above) if low < above and two_sided_p(above, freedom) <= 1 - level else (low, high)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(b, a, 1 - x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)) / a
    c, d = 1.0, 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < _ENOUGH:
            break
    return front * fraction


def _away_from_zero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
