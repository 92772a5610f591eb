"""Who can be distinguished from whom on one board: the one policy behind pages, reports and ``usbench compare``.

*Difference.* Its standard error knows of refitting: it joins half-samples, in which both encoders were refitted on the
same subjects, with the error of fixed predictions (DeLong or Obuchowski for an AUC, resampled subjects otherwise),
which is all there is where an encoder has no half-samples. Interval and p-value are two readings of the same error, so
that they cannot contradict each other: the 95 % interval excludes zero exactly when the uncorrected p is below 5 %.

*Few subjects.* With fewer than 20 subjects, or 10 of a class, nothing is halved and no standard error is to be relied
on. There the two are exchanged subject by subject as well (`usbench.statistics.paired_permutation`); p is the larger of
both, and the interval the wider, so that it still excludes zero exactly when p is below 5 %.

*Baselines.* The best one is picked by its score. To beat it is the harder for that, so p is corrected for the number of
encoders only; to be worse than it is the easier, so p is then corrected for encoders times baselines (Holm). An
encoder's untrained twin and texture are named before any score is known, and are compared for their own sake.

*Bold.* The best by its score, and everybody whom a comparison with the best does not tell from it (Hsu 1996): the
critical value holds for all pairs of the board at once, from resamples on which all encoders are scored jointly. Nobody
is shown to be worse than a baseline who is not also told from the best.

References:
    Hsu JC. Multiple Comparisons: Theory and Methods. Chapman & Hall 1996.
    Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 1979;6:65-70.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from math import inf
from statistics import NormalDist, median

import numpy as np

from usbench.core.names import split_variant
from usbench.statistics._types import FloatArray
from usbench.statistics.auc_variance import metric_test
from usbench.statistics.bootstrap import draw
from usbench.statistics.exact import holm
from usbench.statistics.half_samples import (
    MIN_OF_A_CLASS,
    MIN_SUBJECTS,
    half_sample_error,
    normal_p,
    standard_error,
)
from usbench.statistics.metrics import get_metric, prepare
from usbench.statistics.paired_permutation import exchange_test
from usbench.statistics.predictions import Predictions

RESAMPLES = 2000
LEVEL = 0.95
ALPHA = 1 - LEVEL
POWER = 0.8
MARGIN = 0.03
"""Differences of a share or an AUC that are small enough to call two encoders equivalent."""

_TWIN = ".random"
HALF_SAMPLES = "half-sample refits"
EXACT = "exact permutation"
PERMUTATION = "permutation"
_Z = NormalDist().inv_cdf((1 + LEVEL) / 2)
# Resampled metrics are sums of a few thousand terms at most: digits beyond these are rounding, which differs between
# processors and numbers of threads and would turn ties into differences.
_DIGITS = 10
# Weights that are held at a time, as float64: few enough to stay in a processor's cache.
_BLOCK = 120_000


@dataclass(frozen=True)
class Difference:
    """One encoder minus another, on the same units.

    Attributes:
        against: Name of the other encoder.
        value: Difference of the metric, in its own unit.
        low: Lower end of the 95 % interval.
        high: Upper end.
        p: Two-sided p-value.
        p_adjusted: The same after the correction for the comparisons it is read together with.
        test: Where the standard error comes from.
        error: The standard error by which a normal distribution would give the same interval.
    """

    against: str
    value: float
    low: float
    high: float
    p: float
    p_adjusted: float
    test: str
    error: float = 0.0

    def within(self, margin: float) -> bool:
        """Whether the whole interval lies closer to zero than a margin."""
        return -margin < self.low and self.high < margin


@dataclass(frozen=True)
class Standing:
    """What the paired tests say about one board and protocol.

    Attributes:
        metric: The metric it is ranked by; ``None`` where there is none.
        comparator: Scores and differences.
        best_floor: The baseline with the best point estimate.
        differences: Encoder name to its difference to the best baseline.
        leaders: The best and those not significantly different from it; empty when nobody can be distinguished.
        references: Encoder name to its differences to the baselines named beforehand.
        detectable: True difference to the best baseline that is found in 80 % of such cohorts; ``None`` if unknown.
    """

    metric: str | None
    comparator: Comparator
    best_floor: str | None
    differences: dict[str, Difference]
    leaders: frozenset[str]
    references: Mapping[str, tuple[Difference, ...]]
    detectable: float | None


class Comparator:
    """Compares several encoders of one board in one metric.

    Args:
        metric: Name of the metric.
        predictions: Encoder name to predictions; all over the same units.
    """

    def __init__(self, metric: str, predictions: Mapping[str, Predictions]) -> None:
        self.metric = metric
        self.higher_is_better = get_metric(metric).higher_is_better
        self._predictions: dict[str, Predictions] = {}
        self._values: dict[str, float] = {}
        self._halves = {}
        self._kernels = {}
        self._differences: dict[tuple[str, str], Difference | None] = {}
        for name, item in predictions.items():
            kernel = prepare(metric, item)
            value = float(kernel(np.ones((1, item.n_units)))[0])
            if not np.isnan(value):
                self._predictions[name], self._values[name] = item, value
                self._kernels[name] = kernel
                self._halves[name] = item.halves.get(metric)

    @property
    def names(self) -> list[str]:
        """The encoders for which the metric exists."""
        return list(self._values)

    def value(self, name: str) -> float | None:
        """Return the metric of one encoder, ``None`` where it does not exist."""
        return self._values.get(name)

    @cached_property
    def draws(self) -> dict[str, FloatArray]:
        """The metric of every encoder on common resamples of the subjects."""
        return self.resampled(RESAMPLES)

    def resampled(self, n_resamples: int) -> dict[str, FloatArray]:
        """Return the metric of every encoder on common resamples of the subjects.

        Args:
            n_resamples: How many.

        Returns:
            float64 ``[n_resamples]`` by name, NaN where undefined; nothing with fewer than two subjects.
        """
        if not self._predictions:
            return {}
        reference = next(iter(self._predictions.values()))
        if reference.n_groups < 2:
            return {}
        found = draw(reference, self._kernels, n_resamples, LEVEL, seed=0)
        return {name: np.round(values, _DIGITS) for name, values in found.items()}

    def weighted(self, counts: FloatArray) -> dict[str, FloatArray]:
        """Return the metric of every encoder on resamples that were drawn elsewhere, for several boards at once.

        Args:
            counts: How often each subject occurs in each resample, float64 ``[n_resamples, n_subjects]``.

        Returns:
            float64 ``[n_resamples]`` by name, NaN where undefined.
        """
        found: dict[str, FloatArray] = {}
        for name, kernel in self._kernels.items():
            outcome = self._predictions[name]
            blocks = np.array_split(counts, max(1, counts.shape[0] * outcome.n_units // _BLOCK))
            values = np.concatenate([kernel(block[:, outcome.group]) for block in blocks])
            found[name] = np.round(values, _DIGITS)
        return found

    def best(self, names: Sequence[str] | None = None) -> str | None:
        """Return the best by the point estimate, the first by name among equals.

        Args:
            names: Whom to choose from; everybody by default.
        """
        sign = -1.0 if self.higher_is_better else 1.0
        known = sorted(name for name in (self.names if names is None else names) if name in self._values)
        return min(known, key=lambda name: sign * self._values[name]) if known else None

    def better(self, difference: Difference) -> bool:
        """Whether the first of the two is ahead."""
        return difference.value > 0 if self.higher_is_better else difference.value < 0

    def difference(self, a: str, b: str) -> Difference | None:
        """Compare two encoders; ``None`` where the metric does not exist for one, or nothing can be tested."""
        if (a, b) not in self._differences:
            self._differences[a, b] = self._difference(a, b)
        return self._differences[a, b]

    def _difference(self, a: str, b: str) -> Difference | None:
        if a == b or a not in self._values or b not in self._values:
            return None
        value = self._values[a] - self._values[b]
        fixed, test = self._fixed_error(a, b)
        first, second = self._halves[a], self._halves[b]
        halved = half_sample_error(first, second) if first and second and len(first) == len(second) else None
        if halved is None and few_subjects(self._predictions[a]):
            found = exchange_test(self._predictions[a], self._predictions[b], self.metric)
            if found is not None:
                reach = max(_Z * (fixed or 0.0), found.critical)
                p = max(found.p, normal_p(value, fixed) if fixed else 0.0)
                told = EXACT if found.exact else PERMUTATION
                return Difference(b, value, value - reach, value + reach, p, p, told, reach / _Z)
        if fixed is None and halved is None:
            return None
        halves = (None, None) if halved is None else (first, second)
        error = standard_error(fixed, *halves, subjects=self._predictions[a].n_groups)
        test = test if halved is None else HALF_SAMPLES
        if error.value == 0 and abs(value) > 10**-_DIGITS:
            return None  # every resample repeats the difference: nothing says how sure it is
        p, reach = error.p(value) if error.value > 0 else 1.0, error.reach(LEVEL)
        return Difference(b, value, value - reach, value + reach, p, p, test, reach / _Z)

    def against(self, reference: str | None, names: Sequence[str]) -> dict[str, Difference]:
        """Compare several encoders with one, with Holm's correction over all of them.

        Args:
            reference: The encoder compared with; ``None`` gives nothing.
            names: The others; the reference itself is skipped.
        """
        if reference is None:
            return {}
        found = corrected({(name, reference): self.difference(name, reference) for name in names})
        return {name: d for (name, _), d in found.items()}

    @cached_property
    def p_best(self) -> dict[str, float]:
        """The p value of each encoder's difference to the best, corrected for all pairs of the board at once."""
        best = self.best()
        found = {}
        for name in self.names:
            d = None if best is None else self.difference(name, best)
            if d is None or d.error == 0 or len(self._largest) == 0:
                found[name] = 1.0
                continue
            # The normal deviate of the same p: the error is estimated, and reaches farther in the tails.
            deviate = -NormalDist().inv_cdf(d.p / 2) if d.p > 0 else inf
            # The observed sample itself counts as one of those that are as large.
            reached = int((self._largest >= deviate).sum())
            found[name] = max((1 + reached) / (1 + len(self._largest)), d.p)
        return found

    def leaders(self) -> frozenset[str]:
        """Return the best encoder and all that a comparison with the best does not tell from it.

        Empty when it tells nobody apart: then there is nothing to set off.
        """
        tied = frozenset(name for name, p in self.p_best.items() if p >= ALPHA)
        return frozenset() if len(tied) == len(self.names) else tied

    @cached_property
    def _largest(self) -> FloatArray:
        """The largest standardised difference of any pair in each joint resample, were all encoders equal."""
        draws = np.array(list(self.draws.values()))
        if len(draws) < 2:
            return np.zeros(0)
        draws = draws[:, ~np.isnan(draws).any(axis=0)]
        largest: FloatArray = np.zeros(draws.shape[1])
        if len(largest) < RESAMPLES / 2:
            return np.zeros(0)
        for a, b in combinations(draws, 2):
            gap = np.round(a - b, _DIGITS)
            spread = float(gap.std())
            if spread > 10**-_DIGITS:
                np.maximum(largest, np.abs(gap - gap.mean()) / spread, out=largest)
        return np.round(largest, _DIGITS)

    def _fixed_error(self, a: str, b: str) -> tuple[float | None, str]:
        """Standard error of a difference under fixed predictions, and where it comes from."""
        found = metric_test(self.metric, self._predictions[a], self._predictions[b])
        if found is not None:
            return found.standard_error, "Obuchowski" if found.clustered else "DeLong"
        if not self.draws:
            return None, ""
        draws = np.round(self.draws[a] - self.draws[b], _DIGITS)
        draws = draws[~np.isnan(draws)]
        return (None if len(draws) < RESAMPLES / 2 else float(draws.std())), "paired bootstrap"


def few_subjects(outcome: Predictions) -> bool:
    """Whether there are too few subjects to halve them, so that no standard error is to be relied on.

    Args:
        outcome: Predictions of any encoder of the board.
    """
    if outcome.n_groups < MIN_SUBJECTS:
        return True
    if outcome.kind in ("regression", "ordinal"):
        return False
    of_class = [len(np.unique(outcome.group[outcome.y == k])) for k in range(outcome.n_classes)]
    return min(of_class) < MIN_OF_A_CLASS


def corrected(found: Mapping[tuple[str, str], Difference | None]) -> dict[tuple[str, str], Difference]:
    """Correct differences that are read together for their number (Holm).

    Args:
        found: Pair to its difference; those that do not exist are left out and do not count.
    """
    known = {pair: d for pair, d in found.items() if d is not None}
    adjusted = holm([d.p for d in known.values()])
    return {
        pair: replace(d, p_adjusted=d.p if p is None else p)
        for (pair, d), p in zip(known.items(), adjusted, strict=True)
    }


def named_beforehand(encoder: str, floors: Iterable[str], spelt: Mapping[str, str] | None = None) -> list[str]:
    """Return the baselines an encoder is compared with whatever their scores: its untrained twin, and texture.

    The twin of a variant is the same variant untrained; where that is not on the board, the twin as it comes. Another
    set of weights of a network, ``tusa.scratch``, has the twin of that network.

    Args:
        encoder: Name of the encoder.
        floors: Names of the baselines of the board.
        spelt: Name of a row to the name by which commands take it, where that is another.
    """
    names, known = list(floors), spelt or {}
    parted = {name: split_variant(known.get(name, name)) for name in (encoder, *names)}
    own, variant = parted[encoder]
    untrained = {n: parted[n][0].replace(_TWIN, "", 1) for n in names if _TWIN in parted[n][0]}
    twins = [n for n, network in untrained.items() if network == own]
    if not twins and "+" not in own:  # a combination with another set of weights is no set of weights
        twins = [n for n, network in untrained.items() if network == own.rpartition(".")[0]]
    same = [n for n in twins if parted[n][1] == variant] or [n for n in twins if not parted[n][1]]
    return [name for name in names if name == "texture" or name in same]


def stand(
    comparator: Comparator, encoders: Sequence[str], floors: Sequence[str], spelt: Mapping[str, str] | None = None
) -> Standing:
    """Draw all conclusions that a board states.

    Args:
        comparator: Scores of all of them.
        encoders: Names of the encoders that are judged.
        floors: Names of the baselines.
        spelt: Name of a row to the name by which commands take it, where that is another.
    """
    best = comparator.best(floors)
    pairs = [(name, floor) for name in encoders for floor in floors]
    every = corrected({pair: comparator.difference(*pair) for pair in pairs})
    differences = {}
    for name, d in comparator.against(best, encoders).items():
        behind = not comparator.better(d)
        p = max(d.p_adjusted, every[name, d.against].p_adjusted, comparator.p_best[name]) if behind else d.p_adjusted
        differences[name] = replace(d, p_adjusted=p)
    named = corrected(
        {(n, f): comparator.difference(n, f) for n in encoders for f in named_beforehand(n, floors, spelt)}
    )
    references: dict[str, tuple[Difference, ...]] = {}
    for (name, _), d in named.items():
        p = d.p_adjusted if comparator.better(d) else max(d.p_adjusted, comparator.p_best[name])
        references[name] = (*references.get(name, ()), replace(d, p_adjusted=p))
    errors = [d.error for d in differences.values() if d.error > 0]
    detectable = (_Z + NormalDist().inv_cdf(POWER)) * median(errors) if errors else None
    return Standing(comparator.metric, comparator, best, differences, comparator.leaders(), references, detectable)
