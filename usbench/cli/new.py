"""``usbench new``: files to begin a plugin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Write the files of a plugin, to begin with.")


@app.callback()
def new() -> None:
    """Write the files of a plugin, to begin with."""


@app.command()
def encoder(
    name: Annotated[str, typer.Argument(help="Name of the encoder, such as mine.")],
    package: Annotated[
        bool, typer.Option("--package", help="Write an installable package with an entry point.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Folder; by default this one, or usbench-NAME for a package.")
    ] = None,
) -> None:
    """Write a working encoder and its test, as one file or as an installable package."""
    from usbench.plugins.scaffold import new_encoder

    folder = out if out is not None else Path(f"usbench-{name}" if package else ".")
    files = new_encoder(name, folder.expanduser(), package)
    for path in files:
        typer.echo(f"wrote {path}")
    plugin = name if package else f"{files[0]}:{_class_in(files[0])}"
    typer.echo("next:")
    if package:
        typer.echo(
            f"  pip install -e {folder if folder.is_absolute() else f'./{folder}'}"
        )  # a name would be an index's
    typer.echo(f"  usbench check encoder {plugin}")
    typer.echo(f"  usbench run -e {plugin} -e texture -t breast_lesion --data subset")


def _class_in(path: Path) -> str:
    line = next(line for line in path.read_text("utf-8").splitlines() if line.startswith("class "))
    return line.removeprefix("class ").partition("(")[0]
