"""``usbench audit``: how far can a score be trusted?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from usbench.cli import options

if TYPE_CHECKING:
    from rich.console import Console

    from usbench.core.settings import Settings
    from usbench.pipeline.context import Options, Prepared
    from usbench.results.schema import Result

app = typer.Typer()


@app.command()
def audit(
    encoder: options.Encoders,
    task: options.Tasks,
    data: options.Data = None,
    data_root: options.DataRoots = None,
    results: options.Results = options.DEFAULT_RESULTS,
    cache: options.Cache = None,
    device: options.Device = "auto",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="optimism, label_efficiency, shortcut, frame_budget, initialisations, duplicates or permutation; may "
            "repeat."
        ),
    ] = None,
    permutations: Annotated[int, typer.Option(min=19, help="How often labels are shuffled.")] = 999,
    shortcut: Annotated[
        str | None, typer.Option(help="Column to read from the embedding; the scanner or site by default.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what the result holds already.")] = False,
) -> None:
    """Measure how far a score can be trusted, and keep the answers with the result.

    Optimism, fewer training subjects, the scanner as a shortcut, fewer frames, other seeds of random weights,
    near-identical pictures across the split, and shuffled labels. A task that has not been run yet is run first.
    """
    from rich.console import Console

    from usbench import api
    from usbench.cli.progress import EncodingProgress
    from usbench.core.settings import BOARD_RESULTS, load_settings
    from usbench.diagnostics.suite import audit as measure
    from usbench.diagnostics.suite import chosen_diagnostics

    names = chosen_diagnostics(only or ())

    def diagnose(prepared: Prepared, result: Result, options: Options, settings: Settings) -> Result:
        options = replace(options, fresh=fresh)  # a result that exists is taken as it is; only diagnostics are repeated
        return measure(prepared, result, options, settings, names, permutations, shortcut)

    errors, console = Console(stderr=True), Console()
    with EncodingProgress(errors) as progress:
        finished = api.run(
            encoder,
            task,
            data=data,
            results_dir=results,
            device=device,
            label_efficiency=False,  # measured below, where it is asked for
            settings=load_settings(data_root or (), cache),
            notify=progress.notify,
            progress=progress.update,
            finish=diagnose,
        )
    for result in finished:
        _print(console, result, results, names)
    pages = "" if results == BOARD_RESULTS else f" --results {results}"
    told = f"Kept in {results}. `usbench leaderboard{pages}` renders the pages."
    errors.print(told, style="dim", soft_wrap=True)


def _print(console: Console, result: Result, results: Path, names: list[str]) -> None:
    from usbench.cli.terminal_table import Column, print_table
    from usbench.leaderboard.diagnostics_text import findings
    from usbench.results.text import shown

    result = shown(result)
    rows = [["leakage", f"{result.leakage['state']}: {result.leakage['detail']}"]]
    rows.append(["best baseline", _against_baseline(result, results)])
    rows += [[name.replace("_", " "), text] for name, text in findings(result).items() if name in names]
    title = f"{result.encoder['name']} on {result.board}"
    columns = [Column("diagnostic"), Column("finding", wraps=True)]
    print_table(console, title, columns, rows, rule_after=range(len(rows)))


def _against_baseline(result: Result, results: Path) -> str:
    """Say how far the result is from the best baseline that has been run on the same board."""
    from usbench.leaderboard.board import gather
    from usbench.leaderboard.pairwise import PairRow, find_entry, sentence

    board = next(iter(gather(results, tasks=(), only=result.board, screening=True)), None)
    if board is None or not board.entries:
        return "No results to compare with."
    standing = board.standing()
    name = str(result.encoder["name"])
    if standing.best_floor is None:
        return "No baseline has been run on this board: run pixels, texture and random-projection beside it."
    if name == standing.best_floor:
        return "It is the best baseline itself."
    found = standing.comparator.difference(name, standing.best_floor)
    row = PairRow(board.column(standing.metric or ""), None, None, found)
    return sentence(
        find_entry(board, name), find_entry(board, standing.best_floor), row, len(set(result.units.subject))
    )
