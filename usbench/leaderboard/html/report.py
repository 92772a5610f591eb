"""One self-contained report on one encoder: where it stands on every task it was run on. Fit to print and to attach."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from usbench.errors import UnknownNameError, did_you_mean
from usbench.leaderboard import wording
from usbench.leaderboard.board import Board, Entry, gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.figures.svg import page_style
from usbench.leaderboard.html import HERE, _environment, views
from usbench.leaderboard.html.images import embedded_picture
from usbench.leaderboard.published_values import default_reported_dir
from usbench.leaderboard.subgroups import strata_of
from usbench.leaderboard.tables import Cell, Heading, Row, Table, metric_cell, plain


def render_report(results: Path, encoder: str, reported: Path | None = None, pictures: Sequence[Path] = ()) -> str:
    """Render the report of an encoder as one HTML file without any other.

    Args:
        results: Folder of result files.
        encoder: Its registry name.
        reported: Folder of reported values; the ones that came with the program by default.
        pictures: PNG, JPEG or SVG files that are put into the report, such as textures or maps of attention.

    Raises:
        UnknownNameError: It has no result here.
        UsbenchError: A picture cannot be read or is of another kind.
        ResultError: A result is damaged.
    """
    boards = gather(results, reported if reported is not None else default_reported_dir())
    measured = views.measured_encoders(boards)
    if encoder not in measured:
        there = f"There are {', '.join(sorted(measured))}." if measured else "There are none."
        raise UnknownNameError(f"{encoder!r} has no result in {results}.{did_you_mean(encoder, measured)} {there}")
    there_boards = [(b, e) for b in boards for e in b.entries if e.name == encoder]
    style = (HERE / "assets" / "style.css").read_text("utf-8") + page_style()
    text = (
        _environment()
        .get_template("report.html")
        .render(
            style=style,
            root="",
            view=views.encoder_view(encoder, measured[encoder], boards),
            pictures=[embedded_picture(path) for path in pictures],
            sections=[_section(board, entry) for board, entry in there_boards],
        )
    )
    return text


def _section(board: Board, entry: Entry) -> dict[str, Any]:
    view = views.board_view(board)
    return {
        "board": board,
        "entry": entry,
        "sample": view["sample"],
        "phantom": view["phantom"],
        "verdict": verdict_on(board, entry),
        "protocols": [{**p, "table": _unlinked(p["table"])} for p in view["protocols"]],
        "reported": view["reported"] and _unlinked(view["reported"]),
        "figures": [f for f in figures_of(board) if not f.name.endswith("-compute")],
        "strata": _strata(board, entry),
        "command": wording.command(board),
    }


def verdict_on(board: Board, entry: Entry) -> str:
    """Say in a sentence or two where one encoder stands on a board.

    Args:
        board: The board.
        entry: One of its entries.
    """
    standing = board.standing()
    if standing.metric is None:
        return ""
    column = board.column(standing.metric)
    value = entry.estimate(board.headline, standing.metric)
    parts = [f"{column.title} {column.value(value.value)} (95 % interval {column.interval(value.low, value.high)})."]
    found = standing.differences.get(entry.name)
    floor = next((e.title for e in board.entries if e.name == standing.best_floor), "")
    if found is not None:
        shown = found.p_adjusted < 0.05
        better = column.better(found.value, 0.0)
        said = ("shown to beat" if better else "shown to be worse than") if shown else "not shown to differ from"
        interval = f"{column.difference(found.low)} to {column.difference(found.high)}"
        parts.append(f"It is {said} the best floor, {floor} (difference {column.difference(found.value)}, {interval}).")
    if entry.name in standing.leaders:
        parts.append("It is the best here, or not told apart from the best.")
    if entry.result.leakage.get("state") != "clean":
        parts.append(f"Leakage: {entry.result.leakage.get('state')}. {entry.result.leakage.get('detail', '')}")
    return " ".join(parts)


def _strata(board: Board, entry: Entry) -> Table | None:
    groups = strata_of(board, entry)
    metric = board.primary()
    if not groups or metric is None:
        return None
    column, several = board.column(metric), board.task.unit != "subject"
    headings = [
        Heading("group", "Group"),
        Heading("subjects", "Subjects", numeric=True),
        *([Heading("units", f"{board.task.unit.capitalize()}s", numeric=True)] if several else []),
        Heading(metric, column.heading, column.spoken, True),
    ]
    rows = [
        Row(
            [
                Cell(f"{g.column}: {g.value}"),
                plain(str(g.subjects), g.subjects),
                *([plain(str(g.units), g.units)] if several else []),
                metric_cell(column, g.estimate),
            ]
        )
        for g in groups
    ]
    return Table(f"strata-{board.name.replace('@', '-')}", f"{column.title} by group, 95 % intervals", headings, rows)


def _unlinked(table: Table) -> Table:
    """Return a table without links, as the report is a single file."""
    from dataclasses import replace

    rows = [replace(row, cells=[replace(cell, href="") for cell in row.cells]) for row in table.rows]
    return replace(
        table, rows=rows, sortable=False, headings=[replace(h, href="", hidden=False) for h in table.headings]
    )
