"""Vector figures of a board, each with the numbers behind it as CSV."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from usbench.leaderboard.board import Board
from usbench.leaderboard.figures import forest, frames, label_efficiency, maps, pareto, scatter, similarity
from usbench.leaderboard.figures import shifts as shift_curves
from usbench.leaderboard.figures.panels import Panels
from usbench.leaderboard.figures.svg import Drawing

OF_SECTIONS = ("-label-efficiency", "-shifts", "-frames", "-similarity")
"""Ends of the names of figures that stand in a section of their own and not beside the scores."""


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

    @property
    def beside_scores(self) -> bool:
        """Whether it stands beside the scores."""
        return not self.name.endswith(OF_SECTIONS)


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
            "label-efficiency",
            "Score against the number of training subjects; dashed, the best baseline on all of them.",
            label_efficiency.label_efficiency,
            label_efficiency.csv_of,
        ),
        (
            "shifts",
            "Score against the severity of acquisition shifts. Filled marks differ from clean (Holm, 5 %).",
            shift_curves.shifts,
            shift_curves.csv_of,
        ),
        (
            "frames",
            "Score against the number of frames. Bars are the standard deviation over draws of the frames.",
            frames.frames,
            frames.csv_of,
        ),
        (
            "similarity",
            "How alike the encoders are: linear CKA below the diagonal, common neighbours above; area is the value.",
            similarity.similarity,
            similarity.csv_of,
        ),
    )
    found = []
    for kind, caption, draw, csv in kinds:
        drawing = draw(board)
        if drawing is not None:
            narrow = NARROW[kind](board, narrow=True) if kind in NARROW else None
            found.append(Figure(f"{board.name}-{kind}", caption, drawing, csv(board), narrow))
    return found
