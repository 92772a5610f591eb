"""``tusa corpus``: one corpus from many folders."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def corpus(
    sources: Annotated[
        list[Path], typer.Argument(help="Folders organ/.../image, videos, .tar shards or .csv manifests.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to write: images, manifest.csv, report.json.")],
    size: Annotated[int, typer.Option(help="Side of the squares in pixels.", min=32)] = 160,
    distance: Annotated[
        int, typer.Option(help="Bits of a 64-bit perceptual hash in which duplicates may differ; -1 keeps all.")
    ] = 4,
    smallest: Annotated[int, typer.Option(help="Drop frames with a shorter side than this, in pixels.")] = 64,
    subject: Annotated[
        str, typer.Option(help="Regular expression that finds the patient in a file's name, such as '(P\\d+)_'.")
    ] = "",
) -> None:
    """Build a corpus: grey, resized, near-duplicates dropped, frames of a video kept together."""
    from tusa.training.builder import build_corpus

    result = build_corpus(
        sources,
        out,
        size=size,
        distance=distance,
        smallest=smallest,
        subject_pattern=subject,
        report=lambda line: typer.echo(line, err=True),
    )
    typer.echo(f"{result.kept} images of {result.subjects} subjects in {out}:")
    for organ, count in result.organs.items():
        typer.echo(f"  {organ}: {count}")
    for reason, count in sorted(result.reasons().items()):
        first = next(item.name for item in result.dropped if item.reason == reason)
        typer.echo(f"dropped, {reason}: {count} (first: {first})")
    if result.conflicts:
        typer.echo(f"{len(result.conflicts)} near-duplicates lie under different organs; see report.json.", err=True)
    if result.crossing:
        typer.echo(
            f"{len(result.crossing)} near-duplicates have different subjects: give --subject, or the same patient is "
            "counted twice; see report.json.",
            err=True,
        )
    typer.echo(f"Every dropped frame is listed in {out / 'report.json'}. Train on {out / 'manifest.csv'}.")
