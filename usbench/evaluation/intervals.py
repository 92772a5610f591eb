"""Metrics of stored predictions with their intervals: the one place where both come from.

A result of a protocol that trains holds the scores of half-samples (`usbench.probes.half_samples`), and its intervals
come from them. Without them (too few subjects to halve, nothing trained, or a result of before there were any) an
interval holds predictions fixed, and says so: its error is DeLong's or Obuchowski's for an AUC and that of resampled
subjects otherwise, on the scale of `usbench.statistics.half_samples`. A perfect score has its exact bound, and fewer
than `MIN_FOR_INTERVAL` subjects on whom a metric rests have no interval.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from usbench.results.schema import Estimate
from usbench.statistics.auc_variance import auc_covariance
from usbench.statistics.bootstrap import Estimate as Resampled
from usbench.statistics.bootstrap import bootstrap
from usbench.statistics.half_samples import exact_bound, half_sample_error, interval, standard_error
from usbench.statistics.metrics import find_metric
from usbench.statistics.predictions import Predictions
from usbench.statistics.thresholds import at_threshold, is_auc

RESAMPLES = 2000
HALF_SAMPLES = "half-samples"
FIXED = "fixed predictions"
MIN_FOR_INTERVAL = 5
"""Fewest subjects, of each class on which a metric rests, for an interval other than an exact bound."""


def estimates(
    outcome: Predictions, names: Sequence[str], uncertainty: Mapping[str, Any] | None = None
) -> dict[str, Estimate]:
    """Compute metrics and their 95 % intervals.

    Args:
        outcome: Stored predictions.
        names: Metrics.
        uncertainty: Of the protocol's result; empty for results of before there were half-samples, whose intervals are
            percentiles of the bootstrap as they were, except where these have no width.

    Returns:
        Estimate by name, rounded as they are stored.
    """
    found = bootstrap(outcome, names, n_resamples=RESAMPLES, seed=0)
    if not uncertainty:
        return {name: _percentiles(name, outcome, e) for name, e in found.items()}
    halves, rule = uncertainty.get("halves", {}), int(uncertainty.get("rule", 1))
    return {name: _estimate(name, outcome, e, halves.get(name), rule) for name, e in found.items()}


def _percentiles(name: str, outcome: Predictions, resampled: Resampled) -> Estimate:
    value = resampled.value
    if value is None or not resampled.degenerate:
        return _rounded(value, resampled.low, resampled.high)
    return _rounded(value, *(_exact(name, value, outcome) or (None, None)))


def _estimate(name: str, outcome: Predictions, resampled: Resampled, halves: Any, rule: int) -> Estimate:
    value = resampled.value
    if value is None:
        return Estimate(None)
    bounds: tuple[float, float] | None = None
    if halves and half_sample_error(halves) is not None:
        bounds = interval(name, value, standard_error(resampled.error, halves, subjects=outcome.n_groups, rule=rule))
    elif fewest_subjects(name, outcome) >= MIN_FOR_INTERVAL and not resampled.degenerate and resampled.low is not None:
        known = _auc_error(name, outcome)
        bounds = interval(name, value, resampled.error if known is None else known)
    return _rounded(value, *(bounds or _exact(name, value, outcome) or (None, None)))


def fixed_error(name: str, outcome: Predictions, n_resamples: int = RESAMPLES) -> float:
    """Return the standard error of a metric under fixed predictions.

    That of an AUC is known in closed form, which costs less than resamples and holds where positives are few.

    Args:
        name: The metric.
        outcome: What it is computed from.
        n_resamples: Resamples of the subjects for metrics without a closed form.

    Returns:
        The error; 0 where there is none.
    """
    found = _auc_error(name, outcome)
    return bootstrap(outcome, [name], n_resamples=n_resamples, seed=0)[name].error if found is None else found


def _auc_error(name: str, outcome: Predictions) -> float | None:
    outcome = at_threshold(name, outcome)
    if is_auc(name) and outcome.kind != "multiclass":
        found = auc_covariance(outcome, outcome, within_folds=name == "fold_auc")
        if found is not None and found[2][0, 0] > 0:
            return float(np.sqrt(found[2][0, 0]))
    return None


def _exact(name: str, value: float, outcome: Predictions) -> tuple[float, float] | None:
    """Return the bounds of a share, or of an AUC, of exactly 0 or 1."""
    metric = find_metric(name)
    return exact_bound(value, fewest_subjects(name, outcome)) if metric and metric.scale == "share" else None


def fewest_subjects(name: str, outcome: Predictions) -> int:
    """Return on how many subjects a metric rests: for a ranking those of the rarer side.

    Args:
        name: The metric.
        outcome: What it is computed from.
    """
    outcome = at_threshold(name, outcome)
    if is_auc(name) and outcome.kind in ("regression", "ordinal"):
        if outcome.threshold is None:
            return 0
        sides = [outcome.y >= outcome.threshold, outcome.y < outcome.threshold]
    elif name == "accuracy" or outcome.kind in ("regression", "ordinal"):
        return outcome.n_groups
    elif name in ("sensitivity", "specificity"):
        sides = [outcome.y == (name == "sensitivity")]
    else:
        sides = [outcome.y == label for label in range(outcome.n_classes)]
    return min(len(np.unique(outcome.group[side])) for side in sides)


def interval_note(outcome: Predictions, names: Sequence[str]) -> str:
    """Say for which metrics there are too few subjects for an interval; empty where there are enough.

    Args:
        outcome: Stored predictions.
        names: Metrics.
    """
    few = {name: n for name in names if (n := fewest_subjects(name, outcome)) < MIN_FOR_INTERVAL}
    if not few:
        return ""
    told = ", ".join(metric.title if (metric := find_metric(name)) else name for name in few)
    return (
        f"No interval, unless a score is perfect, for {told}: {min(few.values())} subjects are too few where at least "
        f"{MIN_FOR_INTERVAL} of each class are needed."
    )


def _rounded(value: float | None, low: float | None, high: float | None) -> Estimate:
    return Estimate(*(None if v is None else round(float(v), 6) for v in (value, low, high)))
