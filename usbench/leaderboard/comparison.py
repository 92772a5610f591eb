"""Who can be told apart from whom on one board.

For an AUC, difference, interval and p-value come from one estimate of the variance (DeLong; Obuchowski where subjects
have several units), so that the interval excludes zero exactly when the unadjusted p-value is below 5 %. For any other
metric they come from resampling subjects, all encoders of the board on the *same* resamples, so that a difference
between two of them is paired by construction and the whole board costs one pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from usbench.evaluation.scoring import Scored
from usbench.statistics._types import FloatArray
from usbench.statistics.auc_variance import auc_test
from usbench.statistics.bootstrap import draw, percentile_bounds
from usbench.statistics.exact import holm
from usbench.statistics.metrics import METRICS, prepare
from usbench.statistics.outcome import Outcome
from usbench.statistics.paired import bootstrap_p

RESAMPLES = 2000
LEVEL = 0.95
ALPHA = 1 - LEVEL
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
# Resampled metrics are sums of a few thousand terms at most: digits beyond these are rounding, which differs between
# processors and numbers of threads and would turn ties into differences.
_DIGITS = 10


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
        test: Name of the test.
    """

    against: str
    value: float
    low: float
    high: float
    p: float
    p_adjusted: float
    test: str


class Comparator:
    """Compares several encoders of one board in one metric.

    Args:
        metric: Name of the metric.
        scored: Encoder name to outcome; all over the same units.
    """

    def __init__(self, metric: str, scored: Mapping[str, Scored]) -> None:
        self.metric = metric
        self.higher_is_better = METRICS[metric].higher_is_better
        self._outcomes: dict[str, Outcome] = {}
        self._values: dict[str, float] = {}
        self._kernels = {}
        for name, item in scored.items():
            kernel = prepare(metric, item.outcome)
            value = float(kernel(np.ones((1, item.outcome.n_units)))[0])
            if not np.isnan(value):
                self._outcomes[name], self._values[name] = item.outcome, value
                self._kernels[name] = kernel

    @property
    def names(self) -> list[str]:
        """The encoders for which the metric exists."""
        return list(self._values)

    def value(self, name: str) -> float | None:
        """Return the metric of one encoder, ``None`` where it does not exist."""
        return self._values.get(name)

    @cached_property
    def draws(self) -> dict[str, FloatArray]:
        """The metric of every encoder on common resamples of the subjects, for the tests."""
        return self.resampled(RESAMPLES)

    def resampled(self, n_resamples: int) -> dict[str, FloatArray]:
        """Return the metric of every encoder on common resamples of the subjects.

        Args:
            n_resamples: How many.

        Returns:
            float64 ``[n_resamples]`` by name, NaN where undefined; nothing with fewer than two subjects.
        """
        if not self._outcomes:
            return {}
        reference = next(iter(self._outcomes.values()))
        if reference.n_groups < 2:
            return {}
        found = draw(reference, self._kernels, n_resamples, LEVEL, seed=0, stratify=False)
        return {name: np.round(values, _DIGITS) for name, values in found.items()}

    def best(self, names: Sequence[str] | None = None) -> str | None:
        """Return the best by the point estimate, the first by name among equals.

        Args:
            names: Whom to choose from; everybody by default.
        """
        sign = -1.0 if self.higher_is_better else 1.0
        known = sorted(name for name in (self.names if names is None else names) if name in self._values)
        return min(known, key=lambda name: sign * self._values[name]) if known else None

    def difference(self, a: str, b: str) -> Difference | None:
        """Compare two encoders; ``None`` where the metric does not exist for one, or nothing can be tested."""
        if a == b or a not in self._values or b not in self._values:
            return None
        return self._closed_form(a, b) or self._resampled(a, b)

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
        return {
            name: replace(d, p_adjusted=d.p if p is None else p)
            for (name, d), p in zip(found.items(), adjusted, strict=True)
        }

    def leaders(self, worse: Sequence[str] = ()) -> frozenset[str]:
        """Return the best encoder and all that a paired test cannot tell from it.

        Empty when the test tells nobody apart: then there is nothing to set off.

        Args:
            worse: Encoders that another comparison of the same page shows to be worse than somebody: they lead in no
                case, so that a page never calls one row both.
        """
        best = self.best()
        differences = self.against(best, self.names)
        tied = {name for name, d in differences.items() if d.p_adjusted >= ALPHA and name not in worse}
        if best is None or len(tied) == len(differences):
            return frozenset()
        return frozenset(tied | {best})

    def _closed_form(self, a: str, b: str) -> Difference | None:
        first, second = self._outcomes[a], self._outcomes[b]
        if self.metric not in ("auc", "fold_auc") or first.kind == "multiclass":
            return None
        found = auc_test(first, second, within_folds=self.metric == "fold_auc")
        if found is None:
            return None
        value, reach = self._values[a] - self._values[b], _Z * found.standard_error
        test = "Obuchowski" if found.clustered else "DeLong"
        return Difference(b, value, value - reach, value + reach, found.p, found.p, test)

    def _resampled(self, a: str, b: str) -> Difference | None:
        if not self.draws:
            return None
        draws = np.round(self.draws[a] - self.draws[b], _DIGITS)
        draws = draws[~np.isnan(draws)]
        if len(draws) < RESAMPLES / 2:
            return None
        low, high = percentile_bounds(draws, LEVEL)
        p = bootstrap_p(draws)
        return Difference(b, self._values[a] - self._values[b], low, high, p, p, "paired bootstrap")
