"""The tables of a task's page: scores per protocol, published values, the encoders, and the excerpt of a board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from usbench.errors import ResultError
from usbench.leaderboard import number_format, wording
from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.comparison import Difference, Standing
from usbench.leaderboard.facets import facets
from usbench.leaderboard.number_format import DASH
from usbench.leaderboard.published_values import Reported
from usbench.leaderboard.tables.model import (
    Cell,
    Heading,
    Link,
    Row,
    Table,
    count_cell,
    metric_cell,
    metric_heading,
    name_cell,
    p_cell,
    text_cell,
)
from usbench.probes.facts import paper_protocol, protocol_facts
from usbench.task.kinds import task_kind

LEAKAGE_ORDER = {"clean": 0, "unknown": 1, "overlap": 2}


@dataclass(frozen=True)
class Part:
    """One column and how its cells come about.

    Attributes:
        heading: The column.
        fill: Entry to cell.
    """

    heading: Heading
    fill: Callable[[Entry], Cell]


def table_of(id_: str, caption: str, parts: Sequence[Part], entries: Sequence[Entry]) -> Table:
    """Build a table of encoders column by column.

    Args:
        id_: Unique on its page.
        caption: What it shows.
        parts: Its columns.
        entries: One per row, encoders first.
    """
    rows = [Row([part.fill(entry) for part in parts], entry.floor, facets(entry)) for entry in entries]
    return Table(id_, caption, [part.heading for part in parts], rows)


def scores(board: Board, protocol: str, headline: bool) -> Table:
    """Return what every encoder reached under one protocol.

    Args:
        board: The board.
        protocol: One of its protocols.
        headline: Whether it is the one that ranks, whose differences to the best baseline are shown.
    """
    metric, standing = board.primary(protocol), board.standing(protocol)
    about, shown = protocol_facts(protocol), board.shown(protocol)
    parts = [Part(Heading("encoder", "Encoder"), lambda entry: name_cell(entry, entry.name in standing.leaders))]
    for name in shown:
        # What pools folds has its counterpart within them; that and the balanced accuracy are for those who look.
        rare = {"balanced_accuracy", "rmse"} | {name[5:] for name in shown if name.startswith("fold_")}
        aside = len(shown) > 4 and name != metric and name in rare
        parts.append(_metric(board, protocol, name, standing, hidden=aside and not about.from_paper))
        if name == metric and headline and standing.best_floor is not None:
            parts += _against_floor(board, standing)
    # Markdown has no chooser of columns: there a table of so many would be read by nobody.
    parts += [_metric(board, protocol, name, standing, hidden=True, only="html") for name in board.optional(protocol)]
    tuned = task_kind(board.task.kind).tuned
    if not headline and about.tunes_on_test and tuned and any(board.optimism(e) is not None for e in board.entries):
        parts.append(_optimism(board, tuned))
    entries = [entry for entry in board.entries if protocol in entry.result.protocols]
    caption = f"{about.title} protocol, {protocol}, with 95 % intervals"
    return table_of(f"protocol-{protocol.replace('@', '-')}", caption, parts, entries)


def excerpt(board: Board, names: Sequence[str] = ()) -> Table:
    """Return the headline of a board in brief: value, interval, difference to the best baseline, leakage.

    Args:
        board: A board with results.
        names: Encoders to show, beside which the best baseline is always shown; all by default.

    Raises:
        ResultError: The board has no metric that ranks, or one of the encoders has no result on it.
    """
    standing, metric = board.standing(), board.primary()
    if metric is None or not board.entries:
        raise ResultError(f"{board.name}: nothing was measured there by which encoders could be ranked.")
    unknown = sorted(set(names) - {e.name for e in board.entries})
    if unknown:
        raise ResultError(f"{board.name}: no result of {', '.join(unknown)}.")
    parts = [
        Part(Heading("encoder", wording.sample(board)), lambda entry: name_cell(entry, entry.name in standing.leaders)),
        _metric(board, board.headline, metric, standing),
        *_against_floor(board, standing, with_interval=False),
    ]
    paper = paper_protocol(board.protocols)
    if paper is not None:
        column = board.column(metric)
        heading = replace(metric_heading(column), key="paper", label=f"Paper's protocol, {column.heading}")
        parts.append(Part(heading, lambda entry: metric_cell(column, entry.estimate(paper, metric))))
    parts.append(Part(Heading("leakage", "Leakage"), leakage_cell))
    entries = [e for e in board.entries if not names or e.name in names or e.name == standing.best_floor]
    return table_of("excerpt", f"{board.name}, headline protocol", parts, entries)


def encoders(board: Board) -> Table:
    """Return cost, leakage and provenance of every encoder of a board: the columns of :data:`ENCODER_COLUMNS`."""
    return table_of("encoders", "Leakage, cost and provenance of each encoder", ENCODER_COLUMNS, board.entries)


def reported(board: Board) -> Table | None:
    """Return the published values of a board's task, a table of its own: they were not measured here."""
    found = board.reported
    if found is None:
        return None
    columns = [number_format.column(name, board.task.unit_of_target) for name in found.metrics]
    headings = [Heading("encoder", "Encoder (reported)")]
    headings += [replace(metric_heading(c), label=as_printed(c, found)) for c in columns]
    rows = []
    for row in found.rows:
        printed = [row.metrics.get(column.metric) for column in columns]
        cells = [Cell(cell.printed, cell.value) if cell else Cell(DASH) for cell in printed]
        rows.append(Row([Cell(row.title, row.title), *cells]))
    for item in found.absent:
        cells = [Cell(item["title"], item["title"], note=item["reason"])]
        rows.append(Row([*cells, *(Cell("left out", note=item["reason"]) for _ in columns)]))
    return Table("reported", "Values as printed in the paper, not measured here", headings, rows)


def as_printed(column: number_format.Column, found: Reported) -> str:
    """Return the heading of a reported metric: the paper prints the AUC of its classifiers in percent."""
    return replace(column, unit="%").heading if found.in_percent(column.metric) else column.heading


def leakage_cell(entry: Entry) -> Cell:
    """Return whether an encoder was pre-trained on the data it is tested on, with the reason as note."""
    state = entry.result.leakage.get("state", "unknown")
    return Cell(
        wording.leakage(entry),
        LEAKAGE_ORDER.get(state, 1),
        note=entry.result.leakage.get("detail", ""),
        flag=state == "overlap",
    )


def delta_cell(column: number_format.Column, found: Difference | None, nothing: str = "") -> Cell:
    """Return a difference with its interval, or ``nothing``."""
    if found is None:
        return Cell(nothing)
    interval = f"{column.difference(found.low)} to {column.difference(found.high)}"
    return Cell(column.difference(found.value), found.value, interval)


def _metric(
    board: Board,
    protocol: str,
    metric: str,
    standing: Standing,
    hidden: bool = False,
    only: Literal["", "html"] = "",
) -> Part:
    column, ranks = board.column(metric), metric == standing.metric
    interval = "95 % interval" if ranks else ""
    heading = replace(metric_heading(column), hidden=hidden, interval=interval, only=only)

    def fill(entry: Entry) -> Cell:
        leads = ranks and entry.name in standing.leaders
        return metric_cell(column, entry.estimate(protocol, metric), leads, entry.floor)

    return Part(heading, fill)


def _against_floor(board: Board, standing: Standing, with_interval: bool = True) -> list[Part]:
    column = board.column(standing.metric or "")
    spoken = "Difference to the best baseline, with 95 % interval"
    delta = Heading("delta", "Δ best baseline", spoken, True, interval="Δ interval" if with_interval else "")

    def difference(entry: Entry) -> Cell:
        if entry.name == standing.best_floor:
            return Cell("best baseline")
        return delta_cell(column, standing.differences.get(entry.name), "" if entry.floor else DASH)

    def p(entry: Entry) -> Cell:
        found = standing.differences.get(entry.name)
        return p_cell(found.p_adjusted) if found else Cell("")

    return [
        Part(delta, difference),
        Part(Heading("p", "p", "Two-sided p-value, corrected for the number of encoders", True), p),
    ]


def _optimism(board: Board, metric: str) -> Part:
    column = board.column(metric)
    title = column.title if column.title.isupper() else column.title.lower()
    spoken = "How much better this protocol looks than the nested one"
    heading = Heading("optimism", f"Optimism in {title}, {column.unit}", spoken, True)

    def fill(entry: Entry) -> Cell:
        value = board.optimism(entry)
        return Cell(column.difference(value), value)

    return Part(heading, fill)


def _dimension(entry: Entry) -> Cell:
    found = entry.result.encoder.get("embedding_dim")
    return Cell(str(found or DASH), found)


def _weights(entry: Entry) -> Cell:
    kind, _, digest = str(entry.result.encoder.get("weights", "")).partition(":")
    return Cell(f"{kind}:{digest[:10]}", digest, code=True) if digest else text_cell(kind)


def _file(entry: Entry) -> Cell:
    if not entry.file:
        return Cell("from the labels alone")
    return Cell(entry.name, link=Link("result", entry.file))


ENCODER_COLUMNS: list[Part] = [
    Part(Heading("encoder", "Encoder"), name_cell),
    Part(Heading("leakage", "Leakage", "Whether the pre-training data overlap with the test data"), leakage_cell),
    Part(
        Heading("parameters", "Parameters, M", "Parameters in millions", True),
        lambda entry: count_cell(entry.result.encoder.get("parameters"), 1e6, 2),
    ),
    Part(
        Heading("gflops", "GFLOPs", "GFLOPs per image", True),
        lambda entry: count_cell(entry.result.encoder.get("gflops"), 1.0, 2),
    ),
    Part(
        Heading("speed", "Images/s", "Images per second on the machine of the run", True, ascending=False),
        lambda entry: count_cell(entry.result.provenance.get("timings", {}).get("images_per_second")),
    ),
    Part(Heading("dimension", "Dimension", "Length of the embedding", True), _dimension),
    Part(Heading("weights", "Weights", "Digest of the weights", hidden=True), _weights),
    Part(
        Heading("date", "Date", "Date of the run", hidden=True, only="html"),
        lambda entry: text_cell(entry.result.provenance.get("date")),
    ),
    Part(
        Heading("revision", "Revision", "Revision of the code", hidden=True, only="html"),
        lambda entry: text_cell(entry.result.provenance.get("revision")),
    ),
    Part(Heading("result", "Result", only="markdown"), _file),
]
"""Columns of the table of encoders, in order."""
