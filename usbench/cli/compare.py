"""``usbench compare``: is encoder A better than encoder B, or than several others, on a task?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usbench.cli import options

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from usbench.leaderboard.pairwise import Pair, PairRow

app = typer.Typer()


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="An encoder with a result.")],
    others: Annotated[list[str], typer.Argument(metavar="B...", help="Another one, or several.")],
    task: Annotated[
        str, typer.Option("--task", "-t", help="Task or board, such as covid or breast_lesion@bus-bra-subset.")
    ],
    results: options.Results = options.DEFAULT_RESULTS,
    protocol: Annotated[str | None, typer.Option(help="Protocol; the one that ranks the board by default.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Metric, may be repeated; all by default.")] = None,
) -> None:
    """Compare encoders on the same subjects: difference, interval, p, and a sentence that says what it means.

    Two are compared in every metric. With more, A is compared with each of the others in the metric that ranks, and p
    is corrected for their number (Holm).
    """
    from usbench.errors import UsbenchError

    if len(others) == 1:
        _two(results, first, others[0], task, protocol, metric)
        return
    if metric:
        raise UsbenchError("--metric is for two encoders; several are compared in the metric that ranks. Leave it out.")
    _several(results, first, others, task, protocol)


def _two(results: Path, first: str, second: str, task: str, protocol: str | None, metric: list[str] | None) -> None:
    from rich.console import Console

    from usbench.cli.terminal import as_data
    from usbench.leaderboard import number_format
    from usbench.leaderboard.pairwise import compare_pair

    pair = compare_pair(results, first, second, task, protocol, metric)
    console = Console()
    table = _table(console, pair, ("metric", first, second, "Δ", "95 % interval of Δ", "p", "test"))
    for row in pair.rows:
        column, found = row.column, row.difference
        cells = [column.value(row.first), column.value(row.second), *_difference(row)]
        cells += [number_format.DASH] * 2 if found is None else [number_format.p_value(found.p), found.test]
        table.add_row(as_data(column.heading), *cells, style="bold" if column.metric == pair.primary else "")
    console.print(table)
    console.print(pair.sentence, highlight=False, markup=False)
    if len(pair.rows) > 1:
        console.print(
            "The p-values of this table are not corrected for one another: go by the metric in bold.", style="dim"
        )


def _several(results: Path, first: str, others: list[str], task: str, protocol: str | None) -> None:
    from rich.console import Console

    from usbench.cli.terminal import as_data
    from usbench.leaderboard import number_format
    from usbench.leaderboard.pairwise import compare_with_each

    pairs = compare_with_each(results, first, others, task, protocol)
    console = Console()
    heading = as_data(pairs[0].rows[0].column.heading)
    table = _table(console, pairs[0], (f"{first} against", heading, "Δ", "95 % interval of Δ", "p", "p, Holm", "test"))
    table.add_row(first, pairs[0].rows[0].column.value(pairs[0].rows[0].first), *[""] * 5, end_section=True)
    for other, pair in zip(others, pairs, strict=True):
        (row,) = pair.rows
        found = row.difference
        cells = [row.column.value(row.second), *_difference(row)]
        if found is None:
            cells += [number_format.DASH] * 3
        else:
            cells += [number_format.p_value(found.p), number_format.p_value(found.p_adjusted), found.test]
        table.add_row(other, *cells)
    console.print(table)
    for pair in pairs:
        console.print(pair.sentence, highlight=False, markup=False)


def _table(console: Console, pair: Pair, headings: tuple[str, ...]) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from usbench.cli.terminal import as_data

    if pair.board.synthetic:
        console.print("[bold yellow]Simulated images, not patients.[/bold yellow]")
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        title=f"{as_data(pair.board.task.title)}, protocol {pair.protocol}",
        title_justify="left",
    )
    for heading in headings:
        left = heading in (headings[0], "test")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "test")
    return table


def _difference(row: PairRow) -> list[str]:
    from usbench.leaderboard import number_format

    column, found = row.column, row.difference
    if found is None:
        return [number_format.DASH] * 2
    return [column.difference(found.value), f"{column.difference(found.low)} to {column.difference(found.high)}"]
