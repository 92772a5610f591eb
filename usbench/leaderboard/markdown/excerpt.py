"""Short tables of a board: the one on the front page, and the line that a new result adds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from usbench.errors import ResultError
from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.markdown.table import Align, table
from usbench.leaderboard.markdown.task_page import emphasis, with_rule
from usbench.probes.facts import paper_protocol

_MARKED = re.compile(r"^(<!-- table: (\S+) -->\n)(.*?)^(<!-- end of table -->)$", flags=re.M | re.S)


def excerpt(board: Board, names: Sequence[str] = ()) -> str:
    """Return the headline of a board as a Markdown table: value, interval, difference to the best floor, leakage.

    Args:
        board: A board with results.
        names: Encoders to show, of which the best floor is always shown beside; all by default.

    Returns:
        The table, with a newline at its end.

    Raises:
        ResultError: The board has no metric that ranks, or one of the encoders has no result on it.
    """
    standing, metric = board.standing(), board.primary()
    if metric is None or not board.entries:
        raise ResultError(f"{board.name}: nothing was measured there by which encoders could be ranked.")
    unknown = sorted(set(names) - {e.name for e in board.entries})
    if unknown:
        raise ResultError(f"{board.name}: no result of {', '.join(unknown)}.")
    entries = [e for e in board.entries if not names or e.name in names or e.name == standing.best_floor]
    column = board.column(metric)
    paper = paper_protocol(board.protocols)
    heading = [wording.sample(board), column.heading, "95 % interval", "Δ best floor", "p"]
    align: list[Align] = ["left", "right", "center", "right", "right"]
    if paper is not None:
        heading.append(f"Paper's protocol, {column.heading}")
        align.append("right")
    rows = []
    for entry in entries:
        value = entry.estimate(board.headline, metric)
        row = [
            emphasis(entry.title, entry, standing.leaders),
            emphasis(column.value(value.value), entry, standing.leaders),
            column.interval(value.low, value.high),
            *_difference(board, entry, column),
        ]
        if paper is not None:
            row.append(column.value(entry.estimate(paper, metric).value))
        rows.append([*row, wording.leakage(entry)])
    return table([*heading, "Leakage"], [*align, "left"], with_rule(entries, rows))


def fill_tables(page: str, boards: Sequence[Board]) -> str:
    """Replace what stands between ``<!-- table: BOARD -->`` and ``<!-- end of table -->`` by the board's excerpt.

    Args:
        page: A page written by hand.
        boards: All boards.

    Returns:
        The page with its tables as the results give them.

    Raises:
        ResultError: A mark names a board that has no results.
    """
    known = {board.name: board for board in boards if board.entries}

    def replaced(found: re.Match[str]) -> str:
        if found[2] not in known:
            raise ResultError(
                f"the mark '<!-- table: {found[2]} -->' names no board with results ({', '.join(known)})."
            )
        return f"{found[1]}{excerpt(known[found[2]])}{found[4]}"

    return _MARKED.sub(replaced, page)


def _difference(board: Board, entry: Entry, column: number_format.Column) -> list[str]:
    if entry.name == board.standing().best_floor:
        return ["best floor", ""]
    found = board.standing().differences.get(entry.name)
    return [column.difference(found.value), number_format.p_value(found.p_adjusted)] if found else ["", ""]
