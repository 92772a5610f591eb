"""Short tables of a board: the one on the front page, and the line that a new result adds."""

from __future__ import annotations

import re
from collections.abc import Sequence

from usbench.errors import ResultError
from usbench.leaderboard.board import Board
from usbench.leaderboard.markdown.table import write
from usbench.leaderboard.tables import task_page

_MARKED = re.compile(r"^(<!-- table: (\S+) -->\n)(.*?)^(<!-- end of table -->)$", flags=re.M | re.S)


def excerpt(board: Board, names: Sequence[str] = ()) -> str:
    """Return the headline of a board as a Markdown table: value, interval, difference to the best baseline, leakage.

    Args:
        board: A board with results.
        names: Encoders to show, of which the best baseline is always shown beside; all by default.

    Returns:
        The table, with a newline at its end.

    Raises:
        ResultError: The board has no metric that ranks, or one of the encoders has no result on it.
    """
    return write(task_page.excerpt(board, names))


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
