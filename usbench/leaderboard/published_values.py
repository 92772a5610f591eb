"""Values that others have published, kept apart from everything measured here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from usbench.errors import ResultError


@dataclass(frozen=True)
class Cell:
    """One printed value.

    Attributes:
        printed: As printed, spread included.
        value: As a number in the unit of result files: shares from 0 to 1, targets in their own unit.
        sd: Spread as printed, where there is one.
    """

    printed: str
    value: float
    sd: float | None = None


@dataclass(frozen=True)
class ReportedRow:
    """What a publication says of one encoder."""

    encoder: str
    title: str
    metrics: Mapping[str, Cell]


@dataclass(frozen=True)
class Reported:
    """What a publication says of one task.

    Attributes:
        task: Key, by which tasks refer to it.
        source: ``citation``, ``table``, ``section`` and others.
        protocol: How the values came about, one sentence.
        sample: Numbers of subjects and units; ``None`` where not stated.
        rows: One an encoder.
        absent: Encoders that were left out, and why.
        notes: What a reader should know.
    """

    task: str
    source: Mapping[str, str]
    protocol: str
    sample: Mapping[str, int | None]
    rows: tuple[ReportedRow, ...]
    absent: tuple[Mapping[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of the metrics, in the order of the printed table."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.metrics))

    def in_percent(self, metric: str) -> bool:
        """Whether a metric is printed in percent although it is kept as a share."""
        cells = [row.metrics[metric] for row in self.rows if metric in row.metrics]
        return any(abs(float(cell.printed.split(" ")[0]) - cell.value) > 1e-9 for cell in cells)


def load_reported(folder: Path) -> dict[str, Reported]:
    """Read every file of reported values.

    Args:
        folder: For example ``leaderboards/reported``; a missing folder holds nothing.

    Returns:
        Task key to what was reported.

    Raises:
        ResultError: A file is not valid.
    """
    return {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}


@cache
def default_reported_dir() -> Path | None:
    """Return the reported values that came with the program: those of the checkout, or of the installed wheel."""
    package = Path(__file__).resolve().parent
    for folder in (package.parents[1] / "leaderboards" / "reported", package / "reported_values"):
        if folder.is_dir():
            return folder
    return None


def _read(path: Path) -> Reported:
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if data["schema"] != 1:
            raise ResultError(f"{path}: schema {data['schema']} of reported values is unknown. Update usbench.")
        rows = tuple(
            ReportedRow(row["encoder"], row["title"], {name: Cell(**cell) for name, cell in row["metrics"].items()})
            for row in data["rows"]
        )
        return Reported(
            data["task"],
            data["source"],
            data["protocol"],
            data["sample"],
            rows,
            tuple(data.get("absent", ())),
            tuple(data.get("notes", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultError(f"{path}: not a file of reported values ({type(error).__name__}: {error}).") from None
