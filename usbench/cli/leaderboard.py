"""``usbench leaderboard``: pages, figures and the web site, from results alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer()


@app.command()
def leaderboard(
    results: Annotated[
        Path | None,
        typer.Option(help="Folder of results; by default the board of a clone, elsewhere your runs (runs/results)."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the pages; by default the one that holds the results.")
    ] = None,
    reported: Annotated[
        Path | None, typer.Option(help="Folder of reported values; by default those that came with the program.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail when a page differs from what the results say.")
    ] = False,
    html: Annotated[Path | None, typer.Option(help="Write the web site into this folder instead of the pages.")] = None,
    picture: Annotated[
        list[str] | None,
        typer.Option(help="ENCODER=FILE: a picture for the encoder's page of the web site; may be repeated."),
    ] = None,
    docs: Annotated[
        str | None,
        typer.Option(help="Where the documentation lies, for a link on the web site: an address, or a folder in it."),
    ] = None,
) -> None:
    """Render the leaderboards from results. Needs neither torch nor data."""
    from rich.console import Console

    from usbench.cli.progress import EncodingProgress
    from usbench.core.settings import BOARD_RESULTS
    from usbench.errors import UsbenchError
    from usbench.leaderboard import find_drift, render, write_pages

    if results is None:
        results = BOARD_RESULTS if BOARD_RESULTS.is_dir() else options.DEFAULT_RESULTS
    folder = out if out is not None else results.parent
    beside = results.parent / "reported"
    if reported is None and beside.is_dir():
        reported = beside
    if not results.is_dir() and not check and out is None:
        raise UsbenchError(f"{results}: no such folder of results. Run `usbench run` first, or give --results.")
    if picture and html is None:
        raise UsbenchError("--picture is for the web site: give --html FOLDER too.")
    if docs is not None and html is None:
        raise UsbenchError("--docs is for the web site: give --html FOLDER too.")
    if html is not None:
        if check:
            raise UsbenchError("--html writes a site and --check writes nothing: give one of them.")
        from usbench.leaderboard.html import write_site

        with EncodingProgress(Console(stderr=True)) as progress:
            changed = write_site(results, html, reported, _by_encoder(picture or ()), docs or "", progress.step)
        typer.echo(f"{html / 'index.html'}: {len(changed)} files changed.")
        _tell_left_out(results)
        return
    # The front page of a clone shows a table of the board: it drifts as easily as the pages do.
    front = folder / ".." / "README.md" if beside.is_dir() and out is None else None
    with EncodingProgress(Console(stderr=True)) as progress:
        pages = render(results, reported, front, progress.step)
    if check:
        drift = find_drift(pages, folder)
        for item in drift:
            typer.echo(str(item), err=True)
        if drift:
            typer.echo(
                f"{len(drift)} of {len(pages)} files differ from the results. `usbench leaderboard` writes them.",
                err=True,
            )
            raise typer.Exit(1)
        typer.echo(f"{len(pages)} files agree with the results.")
        return
    changed = write_pages(pages, folder)
    typer.echo(f"{len(pages)} files in {folder}, {len(changed)} changed.")
    _tell_left_out(results)


def _tell_left_out(results: Path) -> None:
    from usbench.results.board_folder import SCREENING, is_screening
    from usbench.results.schema import load, result_files

    # Most results have no such word anywhere, and reading them once more would take seconds.
    named = [file for file in result_files(results) if any(name.encode() in file.read_bytes() for name in SCREENING)]
    found = [result for result in map(load, named) if is_screening(result.encoder)]
    if found:
        rows = ", ".join(f"{result.board}/{result.encoder['name']}" for result in found)
        typer.echo(f"Left out, as their precision is for screening: {rows}.", err=True)


def _by_encoder(pictures: Sequence[str]) -> dict[str, list[Path]]:
    from usbench.errors import UsbenchError

    found: dict[str, list[Path]] = {}
    for text in pictures:
        name, equals, file = text.partition("=")
        if not (name and equals and file):
            raise UsbenchError(f"--picture {text}: write ENCODER=FILE, such as tusa=textures.png.")
        found.setdefault(name, []).append(Path(file))
    return found
