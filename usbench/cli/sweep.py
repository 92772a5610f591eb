"""``usbench sweep``: every encoder of a grid on every task, resumable, ending in a leaderboard and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer()


@app.command()
def sweep(
    grid: Annotated[Path, typer.Argument(help="TOML file that names encoders and tasks; see docs/cluster.md.")],
    engine: Annotated[str | None, typer.Option(help="local or ray; by default what the grid says, or local.")] = None,
    address: options.Address = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes of the local engine.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads of one job.")] = None,
    results: Annotated[Path | None, typer.Option(help="Folder of results, in place of the grid's.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder of the embedding store, in place of the grid's.")] = None,
    fresh: options.Fresh = False,
    replace_others: options.Replace = False,
    leaderboard: Annotated[bool, typer.Option(help="Render the leaderboard from the results at the end.")] = True,
) -> None:
    """Run every encoder of a grid on every task.

    What is encoded and evaluated is kept: the same command continues where it was. A cell that fails stops no other.
    sweeps/sweep-GRID.json and .md, beside the folder of results, say what became of each, what it cost and what had
    been estimated.
    """
    import time
    from dataclasses import replace

    from rich.console import Console

    from usbench.cli.leaderboard import leaderboard as render_leaderboard
    from usbench.cli.sweep_table import SweepTable
    from usbench.core.settings import BOARD_RESULTS, DEFAULT_RESULTS, load_settings
    from usbench.sweep.cell_state import SweepRequest
    from usbench.sweep.config import read_grid, with_engine
    from usbench.sweep.cost_model import Estimator
    from usbench.sweep.local_engines import open_engine
    from usbench.sweep.report import build_report, read_report, report_folder, write_report
    from usbench.sweep.scheduler import Campaign

    asked = with_engine(read_grid(grid), name=engine, address=address, jobs=jobs, threads=threads)
    asked = replace(asked, results=results or asked.results, cache=cache or asked.cache)
    settings = load_settings(asked.data_roots, asked.cache, asked.store)
    # Read before anything runs: an outcome must not be compared with what was learnt from it.
    estimator = Estimator(list(dict.fromkeys([asked.results, DEFAULT_RESULTS, BOARD_RESULTS])), Path("benchmarks"))
    before = None if fresh else read_report(report_folder(asked.results), asked.name)
    console = Console(stderr=True)
    request = SweepRequest(
        asked.levels,
        asked.columns,
        asked.results,
        asked.workers,
        fresh,
        f"usbench sweep {grid.name}",
        asked.label_efficiency,
        replace_others,
    )
    tables: list[SweepTable] = []  # engine, campaign and table need one another
    running = open_engine(asked.engine, lambda *message: tables[0].tell(*message))
    started = time.monotonic()
    try:
        campaign = Campaign(
            asked.cells, request, asked.engine, running, settings, lambda record: tables[0].update(record)
        )
        tables.append(SweepTable(console, campaign.records))
        try:
            with tables[0]:
                records = campaign.run()
        finally:  # also after Ctrl-C: what was done is worth a report
            seconds = time.monotonic() - started
            report = build_report(
                asked.name, campaign.records, campaign.losses, running.describe(), seconds, estimator, before
            )
            files = write_report(report_folder(asked.results), report)
    finally:
        running.close()
    failed = [record for record in records if record.state == "failed"]
    counts = ", ".join(f"{number} {state}" for state, number in report["counts"].items())
    typer.echo(f"{counts}. The report: {files[1]}")
    for record in failed:
        console.print(f"[red]failed[/red] {record}: {record.error}", soft_wrap=True, highlight=False)
    if leaderboard and len(failed) < len(records):
        render_leaderboard(results=asked.results, out=None, reported=None, check=False, html=None)
    if failed:
        raise typer.Exit(2)
