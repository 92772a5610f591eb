"""Accuracy against compute: what does a better figure cost?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.svg import Drawing, nice_ticks, text_width
from usbench.leaderboard.figures.text import csv_line, number, tick_label

WIDTH, HEIGHT, NARROW = 640, 380, 360
# Fewer points, or points of one cost alone, show no relation between score and compute.
MIN_POINTS, MIN_COSTS = 3, 2
LEFT, RIGHT, TOP, BOTTOM = 66, 24, 56, 52


@dataclass(frozen=True)
class Point:
    """One encoder with a network: its cost and its score."""

    entry: Entry
    gflops: float
    value: float


def points_of(board: Board) -> list[Point]:
    """Return the encoders whose GFLOPs are known and not zero, cheapest first."""
    metric = board.primary()
    found = []
    for entry in board.entries:
        gflops, value = entry.result.encoder.get("gflops"), entry.estimate(board.headline, metric).value
        if gflops and value is not None:
            found.append(Point(entry, float(gflops), value))
    return sorted(found, key=lambda point: (point.gflops, point.entry.title))


def frontier(points: list[Point], column: number_format.Column) -> list[Point]:
    """Return the points that no cheaper or equally cheap one matches, cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (p.gflops, column.rank_key(p.value))):
        if not best or column.better(point.value, best[-1].value):
            best.append(point)
    return best


def pareto(board: Board, narrow: bool = False) -> Drawing | None:
    """Draw score against GFLOPs per image, with the frontier.

    Args:
        board: The board.
        narrow: Whether for a phone: points are numbered and named below.

    Returns:
        The figure, or ``None`` with fewer than three encoders whose cost is known, or if all cost the same.
    """
    metric = board.primary()
    points = points_of(board)
    if metric is None or len(points) < MIN_POINTS or len({point.gflops for point in points}) < MIN_COSTS:
        return None
    width = NARROW if narrow else WIDTH
    column = board.column(metric)
    standing = board.standing()
    floor = standing.comparator.value(standing.best_floor) if standing.best_floor else None
    values = [p.value * column.factor for p in points] + ([floor * column.factor] if floor is not None else [])
    ticks = nice_ticks(min(values), max(values))
    decades = _decades([p.gflops for p in points])
    drawing = Drawing(
        width,
        HEIGHT + (8 + 17 * len(points) if narrow else 0),
        f"{board.task.title}: {column.title} against compute",
        f"{column.spoken}, against GFLOPs per image on a logarithmic axis. The line joins the encoders that no "
        "cheaper one matches.",
    )

    def x(gflops: float) -> float:
        share = (math.log10(gflops) - decades[0]) / (decades[-1] - decades[0])
        return LEFT + (width - LEFT - RIGHT) * share

    def y(printed: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (printed - ticks[0]) / (ticks[-1] - ticks[0])

    drawing.text(8, 20, board.task.title, "t h")
    drawing.text(8, 37, f"{column.title} against compute{' (simulated images)' if board.synthetic else ''}", "t s")
    for tick in ticks:
        drawing.line(LEFT, y(tick), width - RIGHT, y(tick), "grid")
        drawing.text(LEFT - 8, y(tick) + 4, tick_label(tick), "t s n", "end")
    for decade in decades:
        drawing.line(x(10.0**decade), TOP, x(10.0**decade), HEIGHT - BOTTOM, "grid")
        drawing.text(x(10.0**decade), HEIGHT - BOTTOM + 16, tick_label(10.0**decade), "t s n", "middle")
    drawing.text((LEFT + width - RIGHT) / 2, HEIGHT - 12, "GFLOPs per image, lower is cheaper", "t s", "middle")
    drawing.upright(18, (TOP + HEIGHT - BOTTOM) / 2, column.spoken)
    if floor is not None:
        drawing.line(LEFT, y(floor * column.factor), width - RIGHT, y(floor * column.factor), "ref")
        drawing.text(width - RIGHT, y(floor * column.factor) - 5, "best baseline", "t s reft", "end")
    steps: list[tuple[float, float]] = []
    for point in frontier([p for p in points if not p.entry.floor], column):
        here = (x(point.gflops), y(point.value * column.factor))
        steps += [(here[0], steps[-1][1]), here] if steps else [here]
    if len(steps) > 1:
        drawing.path(steps, "e l thin")
    taken: list[tuple[float, float, float]] = []
    for i, point in enumerate(points):
        style, draw = ("f", drawing.diamond) if point.entry.floor else ("e", drawing.circle)
        px, py = x(point.gflops), y(point.value * column.factor)
        tip = f"{point.entry.title}: {column.value(point.value)}, {number_format.count(point.gflops, 1, 2)} GFLOPs"
        draw(px, py, 5, style, tip)
        name = str(i + 1) if narrow else point.entry.title + point.entry.mark
        _label(drawing, name, point.entry.floor, px, py, taken)
        if narrow:
            below = f"{i + 1}  {point.entry.title}{point.entry.mark}: {column.value(point.value)}"
            drawing.text(8, HEIGHT + 8 + 17 * i, below, f"t s{' i' if point.entry.floor else ''}")
    return drawing


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure."""
    metric = board.primary() or ""
    rows = [f"board,encoder,title,floor,protocol,gflops,parameters,{metric}"]
    for p in points_of(board):
        parameters = p.entry.result.encoder.get("parameters")
        cells = [board.name, p.entry.name, p.entry.title, str(p.entry.floor).lower(), board.headline]
        cells += [number(p.gflops), "" if parameters is None else str(parameters), number(p.value)]
        rows.append(csv_line(cells))
    return "\n".join(rows) + "\n"


def _decades(values: list[float]) -> list[int]:
    # A hair inside the decade, so that rounding of the logarithm cannot add one on another machine.
    low = math.floor(math.log10(min(values)) + 1e-9)
    high = math.ceil(math.log10(max(values)) - 1e-9)
    return list(range(low, max(high, low + 1) + 1))


def _label(
    drawing: Drawing, name: str, floor: bool, x: float, y: float, taken: list[tuple[float, float, float]]
) -> None:
    """Write a name beside its point: to the right, or to the left near the edge, moved away from other names."""
    width = text_width(name, 12)
    to_left = x + 10 + width > drawing.width - 8
    start = x - 10 - width if to_left else x + 10
    spots = [0, -14, 14, -28, 28, -42, 42]
    offset = next((o for o in spots if all(_apart(start, y + o, width, other) for other in taken)), 0)
    taken.append((start, y + offset, width))
    style = f"t{' i' if floor else ''}"
    drawing.text(x - 10 if to_left else start, y + offset + 4, name, style, "end" if to_left else "start")


def _apart(start: float, y: float, width: float, other: tuple[float, float, float]) -> bool:
    return abs(other[1] - y) >= 13 or start > other[0] + other[2] or other[0] > start + width
