"""``tusa export``: from a run to a weights file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def export(
    run: Annotated[Path, typer.Argument(help="Folder of a run.")],
    out: Annotated[Path, typer.Option(help="The safetensors file to write.")] = Path("tusa.safetensors"),
    encoder_only: Annotated[bool, typer.Option("--encoder-only", help="Without decoder and texture kernels.")] = False,
    last: Annotated[bool, typer.Option("--last", help="The last weights, even where the run averages them.")] = False,
) -> None:
    """Write a run's network as half-precision safetensors, with its configuration and training record."""
    from tusa.training.export import export_run

    record = export_run(run, out, averaged=not last, encoder_only=encoder_only)
    size = out.stat().st_size / 2**20
    typer.echo(f"Wrote {out} ({size:.1f} MiB), {record['step']} of {record['steps']} steps, {record['views']} views.")
