"""Figures of the overview: tasks by encoders, and the ranking."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard.board import Board
from usbench.leaderboard.figures import Figure
from usbench.leaderboard.figures import heatmap as heat
from usbench.leaderboard.figures import ranking as ranks
from usbench.leaderboard.ranking import Ranking
from usbench.leaderboard.tables import overview

MIN_BOARDS, MIN_ENCODERS = 2, 2


def overview_figures(boards: Sequence[Board], ranking: Ranking | None) -> list[Figure]:
    """Return the figures of the overview.

    Args:
        boards: Boards of real images.
        ranking: Their ranking, if there is one.
    """
    found = []
    if ranking is not None:
        caption = "Mean ranks with 95 % intervals; bars join encoders that are not distinguished."
        figures = (ranks.ranking(ranking), ranks.csv_of(ranking), ranks.ranking(ranking, narrow=True))
        found.append(Figure("overview-ranking", caption, *figures))
    measured = [board for board in boards if board.entries]
    table = overview.matrix(measured, ())
    if table is not None and len(measured) >= MIN_BOARDS and len(table.rows) >= MIN_ENCODERS:
        caption = "Tasks by encoders, shaded within each task."
        found.append(
            Figure(
                "overview-heatmap", caption, heat.heatmap(table), heat.csv_of(table), heat.heatmap(table, narrow=True)
            )
        )
    return found
