"""``usbench report``: one file on one encoder, to be read, printed or attached to a paper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer()


@app.command()
def report(
    encoder: Annotated[str, typer.Option("--encoder", "-e", help="An encoder with results.")],
    results: options.ResultsToRead = None,
    out: Annotated[
        Path | None, typer.Option(help="HTML file, or PDF where Chromium is installed; report-ENCODER.html by default.")
    ] = None,
    picture: Annotated[
        list[Path] | None,
        typer.Option(help="PNG, JPEG or SVG to put into it: textures, maps of attention. Repeatable."),
    ] = None,
) -> None:
    """Write a report on one encoder: every task it was run on, against baselines and others, with its strata."""
    from usbench.core.atomic_files import atomic_write
    from usbench.leaderboard.html.pdf import print_pdf
    from usbench.leaderboard.html.report import render_report
    from usbench.results.places import readable
    from usbench.results.schema import slug

    folder = readable(results, encoders=[encoder])
    text = render_report(folder, encoder, pictures=picture or ())
    target = out if out is not None else Path(f"report-{slug(encoder)}.html")
    if target.suffix.lower() == ".pdf":
        print_pdf(text, target)
    else:
        atomic_write(target, text.encode("utf-8"))
    typer.echo(f"{target}: results of {folder}, {target.stat().st_size // 1024} KiB")
