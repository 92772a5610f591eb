"""``usbench compare``: is encoder A better than encoder B on a task?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()

DEFAULT_RESULTS = Path("leaderboards") / "results"


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="An encoder with a result.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    task: Annotated[
        str, typer.Option("--task", "-t", help="Task or board, such as covid or breast_lesion@bus-bra-subset.")
    ],
    results: Annotated[Path, typer.Option(help="Folder of result files.")] = DEFAULT_RESULTS,
    protocol: Annotated[str | None, typer.Option(help="Protocol; the one that ranks the board by default.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Metric, may be repeated; all by default.")] = None,
) -> None:
    """Compare two encoders on the same subjects: difference, interval, p, and a sentence that says what it means."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from usbench.leaderboard import formats
    from usbench.leaderboard.pair import compare_pair

    pair = compare_pair(results, first, second, task, protocol, metric)
    console = Console()
    if pair.board.synthetic:
        console.print("[bold yellow]Simulated images, not patients.[/bold yellow]")
    table = Table(
        box=SIMPLE_HEAD,
        padding=(0, 1),
        pad_edge=False,
        title=f"{pair.board.task.title}, protocol {pair.protocol}",
        title_justify="left",
    )
    table.add_column("metric", no_wrap=True)
    for heading in (first, second, "Δ", "95 % interval of Δ", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in pair.rows:
        column, found = row.column, row.difference
        cells = [column.value(row.first), column.value(row.second)]
        if found is None:
            cells += [formats.DASH] * 3
        else:
            interval = f"{column.difference(found.low)} to {column.difference(found.high)}"
            cells += [column.difference(found.value), interval, formats.p_value(found.p)]
        style = "bold" if column.metric == pair.primary else ""
        table.add_row(column.heading, *cells, style=style)
    console.print(table)
    console.print(pair.sentence, highlight=False)
    if len(pair.rows) > 1:
        console.print(
            "The p-values of this table are not corrected for one another: go by the metric in bold.", style="dim"
        )
