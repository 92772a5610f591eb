"""What a score loses on data from elsewhere, for tasks that hold a centre out or test on another dataset."""

from __future__ import annotations

from typing import Any

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board
from usbench.leaderboard.tables.model import Cell, Heading, Paragraph, Row, Section, Table, name_cell

SHOWN = 2
"""Metrics shown, the one that ranks first."""


def section(board: Board) -> Section | None:
    """Return the section of a board, or ``None`` where nothing was tested on data from elsewhere.

    Args:
        board: The board.
    """
    held = [(entry, entry.result.figures["drop"]) for entry in board.entries if entry.result.figures.get("drop")]
    if not held:
        return None
    title, first = "The drop on data from elsewhere", held[0][1]
    names = [board.primary(first["protocol"]), *first["metrics"]]
    chosen = [name for name in dict.fromkeys(names) if name in first["metrics"]][:SHOWN]
    blocks: list[Any] = [
        Paragraph.of(
            f"{first['protocol']} with {first['reference']}, beside the score on data from elsewhere, and what is "
            "lost: positive is worse. Intervals, 95 %, resample subjects under fixed predictions; "
            + (
                "the same units are answered twice, so that the drop is a paired difference."
                if first["paired"]
                else "the patients are others, so that the drop is the difference of two samples."
            )
        )
    ]
    for number, name in enumerate(chosen, start=1):
        shown = board.column(name)
        headings = [
            Heading("encoder", "Encoder"),
            Heading("within", f"{shown.heading}, within", numeric=True),
            Heading("elsewhere", f"{shown.heading}, elsewhere", numeric=True),
            Heading("drop", "Drop", numeric=True),
            Heading("interval", "95 % interval"),
        ]
        rows = []
        for entry, drop in held:
            if name not in drop["metrics"]:
                continue
            found = drop["metrics"][name]
            low, high = found["drop"]["low"], found["drop"]["high"]
            between = (
                number_format.DASH
                if low is None or high is None
                else f"{shown.difference(low)} to {shown.difference(high)}"
            )
            cells = [
                name_cell(entry),
                Cell(shown.value(found["within"]["value"])),
                Cell(shown.value(found["elsewhere"]["value"])),
                Cell(shown.difference(found["drop"]["value"])),
                Cell(between),
            ]
            rows.append(Row(cells, entry.floor))
        blocks.append(Table(f"drop-{number}", f"{title}: {shown.title}", headings, rows))
    return Section("drop", title, blocks)
