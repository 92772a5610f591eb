"""Does an encoder do as well for everybody? The primary metric in each group of units."""

from __future__ import annotations

from dataclasses import dataclass

from usbench.errors import ResultError
from usbench.evaluation.intervals import estimates
from usbench.evaluation.scoring import predictions_of
from usbench.leaderboard.board import Board, Entry
from usbench.results.schema import Estimate, Result
from usbench.results.subset import MIN_SUBJECTS, interval_fault, restrict


@dataclass(frozen=True)
class Stratum:
    """One group.

    Attributes:
        column: Stratum column, such as ``device``.
        value: Its value.
        subjects: Number of subjects.
        units: Number of units.
        estimate: The metric in this group; without value where it does not exist or the group is too small, without
            interval where it has too few subjects for one.
        note: Why there is no interval or no value; empty where there are both.
    """

    column: str
    value: str
    subjects: int
    units: int
    estimate: Estimate
    note: str = ""


def strata_of(board: Board, entry: Entry, protocol: str | None = None) -> list[Stratum]:
    """Break the primary metric of an entry down by every stratum column that its result holds.

    Args:
        board: The board.
        entry: One of its entries.
        protocol: Protocol; the headline by default.

    Returns:
        Groups in the order of columns and values; columns with one value only are left out.
    """
    protocol = protocol or board.headline
    metric = board.primary(protocol)
    result = entry.result
    if metric is None or protocol not in result.protocols:
        return []
    found = []
    for column, values in result.units.strata.items():
        names = sorted({str(v) for v in values if v is not None})
        if len(names) < 2:
            continue
        for name in names:
            members = [i for i, v in enumerate(values) if v is not None and str(v) == name]
            subjects = len({result.units.subject[i] for i in members})
            estimate, note = Estimate(None), f"too small: {subjects} of at least {MIN_SUBJECTS} subjects"
            if subjects >= MIN_SUBJECTS:
                part = restrict(result, members)
                estimate, note = _estimate(part, protocol, metric), interval_fault(part)
                estimate = Estimate(estimate.value) if note else estimate
            found.append(Stratum(column, name, subjects, len(members), estimate, note))
    return found


def _estimate(result: Result, protocol: str, metric: str) -> Estimate:
    try:
        return estimates(predictions_of(result, protocol), [metric])[metric]
    except ResultError:  # no unit of this group was tested
        return Estimate(None)
