"""Outcomes of results together with the names of their units, so that only like is compared with like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from usbench.errors import DataError, ResultError
from usbench.evaluation import outcome_of
from usbench.results import Result
from usbench.statistics.outcome import Outcome


@dataclass(frozen=True, eq=False)
class Scored:
    """An outcome with the names of its units.

    Attributes:
        units: Ids of the units that were tested, in the order of the arrays.
        truth: Their true classes or values, as written in the result.
        outcome: The arrays.
    """

    units: tuple[str, ...]
    truth: tuple[Any, ...]
    outcome: Outcome

    def comparable(self, other: Scored) -> bool:
        """Whether both decided about the same units with the same truth, so that a paired test is meaningful."""
        return self.units == other.units and self.truth == other.truth


def scored(result: Result, protocol: str, where: str = "") -> Scored:
    """Rebuild the outcome of one protocol from the predictions.

    Args:
        result: The result.
        protocol: One of its protocols.
        where: File name for messages.

    Returns:
        The outcome over all units that were tested; units that were only trained on are left out.

    Raises:
        ResultError: The predictions do not fit the units, or the protocol is absent.
    """
    if protocol not in result.protocols:
        raise ResultError(f"{where or result.encoder['name']}: has no protocol {protocol!r}.")
    repeats = result.protocols[protocol].repeats
    if not repeats:
        raise ResultError(f"{where or result.encoder['name']}, {protocol}: no predictions. Run the task again.")
    tested = [i for i, fold in enumerate(repeats[0].fold) if fold is not None]
    try:
        outcome = outcome_of(result, protocol)
    except (ResultError, DataError) as error:
        raise ResultError(f"{where}: {error}" if where else str(error)) from None
    units, target = result.units.id, result.units.target
    return Scored(tuple(units[i] for i in tested), tuple(target[i] for i in tested), outcome)
