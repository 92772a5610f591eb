"""The section of a page on how many labelled subjects a score needs."""

from __future__ import annotations

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board
from usbench.leaderboard.label_efficiency import Efficiency, Needed, efficiency_of
from usbench.leaderboard.number_format import DASH, Column
from usbench.leaderboard.tables.model import Cell, Heading, Paragraph, Row, Section, Span, Table, metric_cell, name_cell

FIGURE = "label-efficiency"
NOT_REACHED = "not reached"


def section(board: Board) -> Section | None:
    """Return the section of a board, ``None`` where no curve was measured.

    Args:
        board: The board.
    """
    found = efficiency_of(board)
    if found is None:
        return None
    column = board.column(found.metric)
    shares = {p.share: p.subjects for curve in found.curves for p in curve.points}
    headings = [Heading("encoder", "Encoder")]
    for share, subjects in sorted(shares.items()):
        label = f"{100 * share:g} % ({subjects:.0f} subjects)"
        spoken = f"{column.spoken}, trained on {100 * share:g} % of the training subjects"
        headings.append(Heading(f"share-{100 * share:g}", label, spoken, True, interval="brackets"))
    goal = found.best_floor is not None
    if goal:
        label, spoken = "Subjects to reach the best baseline", "Training subjects to reach the best baseline"
        headings.append(Heading("needed", label, spoken, True, ascending=True, interval="brackets"))
    rows = []
    for curve in found.curves:
        at = {point.share: point.estimate for point in curve.points}
        cells = [metric_cell(column, at[share]) if share in at else Cell(DASH) for share in sorted(shares)]
        if goal:
            cells.append(needed_cell(found.needed(curve, column)))
        rows.append(Row([name_cell(curve.entry), *cells], curve.entry.floor))
    blocks = [Paragraph.of(_about(board, found, column))]
    table = Table(FIGURE, f"{column.title} on shares of the training subjects", headings, rows)
    command = Span("usbench run", "code")
    option = Span("--no-label-efficiency", "code")
    closing = Paragraph.of("Measured by ", command, "; ", option, " leaves it out.")
    return Section(FIGURE, "How many labelled subjects it takes", [*blocks, table, closing], figure=FIGURE)


def needed_cell(found: Needed | None) -> Cell:
    """Return the number of training subjects that reach the best baseline, with its range over the draws."""
    if found is None:
        return Cell("best baseline")
    if found.subjects is None:
        return Cell(NOT_REACHED)
    between = ""
    if found.low is not None and found.high is not None:
        between = f"{found.low:.0f} to {found.high:.0f}"
    return Cell(f"{'at most ' if found.at_most else ''}{found.subjects:.0f}", found.subjects, between)


def _about(board: Board, found: Efficiency, column: Column) -> str:
    draws = max(len(point.values) for curve in found.curves for point in curve.points[:-1])
    best = next((e.title for e in board.entries if e.name == found.best_floor), None)
    split = board.division is None
    each, means = (" of each fold", " Numbers of subjects are means over the folds.") if split else ("", "")
    text = (
        f"{column.heading} of {found.protocol}, tuned and trained on shares of the training subjects{each} "
        f"(up to {number_format.plural(draws, 'draw')} by class, the same for every encoder) and tested on the same "
        "units throughout. Intervals, 95 %, join other test subjects with other draws; those on all subjects are the "
        f"table's above.{means}"
    )
    if best is not None:
        text += (
            f" The last column says from how many training subjects on the mean score is that of the best baseline "
            f"({best}) on all of them, interpolated between sizes, with the range over the draws: a reading of the "
            "curve and not a test."
        )
    return text
