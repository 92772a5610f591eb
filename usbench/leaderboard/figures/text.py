"""Numbers on axes and in CSV files."""

from __future__ import annotations

import re
from collections.abc import Sequence

from usbench.core.text import printable
from usbench.leaderboard.number_format import MINUS

# What a spreadsheet takes for the beginning of a formula.
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?( [A-Za-z0-9µ°% ]{1,60})?", flags=re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def tick_label(value: float) -> str:
    """Format a tick as short as it is exact."""
    return f"{value:.10g}".replace("-", MINUS)


def number(value: float | None) -> str:
    """Format a number for a CSV file; nothing where there is none."""
    return "" if value is None else f"{value:.6g}"


def csv_line(cells: Sequence[str]) -> str:
    """Join cells with commas, quoting those that need it; none is a formula to a spreadsheet."""
    return ",".join(_quoted(cell) for cell in cells)


def _quoted(cell: str) -> str:
    cell = printable(cell)
    if cell[:1] in _FORMULA and not _is_number(cell):
        cell = f"'{cell}"  # or a spreadsheet would compute it
    return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in ',"\r\n') else cell


def _is_number(cell: str) -> bool:
    """Say whether a cell is a number, perhaps with words behind, such as ``-0.25`` or ``-12 dB at full depth``."""
    return _NUMBER.fullmatch(cell) is not None
