"""Metrics of stored predictions with their intervals: the one place where both come from.

A result of a protocol that trains holds the scores of half-samples (`usbench.probes.half_samples`), and its intervals
come from them. Without them (too few subjects to halve, nothing trained, or a result of before there were any) an
interval resamples subjects under fixed predictions, and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from usbench.results.schema import Estimate
from usbench.statistics.bootstrap import Estimate as Resampled
from usbench.statistics.bootstrap import bootstrap
from usbench.statistics.half_samples import exact_bound, half_sample_error, interval, refit_error
from usbench.statistics.metrics import find_metric
from usbench.statistics.outcome import Outcome
from usbench.statistics.thresholds import at_threshold

RESAMPLES = 2000
HALF_SAMPLES = "half-samples"
FIXED = "fixed predictions"


def estimates(
    outcome: Outcome, names: Sequence[str], uncertainty: Mapping[str, Any] | None = None
) -> dict[str, Estimate]:
    """Compute metrics and their 95 % intervals.

    Args:
        outcome: Stored predictions.
        names: Metrics.
        uncertainty: Of the protocol's result; empty for results of before there were half-samples, whose intervals are
            percentiles of the bootstrap as they were.

    Returns:
        Estimate by name, rounded as they are stored.
    """
    found = bootstrap(outcome, names, n_resamples=RESAMPLES, seed=0)
    if not uncertainty:
        return {name: _rounded(e.value, e.low, e.high) for name, e in found.items()}
    halves = uncertainty.get("halves", {})
    return {name: _estimate(name, outcome, e, halves.get(name)) for name, e in found.items()}


def _estimate(name: str, outcome: Outcome, resampled: Resampled, halves: Any) -> Estimate:
    value = resampled.value
    if value is None:
        return Estimate(None)
    error = half_sample_error(halves) if halves else None
    bounds: tuple[float, float] | None = None
    if error is not None:
        bounds = interval(name, value, refit_error(resampled.error or None, error))
    elif not resampled.degenerate and resampled.low is not None and resampled.high is not None:
        bounds = (resampled.low, resampled.high)
    known = find_metric(name)
    if bounds is None and known is not None and known.scale == "share":
        bounds = exact_bound(value, _fewest(name, at_threshold(name, outcome)))
    return _rounded(value, *(bounds or (None, None)))


def _fewest(name: str, outcome: Outcome) -> int:
    """Number of subjects of whom each has to be right for a perfect score: for a ranking those of the rarer side."""
    if name == "accuracy":
        return outcome.n_groups
    if outcome.kind in ("regression", "ordinal"):
        if outcome.threshold is None:
            return 0
        sides = [outcome.y >= outcome.threshold, outcome.y < outcome.threshold]
    else:
        sides = [outcome.y == label for label in range(outcome.n_classes)]
    return min(len(np.unique(outcome.group[side])) for side in sides)


def _rounded(value: float | None, low: float | None, high: float | None) -> Estimate:
    return Estimate(*(None if v is None else round(float(v), 6) for v in (value, low, high)))
