"""Leaderboards: pages and figures as a pure function of result files.

Nothing here needs torch, data or weights. Equal results give equal bytes on every machine: no date of rendering, no
locale, no time zone and no thread count enters.
"""

from __future__ import annotations

from pathlib import Path

from usbench.core.types import Progress, silent
from usbench.leaderboard.board import Board, files_of, gather
from usbench.leaderboard.published_values import default_reported_dir
from usbench.leaderboard.staleness import Drift, find_drift, write_pages
from usbench.results.text import told_of

__all__ = ["Board", "Drift", "default_reported_dir", "find_drift", "gather", "render", "write_pages"]


def render(
    results: Path, reported: Path | None = None, front: Path | None = None, progress: Progress = silent
) -> dict[str, str]:
    """Render every page and figure.

    Args:
        results: Folder of result files.
        reported: Folder of reported values; the ones that came with the program by default.
        front: A page written by hand, one folder above the pages, whose marked tables follow the results.
        progress: Told what is being done, how much of it is done, and how much there is.

    Returns:
        Path relative to the leaderboard folder to text.

    Raises:
        ResultError: A result or a file of reported values is damaged.
    """
    from usbench.leaderboard.bundled import bundled_encoders
    from usbench.leaderboard.figures import figures_of
    from usbench.leaderboard.figures.overview import overview_figures
    from usbench.leaderboard.markdown.escape import escaped_board, escaped_ranking
    from usbench.leaderboard.markdown.excerpt import fill_tables
    from usbench.leaderboard.markdown.overview import overview_page
    from usbench.leaderboard.markdown.table import page_name
    from usbench.leaderboard.markdown.task_page import task_page
    from usbench.leaderboard.ranking import rank

    boards = gather(results, reported if reported is not None else default_reported_dir(), progress=progress)
    safe: list[Board] = []
    pages = {}
    for done, board in enumerate(boards):
        progress("writing pages", done, len(boards))
        with told_of(*files_of(board)):
            safe.append(escaped_board(board))
            figures = figures_of(board)
            pages[page_name(board.name)] = task_page(safe[-1], figures)
            for figure in figures:
                pages[f"figures/{figure.name}.svg"] = figure.drawing.render()
                pages[f"figures/{figure.name}.csv"] = figure.csv
    with told_of(*files_of(*boards)):
        real = [board for board in boards if not board.synthetic]
        ranking = rank(real)
        shown = overview_figures(real, ranking)
        pages["README.md"] = overview_page(safe, bundled_encoders(), escaped_ranking(ranking, safe), shown)
        for figure in shown:
            pages[f"figures/{figure.name}.svg"] = figure.drawing.render()
            pages[f"figures/{figure.name}.csv"] = figure.csv
    if front is not None and front.is_file():
        # Bytes: a line ending that was changed elsewhere on that page is not for us to change.
        pages[f"../{front.name}"] = fill_tables(front.read_bytes().decode("utf-8"), safe)
    return pages
