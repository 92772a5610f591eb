"""How alike the encoders of a board are, as a table: whether a combination of two can help."""

from __future__ import annotations

from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.similarity import compared, pair_of
from usbench.leaderboard.number_format import DASH, plural
from usbench.leaderboard.tables.model import Cell, Heading, Paragraph, Row, Section, Table, name_cell


def section(board: Board) -> Section | None:
    """Return the section of a board, or ``None`` where fewer than two of its encoders were compared.

    Args:
        board: The board.
    """
    entries, found = compared(board), board.similarity
    if not entries or found is None:
        return None
    title = "How alike the encoders are"
    chance = found.neighbours / (found.frames - 1)
    about = (
        f"On one frame of each of {plural(found.frames, 'unit')}, as encoded for this page. Below the diagonal: linear "
        "CKA without the bias of small samples, 1 for vectors that are equal but for rotation, shift and scale, 0 on "
        f"average for unrelated ones. Above it: the share of a frame's {found.neighbours} nearest neighbours (cosine) "
        f"that two encoders have in common; by chance {chance:.2f}. Two encoders that are little alike and both score "
        "well are those whose combination can help."
    )
    blocks: list[Paragraph | Table] = [Paragraph.of(about), _table(board, entries, title)]
    absent = [e.title for e in board.entries if e.file and e not in entries]
    if absent:
        blocks.append(Paragraph.of(f"Not compared, as their vectors are of another run: {', '.join(absent)}."))
    return Section("similarity", title, blocks, figure="similarity")


def _table(board: Board, entries: list[Entry], title: str) -> Table:
    headings = [Heading("number", "", "Number", numeric=True), Heading("encoder", "Encoder")]
    headings += [
        Heading(f"c{position}", str(position), f"{position}: {entry.title}", numeric=True)
        for position, entry in enumerate(entries, start=1)
    ]
    rows = []
    for row, entry in enumerate(entries):
        cells = [Cell(str(row + 1), row + 1.0), name_cell(entry)]
        for column, other in enumerate(entries):
            pair = pair_of(board, entry, other) if row != column else None
            value = None if pair is None else (pair.linear_cka if row > column else pair.mutual_neighbours)
            cells.append(Cell(DASH) if value is None else Cell(f"{value:.2f}", value))
        rows.append(Row(cells, entry.floor))
    return Table("similarity-1", title, headings, rows, sortable=False, mixed=True)
