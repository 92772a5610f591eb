"""``usbench cache``: the embedding store."""

from __future__ import annotations

from typing import Annotated

import typer

from usbench.cli import options

app = typer.Typer(help="List, verify and clean the embedding store.")


@app.command("ls")
def list_entries(cache: options.Cache = None) -> None:
    """List what is stored for each encoder."""
    from datetime import datetime

    from rich.console import Console
    from rich.table import Table

    from usbench.cli.terminal import as_data
    from usbench.core.settings import load_settings
    from usbench.embedding.store import entries

    root = load_settings(cache_dir=cache).store_dir
    table = Table(title=str(root), title_justify="left")
    for column in (
        "encoder",
        "preprocessing",
        "pooling",
        "precision",
        "frames",
        "dim",
        "shards",
        "MB",
        "last used",
    ):
        table.add_column(column)
    for entry in entries(root):
        identity = entry.identity or dict.fromkeys(("preprocessing", "pooling", "precision"), "-")
        table.add_row(
            as_data(identity.get("name", f"damaged description ({entry.digest[:8]})")),
            as_data(identity["preprocessing"]),
            as_data(identity["pooling"]),
            as_data(identity["precision"]),
            str(entry.frames),
            str(entry.dimension or "-"),
            str(entry.shards),
            f"{entry.size / 1e6:.1f}",
            datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M"),
        )
    Console().print(table)


@app.command()
def verify(
    cache: options.Cache = None,
    repair: Annotated[bool, typer.Option("--repair", help="Remove damaged shards; they are encoded again.")] = False,
) -> None:
    """Check every shard against its checksum."""
    from usbench.core.settings import load_settings
    from usbench.embedding.store import verify as verify_store

    root = load_settings(cache_dir=cache).store_dir
    damaged = verify_store(root, repair)
    for path in damaged:
        typer.echo(f"{'removed' if repair else 'damaged'}: {path}")
    if damaged and not repair:
        typer.echo("Run `usbench cache verify --repair` to remove them.", err=True)
        raise typer.Exit(1)
    typer.echo(f"{root}: {'repaired' if damaged else 'all shards match their checksums'}")


@app.command()
def gc(
    cache: options.Cache = None,
    unused_days: Annotated[float | None, typer.Option(help="Also remove what was not used for this long.")] = None,
    encoder: Annotated[list[str] | None, typer.Option(help="Also remove everything of this encoder.")] = None,
) -> None:
    """Remove stray files and merge small shards; with options, remove whole encoders."""
    from usbench.core.settings import load_settings
    from usbench.embedding.store import collect_garbage

    freed = collect_garbage(load_settings(cache_dir=cache).store_dir, unused_days, encoder or ())
    typer.echo(f"freed {freed / 1e6:.1f} MB")
