"""Which encoders of a ranking cannot be told from one another, as the bars of a critical-difference diagram show it.

The usual diagram (Demšar 2006) takes tasks for independent draws, which tasks on one dataset are not. The bars here
rest on the same resamples of subjects and tasks as the intervals of the ranking: two encoders are distinguished when
the difference of their mean ranks exceeds what the largest standardised difference of all pairs reaches by chance.

References:
    Demšar J. Statistical comparisons of classifiers over multiple data sets. JMLR 2006;7:1-30.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from usbench.statistics._types import FloatArray


def groups(means: FloatArray, draws: FloatArray, level: float) -> list[tuple[int, int]]:
    """Return the largest runs of neighbours in a ranking within which nobody is distinguished.

    Args:
        means: Mean ranks, best first, float64 ``[n_encoders]``.
        draws: Mean ranks on resamples, float64 ``[n_resamples, n_encoders]``, in the same order.
        level: Confidence at which all pairs hold at once.

    Returns:
        First and last number of each run of at least two, both included.
    """
    apart = _distinguished(means, draws, level)
    found: list[tuple[int, int]] = []
    for first in range(len(means)):
        last = first
        while last + 1 < len(means) and not apart[first : last + 1, last + 1].any():
            last += 1
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


def _distinguished(
    means: FloatArray, draws: FloatArray, level: float
) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    pairs = list(combinations(range(len(means)), 2))
    apart = np.zeros((len(means), len(means)), dtype=bool)
    if not pairs:
        return apart
    left, right = np.array(pairs).T
    moved = draws[:, left] - draws[:, right]
    # Rounded, as digits beyond these differ between processors.
    spread = np.round(moved.std(axis=0, ddof=1), 9)
    known = spread > 0
    scale = np.where(known, spread, 1.0)
    largest = np.abs((moved - moved.mean(axis=0)) / scale)[:, known].max(axis=1, initial=0.0)
    critical = float(np.quantile(largest, level))
    difference = np.abs(means[left] - means[right])
    shown = np.where(known, difference > critical * spread + 1e-9, difference > 0)
    apart[left, right] = apart[right, left] = shown
    return apart


def names_of(order: Sequence[str], runs: Sequence[tuple[int, int]]) -> tuple[tuple[str, ...], ...]:
    """Return the names in each run.

    Args:
        order: Names, best first.
        runs: First and last number of each run.
    """
    return tuple(tuple(order[first : last + 1]) for first, last in runs)
