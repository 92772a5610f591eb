"""``usbench compare``: is encoder A better than encoder B, or than several others, on a task?"""

from __future__ import annotations

from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer()


@app.command()
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="An encoder with a result.")],
    others: Annotated[list[str], typer.Argument(metavar="B...", help="Another one, or several.")],
    task: Annotated[
        str, typer.Option("--task", "-t", help="Task or board, such as covid or breast_lesion@bus-bra-subset.")
    ],
    results: options.ResultsToRead = None,
    protocol: Annotated[str | None, typer.Option(help="Protocol; the one that ranks the board by default.")] = None,
    metric: Annotated[list[str] | None, typer.Option(help="Metric, may be repeated; by default the page's.")] = None,
) -> None:
    """Compare encoders on the same subjects: difference, interval, p, and a sentence that says what it means.

    Two are compared in every metric. With more, A is compared with each of the others in the metric that ranks, and p
    is corrected for their number (Holm).
    """
    from rich.console import Console

    from usbench.cli.compare_table import print_pair, print_pairs
    from usbench.errors import UsbenchError
    from usbench.leaderboard.pairwise import compare_pair, compare_with_each
    from usbench.results.places import readable

    folder = readable(results, task, (first, *others))
    if results is None:
        typer.echo(f"Results of {folder}.", err=True)
    if len(others) == 1:
        print_pair(Console(), first, others[0], compare_pair(folder, first, others[0], task, protocol, metric))
        return
    if metric:
        raise UsbenchError("--metric is for two encoders; several are compared in the metric that ranks. Leave it out.")
    print_pairs(Console(), first, others, compare_with_each(folder, first, others, task, protocol))
