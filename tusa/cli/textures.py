"""``tusa textures``: look at what the network segments."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tusa.errors import TusaError


def textures(
    images: Annotated[list[Path], typer.Argument(help="Image files (PNG, JPEG, BMP, TIFF).")],
    out: Annotated[Path, typer.Option(help="The sheet to write.")] = Path("textures.png"),
    weights: Annotated[Path | None, typer.Option(help="Exported weights; the packaged ones by default.")] = None,
    channels: Annotated[
        Path | None,
        typer.Option(
            help="Also write every channel of every image as a PNG below this folder, channel-1 the brightest."
        ),
    ] = None,
) -> None:
    """Draw B-mode, textures, single channels and reconstruction of each image on one sheet."""
    from tusa.sheets import save_channels, save_sheet
    from tusa.training.sources import read_gray
    from tusa.weights import load_open_weights, load_weights

    frames = []
    for path in images:
        frame = read_gray(path)
        if frame is None:
            raise TusaError(f"Cannot read {path} as an image. Check the path and the format.")
        frames.append(frame)
    model = load_weights(weights) if weights else load_open_weights()
    save_sheet(model, frames, [path.stem for path in images], out)
    if channels:
        for number, (path, frame) in enumerate(zip(images, frames, strict=True), start=1):
            save_channels(model, frame, channels / f"{number:03d}-{path.stem}")
    typer.echo(f"Wrote {out}.")
