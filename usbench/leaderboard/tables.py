"""Tables of the web site as data: columns, rows and cells that carry what they are sorted by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.results.schema import Estimate, slug


@dataclass(frozen=True)
class Heading:
    """A column.

    Attributes:
        key: Short name, unique in its table.
        label: What is printed.
        spoken: What a screen reader says, and the tooltip.
        numeric: Whether it is right-aligned and sorted as a number.
        ascending: Whether the first click sorts from low to high.
        hidden: Whether the column chooser has it off at first.
        href: Link beside the label.
        small: Second line in small type, for the metric of a board.
    """

    key: str
    label: str
    spoken: str = ""
    numeric: bool = False
    ascending: bool = True
    hidden: bool = False
    href: str = ""
    small: str = ""


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is printed.
        sort: What it is sorted by; empty cells sort last.
        small: Second line in small type, for intervals.
        bold: Whether it is set off.
        href: Where it links to, relative to the site's root.
        note: Tooltip, also read out.
        flag: Whether it is a warning.
    """

    text: str
    sort: str = ""
    small: str = ""
    bold: bool = False
    href: str = ""
    note: str = ""
    flag: bool = False


@dataclass(frozen=True)
class Row:
    """One row; its first cell is its heading."""

    cells: Sequence[Cell]
    floor: bool = False


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        id: Unique on its page.
        caption: What it shows.
        headings: Columns.
        rows: Rows; floors are shown in a group of their own.
        sortable: Whether it gets sorting, filter and column chooser.
        mixed: Whether floors stay among the other rows.
    """

    id: str
    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Row] = field(default_factory=list)
    sortable: bool = True
    mixed: bool = False

    @property
    def upper(self) -> list[Row]:
        """Rows that are not floors."""
        return [row for row in self.rows if self.mixed or not row.floor]

    @property
    def lower(self) -> list[Row]:
        """Floors."""
        return [] if self.mixed else [row for row in self.rows if row.floor]


def link_to_board(board: Board) -> str:
    """Return the path of a board's page, relative to the site's root."""
    return (
        f"boards/{slug(board.name)}.html" if "@" not in board.name else f"boards/{board.name.replace('@', '.on.')}.html"
    )


def link_to_encoder(name: str) -> str:
    """Return the path of an encoder's page, relative to the site's root."""
    return f"encoders/{slug(name)}.html"


def metric_heading(column: number_format.Column, href: str = "") -> Heading:
    """Return the heading of a metric."""
    return Heading(
        column.metric, column.heading, column.spoken, True, ascending=column.higher_is_better is False, href=href
    )


def metric_cell(column: number_format.Column, estimate: Estimate, bold: bool = False) -> Cell:
    """Return a value, with its interval below."""
    interval = column.interval(estimate.low, estimate.high)
    return Cell(
        column.value(estimate.value), number(estimate.value), "" if interval == number_format.DASH else interval, bold
    )


def name_cell(entry: Entry, bold: bool = False) -> Cell:
    """Return an encoder's name; it links to its page, if it has one."""
    return Cell(entry.title, entry.title.lower(), bold=bold, href=link_to_encoder(entry.name) if entry.file else "")


def plain(text: str, value: float | str | None = None) -> Cell:
    """Return a cell sorted by ``value``, or by its text."""
    if isinstance(value, int | float):
        return Cell(text, number(float(value)))
    return Cell(text, "" if text == number_format.DASH else str(value or text).lower())


def number(value: float | None) -> str:
    """Return a number as the script reads it."""
    return "" if value is None else f"{value:.9g}"
