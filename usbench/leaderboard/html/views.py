"""What each page of the site shows, as data for its template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.html.diagnostics import instrument_sections
from usbench.leaderboard.markdown.overview import Known, rows_of
from usbench.leaderboard.markdown.task_page import as_printed, optimism_heading
from usbench.leaderboard.ranking import Ranking
from usbench.leaderboard.tables import (
    Cell,
    Heading,
    Row,
    Table,
    link_to_board,
    metric_cell,
    metric_heading,
    name_cell,
    plain,
)
from usbench.probes.facts import protocol_facts
from usbench.task.kinds import task_kind

LEAKAGE_ORDER = {"clean": 0, "unknown": 1, "overlap": 2}


def matrix(boards: Sequence[Board]) -> Table | None:
    """Return encoders by boards, on the headline protocol; ``None`` while nothing was measured."""
    if not boards:
        return None
    headings = [Heading("encoder", "Encoder")]
    for board in boards:
        column = board.column(board.primary() or "")
        heading = replace(metric_heading(column), key=board.name, label=board.name, spoken=column.spoken)
        headings.append(replace(heading, href=link_to_board(board), small=column.heading))
    rows = []
    for name, title, floor in rows_of(boards):
        entries = [next((e for e in board.entries if e.name == name), None) for board in boards]
        first = next(entry for entry in entries if entry is not None)
        cells = [name_cell(first) if first.file else Cell(title, title.lower())]
        cells += [_matrix_cell(board, entry) for board, entry in zip(boards, entries, strict=True)]
        rows.append(Row(cells, floor))
    return Table("measured", "Every encoder on every board, nested protocol, with 95 % intervals", headings, rows)


def ranking(found: Ranking | None) -> Table | None:
    """Return the ranking over shared tasks, or ``None`` where there is none."""
    if found is None:
        return None
    headings = [
        Heading("encoder", "Encoder"),
        Heading("rank", "Mean rank ↓", "Mean rank, lower is better", True),
        *(Heading(b.name, b.name, f"Rank on {b.task.title}", True, href=link_to_board(b)) for b in found.boards),
    ]
    entries = {e.name: e for board in found.boards for e in board.entries}
    rows = []
    for row in found.rows:
        mean = Cell(f"{row.mean_rank:.1f}", f"{row.mean_rank:.6g}", f"{row.low:.1f} to {row.high:.1f}")
        ranks = [plain(f"{row.ranks[b.name]:g}", row.ranks[b.name]) for b in found.boards]
        # Floors stay among the encoders: where they stand is what a ranking is for.
        rows.append(Row([name_cell(entries[row.name]), mean, *ranks], row.floor))
    caption = f"Mean rank over {len(found.boards)} tasks, with 95 % intervals"
    return Table("ranking", caption, headings, rows, mixed=True)


def tasks(boards: Sequence[Board]) -> list[dict[str, Any]]:
    """Return one card a board."""
    cards = []
    for board in boards:
        metric = board.primary()
        card: dict[str, Any] = {"board": board, "href": link_to_board(board), "lines": []}
        if metric and board.entries:
            column = board.column(metric)
            for label, group in (("Best encoder", board.encoders), ("Best floor", board.floors)):
                if group:
                    value = column.value(group[0].estimate(board.headline, metric).value)
                    unit = f" {column.unit}" if column.unit else ""
                    card["lines"].append((label, f"{group[0].title}, {column.title} {value}{unit}"))
        card["sample"] = wording.sample(board)
        cards.append(card)
    return cards


def reported_overview(boards: Sequence[Board]) -> list[Board]:
    """Return the boards beside which published values stand."""
    return [board for board in boards if board.reported is not None]


def unmeasured(boards: Sequence[Board], known: Sequence[Known]) -> list[Known]:
    """Return bundled encoders without a measured figure."""
    measured = {name for name, _, _ in rows_of(boards)}
    return [k for k in known if k.name not in measured]


def board_view(board: Board) -> dict[str, Any]:
    """Return everything a board's page shows besides its figures."""
    return {
        "phantom": wording.PHANTOM if board.synthetic else "",
        "sample": wording.sample(board),
        "verdict": wording.verdict(board) if board.entries else "",
        "test_names": wording.test_names(board) if board.entries else "",
        "protocols": [_protocol(board, name, i == 0) for i, name in enumerate(board.protocols)]
        if board.entries
        else [],
        "instruments": instrument_sections(board) if board.entries else [],
        "reported": reported_table(board),
        "encoders": encoder_table(board) if board.entries else None,
        "command": wording.command(board),
        "leaks": [e for e in board.entries if e.result.leakage.get("state") != "clean"],
    }


def encoder_table(board: Board) -> Table:
    """Return cost, leakage and provenance of every encoder of a board."""
    headings = [
        Heading("encoder", "Encoder"),
        Heading("leakage", "Leakage", "Whether the pre-training data overlap with the test data"),
        Heading("parameters", "Parameters, M", "Parameters in millions", True),
        Heading("gflops", "GFLOPs", "GFLOPs an image", True),
        Heading("speed", "Images/s", "Images a second on the machine of the run", True, ascending=False),
        Heading("dimension", "Dimension", "Length of the embedding", True),
        Heading("weights", "Weights", "Digest of the weights", hidden=True),
        Heading("date", "Date", "Date of the run", hidden=True),
        Heading("revision", "Revision", "Revision of the code", hidden=True),
    ]
    rows = []
    for entry in board.entries:
        card, provenance = entry.result.encoder, entry.result.provenance
        state = entry.result.leakage.get("state", "unknown")
        rate = provenance.get("timings", {}).get("images_per_second")
        cells = [
            name_cell(entry),
            Cell(
                wording.leakage(entry),
                str(LEAKAGE_ORDER.get(state, 1)),
                note=entry.result.leakage.get("detail", ""),
                flag=state == "overlap",
            ),
            plain(number_format.count(card.get("parameters"), 1e6, 2), card.get("parameters")),
            plain(number_format.count(card.get("gflops"), 1.0, 2), card.get("gflops")),
            plain(number_format.count(rate), rate),
            plain(str(card.get("embedding_dim") or number_format.DASH), card.get("embedding_dim")),
            plain(str(card.get("weights") or number_format.DASH)[:23]),
            plain(provenance.get("date") or number_format.DASH),
            plain(provenance.get("revision") or number_format.DASH),
        ]
        rows.append(Row(cells, entry.floor))
    return Table("encoders", "Leakage, cost and provenance of each encoder", headings, rows)


def reported_table(board: Board) -> Table | None:
    """Return the published values of a board's task."""
    reported = board.reported
    if reported is None:
        return None
    columns = [number_format.column(name, board.task.unit_of_target) for name in reported.metrics]
    headings = [Heading("encoder", "Encoder (reported)")]
    headings += [replace(metric_heading(c), label=as_printed(c, reported)) for c in columns]
    rows = []
    for row in reported.rows:
        cells = [Cell(row.title, row.title.lower())]
        for column in columns:
            cell = row.metrics.get(column.metric)
            cells.append(plain(cell.printed, cell.value) if cell else Cell(number_format.DASH))
        rows.append(Row(cells))
    for item in reported.absent:
        cells = [Cell(item["title"], item["title"].lower(), note=item["reason"])]
        rows.append(Row([*cells, *(Cell("left out", note=item["reason"]) for _ in columns)]))
    return Table("reported", "Values as printed in the paper, not measured here", headings, rows)


def measured_encoders(boards: Sequence[Board]) -> dict[str, Entry]:
    """Return every encoder with a result file, by name."""
    return {e.name: e for board in boards for e in board.entries if e.file}


def encoder_view(name: str, entry: Entry, boards: Sequence[Board]) -> dict[str, Any]:
    """Return everything an encoder's page shows."""
    there = [(b, e) for b in boards for e in b.entries if e.name == name]
    return {
        "name": name,
        "title": entry.title,
        "floor": entry.floor,
        "card": entry.result.encoder,
        "facts": _card_facts(entry),
        "real": _standings([(b, e) for b, e in there if not b.synthetic], "results", "Results on real images"),
        "simulated": _standings(
            [(b, e) for b, e in there if b.synthetic], "simulated", "Results on simulated images, not patients"
        ),
        "leaks": [(b, e) for b, e in there if e.result.leakage.get("state") != "clean"],
    }


def _standings(there: Sequence[tuple[Board, Entry]], id_: str, caption: str) -> Table | None:
    if not there:
        return None
    headings = [
        Heading("board", "Board"),
        Heading("metric", "Metric"),
        Heading("value", "Value", "Value with 95 % interval", True),
        Heading("place", "Place", "Place among the encoders and floors of the board", True),
        Heading("delta", "Δ best floor", "Difference to the best floor", True),
        Heading("p", "p", "Two-sided p-value, corrected for the number of encoders", True),
        Heading("leakage", "Leakage"),
        Heading("subjects", "Subjects", "Number of subjects", True, ascending=False),
    ]
    rows = []
    for board, entry in there:
        metric = board.primary()
        if metric is None:
            continue
        column, standing = board.column(metric), board.standing()
        value = entry.estimate(board.headline, metric)
        better = sum(column.better(e.estimate(board.headline, metric).value, value.value) for e in board.entries)
        delta = standing.differences.get(entry.name)
        flag = entry.result.leakage.get("state") == "overlap"
        rows.append(
            Row(
                [
                    Cell(board.name, board.name, href=link_to_board(board), note=board.task.title),
                    plain(column.heading),
                    metric_cell(column, value, entry.name in standing.leaders),
                    plain(f"{better + 1} of {len(board.entries)}", better + 1),
                    _delta_cell(column, delta),
                    plain(number_format.p_value(delta.p_adjusted), delta.p_adjusted)
                    if delta
                    else Cell(number_format.DASH),
                    Cell(wording.leakage(entry), flag=flag, note=entry.result.leakage.get("detail", "")),
                    plain(str(len(set(entry.result.units.subject))), len(set(entry.result.units.subject))),
                ]
            )
        )
    return Table(id_, caption, headings, rows)


def _card_facts(entry: Entry) -> list[tuple[str, str]]:
    card = entry.result.encoder
    size = card.get("input_size")
    facts = [
        ("Parameters", f"{number_format.count(card.get('parameters'), 1e6, 2)} million"),
        ("Compute", f"{number_format.count(card.get('gflops'), 1.0, 2)} GFLOPs an image"),
        ("Input", f"{size[0]} × {size[1]} pixels" if size else "any size"),
        ("Embedding", f"{card.get('embedding_dim')} numbers, pooling {card.get('pooling')}"),
        ("Preprocessing", str(card.get("preprocessing"))),
        ("Precision", str(card.get("precision"))),
        ("Weights", str(card.get("weights"))),
        ("Licence", card.get("licence") or "not stated"),
        ("Citation", card.get("citation") or ""),
    ]
    return [(name, text) for name, text in facts if text]


def _protocol(board: Board, name: str, headline: bool) -> dict[str, Any]:
    about = protocol_facts(name)
    metric = board.primary(name)
    standing = board.standing(name)
    columns = [board.column(m) for m in board.shown(name)]
    tuned = task_kind(board.task.kind).tuned
    differences = headline and metric is not None and standing.best_floor is not None
    optimism = not headline and about.from_paper and tuned is not None
    headings = [Heading("encoder", "Encoder")]
    for column in columns:
        # The AUC pooled over folds and the balanced accuracy are for those who look for them.
        aside = len(columns) > 4 and column.metric != metric and column.metric in ("auc", "balanced_accuracy", "rmse")
        headings.append(replace(metric_heading(column), hidden=aside and not about.from_paper))
        if column.metric == metric and differences:
            headings.append(Heading("delta", "Δ best floor", "Difference to the best floor, with 95 % interval", True))
            headings.append(Heading("p", "p", "Two-sided p-value, corrected for the number of encoders", True))
    if optimism:
        spoken = "How much better this protocol looks than the nested one"
        headings.append(Heading("optimism", optimism_heading(board, tuned or ""), spoken, True))
    rows = []
    for entry in board.entries:
        if name not in entry.result.protocols:
            continue
        leads = entry.name in standing.leaders
        cells = [name_cell(entry, leads)]
        for column in columns:
            ranks = column.metric == metric
            cells.append(metric_cell(column, entry.estimate(name, column.metric), leads and ranks))
            if ranks and differences:
                found = standing.differences.get(entry.name)
                reference = entry.name == standing.best_floor
                cells.append(Cell("best floor") if reference else _delta_cell(column, found))
                cells.append(plain(number_format.p_value(found.p_adjusted), found.p_adjusted) if found else Cell(""))
        if optimism:
            value = board.optimism(entry)
            cells.append(plain(board.column(tuned or "").difference(value), value))
        rows.append(Row(cells, entry.floor))
    caption = f"{about.title} protocol, {name}, with 95 % intervals"
    return {
        "name": name,
        "about": about,
        "reason": wording.primary_reason(board, metric) if headline and metric else "",
        "table": Table(f"protocol-{name.replace('@', '-')}", caption, headings, rows),
    }


def _delta_cell(column: number_format.Column, found: Any) -> Cell:
    if found is None:
        return Cell("")
    interval = f"{column.difference(found.low)} to {column.difference(found.high)}"
    return Cell(column.difference(found.value), f"{found.value:.9g}", interval)


def _matrix_cell(board: Board, entry: Entry | None) -> Cell:
    metric = board.primary()
    if entry is None or metric is None:
        return Cell(number_format.DASH, note="not run on this board")
    cell = metric_cell(
        board.column(metric), entry.estimate(board.headline, metric), entry.name in board.standing().leaders
    )
    if entry.result.leakage.get("state") == "overlap":
        return replace(cell, text=f"{cell.text} ⚠", note=entry.result.leakage.get("detail", ""), flag=True)
    return cell
