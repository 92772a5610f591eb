"""What untrained networks score over several seeds, one row a network, beside the encoder they are the twin of."""

from __future__ import annotations

from typing import Any

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.comparison import named_beforehand
from usbench.leaderboard.number_format import DASH
from usbench.leaderboard.tables.model import Cell, Heading, Paragraph, Row, Section, Table, name_cell


def section(board: Board) -> Section | None:
    """Return the section of a board, or ``None`` where nobody was initialised more than once.

    Args:
        board: The board.
    """
    metric = board.primary()
    held = ((e, e.result.instruments.get("initialisations", {})) for e in board.entries)
    # Of another protocol or metric than the table of scores, it would say nothing of what stands there.
    drawn = [(e, s) for e, s in held if s.get("values") and (s["protocol"], s["metric"]) == (board.headline, metric)]
    if not drawn:
        return None
    column = board.column(drawn[0][1]["metric"])
    title, n = "How much is the luck of random weights", max(len(s["seeds"]) for _, s in drawn)
    about = (
        f"{column.heading} by {drawn[0][1]['protocol']} of networks that were never trained, each initialised from "
        f"{n} seeds. The table of scores and its tests hold the first of them. The last column says how many of these "
        "networks the trained one is ahead of."
    )
    headings = [
        Heading("c0", "Encoder"),
        Heading("c1", "In the table of scores", numeric=True, ascending=False),
        Heading("c2", f"Mean ± SD of {n} seeds", numeric=True, ascending=False),
        Heading("c3", "Lowest to highest", numeric=True, ascending=False),
        Heading("c4", "Trained"),
    ]
    rows = []
    for entry, s in drawn:
        low, high = min(s["values"]), max(s["values"])
        cells = [
            Cell(column.value(s["values"][0]), s["values"][0]),
            Cell(f"{column.value(s['mean'])} ± {column.value(s['sd'])}", s["mean"]),
            Cell(f"{column.value(low)} to {column.value(high)}", high),
            Cell(_trained(board, column, entry, s) or DASH),
        ]
        rows.append(Row([name_cell(entry), *cells], entry.floor))
    table = Table("initialisations-1", f"{title}: {column.spoken}", headings, rows, mixed=True)
    return Section("initialisations", title, [Paragraph.of(about), table])


def _trained(board: Board, column: number_format.Column, entry: Entry, section: dict[str, Any]) -> str:
    """Place every encoder that this network is the untrained twin of."""
    names, spelt = [e.name for e in board.entries], {e.name: e.spelling for e in board.entries}
    told = []
    for other in board.entries:
        value = other.estimate(section["protocol"], section["metric"])
        if not other.floor and value.value is not None and entry.name in named_beforehand(other.name, names, spelt):
            sign = 1 if column.higher_is_better else -1
            ahead = sum(sign * value.value > sign * drawn for drawn in section["values"])
            told.append(f"{other.title} {column.value(value.value)}: {ahead} of {len(section['values'])}")
    return "; ".join(told)
