"""``usbench plan``: what a grid would cost, before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from usbench.sweep.plan import Planned

app = typer.Typer()


@app.command()
def plan(
    grid: Annotated[Path, typer.Argument(help="TOML file that names encoders and tasks; see docs/cluster.md.")],
    jobs: Annotated[int | None, typer.Option(min=1, help="Workers at hand; by default the grid's jobs.")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="GPUs at hand, for encoders on cuda.")] = 1,
    quick: Annotated[
        bool, typer.Option("--quick", help="Do not read the files to see what is stored already.")
    ] = False,
    out: Annotated[Path | None, typer.Option(help="Also write the plan to this JSON file.")] = None,
) -> None:
    """Estimate images, hours, GPU hours, disk and the bottleneck of a grid.

    Rates come from results and benchmarks that were measured, from the operations on cards, or are assumed; the
    lines below the table say which. Nothing is encoded; simulated data that a task asks for are made.
    """
    import json

    from rich.console import Console

    from usbench.cli.terminal_table import Column, print_table
    from usbench.core.atomic_files import atomic_write
    from usbench.core.settings import BOARD_RESULTS, DEFAULT_RESULTS, load_settings
    from usbench.sweep.config import read_grid
    from usbench.sweep.cost_model import Estimator
    from usbench.sweep.plan import plan_grid, to_dict, total
    from usbench.sweep.report import span

    asked = read_grid(grid)
    settings = load_settings(asked.data_roots, asked.cache, asked.store)
    estimator = Estimator(list(dict.fromkeys([asked.results, DEFAULT_RESULTS, BOARD_RESULTS])), Path("benchmarks"))
    planned = plan_grid(asked, settings, estimator, look=not quick)
    workers = jobs or asked.engine.jobs
    whole = total(planned, workers, gpus)
    sources = list(dict.fromkeys(p.estimate.source for p in planned if p.estimate is not None))
    columns = [Column("encoder"), Column("task", wraps=True), Column("images", True, drop=4)]
    columns += [Column("to encode", True, wraps=True), Column("encoding", True), Column("probes", True)]
    columns += [Column("disk", True, drop=2), Column("bottleneck", drop=3, wraps=True), Column("rate", True, drop=1)]
    console = Console()
    print_table(console, f"Plan of {grid}", columns, [_row(item, sources) for item in planned])
    for number, source in enumerate(sources, start=1):
        console.print(f"rate {number}: {source}", soft_wrap=True, highlight=False, style="dim")
    console.print(
        f"{whole.cells} of {len(planned)} cells can run. {whole.images} images to encode, "
        f"{span(whole.worker_seconds)} of workers' time, {whole.gpu_seconds / 3600:.2g} GPU hours, "
        f"{size(whole.disk_bytes)} of store. On {workers} workers and {gpus} GPUs at least {span(whole.wall_seconds)}. "
        f"Bottleneck: {whole.bottleneck}.",
        soft_wrap=True,
        highlight=False,
    )
    for item in planned:
        if item.note:
            console.print(f"[yellow]note[/yellow] {item.cell}: {item.note}", soft_wrap=True, highlight=False)
    if out is not None:
        atomic_write(out, (json.dumps(to_dict(planned, whole), indent=1) + "\n").encode())


def size(count: int) -> str:
    """Return a number of bytes as a person would say it: ``3.1 MB``."""
    if count < 1_000_000:
        return f"{count / 1e3:.0f} kB"
    return f"{count / 1e6:.1f} MB" if count < 1_000_000_000 else f"{count / 1e9:.1f} GB"


def _row(item: Planned, sources: list[str]) -> tuple[str, ...]:
    from usbench.sweep.report import span

    names, cost = (item.cell.encoder.label, item.cell.task.label), item.estimate
    if cost is None:
        return (*names, "–", "–", "–", "–", "–", "cannot run", "–")
    rate = str(1 + sources.index(cost.source))
    if item.answered:
        return (*names, str(item.images), "0", "–", "–", "–", "nothing", rate)
    return (
        *names,
        str(item.images),
        str(cost.frames),
        span(cost.encode_seconds),
        span(cost.probe_seconds),
        size(cost.disk_bytes),
        cost.bottleneck,
        rate,
    )
