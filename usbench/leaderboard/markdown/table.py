"""Markdown tables that are also readable as plain text: columns padded, numbers right-aligned."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from usbench.leaderboard.number_format import DASH
from usbench.leaderboard.tables.model import Cell, Heading, Link, Row, Table

Align = Literal["left", "right", "center"]
RULE = "——— *baselines* ———"


def page_name(board: str) -> str:
    """Return the file name of a board's page."""
    return f"{board}.md"


def write(shown: Table) -> str:
    """Return a table as Markdown.

    Intervals follow their value in brackets or in small type or stand in a column of their own, as the heading says.
    Baselines stand below a rule, which Markdown tables do not have.

    Args:
        shown: The table.
    """
    shown = shown.form("markdown")
    columns = [column for heading in shown.headings for column in _columns(heading)]
    rows = [_row(row, shown.headings) for row in shown.upper]
    if shown.lower:
        rows.append([RULE, *[""] * (len(columns) - 1)])
        rows += [_row(row, shown.headings) for row in shown.lower]
    return table([label for label, _ in columns], [align for _, align in columns], rows)


def with_footnotes(shown: Table) -> tuple[Table, dict[str, str]]:
    """Replace dashes that carry a note by marks.

    Args:
        shown: The table.

    Returns:
        The table with its marks, and mark to note.
    """
    marks: dict[str, str] = {}

    def marked(cell: Cell) -> Cell:
        if cell.text != DASH or not cell.note:
            return cell
        return replace(cell, text=marks.setdefault(cell.note, f"{DASH}{'abcdefgh'[len(marks)]}"))

    rows = [replace(row, cells=[marked(cell) for cell in row.cells]) for row in shown.rows]
    return replace(shown, rows=rows), {mark: note for note, mark in marks.items()}


def table(heading: Sequence[str], align: Sequence[Align], rows: Sequence[Sequence[str]]) -> str:
    """Return a GitHub-flavoured Markdown table of texts.

    Args:
        heading: Column headings.
        align: One alignment per column.
        rows: Cells as Markdown; a vertical bar in a cell is escaped.

    Raises:
        ValueError: A row has another number of cells than the heading.
    """
    if any(len(row) != len(heading) for row in rows) or len(align) != len(heading):
        raise ValueError("every row needs one cell per column")
    cells = [[_escape(cell) for cell in row] for row in (heading, *rows)]
    widths = [max(3, *(_width(row[i]) for row in cells)) for i in range(len(heading))]
    rule = [_rule(width, side) for width, side in zip(widths, align, strict=True)]
    lines = [_line(cells[0], widths, align), "|" + "|".join(rule) + "|"]
    lines += [_line(row, widths, align) for row in cells[1:]]
    return "\n".join(lines) + "\n"


def _columns(heading: Heading) -> list[tuple[str, Align]]:
    """Return label and alignment of the columns that one heading becomes: two, if intervals have their own."""
    label = _linked(heading.label, heading.link)
    label += f"<br>{heading.small}" if heading.small else " →" if heading.across else ""
    first: tuple[str, Align] = (label, "right" if heading.numeric else "left")
    if heading.interval == "small":
        return [(label, "center")]
    return [first, (heading.interval, "center")] if _own_column(heading) else [first]


def _own_column(heading: Heading) -> bool:
    return heading.interval not in ("", "brackets", "small")


def _row(row: Row, headings: Sequence[Heading]) -> list[str]:
    out = []
    for cell, heading in zip(row.cells, headings, strict=True):
        text = f"`{cell.text}`" if cell.code else cell.text
        text = f"*{text}*" if cell.italic and text else text
        text = f"**{text}**" if cell.bold and text else text
        text = _linked(text, cell.link) + cell.mark
        if cell.interval and heading.interval == "brackets":
            text += f" ({cell.interval})"
        elif cell.interval and heading.interval == "small":
            text += f" <sub>{cell.interval}</sub>"
        out.append(text)
        if _own_column(heading):
            out.append(cell.interval)
    return out


def _linked(text: str, link: Link | None) -> str:
    if link is None or link.to == "encoder":  # encoders have no page here
        return text
    return f"[{text}]({page_name(link.name) if link.to == 'board' else f'results/{link.name}'})"


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
