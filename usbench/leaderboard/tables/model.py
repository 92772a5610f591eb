"""What a table is, before anybody writes it down: columns, rows, and cells that keep the value behind the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

from usbench.leaderboard.board import Entry
from usbench.leaderboard.number_format import DASH, Column, count, p_value
from usbench.results.schema import Estimate


@dataclass(frozen=True)
class Link:
    """Where something leads; each form of the pages knows its own address for it.

    Attributes:
        to: What it leads to. A form without pages of that kind prints the bare text.
        name: Name of the board or encoder, or path of the result file below the results folder.
    """

    to: Literal["board", "encoder", "result"]
    name: str


@dataclass(frozen=True)
class Heading:
    """A column.

    Attributes:
        key: Short name, unique in its table.
        label: What is printed.
        spoken: What a screen reader says, and the tooltip.
        numeric: Whether it is right-aligned and sorted as a number.
        ascending: Whether the first click sorts from low to high.
        hidden: Whether the column chooser of the site has it off at first.
        link: Where its label leads.
        small: Second line in small type, for the metric of a board.
        interval: What becomes of the intervals of its cells where a cell has one line only: nothing (they are left
            out), ``brackets`` or ``small`` (they follow the value), or the heading of a column of their own.
        across: Whether its label names what the columns beside it are, instead of what stands below it.
        only: The one form that shows it; both if empty.
        shaded: Whether its cells are shaded by their value, the best of the column most.
    """

    key: str
    label: str
    spoken: str = ""
    numeric: bool = False
    ascending: bool = True
    hidden: bool = False
    link: Link | None = None
    small: str = ""
    interval: str = ""
    across: bool = False
    only: Literal["", "markdown", "html"] = ""
    shaded: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: What is printed.
        value: What it is sorted by; cells without a value sort last.
        interval: Interval of the value, as text.
        bold: Whether it is among the best.
        italic: Whether it is a baseline's.
        link: Where it leads.
        note: Remark: a tooltip that is also read out, or a footnote.
        flag: Whether it is a warning.
        mark: What follows the text, outside its emphasis.
        code: Whether it is set as code.
        leakage: State of leakage behind the value, where rows hold cells of several boards.
    """

    text: str
    value: float | str | None = None
    interval: str = ""
    bold: bool = False
    italic: bool = False
    link: Link | None = None
    note: str = ""
    flag: bool = False
    mark: str = ""
    code: bool = False
    leakage: str = ""

    @property
    def sort(self) -> str:
        """The value as text that a script reads back: letters in lower case, numbers with nine digits."""
        if self.value is None:
            return ""
        return self.value.lower() if isinstance(self.value, str) else f"{self.value:.9g}"


@dataclass(frozen=True)
class Row:
    """One row; its first cell is its heading.

    Attributes:
        cells: One per column.
        floor: Whether it is a baseline's.
        facets: What the site filters it by, for example ``licence`` to ``open``.
    """

    cells: Sequence[Cell]
    floor: bool = False
    facets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Table:
    """A table.

    Attributes:
        id: Unique on its page.
        caption: What it shows.
        headings: Columns.
        rows: Rows, each with one cell per column; baselines are shown in a group of their own.
        sortable: Whether it gets sorting, filter and column chooser.
        mixed: Whether baselines stay among the other rows.

    Raises:
        ValueError: A row has another number of cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    id: str
    caption: str
    headings: Sequence[Heading]
    rows: Sequence[Row] = field(default_factory=list)
    sortable: bool = True
    mixed: bool = False

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.headings):
                raise ValueError(f"table {self.id}: {len(row.cells)} cells for {len(self.headings)} columns.")

    def form(self, name: Literal["markdown", "html"]) -> Table:
        """Return the table with the columns that one form of the pages shows."""
        kept = [i for i, heading in enumerate(self.headings) if heading.only in ("", name)]
        rows = [replace(row, cells=[row.cells[i] for i in kept]) for row in self.rows]
        return replace(self, headings=[self.headings[i] for i in kept], rows=rows)

    def share(self, column: int, cell: Cell) -> float | None:
        """Return how close a value is to the best of its column: 1 for the best, 0 for the worst encoder.

        Baselines that are worse than every encoder are 0 as well: a constant answer far below would leave all others
        in one shade.

        Args:
            column: Number of the column.
            cell: One of its cells.

        Returns:
            ``None`` where the column is not shaded, the cell has no number, or all values are the same.
        """
        heading = self.headings[column]
        if not heading.shaded or not isinstance(cell.value, int | float):
            return None
        sign = -1 if heading.ascending else 1
        everyone = _numbers(self.rows, column)
        encoders = _numbers([row for row in self.rows if not row.floor], column)
        best = max(sign * value for value in everyone)
        worst = min(sign * value for value in (encoders if len(set(encoders)) > 1 else everyone))
        return None if best == worst else max(0.0, round((sign * cell.value - worst) / (best - worst), 2))

    @property
    def upper(self) -> list[Row]:
        """Rows that are not baselines."""
        return [row for row in self.rows if self.mixed or not row.floor]

    @property
    def lower(self) -> list[Row]:
        """Floors."""
        return [] if self.mixed else [row for row in self.rows if row.floor]


def _numbers(rows: Sequence[Row], column: int) -> list[float]:
    values = (row.cells[column].value for row in rows)
    return [value for value in values if isinstance(value, int | float)]


@dataclass(frozen=True)
class Span:
    """A run of words in one type."""

    text: str
    style: Literal["plain", "code", "emphasis"] = "plain"


@dataclass(frozen=True)
class Paragraph:
    """Sentences."""

    kind: ClassVar[str] = "paragraph"
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, *parts: str | Span) -> Paragraph:
        """Join plain text and spans."""
        return cls(tuple(Span(part) if isinstance(part, str) else part for part in parts))


@dataclass(frozen=True)
class Bullets:
    """A list."""

    kind: ClassVar[str] = "bullets"
    items: Sequence[Paragraph]


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        key: Short name, unique on its page.
        title: Its heading.
        blocks: What stands below, in order.
        figure: Kind of the figures that belong to it, for forms that show them here.
    """

    key: str
    title: str
    blocks: Sequence[Table | Paragraph | Bullets]
    figure: str = ""


def metric_heading(column: Column) -> Heading:
    """Return the heading of a metric."""
    directed = column.higher_is_better is not None
    ascending = column.higher_is_better is False
    return Heading(column.metric, column.heading, column.spoken, True, ascending=ascending, shaded=directed)


def metric_cell(column: Column, estimate: Estimate, bold: bool = False, italic: bool = False) -> Cell:
    """Return a value with its interval."""
    interval = column.interval(estimate.low, estimate.high)
    value = column.value(estimate.value)
    if value == DASH:
        return Cell(DASH)
    return Cell(value, estimate.value, "" if interval == DASH else interval, bold, italic)


def name_cell(entry: Entry, bold: bool = False, marked: bool = True) -> Cell:
    """Return an encoder's name, in italics for baselines; it leads to its page, if it has one.

    Args:
        entry: The encoder on a board.
        bold: Whether it is among the best.
        marked: Whether to mark leakage on that board; not where a row is about several boards.
    """
    link = Link("encoder", entry.name) if entry.file else None
    cell = Cell(entry.title, entry.title, bold=bold, italic=entry.floor, link=link)
    if not marked or not entry.mark:
        return cell
    return replace(cell, mark=entry.mark, note=str(entry.result.leakage.get("detail", "")))


def text_cell(text: str | None) -> Cell:
    """Return a cell sorted by its text, or a dash where there is none."""
    return Cell(text, text) if text and text != DASH else Cell(DASH)


def count_cell(number: float | None, unit: float = 1.0, decimals: int = 1) -> Cell:
    """Return a count with about three figures, or a dash where there is none."""
    return Cell(count(number, unit, decimals), number)


def p_cell(p: float | None) -> Cell:
    """Return a p-value, or a dash where there is none."""
    return Cell(p_value(p), p)
