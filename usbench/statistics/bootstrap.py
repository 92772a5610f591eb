"""Intervals by resampling subjects.

The subject is the sampling unit: subjects are drawn with replacement and all units of a drawn subject come
with it, so that two images of one patient do not pose as two patients. Predictions stay fixed; over several
repeats the same draw of subjects is applied to every repeat and the metric averaged. The interval therefore
says how the score of *these* predictions would vary with another sample of patients. It does not include
refitting the probe on other patients.

References:
    Efron B. Better bootstrap confidence intervals. Journal of the American Statistical Association
    1987;82:171-185. Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University
    Press 1997 (section 3.8 for
        resampling whole clusters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from usbench.errors import UsbenchError
from usbench.statistics._types import FloatArray, IntArray
from usbench.statistics.kernels import Kernel
from usbench.statistics.metrics import METRICS, prepare
from usbench.statistics.predictions import Predictions

Method = Literal["percentile", "bca"]

# Weights held at a time: 4 million float64 are 32 MB, whatever the number of units.
_BLOCK = 4_000_000


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval.

    Attributes:
        value: The metric on the data themselves, None where it does not exist.
        low: Lower bound, None where there is no interval.
        high: Upper bound, None where there is no interval.
        level: Confidence level, 0.95 for a 95 % interval.
        method: "percentile" or "bca".
        n_resamples: Number of resamples drawn.
        n_undefined: Resamples in which the metric did not exist; they are left out of the interval.
        n_subjects: Number of subjects that were resampled.
        error: Standard deviation over the resamples; 0 where there is no interval.
    """

    value: float | None
    low: float | None
    high: float | None
    level: float
    method: Method
    n_resamples: int
    n_undefined: int
    n_subjects: int
    error: float = 0.0

    @property
    def degenerate(self) -> bool:
        """Whether the interval has no width, as for a perfect score: resampling cannot say how sure it is."""
        return self.low is not None and self.low == self.high


def bootstrap(
    outcome: Predictions,
    names: Sequence[str] | None = None,
    n_resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    method: Method = "percentile",
    stratify: bool = False,
) -> dict[str, Estimate]:
    """Compute metrics with intervals from one set of resamples.

    Args:
        outcome: What to score; all repeats are resampled jointly.
        names: Keys of `usbench.statistics.METRICS`; None for all that the kind of outcome has.
        n_resamples: Number of resamples, at least 100.
        level: Confidence level, between 0 and 1.
        seed: Seed of the resampling.
        method: "percentile", or "bca" (bias-corrected and accelerated, with a jackknife over subjects), which
            follows skewed distributions such as that of a correlation or an AUC near 1.
        stratify: Resample subjects within classes, so that every resample has the class counts of the data.
            The class of a subject is the highest class among its units. Classification only.

    Returns:
        Estimate by name, in the order of `names`.

    Raises:
        UsbenchError: If an option is out of range, or a regression outcome is to be stratified.
        UnknownNameError: If a metric is unknown or does not fit the outcome.
    """
    chosen = [m.name for m in METRICS.values() if outcome.kind in m.kinds] if names is None else list(names)
    kernels = {name: prepare(name, outcome) for name in chosen}
    draws = draw(outcome, kernels, n_resamples, level, seed, stratify)
    return {name: _estimate(kernel, draws[name], outcome, level, method) for name, kernel in kernels.items()}


def draw(
    outcome: Predictions, kernels: Mapping[str, Kernel], n_resamples: int, level: float, seed: int, stratify: bool
) -> dict[str, FloatArray]:
    """Evaluate kernels on common resamples of an outcome's subjects.

    Args:
        outcome: Gives the subjects, and the classes when stratified.
        kernels: Functions from weights [n_draws, n_units] to values [n_draws].
        n_resamples: Number of resamples, at least 100.
        level: Confidence level; only checked.
        seed: Seed of the resampling.
        stratify: Resample within classes.

    Returns:
        Values by name, float64 [n_resamples], NaN where undefined.

    Raises:
        UsbenchError: If an option is out of range, or a regression outcome is to be stratified.
    """
    if n_resamples < 100:
        raise UsbenchError(f"{n_resamples} resamples are too few for an interval: ask for at least 100.")
    if not 0 < level < 1:
        raise UsbenchError(f"A confidence level of {level} makes no sense: give a share such as 0.95.")
    if stratify and outcome.kind == "regression":
        raise UsbenchError("Resampling within classes needs classes: turn stratification off for regression.")
    strata = np.zeros(outcome.n_groups, np.int64)
    if stratify:
        np.maximum.at(strata, outcome.group, outcome.y.astype(np.int64))
    values: dict[str, list[FloatArray]] = {name: [] for name in kernels}
    for counts in subject_counts(strata, n_resamples, seed, outcome.n_units):
        weights = counts[:, outcome.group]
        for name, kernel in kernels.items():
            values[name].append(kernel(weights))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def subject_counts(strata: IntArray, n_resamples: int, seed: int, n_units: int) -> Iterator[FloatArray]:
    """Draw how often each subject occurs in each resample.

    Args:
        strata: Stratum of each subject, int64 [n_subjects]; each stratum keeps its size.
        n_resamples: Number of resamples in all.
        seed: Seed.
        n_units: Number of units, which bounds the size of a block.

    Yields:
        Counts, float64 [n_block, n_subjects], blocks adding up to `n_resamples` rows.
    """
    rng = np.random.default_rng(seed)
    n_subjects = len(strata)
    block = max(1, _BLOCK // max(n_units, n_subjects))
    members = [np.flatnonzero(strata == s) for s in np.unique(strata)]
    for start in range(0, n_resamples, block):
        rows = min(block, n_resamples - start)
        counts = np.zeros((rows, n_subjects))
        offset = np.arange(rows)[:, None]
        for subjects in members:
            size = len(subjects)
            picks = rng.integers(0, size, (rows, size)) + offset * size
            counts[:, subjects] = np.bincount(picks.ravel(), minlength=rows * size).reshape(rows, size)
        yield counts


def jackknife(kernel: Kernel, outcome: Predictions) -> FloatArray:
    """Evaluate a kernel with each subject left out in turn, float64 [n_subjects]."""
    block = max(1, _BLOCK // outcome.n_units)
    parts = []
    for start in range(0, outcome.n_groups, block):
        left_out = np.arange(start, min(start + block, outcome.n_groups))
        parts.append(kernel((outcome.group != left_out[:, None]).astype(np.float64)))
    return np.concatenate(parts)


def percentile_bounds(draws: FloatArray, level: float) -> tuple[float, float]:
    """Take the central `level` share of the draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def bca_bounds(draws: FloatArray, value: float, left_out: FloatArray, level: float) -> tuple[float, float]:
    """Efron's bias-corrected and accelerated bounds.

    Args:
        draws: Bootstrap values, [n_resamples], all defined.
        value: The value on the data.
        left_out: Jackknife values, [n_subjects]; undefined ones are left out.
        level: Confidence level.

    Returns:
        Lower and upper bound; those of the percentile method where all draws lie on one side of the value.
    """
    normal = NormalDist()
    share = (np.count_nonzero(draws < value) + 0.5 * np.count_nonzero(draws == value)) / len(draws)
    left_out = left_out[~np.isnan(left_out)]
    if not 0 < share < 1 or len(left_out) < 3:
        return percentile_bounds(draws, level)
    influence = left_out.mean() - left_out
    spread = float((influence**2).sum())
    acceleration = 0.0 if spread == 0 else float((influence**3).sum()) / (6 * spread**1.5)
    bias = normal.inv_cdf(share)

    def adjusted(tail: float) -> float:
        z = bias + normal.inv_cdf(tail)
        return normal.cdf(bias + z / (1 - acceleration * z))

    low, high = np.quantile(draws, [adjusted((1 - level) / 2), adjusted((1 + level) / 2)])
    return float(low), float(high)


def _estimate(kernel: Kernel, draws: FloatArray, outcome: Predictions, level: float, method: Method) -> Estimate:
    value = kernel(np.ones((1, outcome.n_units)))[0]
    defined = draws[~np.isnan(draws)]
    undefined = len(draws) - len(defined)
    low: float | None = None
    high: float | None = None
    # With a single subject every resample is the data: the width of zero would be a lie.
    if not np.isnan(value) and outcome.n_groups > 1 and len(defined) >= len(draws) / 2:
        if method == "bca":
            low, high = bca_bounds(defined, float(value), jackknife(kernel, outcome), level)
        else:
            low, high = percentile_bounds(defined, level)
    return Estimate(
        None if np.isnan(value) else float(value),
        low,
        high,
        level,
        method,
        len(draws),
        undefined,
        outcome.n_groups,
        0.0 if low is None else float(np.std(defined)),
    )
