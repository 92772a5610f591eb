"""Markdown tables that are also readable as plain text: columns padded, numbers right-aligned."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Literal

Align = Literal["left", "right", "center"]


def table(heading: Sequence[str], align: Sequence[Align], rows: Sequence[Sequence[str]]) -> str:
    """Return a GitHub-flavoured Markdown table.

    Args:
        heading: Column headings.
        align: One alignment a column.
        rows: Cells as Markdown; a vertical bar in a cell is escaped.

    Raises:
        ValueError: A row has another number of cells than the heading.
    """
    if any(len(row) != len(heading) for row in rows) or len(align) != len(heading):
        raise ValueError("every row needs one cell a column")
    cells = [[_escape(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(3, *(_width(row[i]) for row in cells)) for i in range(len(heading))]
    rule = [_rule(width, side) for width, side in zip(widths, align, strict=True)]
    lines = [_line(cells[0], widths, align), "|" + "|".join(rule) + "|"]
    lines += [_line(row, widths, align) for row in cells[1:]]
    return "\n".join(lines) + "\n"


def _escape(cell: str) -> str:
    return " ".join(cell.split()).replace("|", "\\|")


def _line(cells: Sequence[str], widths: Sequence[int], align: Sequence[Align]) -> str:
    return "| " + " | ".join(_pad(c, w, a) for c, w, a in zip(cells, widths, align, strict=True)) + " |"


def _pad(cell: str, width: int, side: Align) -> str:
    space = width - _width(cell)
    if side == "left":
        return cell + " " * space
    if side == "right":
        return " " * space + cell
    return " " * (space // 2) + cell + " " * (space - space // 2)


def _rule(width: int, side: Align) -> str:
    left = ":" if side == "center" else "-"
    right = "-" if side == "left" else ":"
    return left + "-" * width + right


def _width(text: str) -> int:
    """Return the number of columns a text takes in a fixed-width font."""
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
