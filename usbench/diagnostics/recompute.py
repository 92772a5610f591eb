"""Recomputing what diagnostics state from the predictions that are stored with them."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from usbench.diagnostics import perturbation
from usbench.diagnostics.frame_budget import draws_of
from usbench.diagnostics.shortcut import METRIC, shortcut_predictions
from usbench.errors import DataError, UsbenchError
from usbench.results.schema import Estimate, Result
from usbench.statistics import metrics

TOLERANCE = 2e-6


def recheck(result: Result) -> list[tuple[str, str]]:
    """Compare every figure of a diagnostic that follows from stored predictions with what they give.

    Args:
        result: A result whose own predictions are sound.

    Returns:
        Place and what is wrong, empty when nothing is.
    """
    findings = []
    for where, stated, compute in _checks(result):
        try:
            found = compute()
        except (UsbenchError, DataError, KeyError, ValueError, TypeError, IndexError) as error:
            findings.append((where, f"cannot be computed from the predictions ({error})"))
            continue
        for part in ("value", "low", "high"):
            a, b = stated.get(part), getattr(found, part)
            if (a is None) != (b is None) or (a is not None and not math.isclose(a, b, rel_tol=0, abs_tol=TOLERANCE)):
                findings.append((f"{where}, {part}", f"is {a}, the predictions give {b}"))
    return findings


def refreshed(result: Result) -> Result:
    """Return a result whose diagnostics state what its stored predictions give.

    Where subjects are called otherwise, a resample draws others, and the ends of intervals move a little.

    Args:
        result: The result; it stays as it is.
    """
    fresh = replace(result, instruments=copy.deepcopy(result.instruments))
    for _, stated, compute in _checks(fresh):
        found = compute()
        for part in ("value", "low", "high"):
            value = getattr(found, part)
            stated[part] = None if value is None else round(value, 6)
    return fresh


def _checks(result: Result) -> Iterator[tuple[str, dict[str, Any], Any]]:
    shifts = result.instruments.get("shifts")
    if shifts is not None:
        for name, entry in shifts["measured"].items():
            where = f"instruments/shifts/{name}"
            yield where, entry["estimate"], lambda e=entry: _scored(result, shifts, e)
    budget = result.instruments.get("frame_budget", {})
    for point in budget.get("curve", ()):
        if "score" in point:
            where = f"instruments/frame_budget/{point['frames']}"
            yield where, point["estimate"], lambda e=point: _budgeted(result, budget, e)
    shortcut = result.instruments.get("shortcut", {})
    if "repeats" in shortcut:
        yield "instruments/shortcut", shortcut["estimate"], lambda: _shortcut(result, shortcut)


def _scored(result: Result, section: dict[str, Any], entry: dict[str, Any]) -> Estimate:
    repeats = result.protocols[section["protocol"]].repeats
    answers = entry.get("predicted", [repeat.predicted for repeat in repeats])
    shifted = [
        replace(repeat, score=score, predicted=predicted)
        for repeat, score, predicted in zip(repeats, entry["score"], answers, strict=True)
    ]
    return perturbation.estimate(perturbation.read(result, shifted), section["metric"])


def _budgeted(result: Result, section: dict[str, Any], point: dict[str, Any]) -> Estimate:
    draws = draws_of(section, point, result.protocols[section["protocol"]].repeats)
    outcomes = [perturbation.read(result, draw) for draw in draws]
    for stated, found in zip(point.get("draws", ()), outcomes, strict=bool(point.get("draws"))):
        value = metrics.compute(section["metric"], found)
        if (stated is None) != (value is None) or (value is not None and abs(stated - value) > TOLERANCE):
            raise DataError(f"a draw of {point['frames']} frames states {stated}, its predictions give {value}")
    every = perturbation.read(result, [repeat for draw in draws for repeat in draw])
    return perturbation.estimate(every, section["metric"])


def _shortcut(result: Result, section: dict[str, Any]) -> Estimate:
    kept = list(section["subjects"])
    found = shortcut_predictions(section["values"], result.units.subject, kept, section["repeats"])
    return perturbation.estimate(found, METRIC)
