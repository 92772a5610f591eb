"""Tables that never cut a figure: where the terminal is narrow, columns are left out, or rows become blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from usbench.core.text import one_line

GAP = 2  # columns of the terminal between two columns of a table


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        heading: What is printed above it.
        right: Whether it is right-aligned, as numbers are.
        drop: When it is left out where the terminal is too narrow: the highest number first, 0 never.
        wraps: Whether its texts may go on in the next line.
    """

    heading: str
    right: bool = False
    drop: int = 0
    wraps: bool = False


def print_table(
    console: Console,
    title: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    *,
    bold: Sequence[int] = (),
    rule_after: Sequence[int] = (),
) -> None:
    """Print a table in the width of the terminal.

    Columns are left out in their order until the rest fits, and are named below. If the rest does not fit either, each
    row is printed as a block with one line per column, nothing left out.

    Args:
        console: Where to print.
        title: Its title.
        columns: Columns; the first is the heading of a row.
        rows: Texts from anywhere: markup and control characters in them are printed, not obeyed.
        bold: Numbers of rows that are set off.
        rule_after: Numbers of rows after which there is a rule.
    """
    columns = [replace(column, heading=one_line(column.heading)) for column in columns]
    rows = [[one_line(text) for text in row] for row in rows]
    title, kept = one_line(title), list(range(len(columns)))
    while _width(columns, rows, kept) > console.width and any(columns[i].drop for i in kept):
        kept.remove(max((i for i in kept if columns[i].drop), key=lambda i: columns[i].drop))
    if _width(columns, rows, kept) > console.width:
        _print_blocks(console, title, columns, rows, bold)
        return
    table = Table(title=Text(title) if title else None, title_justify="left", box=SIMPLE_HEAD, show_edge=False)
    table.padding, table.pad_edge = (0, GAP - 1, 0, 0), False
    room = console.width - _width(columns, rows, kept)
    for i in kept:
        column, least = columns[i], _least(columns[i], rows, i)
        # Texts that wrap share what is left, the first ones first; rich itself would take it from the figures.
        more = min(room, _least(replace(column, wraps=False), rows, i) - least)
        room -= more
        table.add_column(
            Text(column.heading),
            justify="right" if column.right else "left",
            no_wrap=not column.wraps,
            overflow="fold",
            width=least + more,
        )
    for number, row in enumerate(rows):
        style = "bold" if number in bold else ""
        table.add_row(*(Text(row[i]) for i in kept), style=style, end_section=number in rule_after)
    console.print(table)
    left_out = [column.heading for i, column in enumerate(columns) if i not in kept]
    if left_out:
        console.print(Text(f"Left out for want of width: {', '.join(left_out)}.", style="dim"))


def _width(columns: Sequence[Column], rows: Sequence[Sequence[str]], kept: Sequence[int]) -> int:
    # rich keeps one more for the edge that is not drawn.
    return sum(_least(columns[i], rows, i) for i in kept) + GAP * (len(kept) - 1) + 1


def _least(column: Column, rows: Sequence[Sequence[str]], number: int) -> int:
    """Return the width below which a text of a column would be cut or a word broken."""
    texts = (column.heading, *(row[number] for row in rows))
    return max((cell_len(part) for text in texts for part in (text.split() if column.wraps else [text])), default=0)


def _print_blocks(
    console: Console, title: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], bold: Sequence[int]
) -> None:
    if title:
        console.print(Text(title, style="italic"))
    widest = max(cell_len(column.heading) for column in columns[1:])
    for number, row in enumerate(rows):
        style = "bold" if number in bold else ""
        console.print()
        console.print(Text(row[0], style="bold"), overflow="fold")
        for column, text in zip(columns[1:], row[1:], strict=True):
            if text:
                console.print(Text(f"  {column.heading:<{widest}}  {text}", style=style), overflow="fold")
