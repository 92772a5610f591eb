"""What a score loses on data from elsewhere, for tasks that hold a centre out or test on another dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.tables.model import Cell, Heading, Paragraph, Row, Section, Table, name_cell, p_cell

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
            f"lost: positive is worse. Intervals are 95 % and {_source(held)}; "
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
            Heading("p", "p", "Two-sided p-value of the drop, not corrected for the number of encoders", True),
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
                p_cell(found["drop"].get("p")),
            ]
            rows.append(Row(cells, entry.floor))
        blocks.append(Table(f"drop-{number}", f"{title}: {shown.title}", headings, rows))
    return Section("drop", title, blocks)


def _source(held: Sequence[tuple[Entry, dict[str, Any]]]) -> str:
    """Say where the intervals come from."""
    halved = sum(bool(drop.get("uncertainty", {}).get("halves")) for _, drop in held)
    joined = "join refits of both in the same half-samples of the subjects with resamples under fixed predictions"
    fixed = "resample subjects under fixed predictions"
    if 0 < halved < len(held):
        return f"{joined}, or where subjects are too few to halve {fixed}"
    return joined if halved else fixed
