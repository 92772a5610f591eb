"""Vector figures of a board, each with the numbers behind it as CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from usbench.leaderboard.board import Board
from usbench.leaderboard.figures import forest, maps, pareto, scatter
from usbench.leaderboard.figures import shifts as shift_curves
from usbench.leaderboard.figures.panels import Panels
from usbench.leaderboard.figures.svg import Drawing


@dataclass(frozen=True)
class Figure:
    """One figure of a board.

    Attributes:
        name: File name without suffix.
        caption: One sentence.
        drawing: The drawing.
        csv: The numbers behind it.
        narrow: The same for a phone, where the drawing does not fit one by itself.
    """

    name: str
    caption: str
    drawing: Drawing | Panels
    csv: str
    narrow: Drawing | None = None


NARROW = {"forest": forest.forest, "compute": pareto.pareto}
"""Kinds of figures that are drawn a second time for a phone; panels flow by themselves."""


def figures_of(board: Board) -> list[Figure]:
    """Return the figures of a board, the forest plot first.

    Args:
        board: The board; one without results has none.
    """
    kinds: tuple[tuple[str, str, Callable[[Board], Drawing | Panels | None], Callable[[Board], str]], ...] = (
        ("forest", "Every encoder with its 95 % interval, baselines below.", forest.forest, forest.csv_of),
        (
            "map",
            "UMAP of each embedding, with the same colours in every panel; how far to believe it is told below.",
            maps.maps,
            maps.csv_of,
        ),
        ("scatter", "Truth and prediction, one panel per encoder.", scatter.scatter, scatter.csv_of),
        (
            "compute",
            "Score against compute; the line joins those no cheaper one matches.",
            pareto.pareto,
            pareto.csv_of,
        ),
        (
            "shifts",
            "Score against the severity of acquisition shifts. Filled marks differ from clean (Holm, 5 %).",
            shift_curves.shifts,
            shift_curves.csv_of,
        ),
    )
    found = []
    for kind, caption, draw, csv in kinds:
        drawing = draw(board)
        if drawing is not None:
            narrow = NARROW[kind](board, narrow=True) if kind in NARROW else None
            found.append(Figure(f"{board.name}-{kind}", caption, drawing, csv(board), narrow))
    return found
