"""Truth against prediction of a regression task, one panel per encoder, all on the same axes."""

from __future__ import annotations

import statistics

from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.panels import Panels
from usbench.leaderboard.figures.svg import Drawing, nice_ticks
from usbench.leaderboard.figures.text import csv_line, number, tick_label

PANEL, PAD, TOP, COLUMNS = 200, 36, 24, 4


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


def scatter(board: Board) -> Panels | None:
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
    unit = f", {board.task.unit_of_target}" if board.task.unit_of_target else ""
    return Panels(
        f"{board.task.title}: truth and prediction",
        f"One point per {board.task.unit}; the diagonal is a perfect answer. All panels have the same axes.",
        board.task.title,
        f"Prediction against truth{unit}; one point per {board.task.unit}. All panels have the same axes.",
        [_panel(board, entry, pairs[entry.name], ticks) for entry in entries],
        COLUMNS,
    )


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure."""
    rows = ["board,encoder,protocol,unit,truth,prediction"]
    for entry in board.entries:
        if board.headline in entry.result.protocols:
            for unit, truth, answer in pairs_of(entry, board.headline):
                cells = [board.name, entry.name, board.headline, unit, number(truth), number(answer)]
                rows.append(csv_line(cells))
    return "\n".join(rows) + "\n"


def _panel(board: Board, entry: Entry, pairs: list[tuple[str, float, float]], ticks: list[float]) -> Drawing:
    drawing = Drawing(
        PAD + PANEL + 12,
        TOP + PANEL + 22,
        f"Truth and prediction of {entry.title}",
        f"One point per {board.task.unit}; the diagonal is a perfect answer.",
    )

    def at(value: float) -> float:
        return PANEL * (value - ticks[0]) / (ticks[-1] - ticks[0])

    drawing.text(PAD, TOP - 8, entry.title + entry.mark, f"t b{' i' if entry.floor else ''}")
    for tick in ticks:
        drawing.line(PAD + at(tick), TOP, PAD + at(tick), TOP + PANEL, "grid")
        drawing.line(PAD, TOP + PANEL - at(tick), PAD + PANEL, TOP + PANEL - at(tick), "grid")
        drawing.text(PAD + at(tick), TOP + PANEL + 14, tick_label(tick), "t s n", "middle")
        drawing.text(PAD - 6, TOP + PANEL - at(tick) + 4, tick_label(tick), "t s n", "end")
    drawing.line(PAD, TOP + PANEL, PAD + PANEL, TOP, "ref")
    style = "f" if entry.floor else "e"
    for unit, truth, answer in pairs:
        x, y = PAD + at(truth), TOP + PANEL - at(answer)
        drawing.circle(x, y, 3, f"{style} dot", f"{unit}: truth {truth:.4g}, prediction {answer:.4g}")
    return drawing
