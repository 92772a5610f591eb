"""Intervals by resampling subjects.

The subject is the sampling unit: subjects are drawn with replacement and all units of a drawn subject come
with it, so that two images of one patient do not pose as two patients. Predictions stay fixed; over several
repeats the same draw of subjects is applied to every repeat and the metric averaged. The interval therefore
says how the score of *these* predictions would vary with another sample of patients. It does not include
refitting the probe on other patients.

References:
    Davison AC, Hinkley DV. Bootstrap Methods and their Application. Cambridge University Press 1997 (section 3.8 for
        resampling whole clusters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from usbench.errors import UsbenchError
from usbench.statistics._types import FloatArray
from usbench.statistics.kernels import Kernel
from usbench.statistics.metrics import METRICS, prepare
from usbench.statistics.predictions import Predictions

# Weights held at a time: 120,000 float64 are 1 MB, whatever the number of units, and stay in a processor's cache.
# Blocks of 32 MB took three times as long.
_BLOCK = 120_000


@dataclass(frozen=True)
class Estimate:
    """A value with its confidence interval.

    Attributes:
        value: The metric on the data themselves, None where it does not exist.
        low: Lower bound, None where there is no interval.
        high: Upper bound, None where there is no interval.
        error: Standard deviation over the resamples; 0 where there is no interval.
    """

    value: float | None
    low: float | None
    high: float | None
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
) -> dict[str, Estimate]:
    """Compute metrics with intervals from one set of resamples.

    Args:
        outcome: What to score; all repeats are resampled jointly.
        names: Keys of `usbench.statistics.METRICS`; None for all that the kind of outcome has.
        n_resamples: Number of resamples, at least 100.
        level: Confidence level, between 0 and 1.
        seed: Seed of the resampling.

    Returns:
        Estimate by name, in the order of `names`.

    Raises:
        UsbenchError: If an option is out of range.
        UnknownNameError: If a metric is unknown or does not fit the outcome.
    """
    chosen = [m.name for m in METRICS.values() if outcome.kind in m.kinds] if names is None else list(names)
    kernels = {name: prepare(name, outcome) for name in chosen}
    draws = draw(outcome, kernels, n_resamples, level, seed)
    return {name: _estimate(kernel, draws[name], outcome, level) for name, kernel in kernels.items()}


def draw(
    outcome: Predictions, kernels: Mapping[str, Kernel], n_resamples: int, level: float, seed: int
) -> dict[str, FloatArray]:
    """Evaluate kernels on common resamples of an outcome's subjects.

    Args:
        outcome: Gives the subjects.
        kernels: Functions from weights [n_draws, n_units] to values [n_draws].
        n_resamples: Number of resamples, at least 100.
        level: Confidence level; only checked.
        seed: Seed of the resampling.

    Returns:
        Values by name, float64 [n_resamples], NaN where undefined.

    Raises:
        UsbenchError: If an option is out of range.
    """
    if n_resamples < 100:
        raise UsbenchError(f"{n_resamples} resamples are too few for an interval: ask for at least 100.")
    if not 0 < level < 1:
        raise UsbenchError(f"A confidence level of {level} makes no sense: give a share such as 0.95.")
    values: dict[str, list[FloatArray]] = {name: [] for name in kernels}
    for counts in subject_counts(outcome.n_groups, n_resamples, seed, outcome.n_units):
        weights = counts[:, outcome.group]
        for name, kernel in kernels.items():
            values[name].append(kernel(weights))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def subject_counts(n_subjects: int, n_resamples: int, seed: int, n_units: int) -> Iterator[FloatArray]:
    """Draw how often each subject occurs in each resample.

    Args:
        n_subjects: Number of subjects.
        n_resamples: Number of resamples in all.
        seed: Seed.
        n_units: Number of units, which bounds the size of a block.

    Yields:
        Counts, float64 [n_block, n_subjects], blocks adding up to `n_resamples` rows.
    """
    rng = np.random.default_rng(seed)
    block = max(1, _BLOCK // max(n_units, n_subjects))
    for start in range(0, n_resamples, block):
        rows = min(block, n_resamples - start)
        picks = rng.integers(0, n_subjects, (rows, n_subjects)) + np.arange(rows)[:, None] * n_subjects
        counts = np.bincount(picks.ravel(), minlength=rows * n_subjects).reshape(rows, n_subjects)
        yield counts.astype(np.float64)


def percentile_bounds(draws: FloatArray, level: float) -> tuple[float, float]:
    """Take the central `level` share of the draws."""
    low, high = np.quantile(draws, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _estimate(kernel: Kernel, draws: FloatArray, outcome: Predictions, level: float) -> Estimate:
    value = kernel(np.ones((1, outcome.n_units)))[0]
    defined = draws[~np.isnan(draws)]
    low: float | None = None
    high: float | None = None
    # With a single subject every resample is the data: the width of zero would be a lie.
    if not np.isnan(value) and outcome.n_groups > 1 and len(defined) >= len(draws) / 2:
        low, high = percentile_bounds(defined, level)
    spread = 0.0 if low is None else float(np.std(defined))
    return Estimate(None if np.isnan(value) else float(value), low, high, spread)
