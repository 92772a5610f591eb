"""Score against the number of frames per unit: one line per encoder, the bar being the spread over draws."""

from __future__ import annotations

from math import log2

from usbench.leaderboard.board import Board
from usbench.leaderboard.figures.svg import Drawing, nice_ticks, text_width
from usbench.leaderboard.figures.text import csv_line, number, tick_label
from usbench.leaderboard.tables.frame_budget import curves_of, spread_of

WIDTH, HEIGHT, PAD = 420, 220, 46
ROW = 18


def frames(board: Board) -> Drawing | None:
    """Draw the curves.

    Args:
        board: The board.

    Returns:
        The figure, or ``None`` where no curve was measured.
    """
    held = curves_of(board)
    if not held:
        return None
    column = board.column(board.primary() or "")
    budgets = sorted({point["frames"] for _, s in held for point in s["curve"]})
    points = [
        [
            (p["frames"], p["estimate"]["value"], spread_of(p) or 0.0)
            for p in s["curve"]
            if p["estimate"]["value"] is not None
        ]
        for _, s in held
    ]
    ends = [value + sign * sd for line in points for _, value, sd in line for sign in (-1, 1)]
    if not ends:
        return None
    ticks = nice_ticks(min(ends) * column.factor, max(ends) * column.factor, 5)
    legend = PAD + WIDTH + 40
    told = f"{column.spoken}, against frames per {board.task.unit}; bars are the SD over draws of the frames"
    drawing = Drawing(
        legend + max(int(text_width(entry.title + entry.mark)) for entry, _ in held) + 50,
        max(HEIGHT + 120, 84 + ROW * len(held)),
        f"{board.task.title}: {column.title} by frames",
        f"{told}.",
    )
    drawing.text(8, 20, board.task.title, "t h")
    drawing.text(8, 37, told, "t s")
    top, span = 66, max(log2(budgets[-1] / budgets[0]), 1.0)

    def x(n: int) -> float:
        return PAD + 12 + (WIDTH - 24) * log2(n / budgets[0]) / span

    def y(value: float) -> float:
        return top + HEIGHT - HEIGHT * (value * column.factor - ticks[0]) / (ticks[-1] - ticks[0])

    for tick in ticks:
        at = y(tick / column.factor)
        drawing.line(PAD, at, PAD + WIDTH, at, "grid")
        drawing.text(PAD - 6, at + 4, tick_label(tick), "t s n", "end")
    for n in budgets:
        drawing.text(x(n), top + HEIGHT + 16, str(n), "t s n", "middle")
    drawing.text(PAD + WIDTH / 2, top + HEIGHT + 34, f"frames per {board.task.unit}", "t s", "middle")
    taken: list[float] = []
    for i, ((entry, _), line) in enumerate(zip(held, points, strict=True), start=1):
        style = "f" if entry.floor else "e"
        row = 74 + ROW * (i - 1)
        drawing.line(legend, row - 4, legend + 22, row - 4, f"{style} l")
        drawing.text(legend + 28, row, f"{i}  {entry.title}{entry.mark}", f"t s{' i' if entry.floor else ''}")
        if not line:
            continue
        drawing.path([(x(n), y(value)) for n, value, _ in line], f"{style} l")
        for n, value, sd in line:
            if sd:
                drawing.line(x(n), y(value - sd), x(n), y(value + sd), f"{style} l thin")
            drawing.circle(x(n), y(value), 3, style, f"{entry.title}, {n}: {column.value(value)}")
        end = y(line[-1][1]) + 4
        while any(abs(end - other) < 10 for other in taken):  # labels of lines that end together are spread
            end += 10
        taken.append(end)
        drawing.text(x(line[-1][0]) + 8, end, str(i), "t s n")
    return drawing


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure: one row per draw, and one, without a draw, for their mean."""
    rows = ["board,encoder,protocol,metric,frames,draw,value,low,high,difference,difference_low,difference_high,p"]
    for entry, section in curves_of(board):
        for point in section["curve"]:
            head = [board.name, entry.name, section["protocol"], section["metric"], str(point["frames"])]
            e, d = point["estimate"], point.get("difference", {})
            cells = [number(e[k]) for k in ("value", "low", "high")]
            cells += [number(d.get(k)) for k in ("value", "low", "high", "p")]
            rows.append(csv_line([*head, "", *cells]))
            rows += [
                csv_line([*head, str(k), number(value), *[""] * 6])
                for k, value in enumerate(point.get("draws", ()), start=1)
            ]
    return "\n".join(rows) + "\n"
