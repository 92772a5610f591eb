"""What has been measured and what has not: encoders by boards."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard import wording
from usbench.leaderboard.board import Board
from usbench.leaderboard.bundled import Known
from usbench.leaderboard.number_format import DASH
from usbench.leaderboard.tables.model import Cell, Heading, Link, Row, Table
from usbench.leaderboard.tables.overview import encoders_of

MEASURED, TO_RUN = "✓", "to run"


def coverage(boards: Sequence[Board], known: Sequence[Known]) -> Table:
    """Return which encoder has been measured on which board, those with most results first.

    Untrained twins are left out unless somebody has run them: one beside each network is the exception.

    Args:
        boards: All boards, those without results included.
        known: Bundled encoders.

    Returns:
        A table with one row per encoder and one column per board.
    """
    ordered = sorted(boards, key=lambda board: not board.entries)
    measured = {board.name: {e.name for e in board.entries} for board in ordered}
    headings = [Heading("encoder", "Encoder"), Heading("count", "Boards", "Boards it was measured on", True, False)]
    for board in ordered:
        done = len([e for e in board.entries if e.file])
        small = f"{done} measured" if done else "not run yet"
        title = wording.board_title(board)
        headings.append(Heading(board.name, title, link=Link("board", board.name), small=small))
    people: dict[str, tuple[str, bool, bool, bool]] = {
        e.name: (e.title, e.floor, False, bool(e.file)) for e in encoders_of([b for b in ordered if b.entries])
    }
    for k in known:
        if k.name in people:
            title, floor, _, paged = people[k.name]
            people[k.name] = (title, floor, bool(k.weights_page), paged)
        elif not (k.floor and k.name.endswith(".random")):
            people[k.name] = (k.title, k.floor, bool(k.weights_page), False)
    rows = []
    for name, (title, floor, weights, paged) in people.items():
        cells = [_cell(name in measured[board.name], weights) for board in ordered]
        count = sum(cell.text == MEASURED for cell in cells)
        link = Link("encoder", name) if paged else None
        first = Cell(title, title, italic=floor, link=link)
        rows.append(Row([first, Cell(f"{count} of {len(ordered)}", count), *cells], floor))
    rows.sort(key=lambda row: -float(row.cells[1].value or 0))
    return Table("coverage", "Encoders by boards: what has been measured", headings, rows)


def _cell(there: bool, weights: bool) -> Cell:
    if there:
        return Cell(MEASURED, MEASURED)
    if weights:
        return Cell(DASH, note="its weights are for you to get")
    return Cell(TO_RUN, TO_RUN, flag=True)
