"""One self-contained report on one encoder: where it stands on every task it was run on. Fit to print and to attach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from usbench.errors import UnknownNameError, did_you_mean
from usbench.leaderboard import verdicts, wording
from usbench.leaderboard.board import Board, Entry, files_of, gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.html import views
from usbench.leaderboard.html.images import embedded_picture
from usbench.leaderboard.html.templating import environment, style
from usbench.leaderboard.published_values import default_reported_dir
from usbench.leaderboard.tables import encoder_page
from usbench.leaderboard.tables.model import Table
from usbench.results.text import told_of


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
    template = environment().get_template("report.html")
    images = [embedded_picture(path) for path in pictures]
    with told_of(*files_of(*(board for board, _ in there_boards))):
        return template.render(
            style=style(),
            root="",
            view=views.encoder_view(encoder, measured[encoder], boards),
            pictures=images,
            sections=[_section(board, entry) for board, entry in there_boards],
        )


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
        "strata": encoder_page.by_group(board, entry),
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
    parts.append(verdicts.of_one(standing, entry.name, {e.name: e.title for e in board.entries}, column))
    if entry.result.leakage.get("state") != "clean":
        parts.append(f"Leakage: {entry.result.leakage.get('state')}. {entry.result.leakage.get('detail', '')}")
    return " ".join(part for part in parts if part)


def _unlinked(table: Table) -> Table:
    """Return a table without links, as the report is a single file."""
    rows = [replace(row, cells=[replace(cell, link=None) for cell in row.cells]) for row in table.rows]
    headings = [replace(heading, link=None, hidden=False) for heading in table.headings]
    return replace(table, rows=rows, sortable=False, headings=headings)
