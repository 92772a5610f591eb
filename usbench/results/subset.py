"""A result over some of its units."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from usbench.results.schema import Result, Units

MIN_SUBJECTS = 5
"""Groups with fewer subjects are listed without a figure: it would say more about chance than about the group."""


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
