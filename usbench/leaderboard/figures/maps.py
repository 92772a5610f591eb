"""Maps of embeddings, one panel per encoder, classes in shared colours and named where they lie."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.panels import Key, Panels
from usbench.leaderboard.figures.svg import CLASS_COLOURS, Drawing, text_width
from usbench.leaderboard.figures.text import csv_line, number

PANEL = 330
# Room above a panel for its name and its leakage, below it for its figures.
ABOVE, BELOW = 36, 36


def drawn_entries(board: Board) -> list[Entry]:
    """Return the entries whose results hold a map."""
    return [entry for entry in board.entries if "map" in entry.result.figures]


def maps(board: Board) -> Panels | None:
    """Draw the maps of a board.

    Args:
        board: The board.

    Returns:
        The figure, or ``None`` where no result holds a map.
    """
    entries = drawn_entries(board)
    if not entries:
        return None
    names = sorted({str(target) for entry in entries for target in entry.result.units.target})
    return Panels(
        f"{board.task.title}: UMAP of each embedding",
        f"One dot stands for one {board.task.unit}, coloured by class; the same colours in every panel.",
        board.task.title,
        f"UMAP; one dot for each {board.task.unit}. Axes have no unit and no direction.",
        [_panel(board, entry, names) for entry in entries],
        2 if len(entries) in (2, 4) else 3,
        [Key(name, f"k{i % CLASS_COLOURS}") for i, name in enumerate(names)],
    )


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure."""
    rows = ["board,encoder,unit,class,x,y"]
    for entry in drawn_entries(board):
        units, figures = entry.result.units, entry.result.figures["map"]
        for unit, target, x, y in zip(units.id, units.target, figures["x"], figures["y"], strict=True):
            rows.append(csv_line([board.name, entry.name, unit, str(target), number(x), number(y)]))
    return "\n".join(rows) + "\n"


def _panel(board: Board, entry: Entry, names: Sequence[str]) -> Drawing:
    figures = entry.result.figures["map"]
    xs, ys, targets = figures["x"], figures["y"], [str(target) for target in entry.result.units.target]
    drawing = Drawing(
        PANEL,
        ABOVE + PANEL + BELOW,
        f"UMAP of {entry.title}",
        f"One dot for each {board.task.unit}, coloured by class; how many neighbours agree is told below it.",
    )
    span = max(max(xs) - min(xs), max(ys) - min(ys)) or 1.0
    scale = (PANEL - 16) / span
    left, top = 0, ABOVE
    # Both axes alike, the cloud in the middle of its panel.
    x0 = left + PANEL / 2 - scale * (max(xs) + min(xs)) / 2
    y0 = top + PANEL / 2 + scale * (max(ys) + min(ys)) / 2
    flag = {"overlap": "⚠ saw some of these images in pre-training", "unknown": "⚠? may have seen some of these images"}
    drawing.text(left, 14, entry.title, f"t b{' i' if entry.floor else ''}")
    drawing.text(left, 28, flag.get(entry.result.leakage.get("state", ""), ""), "t s")
    for x1, y1, x2, y2 in ((0, 0, 1, 0), (1, 0, 1, 1), (1, 1, 0, 1), (0, 1, 0, 0)):
        drawing.line(left + PANEL * x1, top + PANEL * y1, left + PANEL * x2, top + PANEL * y2, "grid")
    labels = []
    for i, name in enumerate(names):
        own = [(x0 + scale * x, y0 - scale * y) for x, y, t in zip(xs, ys, targets, strict=True) if t == name]
        if own:
            drawing.dots(own, f"k{i % CLASS_COLOURS}", name if entry.comparable else "")
            x, y = _middle(own)
            half = 1.15 * text_width(name, 11) / 2
            labels.append((min(max(x, left + half), left + PANEL - half), y, name))
    for x, y, name in _apart(labels):
        drawing.text(x, y + 4, name, "t s b halo", "middle")
    before, after = figures["quality"]["embedding"], figures["quality"]["map"]
    drawing.text(
        left,
        top + PANEL + 16,
        f"Neighbours right: {100 * before['knn_accuracy']:.1f} %, "
        f"in the map {100 * after['knn_accuracy']['mean']:.1f} %.",
        "t s n",
    )
    drawing.text(
        left,
        top + PANEL + 30,
        f"Silhouette: {before['silhouette']:.3f}, in the map {after['silhouette']['mean']:.3f}; "
        f"trustworthiness {after['trustworthiness']['mean']:.2f}.".replace("-", number_format.MINUS),
        "t s n",
    )
    return drawing


def _middle(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the point nearest the median, so that the name of a class in two heaps stands on one of them."""
    x, y = (statistics.median(point[axis] for point in points) for axis in (0, 1))
    return min(points, key=lambda point: (point[0] - x) ** 2 + (point[1] - y) ** 2)


def _apart(labels: Sequence[tuple[float, float, str]]) -> list[tuple[float, float, str]]:
    """Move labels down where they would lie on each other."""
    placed: list[tuple[float, float, str]] = []
    for x, y, name in sorted(labels, key=lambda label: (label[1], label[0])):
        low = y
        for other_x, other_y, other in placed:
            if abs(other_x - x) < (text_width(name, 11) + text_width(other, 11)) / 2 and abs(other_y - low) < 13:
                low = other_y + 13
        placed.append((x, low, name))
    return placed
