"""``usbench map``: what the eye sees in an embedding, and how far to believe it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer()


@app.command("map")
def draw_map(
    encoder: options.Encoders,
    task: Annotated[str, typer.Option("--task", "-t", help="organ_map, or any task: its classes are the colours.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the figures and numbers.")],
    data: options.Data = None,
    data_root: options.DataRoots = None,
    cache: options.Cache = None,
    device: options.Device = "auto",
    seeds: Annotated[int, typer.Option(min=1, help="UMAP is run with seeds 0 to N-1; the first is shown.")] = 3,
) -> None:
    """Draw UMAP maps of all encoders in one figure, and measure them.

    OUT gets map.png, map.svg, map.html (interactive), map.csv and quality.json: silhouette and balanced accuracy of
    the 15 nearest neighbours of other subjects, in the embedding and in the map, and trustworthiness, over all seeds.
    """
    from rich.console import Console

    from usbench.cli.progress import EncodingProgress
    from usbench.cli.terminal_table import Column, print_table
    from usbench.core.settings import load_settings
    from usbench.pipeline.context import Options
    from usbench.pipeline.map import map_task
    from usbench.plugins.catalog import load_encoder, load_task
    from usbench.projection.plot import write_maps

    settings = load_settings(data_root or (), cache)
    encoders = [load_encoder(name, device=device) for name in encoder]
    with EncodingProgress(Console(stderr=True)) as progress:
        asked = Options(data=data, notify=progress.notify, progress=progress.update)
        taken = map_task(encoders, load_task(task), asked, settings, range(seeds), progress.step)
    files = write_maps(out, taken.title, taken.maps, taken.units, taken.labels, taken.classes)
    columns = [Column("encoder"), Column("neighbours right ↑", True, wraps=True)]
    columns += [Column("neighbours in the map ↑", True, wraps=True), Column("silhouette ↑", True, drop=1)]
    columns += [Column("trustworthiness ↑", True, drop=2), Column("leakage")]
    rows = []
    for item in taken.maps:
        before, after = item.figures["quality"]["embedding"], item.figures["quality"]["map"]
        spread = after["knn_accuracy"]["sd"]
        rows.append(
            [
                item.name,
                f"{before['knn_accuracy']:.3f}",
                f"{after['knn_accuracy']['mean']:.3f}" + (f"\u00a0±\u00a0{spread:.3f}" if spread is not None else ""),
                f"{before['silhouette']:.3f}",
                f"{after['trustworthiness']['mean']:.3f}",
                item.leakage,
            ]
        )
    print_table(Console(), taken.title, columns, rows)
    typer.echo(f"{len(taken.units)} units of {taken.subjects} subjects, {len(taken.classes)} classes.")
    for path in files:
        typer.echo(path)
