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

    from usbench.cli.terminal_table import Column, print_table
    from usbench.core.settings import load_settings
    from usbench.embedding.store_upkeep import entries

    root = load_settings(cache_dir=cache).store_dir
    columns = [Column("encoder"), Column("preprocessing", drop=2), Column("pooling", drop=3), Column("precision")]
    columns += [Column("frames", True), Column("dim", True, drop=1), Column("shards", True, drop=4)]
    columns += [Column("MB", True), Column("last used", drop=1)]
    rows = []
    for entry in entries(root):
        identity = entry.identity or {"name": f"damaged description ({entry.digest[:8]})"}
        names = [str(identity.get(key, "-")) for key in ("name", "preprocessing", "pooling", "precision")]
        sizes = [str(entry.frames), str(entry.dimension or "-"), str(entry.shards), f"{entry.size / 1e6:.1f}"]
        rows.append([*names, *sizes, datetime.fromtimestamp(entry.used).strftime("%Y-%m-%d %H:%M")])
    print_table(Console(), str(root), columns, rows)


@app.command()
def verify(
    cache: options.Cache = None,
    repair: Annotated[bool, typer.Option("--repair", help="Remove damaged shards; they are encoded again.")] = False,
) -> None:
    """Check every shard against its checksum."""
    from usbench.core.settings import load_settings
    from usbench.embedding.store_upkeep import verify as verify_store

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
    from usbench.embedding.store_upkeep import collect_garbage

    freed = collect_garbage(load_settings(cache_dir=cache).store_dir, unused_days, encoder or ())
    typer.echo(f"freed {freed / 1e6:.1f} MB")
