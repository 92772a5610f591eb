"""``usbench similarity``: how alike are the encoders?"""

from __future__ import annotations

from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer()


@app.command()
def similarity(
    results: options.Results = options.DEFAULT_RESULTS,
    board: Annotated[
        list[str] | None, typer.Option(help="Board, such as breast_lesion; may be repeated. All boards by default.")
    ] = None,
    data_root: options.DataRoots = None,
    cache: options.Cache = None,
) -> None:
    """Measure how alike the encoders of each board are, and keep the answer beside their results.

    Linear CKA and mutual nearest neighbours, from the vectors that `usbench run` has stored: nothing is encoded.
    `usbench leaderboard` then shows them on the board's page.
    """
    from rich.console import Console

    from usbench.core.settings import load_settings
    from usbench.diagnostics.encoder_similarity import measure_similarity
    from usbench.errors import UnknownNameError, UsbenchError, did_you_mean
    from usbench.results.board_folder import is_screening
    from usbench.results.schema import Result, load_all
    from usbench.results.similarity import save_similarity

    if not results.is_dir():
        raise UsbenchError(f"{results}: no such folder of results. Run `usbench run` first, or give --results.")
    settings = load_settings(data_root or (), cache)
    boards: dict[str, list[Result]] = {}
    for _, result in load_all(results):
        if not is_screening(result.encoder):
            boards.setdefault(result.board, []).append(result)
    for name in board or ():
        if name not in boards:
            raise UnknownNameError(f"{results}: has no board {name!r}.{did_you_mean(name, boards)}")
    console, errors = Console(), Console(stderr=True)
    wanted = {name: boards[name] for name in dict.fromkeys(board or boards)}
    failures = []
    for name, found in wanted.items():
        try:
            measured = measure_similarity(found, settings, lambda message: errors.print(message, soft_wrap=True))
        except UsbenchError as error:
            failures.append(str(error))
            continue
        path = save_similarity(results, measured)
        told = f"{name}: {len(measured.encoders)} encoders on {measured.frames} frames, {path}"
        console.print(told, soft_wrap=True, highlight=False, markup=False)
    for failure in failures:
        errors.print(f"left out: {failure}", soft_wrap=True, highlight=False, markup=False)
    if len(failures) == len(wanted):
        raise UsbenchError(f"{results}: no board could be measured." if wanted else f"{results}: holds no results.")
