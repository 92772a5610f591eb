"""How much of a score comes from tuning on the folds that are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usbench.errors import DataError
from usbench.statistics.metrics import get_metric
from usbench.statistics.paired import compare
from usbench.statistics.predictions import Predictions


@dataclass(frozen=True)
class Optimism:
    """Flat minus nested score of one encoder.

    Attributes:
        metric: Key of `usbench.statistics.METRICS`.
        flat: Score with tuning on the scored folds, None where it does not exist.
        nested: Score with tuning inside the training folds.
        difference: Flat minus nested, turned so that positive always means that flat tuning flatters.
        low: Lower 95 % bound, subjects resampled.
        high: Upper 95 % bound.
    """

    metric: str
    flat: float | None
    nested: float | None
    difference: float | None
    low: float | None
    high: float | None


def optimism(
    flat: Predictions,
    nested: Predictions,
    metrics: Sequence[str] = ("accuracy", "auc"),
    n_resamples: int = 2000,
    seed: int = 0,
) -> dict[str, Optimism]:
    """Measure the optimism of a protocol that tunes on the folds it scores.

    Both protocols should have run on the same splits, so that nothing else differs.

    Args:
        flat: Predictions of the flat protocol, such as "svc-paper@1".
        nested: Predictions of the nested one, such as "svc-nested@1".
        metrics: Keys of `usbench.statistics.METRICS`.
        n_resamples: Bootstrap resamples of subjects.
        seed: Seed of the resampling.

    Returns:
        The optimism by metric.

    Raises:
        DataError: If the two did not answer for the same units in the same folds.
    """
    if flat.fold.shape != nested.fold.shape or (flat.fold != nested.fold).any():
        raise DataError("Flat and nested protocol ran on different splits: run both on the same ones.")
    found = {}
    for metric in metrics:
        c = compare(flat, nested, metric, "flat", "nested", n_resamples, seed=seed)
        bounds = (c.difference, c.low, c.high)
        if not get_metric(metric).higher_is_better and c.difference is not None:
            bounds = (-c.difference, None if c.high is None else -c.high, None if c.low is None else -c.low)
        found[metric] = Optimism(metric, c.value_a, c.value_b, *bounds)
    return found
