"""The tables of an encoder: where it stands on every board, and how it does in each group of a board's subjects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from usbench.leaderboard import wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.number_format import DASH
from usbench.leaderboard.subgroups import strata_of
from usbench.leaderboard.tables.model import (
    Cell,
    Heading,
    Link,
    Row,
    Table,
    metric_cell,
    metric_heading,
    p_cell,
    text_cell,
)
from usbench.leaderboard.tables.task_page import delta_cell, leakage_cell


def standings(there: Sequence[tuple[Board, Entry]], id_: str, caption: str) -> Table | None:
    """Return the value, the place and the difference to the best baseline of one encoder on several boards.

    Args:
        there: Boards and the encoder's entry on each.
        id_: Unique on its page.
        caption: What it shows.

    Returns:
        One row per board with a metric that ranks; ``None`` without boards.
    """
    if not there:
        return None
    headings = [
        Heading("board", "Board"),
        Heading("metric", "Metric"),
        Heading("value", "Value", "Value with 95 % interval", True),
        Heading("place", "Place", "Place among the encoders and baselines of the board", True),
        Heading("delta", "Δ best baseline", "Difference to the best baseline", True),
        Heading("p", "p", "Two-sided p-value, corrected for the number of encoders", True),
        Heading("leakage", "Leakage"),
        Heading("subjects", "Subjects", "Number of subjects", True, ascending=False),
    ]
    rows = [_standing(board, entry, metric) for board, entry in there if (metric := board.primary()) is not None]
    return Table(id_, caption, headings, rows)


def by_group(board: Board, entry: Entry) -> Table | None:
    """Return the primary metric of an entry in each group of units, or ``None`` where there are no groups."""
    groups, metric = strata_of(board, entry), board.primary()
    if not groups or metric is None:
        return None
    column, several = board.column(metric), board.task.unit != "subject"
    units = [Heading("units", f"{board.task.unit.capitalize()}s", numeric=True)] if several else []
    headings = [
        Heading("group", "Group"),
        Heading("subjects", "Subjects", numeric=True),
        *units,
        metric_heading(column),
    ]
    rows = []
    for group in groups:
        counts = [group.subjects, group.units] if several else [group.subjects]
        cells = [Cell(str(n), n) for n in counts]
        rows.append(
            Row(
                [
                    Cell(f"{group.column}: {group.value}"),
                    *cells,
                    replace(metric_cell(column, group.estimate), note=group.note),
                ]
            )
        )
    return Table(f"strata-{board.name.replace('@', '-')}", f"{column.title} by group, 95 % intervals", headings, rows)


def _standing(board: Board, entry: Entry, metric: str) -> Row:
    column, standing = board.column(metric), board.standing()
    value = entry.estimate(board.headline, metric)
    better = sum(column.better(e.estimate(board.headline, metric).value, value.value) for e in board.entries)
    delta, reference = standing.differences.get(entry.name), entry.name == standing.best_floor
    subjects = len(set(entry.result.units.subject))
    return Row(
        [
            Cell(wording.board_title(board), board.name, link=Link("board", board.name)),
            text_cell(column.heading),
            metric_cell(column, value, entry.name in standing.leaders),
            Cell(f"{better + 1} of {len(board.entries)}", better + 1),
            Cell("best baseline") if reference else delta_cell(column, delta, DASH),
            p_cell(delta.p_adjusted if delta else None),
            leakage_cell(entry),
            Cell(str(subjects), subjects),
        ]
    )
