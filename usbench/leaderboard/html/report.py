"""One self-contained report on one encoder: where it stands on every task it was run on. Fit to print and to attach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from usbench.errors import UnknownNameError, did_you_mean
from usbench.leaderboard import number_format, verdicts, wording
from usbench.leaderboard.board import Board, Entry, files_of, gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.html import views
from usbench.leaderboard.html.images import embedded_picture
from usbench.leaderboard.html.templating import asset, environment, style
from usbench.leaderboard.published_values import default_reported_dir
from usbench.leaderboard.tables import encoder_page
from usbench.leaderboard.tables.model import Row, Table
from usbench.leaderboard.verdicts import claim
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
            print_style=asset("print.css"),
            root="",
            view=_view(encoder, measured[encoder], boards),
            pictures=images,
            summary=summary_of(there_boards),
            sections=[_section(board, entry) for board, entry in there_boards],
        )


def _view(encoder: str, entry: Entry, boards: Sequence[Board]) -> dict[str, Any]:
    view = views.encoder_view(encoder, entry, boards)
    return {**view, **{key: view[key] and _unlinked(view[key]) for key in ("real", "simulated")}}


def summary_of(there: Sequence[tuple[Board, Entry]]) -> list[str]:
    """Return in a few sentences what was found on all boards of real images together.

    Args:
        there: Boards and the encoder's entry on each.
    """
    real = [(b, e, b.standing()) for b, e in there if not b.synthetic and b.standing().metric is not None]
    if not real:
        return []
    claims = [
        claim(found, board.column(standing.metric or ""))
        for board, entry, standing in real
        if (found := standing.differences.get(entry.name)) is not None
    ]
    leads = sum(entry.name in standing.leaders for _, entry, standing in real)
    sentences = [f"Measured on {number_format.plural(len(real), 'board')} of real images."]
    if claims:
        told = [f"better on {claims.count('better')}", f"worse on {claims.count('worse')}"]
        told.append(f"not distinguished on {len(claims) - claims.count('better') - claims.count('worse')}")
        sentences.append(f"Against the best baseline, corrected for the encoders of each board: {', '.join(told)}.")
    sentences.append(f"The best of its board, or not distinguished from the best, on {leads} of {len(real)}.")
    states = [str(entry.result.leakage.get("state", "unknown")) for _, entry, _ in real]
    seen = [f"{states.count(state)} {text}" for state, text in _LEAKAGE.items() if state in states]
    sentences.append(f"Pre-training and test data: {', '.join(seen)}.")
    return sentences


_LEAKAGE = {"clean": "clean", "overlap": "with overlap", "unknown": "unknown"}
# Rows of a printed table: the best, and the neighbours of the encoder that the report is on.
BEST, BESIDE = 3, 1


def _in_brief(table: Table, board: Board, name: str) -> Table:
    """Return a table with the best encoders, the one in question with its neighbours, and the baselines that count."""
    order = [row for row in table.rows if not row.floor]
    place = next((i for i, row in enumerate(order) if _name(row) == name), None)
    near = set() if place is None else set(range(place - BESIDE, place + BESIDE + 1))
    kept = {_name(row) for i, row in enumerate(order) if i < BEST or i in near}
    standing = board.standing()
    kept |= {name, standing.best_floor or ""} | {d.against for d in standing.references.get(name, ())}
    rows = [row for row in table.rows if _name(row) in kept]
    left = len(table.rows) - len(rows)
    caption = table.caption + (f"; {left} of {len(table.rows)} rows are on the board's page only" if left else "")
    return replace(table, rows=rows, caption=caption)


def _name(row: Row) -> str:
    link = row.cells[0].link
    return link.name if link is not None else row.cells[0].text


def _section(board: Board, entry: Entry) -> dict[str, Any]:
    view = views.board_view(board)
    first = view["protocols"][0]
    return {
        "board": board,
        "entry": entry,
        "title": view["title"],
        "brief": {**first, "table": _unlinked(_in_brief(first["table"], board, entry.name), all_columns=False)},
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


def _unlinked(table: Table, all_columns: bool = True) -> Table:
    """Return a table without links, as the report is a single file; hidden columns are shown or left out."""
    if not all_columns:
        kept = [i for i, heading in enumerate(table.headings) if not heading.hidden]
        rows = [replace(row, cells=[row.cells[i] for i in kept]) for row in table.rows]
        table = replace(table, headings=[table.headings[i] for i in kept], rows=rows)
    rows = [replace(row, cells=[replace(cell, link=None) for cell in row.cells]) for row in table.rows]
    headings = [replace(heading, link=None, hidden=False) for heading in table.headings]
    return replace(table, rows=rows, sortable=False, headings=headings)
