"""Two encoders on one board, compared in every metric and in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from usbench.errors import ResultError, UnknownNameError, did_you_mean
from usbench.evaluation.scoring import predictions_of
from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board, Entry, gather
from usbench.leaderboard.comparison import Comparator, Difference
from usbench.leaderboard.verdicts import between_two
from usbench.results.text import told_of
from usbench.statistics.exact import holm
from usbench.statistics.metrics import find_metric
from usbench.statistics.predictions import Predictions


@dataclass(frozen=True)
class PairRow:
    """One metric of both encoders, and their difference where it can be tested."""

    column: number_format.Column
    first: float | None
    second: float | None
    difference: Difference | None


@dataclass(frozen=True)
class Pair:
    """Two encoders on one board.

    Attributes:
        board: The board.
        protocol: The protocol.
        primary: The metric that ranks; ``None`` when it was not asked for.
        rows: One a metric.
        sentence: What the comparison means.
    """

    board: Board
    protocol: str
    primary: str | None
    rows: tuple[PairRow, ...]
    sentence: str


def compare_pair(
    results: Path,
    first: str,
    second: str,
    board_name: str,
    protocol: str | None = None,
    metrics: Sequence[str] | None = None,
) -> Pair:
    """Compare two encoders by their result files.

    Args:
        results: Folder of result files.
        first: Name of an encoder.
        second: Name of another one.
        board_name: Task or board.
        protocol: Protocol; the board's headline by default.
        metrics: Metrics; all that the page shows by default.

    Raises:
        UnknownNameError: No such board, encoder, protocol or metric; the message names those there are.
        ResultError: The two were not computed on the same units.
    """
    return _compared(read_board(results, board_name), first, second, protocol, metrics)


def _compared(
    board: Board, first: str, second: str, protocol: str | None = None, metrics: Sequence[str] | None = None
) -> Pair:
    protocol = protocol or board.headline
    a, b = find_entry(board, first), find_entry(board, second)
    if protocol not in board.protocols:
        raise UnknownNameError(f"{board.name} has no protocol {protocol!r}; it has {', '.join(board.protocols)}.")
    predictions = {entry.name: predictions_of(entry.result, protocol, entry.file) for entry in (a, b)}
    if not predictions[a.name].comparable(predictions[b.name]):
        raise ResultError(
            f"{first} and {second} did not decide about the same units of {board.name}: run both on the same data."
        )
    usual = [name for name in board.shown(protocol) if find_metric(name) is not None]
    known = usual + [name for name in board.optional(protocol) if find_metric(name) is not None]
    for name in metrics or ():
        if name not in known:
            raise UnknownNameError(f"no metric {name!r} here.{did_you_mean(name, known)} There are {', '.join(known)}.")
    with told_of(a.file, b.file):
        rows = _rows(board, predictions, (a, b), metrics or usual)
    primary = board.primary(protocol)
    ranked = next((row for row in rows if row.column.metric == primary), rows[0])
    subjects = predictions[a.name].n_groups
    return Pair(board, protocol, primary, tuple(rows), sentence(a, b, ranked, subjects))


def _rows(
    board: Board, predictions: Mapping[str, Predictions], pair: tuple[Entry, Entry], metrics: Sequence[str]
) -> list[PairRow]:
    a, b = pair
    rows = []
    for name in metrics:
        comparator = Comparator(name, predictions)
        difference = comparator.difference(a.name, b.name)
        rows.append(PairRow(board.column(name), comparator.value(a.name), comparator.value(b.name), difference))
    return rows


def compare_with_each(
    results: Path, first: str, others: Sequence[str], board_name: str, protocol: str | None = None
) -> list[Pair]:
    """Compare one encoder with several others in the metric that ranks, corrected for their number.

    Args:
        results: Folder of result files.
        first: Name of an encoder.
        others: Names of the others, each once.
        board_name: Task or board.
        protocol: Protocol; the board's headline by default.

    Returns:
        One pair an other encoder, each with one row, whose difference carries Holm's p in ``p_adjusted``, and a
        sentence that goes by it.

    Raises:
        UnknownNameError: No such board, encoder or protocol, or an encoder is named twice.
        ResultError: Two were not computed on the same units.
    """
    twice = next((name for k, name in enumerate(others) if name in (first, *others[:k])), None)
    if twice is not None:
        raise UnknownNameError(f"{twice!r} is named twice: give every encoder once.")
    board = read_board(results, board_name)
    metric = board.primary(protocol)
    chosen = [metric] if metric is not None else None
    pairs = [_compared(board, first, other, protocol, chosen) for other in others]
    rows = [pair.rows[0] for pair in pairs]
    adjusted = holm([None if row.difference is None else row.difference.p for row in rows])
    family = sum(p is not None for p in adjusted)
    found = []
    for pair, row, other, p in zip(pairs, rows, others, adjusted, strict=True):
        difference = row.difference
        if difference is not None and p is not None:
            difference = replace(difference, p_adjusted=p)
        a, b = find_entry(pair.board, first), find_entry(pair.board, other)
        subjects = predictions_of(a.result, pair.protocol, a.file).n_groups
        told = replace(row, difference=difference)
        found.append(replace(pair, rows=(told,), sentence=sentence(a, b, told, subjects, family)))
    return found


def sentence(a: Entry, b: Entry, row: PairRow, subjects: int, family: int = 1) -> str:
    """Say in plain words what a comparison found.

    Args:
        a: First encoder.
        b: Second encoder.
        row: Their difference.
        subjects: Number of subjects.
        family: Number of comparisons read together; with several, Holm's p decides.
    """
    return between_two(a.title + a.mark, b.title + b.mark, row.difference, row.column, subjects, family)


def read_board(results: Path, name: str) -> Board:
    """Read the results of one board, as :func:`find_board` understands its name, and no more files than it takes.

    Args:
        results: Folder of result files.
        name: Task or board.

    Raises:
        UnknownNameError: There is none, or several could be meant.
        ResultError: A file is damaged.
    """
    held = results.iterdir() if results.is_dir() else ()
    named = any(folder.name == name and any(folder.glob("*.json")) for folder in held)
    return find_board(gather(results, tasks=(), only=name if named else None, screening=True), name, results)


def find_board(boards: Sequence[Board], name: str, results: Path) -> Board:
    """Return the board with results of that name.

    Args:
        boards: All boards.
        name: Task or board. A task without results on its own dataset stands for its only other board.
        results: Folder, for the message.

    Raises:
        UnknownNameError: There is none, or several could be meant.
    """
    filled = {board.name: board for board in boards if board.entries}
    if name in filled:
        return filled[name]
    others = [board for board in filled.values() if board.task.name == name]
    if len(others) == 1:
        return others[0]
    if others:
        raise UnknownNameError(f"task {name!r} has results on {', '.join(b.name for b in others)}: name one of these.")
    there = f"There are {', '.join(filled)}." if filled else "There are none."
    raise UnknownNameError(f"no results of {name!r} in {results}.{did_you_mean(name, filled)} {there}")


def find_entry(board: Board, name: str) -> Entry:
    """Return the entry of an encoder.

    Raises:
        UnknownNameError: It has no result on this board.
    """
    names = {entry.name: entry for entry in board.entries}
    if name not in names:
        raise UnknownNameError(
            f"{name!r} has no result on {board.name}.{did_you_mean(name, names)} There are {', '.join(names)}."
        )
    return names[name]
