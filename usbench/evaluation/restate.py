"""Intervals of results that an earlier rule wrote, computed anew from what the results hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from usbench.evaluation.drop import with_drop
from usbench.evaluation.intervals import estimates
from usbench.evaluation.scoring import metric_names, predictions_of
from usbench.results.schema import ProtocolResult, Result
from usbench.statistics.half_samples import RULE


def with_current_intervals(result: Result) -> Result:
    """Return a result whose intervals follow the rule of today; nothing is encoded or trained for it.

    Results of before there were half-samples hold nothing that today's rule could start from, and stay as they are.

    Args:
        result: Any result.

    Returns:
        The same object where no interval is older.

    Raises:
        ResultError: The predictions do not fit the units.
    """
    protocols = {name: _restated(result, name, entry) for name, entry in result.protocols.items()}
    drop = result.figures.get("drop") or {}
    old_drop = is_of_earlier_rule(drop.get("uncertainty", {}))
    if not old_drop and all(protocols[name] is entry for name, entry in result.protocols.items()):
        return result
    figures = result.figures
    if old_drop:
        figures = {**figures, "drop": {**drop, "uncertainty": _of_today(drop["uncertainty"])}}
    return with_drop(replace(result, protocols=protocols, figures=figures))


def is_of_earlier_rule(uncertainty: Mapping[str, Any]) -> bool:
    """Say whether intervals were made from half-samples by an earlier rule than today's.

    Args:
        uncertainty: As of :class:`usbench.results.schema.ProtocolResult`.
    """
    return "halves" in uncertainty and int(uncertainty.get("rule", 1)) < RULE


def _restated(result: Result, name: str, entry: ProtocolResult) -> ProtocolResult:
    if not entry.repeats or not is_of_earlier_rule(entry.uncertainty):
        return entry
    uncertainty = _of_today(entry.uncertainty)
    predictions = predictions_of(result, name)
    # Not the registered names alone: a further threshold has metrics of its own, such as auc_at_40.
    known = [metric for metric in metric_names(predictions) if metric in entry.metrics]
    found = estimates(predictions, known, uncertainty)
    return replace(entry, metrics={**entry.metrics, **found}, uncertainty=uncertainty)


def _of_today(uncertainty: dict[str, Any]) -> dict[str, Any]:
    rest = {key: value for key, value in uncertainty.items() if key not in ("method", "rule")}
    return {"method": uncertainty["method"], "rule": RULE, **rest}
