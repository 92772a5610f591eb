"""``usbench run``: encoders on tasks, ending in a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from usbench.cli import options

if TYPE_CHECKING:
    from usbench.results.schema import Result

app = typer.Typer()


@app.command()
def run(
    encoder: options.Encoders,
    task: options.Tasks,
    data: options.Data = None,
    data_root: options.DataRoots = None,
    results: options.Results = options.DEFAULT_RESULTS,
    cache: options.Cache = None,
    weights: options.Weights = None,
    device: options.Device = "auto",
    precision: options.Precision = "fp32",
    pooling: options.Pooling = None,
    preprocessing: options.Preprocessing = None,
    batch_size: options.BatchSize = None,
    workers: options.Workers = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Also score within each value of this column; may be repeated.")
    ] = None,
    shift: Annotated[
        list[str] | None,
        typer.Option("--shift", help="Also test on shifted frames: gain:1..5, shadow:3, all. May be repeated."),
    ] = None,
    label_efficiency: options.LabelEfficiency = True,
    engine: options.Engine = "local",
    address: options.Address = None,
    jobs: options.Jobs = 1,
    threads: options.Threads = None,
    name: options.Name = None,
    fresh: options.Fresh = False,
    replace: options.Replace = False,
) -> None:
    """Run encoders on tasks and print the table.

    Finished embeddings and results are kept; the same command continues where it was.
    """
    from rich.console import Console

    from usbench import api
    from usbench.cli.diagnostics_table import print_shifts, print_strata
    from usbench.cli.progress import EncodingProgress
    from usbench.cli.result_table import print_board
    from usbench.cli.screening import print_screening
    from usbench.cli.summary import drop_sentence
    from usbench.core.provenance import typed_command
    from usbench.core.settings import BOARD_RESULTS, load_settings
    from usbench.diagnostics.shifts import parse_shifts
    from usbench.errors import UsbenchError
    from usbench.evaluation.scoring import edge_note

    if weights is not None and len(encoder) > 1:
        raise UsbenchError("--weights names one file, but several encoders are asked for. Run them one at a time.")
    if name is not None and len(encoder) > 1:
        raise UsbenchError(f"--name {name} is for one encoder, but several are asked for. Run them one at a time.")
    settings = load_settings(data_root or (), cache)
    levels, columns = parse_shifts(shift or ()), list(dict.fromkeys(by or ()))
    errors = Console(stderr=True)
    failures: list[str] = []
    finished: Sequence[Result]
    if engine != "local" or jobs > 1:
        from usbench.cli.run_distributed import run_distributed
        from usbench.sweep.cell_state import SweepRequest
        from usbench.sweep.config import EngineSpec
        from usbench.sweep.specs import Cell, EncoderSpec, TaskSpec

        file = str(weights) if weights else None
        asked = [
            one
            for each in encoder
            for one in EncoderSpec(
                each, file, device, precision, pooling, preprocessing, batch_size, called=name
            ).in_poolings()
        ]
        cells = [Cell(one, TaskSpec(each, data)) for one in dict.fromkeys(asked) for each in dict.fromkeys(task)]
        request = SweepRequest(
            tuple(levels), tuple(columns), results, workers, fresh, typed_command(), label_efficiency, replace
        )
        finished, failures = run_distributed(
            cells, request, EngineSpec(engine, address, jobs, threads), settings, errors
        )
    else:
        if address is not None or threads is not None:
            raise UsbenchError("--address and --threads are for --engine ray or --jobs; this process takes neither.")

        def failed(encoder: str, task: str, error: UsbenchError) -> None:
            failures.append(f"{encoder} on {task}: {error}")

        with EncodingProgress(errors) as progress:
            finished = api.run(
                encoder,
                task,
                data=data,
                results_dir=results,
                weights=weights,
                device=device,
                precision=precision,
                pooling=pooling,
                preprocessing=preprocessing,
                batch_size=batch_size,
                workers=workers,
                by=columns,
                shift=levels,
                label_efficiency=label_efficiency,
                name=name,
                fresh=fresh,
                replace=replace,
                settings=settings,
                notify=progress.notify,
                progress=progress.update,
                # One pair that cannot run must not cost the others their figures.
                on_error=failed if len(encoder) * len(task) > 1 else None,
            )
    console = Console()
    for result in finished:
        if columns:
            print_strata(console, result, columns)
        if levels:
            print_shifts(console, result, [str(level) for level in levels])
    for board in dict.fromkeys(result.board for result in finished):
        print_board(console, [result for result in finished if result.board == board])
    print_screening(console, finished, results)
    for result in finished:
        for protocol, outcome in result.protocols.items():
            if share := outcome.hyperparameters.get("edge"):
                text = f"{result.encoder['name']} on {result.board}, {protocol}: {edge_note(share)}"
                console.print(text, style="yellow", highlight=False)
    if finished:
        pages = "" if results == BOARD_RESULTS else f" --results {results}"
        told = f"Results are in {results}. `usbench leaderboard{pages}` renders the pages."
        errors.print(told, style="dim", soft_wrap=True)
    for board in dict.fromkeys(result.board for result in finished):
        if sentence := drop_sentence([result for result in finished if result.board == board]):
            console.print(sentence, soft_wrap=True, highlight=False)
    for failure in failures:
        errors.print(f"[red]failed[/red] {failure}", soft_wrap=True)
    if failures:
        raise typer.Exit(2)
