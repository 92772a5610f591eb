"""Truth against prediction of a regression task, one panel per encoder, all on the same axes."""

from __future__ import annotations

import statistics

from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.svg import Drawing, nice_ticks
from usbench.leaderboard.figures.text import csv_line, number, tick_label

PANEL, GUTTER, PAD, COLUMNS = 200, 34, 44, 4


def pairs_of(entry: Entry, protocol: str) -> list[tuple[str, float, float]]:
    """Return unit, truth and prediction (mean over repeats) of every tested unit."""
    result = entry.result
    repeats = result.protocols[protocol].repeats
    found = []
    for i, (unit, target) in enumerate(zip(result.units.id, result.units.target, strict=True)):
        scores = [repeat.score[i] for repeat in repeats if repeat.score[i] is not None]
        if scores:
            found.append((unit, float(target), statistics.fmean(scores)))
    return found


def scatter(board: Board) -> Drawing | None:
    """Draw the panels of the headline protocol.

    Args:
        board: The board.

    Returns:
        The figure, or ``None`` for tasks other than regression.
    """
    if board.task.kind != "regression" or not board.entries:
        return None
    protocol = board.headline
    entries = [entry for entry in board.entries if protocol in entry.result.protocols]
    pairs = {entry.name: pairs_of(entry, protocol) for entry in entries}
    values = [value for items in pairs.values() for _, truth, answer in items for value in (truth, answer)]
    ticks = nice_ticks(min(values), max(values), 4)
    columns = min(COLUMNS, len(entries))
    rows = -(-len(entries) // columns)
    unit = f", {board.task.unit_of_target}" if board.task.unit_of_target else ""
    drawing = Drawing(
        PAD + columns * (PANEL + GUTTER) + 8,
        52 + rows * (PANEL + 54) + 14,
        f"{board.task.title}: truth and prediction",
        f"One point a {board.task.unit}; the diagonal is a perfect answer. All panels have the same axes.",
    )
    drawing.text(8, 20, board.task.title, "t h")
    drawing.text(8, 37, f"Prediction against truth{unit}; one point a {board.task.unit}", "t s")
    for i, entry in enumerate(entries):
        left = PAD + (i % columns) * (PANEL + GUTTER)
        top = 76 + (i // columns) * (PANEL + 54)
        _panel(drawing, board, entry, pairs[entry.name], ticks, left, top, i % columns == 0)
    return drawing


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure."""
    rows = ["board,encoder,protocol,unit,truth,prediction"]
    for entry in board.entries:
        if board.headline in entry.result.protocols:
            for unit, truth, answer in pairs_of(entry, board.headline):
                cells = [board.name, entry.name, board.headline, unit, number(truth), number(answer)]
                rows.append(csv_line(cells))
    return "\n".join(rows) + "\n"


def _panel(
    drawing: Drawing,
    board: Board,
    entry: Entry,
    pairs: list[tuple[str, float, float]],
    ticks: list[float],
    left: float,
    top: float,
    labelled: bool,
) -> None:
    def at(value: float) -> float:
        return PANEL * (value - ticks[0]) / (ticks[-1] - ticks[0])

    drawing.text(left, top - 8, entry.title + entry.mark, f"t b{' i' if entry.floor else ''}")
    for tick in ticks:
        drawing.line(left + at(tick), top, left + at(tick), top + PANEL, "grid")
        drawing.line(left, top + PANEL - at(tick), left + PANEL, top + PANEL - at(tick), "grid")
        drawing.text(left + at(tick), top + PANEL + 14, tick_label(tick), "t s n", "middle")
        if labelled:
            drawing.text(left - 6, top + PANEL - at(tick) + 4, tick_label(tick), "t s n", "end")
    drawing.line(left, top + PANEL, left + PANEL, top, "ref")
    style = "f" if entry.floor else "e"
    for unit, truth, answer in pairs:
        x, y = left + at(truth), top + PANEL - at(answer)
        drawing.circle(x, y, 3, f"{style} dot", f"{unit}: truth {truth:.4g}, prediction {answer:.4g}")
