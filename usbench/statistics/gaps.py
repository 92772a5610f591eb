"""The largest gap between groups of units, with an interval from resamples in which all groups are scored jointly.

Subjects are resampled once for all groups, so that a subject with units in several of them counts in each alike. Of
more than two groups the largest gap is picked by its size; its interval then holds for all pairs at once (the critical
value is that of the largest standardised gap), as it would otherwise exclude zero far too often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

import numpy as np

from usbench.statistics._types import FloatArray, IntArray
from usbench.statistics.bootstrap import subject_counts
from usbench.statistics.half_samples import normal_p
from usbench.statistics.metrics import prepare
from usbench.statistics.predictions import Predictions

RESAMPLES = 2000


@dataclass(frozen=True)
class Gap:
    """Two groups that are farthest apart.

    Attributes:
        high: Name of the group with the larger value.
        low: Name of the other one.
        value: Their difference, not negative.
        bounds: 95 % interval, None where resamples do not vary.
        p: Two-sided p-value, corrected for all pairs; None without an interval.
        groups: Number of groups that were compared.
    """

    high: str
    low: str
    value: float
    bounds: tuple[float, float] | None
    p: float | None
    groups: int


def largest_gap(
    groups: Mapping[str, Predictions],
    subjects: Mapping[str, IntArray],
    metric: str,
    n_resamples: int = RESAMPLES,
    level: float = 0.95,
    seed: int = 0,
) -> Gap | None:
    """Compare groups of units by a metric.

    Args:
        groups: Name to predictions of its units.
        subjects: Name to the number of the subject of each of its units, numbered over all groups, int64 [n_units].
        metric: Key of `usbench.statistics.metrics.METRICS`.
        n_resamples: Resamples of the subjects.
        level: Confidence level.
        seed: Seed of the resampling.

    Returns:
        The largest gap; None with fewer than two groups that have a value.
    """
    kernels = {name: prepare(metric, outcome) for name, outcome in groups.items()}
    values = {name: float(kernels[name](np.ones((1, outcome.n_units)))[0]) for name, outcome in groups.items()}
    names = sorted((name for name, value in values.items() if not np.isnan(value)), key=lambda name: -values[name])
    if len(names) < 2:
        return None
    size = 1 + max(int(subjects[name].max()) for name in names)
    units = sum(len(subjects[name]) for name in names)
    blocks: list[FloatArray] = []
    for counts in subject_counts(size, n_resamples, seed, units):
        blocks.append(np.stack([kernels[name](counts[:, subjects[name]]) for name in names]))
    draws = np.concatenate(blocks, axis=1).round(10)
    draws = draws[:, ~np.isnan(draws).any(axis=0)]
    high, low = names[0], names[-1]
    value = values[high] - values[low]
    if draws.shape[1] < n_resamples / 2:
        return Gap(high, low, value, None, None, len(names))
    spread = float((draws[0] - draws[-1]).std())
    if spread <= 1e-10:
        return Gap(high, low, value, None, None, len(names))
    if len(names) == 2:
        critical, p = NormalDist().inv_cdf((1 + level) / 2), normal_p(value, spread)
    else:
        largest = _largest_standardised(draws)
        critical = float(np.quantile(largest, level, method="higher"))
        p = (1 + int((largest >= value / spread).sum())) / (1 + len(largest))
    return Gap(high, low, value, (value - critical * spread, value + critical * spread), p, len(names))


def _largest_standardised(draws: FloatArray) -> FloatArray:
    """The largest standardised gap of any pair in each resample, were all groups equal, float64 [n_draws]."""
    largest: FloatArray = np.zeros(draws.shape[1])
    for a, b in combinations(draws, 2):
        gap = a - b
        spread = float(gap.std())
        if spread > 1e-10:
            np.maximum(largest, np.abs(gap - gap.mean()) / spread, out=largest)
    return largest
