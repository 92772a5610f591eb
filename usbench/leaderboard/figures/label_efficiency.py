"""Score against the number of training subjects: one line per encoder, the best baseline on all subjects dashed."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from usbench.leaderboard.board import Board
from usbench.leaderboard.figures.svg import Drawing, nice_ticks, text_width
from usbench.leaderboard.figures.text import csv_line, number, tick_label
from usbench.leaderboard.label_efficiency import Curve, efficiency_of
from usbench.leaderboard.number_format import Column

WIDTH, HEIGHT, LEFT = 420, 280, 56
MOST_ENCODERS, MOST_FLOORS = 8, 4
"""Lines that are drawn; table and CSV hold all."""


def label_efficiency(board: Board) -> Drawing | None:
    """Draw the curves of the first encoders and baselines of a board.

    Args:
        board: The board.

    Returns:
        The figure, or ``None`` where no curve was measured.
    """
    found = efficiency_of(board)
    if found is None:
        return None
    column = board.column(found.metric)
    encoders = [c for c in found.curves if not c.entry.floor][:MOST_ENCODERS]
    curves = encoders + [c for c in found.curves if c.entry.floor][:MOST_FLOORS]
    known = [p for c in curves for p in c.points if p.estimate.value is not None]
    if not known:
        return None
    sizes = sorted({p.subjects for p in known})
    values = [p.estimate.value * column.factor for p in known if p.estimate.value is not None]
    if found.goal is not None:
        values.append(found.goal * column.factor)
    scale = _Scale(sizes, nice_ticks(min(values), max(values), 5), column.factor)
    legend = max(text_width(c.entry.title + c.entry.mark) for c in curves) + 70
    drawing = Drawing(
        LEFT + WIDTH + legend,
        max(64 + HEIGHT + 48, 64 + 18 * len(curves) + 24),
        f"{board.task.title}: {column.title} on fewer training subjects",
        f"{column.spoken}, against the number of training subjects, on a logarithmic scale.",
    )
    drawing.text(8, 20, board.task.title, "t h")
    drawing.text(8, 37, f"{column.spoken}; trained on shares of the training subjects, tested on the same units", "t s")
    _axes(drawing, scale)
    if found.goal is not None:
        drawing.line(LEFT, scale.y(found.goal), LEFT + WIDTH, scale.y(found.goal), "ref")
        drawing.text(LEFT + 4, scale.y(found.goal) - 5, "best baseline, all subjects", "t s reft")
    ends: list[float] = []
    for place, curve in enumerate(curves, start=1):
        _line(drawing, scale, column, place, curve, ends)
        y, style = 64 + 18 * place, "f" if curve.entry.floor else "e"
        drawing.line(LEFT + WIDTH + 30, y - 4, LEFT + WIDTH + 46, y - 4, f"{style} l")
        title = f"{place}  {curve.entry.title}{curve.entry.mark}"
        drawing.text(LEFT + WIDTH + 51, y, title, f"t s{' i' if curve.entry.floor else ''}")
    return drawing


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure, those of encoders without a line too."""
    rows = ["board,encoder,title,floor,protocol,metric,share,subjects,draw,value,low,high"]
    found = efficiency_of(board)
    for curve in found.curves if found else ():
        head = [board.name, curve.entry.name, curve.entry.title, str(curve.entry.floor).lower()]
        head += [found.protocol, found.metric] if found else []
        for point in curve.points:
            size = [number(point.share), number(point.subjects)]
            e = point.estimate
            rows.append(csv_line([*head, *size, "all", number(e.value), number(e.low), number(e.high)]))
            rows += [csv_line([*head, *size, str(k), number(v), "", ""]) for k, v in enumerate(point.values)]
    return "\n".join(rows) + "\n"


class _Scale:
    """Positions: logarithmic across, linear upwards."""

    def __init__(self, sizes: Sequence[float], ticks: Sequence[float], factor: float) -> None:
        self.sizes, self.ticks, self.factor = sizes, ticks, factor
        self._low, self._span = log(sizes[0]), max(log(sizes[-1]) - log(sizes[0]), 1e-9)

    def x(self, subjects: float) -> float:
        """Return the position of a number of subjects."""
        return LEFT + 14 + (WIDTH - 28) * (log(subjects) - self._low) / self._span

    def y(self, value: float) -> float:
        """Return the position of a value as stored."""
        return self.at(value * self.factor)

    def at(self, tick: float) -> float:
        """Return the position of a value as printed."""
        return 64 + HEIGHT - HEIGHT * (tick - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])


def _axes(drawing: Drawing, scale: _Scale) -> None:
    for tick in scale.ticks:
        drawing.line(LEFT, scale.at(tick), LEFT + WIDTH, scale.at(tick), "grid")
        drawing.text(LEFT - 8, scale.at(tick) + 4, tick_label(tick), "t s n", "end")
    bottom = 64 + HEIGHT
    drawing.line(LEFT, bottom, LEFT + WIDTH, bottom, "axis")
    for size in scale.sizes:
        drawing.text(scale.x(size), bottom + 16, f"{size:.0f}", "t s n", "middle")
    drawing.text(LEFT + WIDTH / 2, bottom + 34, "training subjects", "t s", "middle")


def _line(drawing: Drawing, scale: _Scale, column: Column, place: int, curve: Curve, ends: list[float]) -> None:
    style = "f" if curve.entry.floor else "e"
    known = [(p.subjects, p.estimate) for p in curve.points if p.estimate.value is not None]
    drawing.path([(scale.x(n), scale.y(e.value)) for n, e in known if e.value is not None], f"{style} l thin")
    for subjects, e in known:
        if e.value is None:
            continue
        span = "" if e.low is None else f" ({column.interval(e.low, e.high)})"
        tip = f"{curve.entry.title}, {subjects:.0f} training subjects: {column.value(e.value)}{span}"
        shape = drawing.diamond if curve.entry.floor else drawing.circle
        shape(scale.x(subjects), scale.y(e.value), 3.2, style, tip)
    if not known or known[-1][1].value is None:
        return
    end = scale.y(known[-1][1].value) + 4
    while any(abs(end - other) < 10 for other in ends):  # numbers of lines that end together are spread
        end += 10
    ends.append(end)
    drawing.text(LEFT + WIDTH - 6, end, str(place), "t s n")
