"""Comparisons on the terminal: two encoders in every metric, or one with several others in the metric that ranks."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from usbench.cli.terminal_table import Column, print_table
from usbench.leaderboard.number_format import DASH, p_value
from usbench.leaderboard.pairwise import Pair, PairRow, find_entry
from usbench.probes.facts import with_plain_words

_DIFFERENCE = (Column("Δ", True), Column("95 % interval of Δ", True), Column("p", True))
_TEST = Column("test", drop=1)  # the sentence below names it


def print_pair(console: Console, first: str, second: str, pair: Pair) -> None:
    """Print two encoders in every metric, and what it means.

    Args:
        console: Where to print.
        first: Name of the first encoder.
        second: Name of the second one.
        pair: Their comparison.
    """
    named = [Column(_marked(pair, name), True) for name in (first, second)]
    columns = [Column("metric"), *named, *_DIFFERENCE, _TEST]
    rows = [[r.column.heading, r.column.value(r.first), r.column.value(r.second), *_difference(r)] for r in pair.rows]
    ranked = [number for number, row in enumerate(pair.rows) if row.column.metric == pair.primary]
    _head(console, pair)
    print_table(console, _title(pair), columns, rows, bold=ranked)
    console.print()
    console.print(pair.sentence, highlight=False, markup=False)
    if len(pair.rows) > 1:
        console.print(
            "The p-values of this table are not corrected for one another: go by the metric in bold.", style="dim"
        )


def print_pairs(console: Console, first: str, others: Sequence[str], pairs: Sequence[Pair]) -> None:
    """Print one encoder beside several others in the metric that ranks, and what it means.

    Args:
        console: Where to print.
        first: Name of the encoder.
        others: Names of the others.
        pairs: Its comparison with each of them.
    """
    column, value = pairs[0].rows[0].column, pairs[0].rows[0].first
    columns = [Column(f"{_marked(pairs[0], first)} against", wraps=True), Column(column.heading, True, wraps=True)]
    columns += [*_DIFFERENCE, Column("p, Holm", True), _TEST]
    rows = [[_marked(pairs[0], first), column.value(value), *[""] * 5]]
    for other, pair in zip(others, pairs, strict=True):
        (row,) = pair.rows
        difference, interval, p, test = _difference(row)
        adjusted = DASH if row.difference is None else p_value(row.difference.p_adjusted)
        rows.append([_marked(pair, other), column.value(row.second), difference, interval, p, adjusted, test])
    _head(console, pairs[0])
    print_table(console, _title(pairs[0]), columns, rows, rule_after=[0])
    console.print()
    for pair in pairs:
        console.print(pair.sentence, highlight=False, markup=False)


def _marked(pair: Pair, name: str) -> str:
    """Return the name of an encoder with its mark of leakage."""
    return name + find_entry(pair.board, name).mark


def _head(console: Console, pair: Pair) -> None:
    if pair.board.synthetic:
        console.print("[bold yellow]Simulated images, not patients.[/bold yellow]")


def _title(pair: Pair) -> str:
    return f"{pair.board.task.title}, protocol {with_plain_words(pair.protocol)}"


def _difference(row: PairRow) -> list[str]:
    """Return difference, interval, p and name of the test."""
    column, found = row.column, row.difference
    if found is None:
        return [DASH] * 4
    interval = f"{column.difference(found.low)} to {column.difference(found.high)}"
    return [column.difference(found.value), interval, p_value(found.p), found.test]
