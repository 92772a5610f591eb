"""A result over some of its units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from usbench.results.schema import Result, Units

MIN_SUBJECTS = 5
"""Groups with fewer subjects are listed without a figure: it would say more about chance than about the group."""

MIN_FOR_INTERVAL = 10
"""Fewest subjects, of each class where there are classes, for an interval of a group: smaller ones cover too little."""


def interval_fault(result: Result) -> str:
    """Say why a group has too few subjects for an interval; empty where it has enough.

    Args:
        result: A result over the units of the group.
    """
    units = result.units
    sides: dict[str, set[str]] = {}
    classes = result.dataset["counts"].get("classes", {}) if result.task["kind"] in ("binary", "multiclass") else {}
    for subject, target in zip(units.subject, units.target, strict=True):
        sides.setdefault(str(target) if classes else "", set()).add(subject)
    names = [*classes] if classes else [""]
    fewest = min(names, key=lambda name: len(sides.get(name, ())))
    number = len(sides.get(fewest, ()))
    if number >= MIN_FOR_INTERVAL:
        return ""
    return f"no interval: {number} subjects{f' of class {fewest}' if classes else ''}, of at least {MIN_FOR_INTERVAL}"


def restrict(result: Result, members: list[int]) -> Result:
    """Return a result over some of its units.

    Args:
        result: The result.
        members: Positions of the units to keep.
    """

    def kept(values: Any) -> Any:
        return [values[i] for i in members] if values else values

    units = result.units
    fewer = Units(
        id=kept(units.id),
        subject=kept(units.subject),
        target=kept(units.target),
        strata={name: kept(values) for name, values in units.strata.items()},
        frames=kept(units.frames),
    )
    protocols = {
        name: replace(
            entry,
            repeats=[
                replace(r, fold=kept(r.fold), score=kept(r.score), predicted=kept(r.predicted)) for r in entry.repeats
            ],
        )
        for name, entry in result.protocols.items()
    }
    return replace(result, units=fewer, protocols=protocols)
