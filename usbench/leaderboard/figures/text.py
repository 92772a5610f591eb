"""Numbers on axes and in CSV files."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard.number_format import MINUS


def tick_label(value: float) -> str:
    """Format a tick as short as it is exact."""
    return f"{value:.10g}".replace("-", MINUS)


def number(value: float | None) -> str:
    """Format a number for a CSV file; nothing where there is none."""
    return "" if value is None else f"{value:.6g}"


def csv_line(cells: Sequence[str]) -> str:
    """Join cells with commas, quoting those that need it."""
    return ",".join(_quoted(cell) for cell in cells)


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\n') else cell
