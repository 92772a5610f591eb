"""``tusa teacher``: a frozen teacher's vectors for a bank of crops."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tusa.errors import TusaError


def teacher(
    sources: Annotated[list[Path], typer.Argument(help="The corpus, as data.sources has it, in the same order.")],
    model: Annotated[str, typer.Option(help="An .onnx file, which is run unmodified, or timm:MODEL.")],
    out: Annotated[Path, typer.Option(help="The bank to write, for objective.teacher; its pieces lie beside it.")],
    weights: Annotated[Path | None, typer.Option(help="The file of a timm model's weights.")] = None,
    crops: Annotated[int, typer.Option(help="Crops an image, the whole image included.", min=1)] = 6,
    size: Annotated[int, typer.Option(help="Side in pixels at which the teacher sees a crop.", min=32)] = 224,
    image_size: Annotated[int, typer.Option(help="Side of the images in memory: data.size.", min=32)] = 160,
    seed: Annotated[int, typer.Option(help="Of the crops.")] = 0,
    bits: Annotated[int, typer.Option(help="Bits of each number in the bank: 16, 8 or 4.")] = 16,
    part: Annotated[str, typer.Option(help="I/N: every N-th piece from the I-th, for N processes at once.")] = "1/1",
    threads: Annotated[int, typer.Option(help="Threads of onnxruntime; 0 for its own choice.", min=0)] = 0,
) -> None:
    """Run a frozen teacher once over a corpus; a command that was stopped goes on where it was."""
    from tusa.training.sources import read_corpus
    from tusa.training.teacher import BankConfig, fill_bank, load_teacher, pack_bank

    number, _, parts = part.partition("/")
    if not (number.isdigit() and parts.isdigit() and 1 <= int(number) <= int(parts)):
        raise TusaError(f"--part {part!r} is not I/N with I from 1 to N, such as 1/2.")
    if bits not in (16, 8, 4):
        raise TusaError(f"--bits {bits}: use 16, 8 or 4.")
    run, about = load_teacher(model, weights, threads)
    corpus = read_corpus(sources, image_size)
    pieces = out.with_suffix(".pieces")
    fill_bank(
        corpus,
        run,
        about,
        BankConfig(crops=crops, size=size, seed=seed),
        pieces,
        part=(int(number) - 1, int(parts)),
        report=lambda done, total: typer.echo(f"piece {done}/{total}", err=True),
    )
    head = pack_bank(pieces, out, bits=bits)
    typer.echo(f"Wrote {out}: {head['images']} images, {head['crops']} crops each, by {head['teacher']}.")
