"""The ranking as a critical-difference diagram: mean ranks with intervals, and bars that join the alike."""

from __future__ import annotations

from collections.abc import Callable

from usbench.leaderboard.figures.svg import Drawing, text_width, wrapped
from usbench.leaderboard.figures.text import csv_line, number, tick_label
from usbench.leaderboard.ranking import Ranked, Ranking

ROW, PLOT, NARROW, NARROW_ROW = 26, 420, 360, 42
BAR = 12  # between two bars


def ranking(found: Ranking, narrow: bool = False) -> Drawing:
    """Draw a ranking.

    Args:
        found: The ranking.
        narrow: Whether for a phone: names and numbers above their intervals.
    """
    bars = 10 + BAR * len(found.groups)
    left = 0.0 if narrow else 16 + max(text_width(row.title) for row in found.rows)
    numbers = 0.0 if narrow else 34 + text_width("10.0 (10.0 to 10.0)")
    plot = NARROW - bars if narrow else PLOT
    width, row_height = left + plot + bars + numbers, NARROW_ROW if narrow else ROW
    words = wrapped(_told(found), width - 16, 11)
    top = 36 + 14 * len(words) + 22
    bottom = top + row_height * len(found.rows)
    drawing = Drawing(width, bottom + 44, "Ranking over tasks", _told(found))
    drawing.text(8, 20, "Ranking", "t h")
    for i, line in enumerate(words):
        drawing.text(8, 37 + 14 * i, line, "t s")
    last = len(found.rows)

    def x(rank: float) -> float:
        return left + 14 + (plot - 28) * (rank - 1) / max(last - 1, 1)

    step = 1 if last <= 14 else 5
    for tick in [1, *range(1 + step, last + 1, step)]:
        drawing.line(x(tick), top, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 16, tick_label(tick), "t s n", "middle")
    drawing.line(x(1), bottom, x(last), bottom, "axis")
    drawing.text((x(1) + x(last)) / 2, bottom + 34, "mean rank, 1 is best", "t s", "middle")
    at = {}
    for i, row in enumerate(found.rows):
        y = top + row_height * (i + 0.5)
        at[row.name] = y
        _row(drawing, row, x, y, x(last) + 10 if narrow else None)
    for i, group in enumerate(found.groups):
        across = left + plot + 8 + BAR * i
        drawing.line(across, at[group[0]] - 8, across, at[group[-1]] + 8, "bar")
    return drawing


def csv_of(found: Ranking) -> str:
    """Return the numbers behind the figure."""
    lines = ["encoder,title,floor,mean_rank,low,high,groups"]
    for row in found.rows:
        groups = " ".join(str(i + 1) for i, group in enumerate(found.groups) if row.name in group)
        cells = [row.name, row.title, str(row.floor).lower(), number(row.mean_rank), number(row.low), number(row.high)]
        lines.append(csv_line([*cells, groups]))
    return "\n".join(lines) + "\n"


def _told(found: Ranking) -> str:
    joined = (
        "Bars on the right join encoders that are not distinguished, all pairs at once (95 %)."
        if found.groups
        else "All are distinguished from one another (95 %, all pairs at once)."
    )
    return f"Mean rank over {len(found.boards)} tasks, with 95 % intervals. {joined}"


def _row(drawing: Drawing, row: Ranked, x: Callable[[float], float], y: float, end: float | None) -> None:
    style = "f" if row.floor else "e"
    told = f"{row.mean_rank:.1f} ({row.low:.1f} to {row.high:.1f})"
    narrow = end is not None  # where the numbers end, above the interval
    above = y - 9 if narrow else y
    italic = " i" if row.floor else ""
    drawing.text(8, above + 4, row.title, f"t{italic} halo")
    drawing.text(drawing.width - 8 if end is None else end, above + 4, told, "t s n halo" if narrow else "t n", "end")
    line = y + 9 if narrow else y
    drawing.line(x(row.low), line, x(row.high), line, f"{style} l")
    draw = drawing.diamond if row.floor else drawing.circle
    draw(x(row.mean_rank), line, 5, style, f"{row.title}: mean rank {told}")
