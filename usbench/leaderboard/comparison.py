"""Who can be told apart from whom on one board: paired differences on common resamples of the subjects.

All encoders of a board are scored on the *same* resamples, so that a difference between two of them is paired by
construction and the whole board costs one pass. The p-value is two-sided and comes from inverting the percentile
interval of the difference: twice the share of resamples on the wrong side of zero, ties counting half, with the usual
one added so that it is never zero.

Reference:
    Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University Press 1997, section 4.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from usbench.leaderboard.outcomes import Scored
from usbench.statistics._types import FloatArray
from usbench.statistics.bootstrap import draw, percentile_bounds
from usbench.statistics.metrics import METRICS, prepare

RESAMPLES = 2000
LEVEL = 0.95
ALPHA = 0.05
# Two equal shares computed in another order can differ in the last bit; below this a difference is a tie.
_TIE = 1e-9


@dataclass(frozen=True)
class Difference:
    """One encoder minus another, on the same units.

    Attributes:
        against: Name of the other encoder.
        value: Difference of the metric, in its own unit.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: Two-sided p-value.
        p_adjusted: The same after Holm's correction over the comparisons of the board.
    """

    against: str
    value: float
    low: float
    high: float
    p: float
    p_adjusted: float


class Comparator:
    """Scores several encoders of one board on common resamples.

    Args:
        metric: Name of the metric.
        scored: Encoder name to outcome; all over the same units.
    """

    def __init__(self, metric: str, scored: Mapping[str, Scored]) -> None:
        kernels = {name: prepare(metric, item.outcome) for name, item in scored.items()}
        self.metric = metric
        self.higher_is_better = METRICS[metric].higher_is_better
        self._values: dict[str, float] = {}
        self._draws: dict[str, FloatArray] = {}
        if not kernels:
            return
        reference = next(iter(scored.values())).outcome
        ones = np.ones((1, reference.n_units))
        self._values = {name: float(kernel(ones)[0]) for name, kernel in kernels.items()}
        kernels = {name: kernel for name, kernel in kernels.items() if not np.isnan(self._values[name])}
        if reference.n_groups > 1:
            self._draws = draw(reference, kernels, RESAMPLES, LEVEL, seed=0, stratify=False)

    def names(self) -> list[str]:
        """Return the encoders for which the metric and its resamples exist."""
        return list(self._draws)

    def value(self, name: str) -> float | None:
        """Return the metric of one encoder."""
        value = self._values.get(name)
        return None if value is None or np.isnan(value) else value

    def draws(self, name: str) -> FloatArray:
        """Return the metric on every resample, float64 ``[n_resamples]``; the same resamples for every encoder."""
        return self._draws[name]

    def best(self, names: Sequence[str]) -> str | None:
        """Return the best of ``names`` by the point estimate, the first by name among equals."""
        sign = -1.0 if self.higher_is_better else 1.0
        known = sorted(name for name in names if name in self._draws)
        return min(known, key=lambda name: sign * self._values[name]) if known else None

    def difference(self, a: str, b: str) -> Difference | None:
        """Compare two encoders; ``None`` where the metric does not exist for one of them."""
        if a == b or a not in self._draws or b not in self._draws:
            return None
        draws = self._draws[a] - self._draws[b]
        draws = draws[~np.isnan(draws)]
        if len(draws) < RESAMPLES / 2:
            return None
        low, high = percentile_bounds(draws, LEVEL)
        p = two_sided(draws)
        return Difference(b, self._values[a] - self._values[b], low, high, p, p)

    def against(self, reference: str | None, names: Sequence[str]) -> dict[str, Difference]:
        """Compare several encoders with one, with Holm's correction over all of them.

        Args:
            reference: The encoder compared with; ``None`` gives nothing.
            names: The others; the reference itself is skipped.
        """
        if reference is None:
            return {}
        found = {name: d for name in names if (d := self.difference(name, reference)) is not None}
        adjusted = holm([d.p for d in found.values()])
        return {name: replace(d, p_adjusted=p) for (name, d), p in zip(found.items(), adjusted, strict=True)}

    def leaders(self) -> frozenset[str]:
        """Return the best encoder and all that a paired test cannot tell from it.

        Empty when the test tells nobody apart: then there is nothing to set off.
        """
        names = self.names()
        best = self.best(names)
        differences = self.against(best, names)
        tied = {name for name, d in differences.items() if d.p_adjusted >= ALPHA}
        if best is None or len(tied) == len(differences):
            return frozenset()
        return frozenset(tied | {best})


def two_sided(draws: FloatArray) -> float:
    """Return the two-sided p-value of resampled differences against zero.

    Args:
        draws: Differences, ``[n]``, all defined.
    """
    ties = np.count_nonzero(np.abs(draws) <= _TIE) / 2
    below = np.count_nonzero(draws < -_TIE) + ties
    above = np.count_nonzero(draws > _TIE) + ties
    return float(min(1.0, 2 * (min(below, above) + 1) / (len(draws) + 1)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjust p-values for several comparisons (Holm 1979), in the order given."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted = [0.0] * len(p)
    running = 0.0
    for rank, i in enumerate(order):
        running = max(running, min(1.0, p[i] * (len(p) - rank)))
        adjusted[i] = running
    return adjusted
