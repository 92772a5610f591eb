"""How many frames a score needs: a table of encoders by budgets of frames."""

from __future__ import annotations

import statistics
from typing import Any

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.number_format import DASH
from usbench.leaderboard.tables.model import Cell, Heading, Paragraph, Row, Section, Table, name_cell

DAGGER = "†"


def curves_of(board: Board) -> list[tuple[Entry, dict[str, Any]]]:
    """Return the entries whose curve was measured in the metric that ranks, and the curve's section.

    Args:
        board: The board.
    """
    metric = board.primary()
    held = ((e, e.result.instruments.get("frame_budget", {})) for e in board.entries)
    return [(entry, section) for entry, section in held if section.get("curve") and section["metric"] == metric]


def spread_of(point: dict[str, Any]) -> float | None:
    """Return the standard deviation of a metric over the draws of one budget; ``None`` where there are none."""
    known = [value for value in point.get("draws", ()) if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def section(board: Board) -> Section | None:
    """Return the section of a board, or ``None`` where no curve was measured.

    Args:
        board: The board.
    """
    held = curves_of(board)
    if not held:
        return None
    title, column = "How many frames the score needs", board.column(held[0][1]["metric"])
    budgets = sorted({point["frames"] for _, s in held for point in s["curve"]})
    draws = max((len(point.get("draws", ())) for _, s in held for point in s["curve"]), default=0)
    drawn = (
        f"Each budget is drawn {draws} times from the frames that the task takes, the same for every encoder; the "
        "figure is the mean over the draws, and ± their standard deviation, which is the luck of the draw. "
        if draws
        else ""
    )
    about = (
        f"Trained and tested on so many frames of each {board.task.unit}, {column.title} by {held[0][1]['protocol']}. "
        f"{drawn}{DAGGER} marks a difference to all frames (paired, p < 0.05, not corrected)."
    )
    headings = [Heading("c0", "Encoder")]
    headings += [
        Heading(f"c{i}", number_format.plural(n, "frame"), numeric=True, ascending=False)
        for i, n in enumerate(budgets, start=1)
    ]
    rows = []
    for entry, s in held:
        points = {point["frames"]: point for point in s["curve"]}
        cells = [_cell(column, points[n]) if n in points else Cell(DASH) for n in budgets]
        rows.append(Row([name_cell(entry), *cells], entry.floor))
    table = Table("frames-1", f"{title}: {column.spoken}", headings, rows, mixed=True)
    return Section("frames", title, [Paragraph.of(about), table], figure="frames")


def _cell(column: number_format.Column, point: dict[str, Any]) -> Cell:
    p, sd = point.get("difference", {}).get("p"), spread_of(point)
    value = point["estimate"]["value"]
    luck = "" if sd is None else f" ± {column.value(sd)}"
    return Cell(f"{column.value(value)}{luck}{DAGGER if p is not None and p < 0.05 else ''}", value)
