"""How alike the encoders of a board are: a matrix of discs, two measures on the two sides of its diagonal."""

from __future__ import annotations

import math

from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.figures.svg import Drawing, text_width
from usbench.leaderboard.figures.text import csv_line, number
from usbench.results.similarity import Pair

STEP, TOP = 30, 84
LARGEST = 13.0


def compared(board: Board) -> list[Entry]:
    """Return the entries whose very vectors were compared, those of other vectors left out.

    Args:
        board: The board.
    """
    if board.similarity is None:
        return []
    known = board.similarity.encoders
    found = [entry for entry in board.entries if entry.result.encoder.get("identity") in known]
    return found if len(found) > 1 else []


def pair_of(board: Board, one: Entry, other: Entry) -> Pair | None:
    """Return what was measured of two entries."""
    assert board.similarity is not None
    identities = frozenset(str(entry.result.encoder["identity"]) for entry in (one, other))
    return board.similarity.by_pair.get(identities)


def similarity(board: Board) -> Drawing | None:
    """Draw the matrix.

    Args:
        board: The board.

    Returns:
        The figure, or ``None`` where fewer than two encoders were compared.
    """
    entries = compared(board)
    if not entries or board.similarity is None:
        return None
    labels = [f"{position}  {entry.title}{entry.mark}" for position, entry in enumerate(entries, start=1)]
    left = 16 + max(text_width(label) for label in labels)
    subtitle = (
        f"below: linear CKA, above: {board.similarity.neighbours} nearest neighbours in common; "
        f"one frame of each of {board.similarity.frames} units"
    )
    drawing = Drawing(
        max(left + STEP * len(entries) + 20, 24 + text_width(subtitle, 11)),
        TOP + STEP * len(entries) + 8,
        f"{board.task.title}: how alike the encoders are",
        "A disc for each pair of encoders, whose area is the measure, from 0 to 1.",
    )
    drawing.text(8, 20, board.task.title, "t h")
    drawing.text(8, 37, subtitle, "t s")
    for row, entry in enumerate(entries):
        y = TOP + STEP * row + STEP / 2
        drawing.text(left + STEP * row + STEP / 2, TOP - 8, str(row + 1), "t s n", "middle")
        drawing.text(8, y + 4, labels[row], f"t{' i' if entry.floor else ''}")
        drawing.line(left, y, left + STEP * len(entries), y, "grid")
        for column, other in enumerate(entries):
            pair = pair_of(board, entry, other) if row != column else None
            value = None if pair is None else (pair.linear_cka if row > column else pair.mutual_neighbours)
            if value is None:
                continue
            radius = max(LARGEST * math.sqrt(min(max(value, 0.0), 1.0)), 1.0)
            measure = "linear CKA" if row > column else "neighbours in common"
            tip = f"{entry.title} and {other.title}: {measure} {value:.2f}"
            drawing.circle(left + STEP * column + STEP / 2, y, radius, "e" if row > column else "f", tip)
    return drawing


def csv_of(board: Board) -> str:
    """Return the numbers behind the figure, each pair once."""
    entries = compared(board)
    rows = ["board,encoder,other,frames,neighbours,linear_cka,mutual_neighbours"]
    for position, entry in enumerate(entries):
        for other in entries[:position]:
            pair = pair_of(board, entry, other)
            if pair is None or board.similarity is None:
                continue
            facts = [str(board.similarity.frames), str(board.similarity.neighbours)]
            cells = [board.name, entry.name, other.name, *facts]
            rows.append(csv_line([*cells, number(pair.linear_cka), number(pair.mutual_neighbours)]))
    return "\n".join(rows) + "\n"
