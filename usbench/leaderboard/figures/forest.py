"""Forest plot of a board: one line per encoder with intervals, baselines below, the best baseline as a line."""

from __future__ import annotations

from dataclasses import dataclass

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.svg import Drawing, nice_ticks, text_width, wrapped
from usbench.leaderboard.figures.text import csv_line, number, tick_label
from usbench.probes.facts import protocol_facts

ROW = 30
PLOT = 430
# On a phone: the width of the page, and the height of a row whose name stands above its interval.
NARROW, NARROW_ROW = 360, 46


@dataclass(frozen=True)
class Line:
    """What one line of a forest plot shows; also a row of the CSV beside it."""

    entry: Entry
    protocol: str
    value: float
    low: float | None
    high: float | None


def lines_of(board: Board) -> list[Line]:
    """Return every estimate the plot shows: the primary metric under each protocol."""
    metric = board.primary()
    found = []
    for entry in board.entries:
        for protocol in board.protocols:
            estimate = entry.estimate(protocol, metric)
            if estimate.value is not None:
                found.append(Line(entry, protocol, estimate.value, estimate.low, estimate.high))
    return found


def forest(board: Board, narrow: bool = False) -> Drawing | None:
    """Draw the forest plot of a board.

    Args:
        board: The board.
        narrow: Whether for a phone: names and numbers above their intervals.

    Returns:
        The figure, or ``None`` where nothing was measured.
    """
    metric = board.primary()
    lines = lines_of(board)
    if metric is None or not lines:
        return None
    column = board.column(metric)
    entries = [entry for entry in board.entries if any(line.entry is entry for line in lines)]
    floors = [entry for entry in entries if entry.floor]
    left = 0.0 if narrow else 16 + max(text_width(entry.title + entry.mark) for entry in entries)
    right = 0.0 if narrow else 34 + 1.08 * text_width(_told(column, lines[0]))
    row, plot = (NARROW_ROW, NARROW) if narrow else (ROW, PLOT)
    width = left + plot + right
    words = wrapped(_where(board), width - 16, 11)
    keys = _keys(board, width)
    top, gap = 36 + 14 * len(words) + 20, 14 if floors and len(floors) < len(entries) else 0
    bottom = top + row * len(entries) + gap
    drawing = Drawing(
        width,
        bottom + 46 + 16 * len(keys),
        f"{board.task.title}: {column.title} of every encoder",
        f"{column.spoken}, with 95 % intervals, {wording.sample(board)}. Baselines are at the bottom.",
    )
    scale = _Scale(lines, left, column, plot)
    drawing.text(8, 20, board.task.title, "t h")
    for i, line in enumerate(words):
        drawing.text(8, 37 + 14 * i, line, "t s")
    _axis(drawing, column, scale, top, bottom)
    for i, line in enumerate(keys):
        drawing.text(8, bottom + 52 + 16 * i, line, "t s")
    standing = board.standing()
    best = standing.comparator.value(standing.best_floor) if standing.best_floor else None
    if best is not None:
        drawing.line(scale(best), top - 6, scale(best), bottom, "ref")
        half = text_width("best baseline", 11) / 2
        middle = min(max(scale(best), half + 4), width - half - 4)
        drawing.text(middle, top - 10, "best baseline", "t s reft", "middle")
    y = top + row / 2
    for entry in entries:
        if entry.floor and entry is floors[0] and gap:
            drawing.line(8, y - row / 2 + gap / 2, drawing.width - 8, y - row / 2 + gap / 2, "grid")
            y += gap
        mine = [line for line in lines if line.entry is entry]
        _row(drawing, board, entry, mine, scale, y, standing.leaders, 18 if narrow else 0)
        y += row
    return drawing


def csv_of(board: Board) -> str:
    """Return the numbers behind the plot."""
    metric = board.primary() or ""
    rows = ["board,encoder,title,floor,protocol,metric,value,low,high,subjects"]
    for line in lines_of(board):
        subjects = len(set(line.entry.result.units.subject))
        cells = [board.name, line.entry.name, line.entry.title, str(line.entry.floor).lower(), line.protocol, metric]
        cells += [number(v) for v in (line.value, line.low, line.high)] + [str(subjects)]
        rows.append(csv_line(cells))
    return "\n".join(rows) + "\n"


class _Scale:
    """Position of a value on the horizontal axis."""

    def __init__(self, lines: list[Line], left: float, column: number_format.Column, plot: float) -> None:
        values = [v for line in lines for v in (line.value, line.low, line.high) if v is not None]
        self.factor = column.factor
        self.ticks = nice_ticks(min(values) * self.factor, max(values) * self.factor)
        self.left, self.span, self.plot = left, self.ticks[-1] - self.ticks[0], plot

    def __call__(self, value: float) -> float:
        return self.at(value * self.factor)

    def at(self, tick: float) -> float:
        """Return the position of a value in printed units."""
        return self.left + 12 + (self.plot - 24) * (tick - self.ticks[0]) / self.span


def _where(board: Board) -> str:
    first = board.first
    mark = "SIMULATED IMAGES, NOT PATIENTS. " if board.synthetic else ""
    return mark + (f"{first.dataset['title']}, {wording.sample(board)}" if first else "")


def _keys(board: Board, width: float) -> list[str]:
    """Return the lines that say what filled and open marks are; none with one protocol."""
    if len(board.protocols) < 2:
        return []
    marks = zip(("filled", "open"), board.protocols[:2], strict=True)
    return wrapped(" · ".join(f"{mark}: {protocol_facts(p).title.lower()}" for mark, p in marks), width - 16, 11)


def _axis(drawing: Drawing, column: number_format.Column, scale: _Scale, top: float, bottom: float) -> None:
    for tick in scale.ticks:
        drawing.line(scale.at(tick), top, scale.at(tick), bottom, "grid")
        drawing.text(scale.at(tick), bottom + 16, tick_label(tick), "t s n", "middle")
    drawing.line(scale.at(scale.ticks[0]), bottom, scale.at(scale.ticks[-1]), bottom, "axis")
    middle = (scale.at(scale.ticks[0]) + scale.at(scale.ticks[-1])) / 2
    drawing.text(middle, bottom + 34, column.spoken, "t s", "middle")


def _row(
    drawing: Drawing,
    board: Board,
    entry: Entry,
    lines: list[Line],
    scale: _Scale,
    y: float,
    leaders: frozenset[str],
    below: float,
) -> None:
    style = "f" if entry.floor else "e"
    weight = " b" if entry.name in leaders else ""
    above = y - below / 2  # where the name stands: beside its interval, or above it where the page is narrow
    halo = " halo" if below else ""  # lines of the grid run behind the words
    drawing.text(8, above + 4, entry.title + entry.mark, f"t{' i' if entry.floor else ''}{weight}{halo}")
    y = above + below
    column = board.column(board.primary() or "")
    for line in lines[1:2]:  # the paper's protocol, below and lighter
        _mark(drawing, line, scale, y + 8, f"{style} o thin", 3.2, f"{style} l thin", board, column)
    for line in lines[:1]:
        _mark(drawing, line, scale, y, style, 5, f"{style} l", board, column)
        drawing.text(
            drawing.width - 8, above + 4, _told(column, line), f"t{' s fg' if below else ''} n{weight}{halo}", "end"
        )


def _mark(
    drawing: Drawing,
    line: Line,
    scale: _Scale,
    y: float,
    style: str,
    radius: float,
    whisker: str,
    board: Board,
    column: number_format.Column,
) -> None:
    if line.low is not None and line.high is not None:
        drawing.line(scale(line.low), y, scale(line.high), y, whisker)
    tip = f"{line.entry.title}, {protocol_facts(line.protocol).title}: {_told(column, line)}"
    draw = drawing.diamond if line.entry.floor else drawing.circle
    draw(scale(line.value), y, radius, style, tip)


def _told(column: number_format.Column, line: Line) -> str:
    interval = f" ({column.interval(line.low, line.high)})" if line.low is not None else ""
    return f"{column.value(line.value)}{interval}"
