"""``usbench submit``: a result file for a pull request, and what it reveals about patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def submit(
    path: Annotated[Path, typer.Argument(help="A result file, as `usbench run` wrote it.")],
    out: Annotated[Path, typer.Option(help="Results folder to write into, for example that of your clone.")] = Path(
        "submission"
    ),
    keep_ids: Annotated[
        bool, typer.Option("--keep-ids", help="Leave names of subjects as they are: for public datasets only.")
    ] = False,
    strata: Annotated[bool, typer.Option(help="Keep strata such as sex or device.")] = True,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Prepare a result for a pull request: check it, hide who the patients are, and say what it still reveals.

    Nothing is sent anywhere.
    """
    from rich.console import Console

    from usbench.cli.terminal import as_data
    from usbench.core.settings import config_path
    from usbench.errors import ResultError
    from usbench.results.schema import save
    from usbench.submission.deidentify import prepare, read_secret

    if not path.is_file():
        raise ResultError(f"{path}: no such result file.")
    prepared = prepare(path, read_secret(config_path().parent / "submission-secret"), keep_ids, strata)
    console = Console()
    console.print("[bold]This file tells about patients:[/bold]")
    for sentence in prepared.reveals:
        console.print(f"- {as_data(sentence)}", highlight=False)
    if prepared.risks:
        console.print("[bold yellow]Think about:[/bold yellow]")
        for sentence in prepared.risks:
            console.print(f"- {as_data(sentence)}", highlight=False)
    if not yes and not typer.confirm(f"Write it to {out / prepared.path}?"):
        typer.echo("Nothing was written.")
        raise typer.Exit(1)
    written = save(out, prepared.result)
    console.print(f"Written to {written}.", highlight=False, markup=False)
    console.print(
        f"Put it at leaderboards/results/{prepared.path.as_posix()} of your fork, run `usbench leaderboard`, commit "
        "both and open a pull request.",
        highlight=False,
        soft_wrap=True,
    )
