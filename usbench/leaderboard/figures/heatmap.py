"""Tasks by encoders as a heat map: every value of the overview in one picture, shaded within its task."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard.figures.svg import Drawing, text_width, wrapped
from usbench.leaderboard.figures.text import csv_line, number
from usbench.leaderboard.number_format import DASH, MINUS
from usbench.leaderboard.tables.model import Cell, Row, Table

CELL, ROW, TITLE, NARROW = 56, 42, 250, 360
TOLD = "Shaded within each task, from the worst encoder, unshaded, to the best. Baselines in italics."


def heatmap(table: Table, narrow: bool = False) -> Drawing:
    """Draw the overview with tasks as rows and encoders as columns, baselines on the right.

    Args:
        table: The overview, one row per encoder and one column per board.
        narrow: Whether for a phone: encoders are numbered and named below, values have two figures.
    """
    rows = [*table.upper, *table.lower]
    return _narrow(table, rows) if narrow else _wide(table, rows)


def csv_of(table: Table) -> str:
    """Return the numbers behind the figure."""
    lines = ["encoder,board,value,share,leakage"]
    for row in table.rows:
        for i, heading in enumerate(table.headings[1:], start=1):
            cell = row.cells[i]
            if isinstance(cell.value, int | float):
                share = table.share(i, cell)
                shade = "" if share is None else number(share)
                lines.append(csv_line([row.cells[0].text, heading.key, number(cell.value), shade, cell.leakage]))
    return "\n".join(lines) + "\n"


def _wide(table: Table, rows: Sequence[Row]) -> Drawing:
    high = max(text_width(row.cells[0].text, 13) for row in rows) + 12
    width = 16 + TITLE + CELL * len(rows)
    words = wrapped(TOLD, width - 16, 11)
    top = 40 + 14 * len(words) + high
    drawing = Drawing(width, top + ROW * (len(table.headings) - 1) + 12, "Tasks by encoders", TOLD)
    _head(drawing, words)
    for i, row in enumerate(rows):
        drawing.upwards(8 + TITLE + CELL * (i + 0.5) + 4, top - 8, row.cells[0].text, f"t{' i' if row.floor else ''}")
    for number_, heading in enumerate(table.headings[1:], start=1):
        y = top + ROW * (number_ - 1)
        drawing.line(8, y, width - 8, y, "grid")
        lines = wrapped(heading.label, TITLE - 12, 11)[:2]
        for i, line in enumerate(lines):
            drawing.text(8, y + (16 if len(lines) == 1 else 12) + 12 * i, line, "t s fg")
        drawing.text(8, y + ROW - 5, heading.small, "t xs")
        for i, row in enumerate(rows):
            cell, x = row.cells[number_], 8 + TITLE + CELL * i
            _cell(drawing, table, number_, cell, (x, y, CELL, ROW))
            style = f"t s n fg{' b' if cell.bold else ''}{' i' if row.floor else ''}"
            drawing.text(x + CELL / 2, y + ROW / 2 + 4, cell.text + cell.mark, style, "middle")
    return drawing


def _narrow(table: Table, rows: Sequence[Row]) -> Drawing:
    side = (NARROW - 16) / len(rows)
    words = wrapped(TOLD, NARROW - 16, 11)
    labels = [
        wrapped(f"{heading.label}{': ' if heading.small else ''}{heading.small}", NARROW - 16, 11)
        for heading in table.headings[1:]
    ]
    top = 52 + 14 * len(words)
    names = top + sum(14 * len(label) + 28 for label in labels) + 20
    drawing = Drawing(NARROW, names + 16 * len(rows) + 8, "Tasks by encoders", TOLD)
    _head(drawing, words)
    for i in range(len(rows)):
        drawing.text(8 + side * (i + 0.5), top - 6, str(i + 1), "t s n", "middle")
    y = top
    for number_, label in enumerate(labels, start=1):
        for i, line in enumerate(label):
            drawing.text(8, y + 13 + 14 * i, line, "t s")
        y += 14 * len(label)
        for i, row in enumerate(rows):
            cell, x = row.cells[number_], 8 + side * i
            _cell(drawing, table, number_, cell, (x, y + 4, side, 20))
            style = f"t xs n fg{' b' if cell.bold else ''}"
            drawing.text(x + side / 2, y + 18, short(cell.text) + cell.mark.strip(), style, "middle")
        y += 28
    for i, row in enumerate(rows):
        drawing.text(8, names + 16 * i, f"{i + 1}  {row.cells[0].text}", f"t s{' i' if row.floor else ''}")
    return drawing


def short(text: str) -> str:
    """Return a value with at most two figures, as fits a cell of a phone.

    Args:
        text: A value as tables print it, such as ``0.799`` or ``96.4``.
    """
    try:
        value = float(text.replace(MINUS, "-"))
    except ValueError:
        return text if text == DASH else text[:3]
    told = f"{value:.2f}" if abs(value) < 1 else f"{value:.1f}" if abs(value) < 10 else f"{value:.0f}"
    return told.replace("0.", ".", 1).replace("-", MINUS) if abs(value) < 1 else told.replace("-", MINUS)


def _head(drawing: Drawing, words: list[str]) -> None:
    drawing.text(8, 20, "Tasks by encoders", "t h")
    for i, line in enumerate(words):
        drawing.text(8, 37 + 14 * i, line, "t s")


def _cell(drawing: Drawing, table: Table, column: int, cell: Cell, box: tuple[float, float, float, float]) -> None:
    share = table.share(column, cell)
    if share:
        drawing.cell(*box, share)
