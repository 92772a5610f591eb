"""``usbench data``: where datasets lie, and whether they can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Say where datasets lie, and check them.")

Roots = Annotated[list[Path] | None, typer.Option("--data-root", help="Folder in which datasets are found by name.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Dataset, or task when LOCATION is a manifest of your own.")],
    location: Annotated[Path, typer.Argument(help="Folder as published, or a manifest (.csv, .parquet).")],
) -> None:
    """Remember where a dataset lies, after reading its index."""
    from usbench.errors import DataError, did_you_mean
    from usbench.locate import load_dataset
    from usbench.plugins import DATASETS, TASKS
    from usbench.settings import register

    if not location.expanduser().exists():
        raise DataError(f"{location}: no such file or folder. Check the path.")
    own = location.suffix.lower() in (".csv", ".parquet")
    if not own and name not in DATASETS.names():
        known = DATASETS.names()
        raise DataError(
            f"unknown dataset {name!r}.{did_you_mean(name, known)} A folder must be of a known dataset; for data of "
            f"your own give a manifest. Tasks that take one: {', '.join(TASKS.names())}."
        )
    dataset = load_dataset(str(location)) if own else load_dataset(name, root=location)
    rows = len(dataset.index.table)
    path = register("data", name, location)
    typer.echo(f"{name}: {rows} files in {location}; remembered in {path}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Dataset name, or the path of a manifest.")],
    data_root: Roots = None,
    decode: Annotated[bool, typer.Option("--decode", help="Also decode a frame of every file.")] = False,
) -> None:
    """Read the index, count subjects and files, and look for one file under two subjects; exit status 1 if it is there."""  # noqa: E501
    from usbench.locate import load_dataset
    from usbench.settings import load_settings

    dataset = load_dataset(name, settings=load_settings(data_root or ()))
    index = dataset.index
    table = index.table
    typer.echo(f"{dataset.name}: {len(table)} files of {table['subject'].nunique()} subjects in {dataset.root}")
    for note in index.notes:
        typer.echo(f"note: {note}")
    for column in ("label", "split", "fold", "device", "organ"):
        if column in table.columns:
            counts = table[column].value_counts(dropna=False)
            typer.echo(f"{column}: " + ", ".join(f"{value} {count}" for value, count in counts.items()))
    owners: dict[str, str] = {}
    shared = 0
    for path, subject in zip(table["path"], table["subject"], strict=True):
        if owners.setdefault(dataset.digest(path), subject) != subject:
            shared += 1
            typer.echo(f"leak: {path} of subject {subject} is also a file of another subject")
        if decode:
            with dataset.open(path) as media:
                media.frames([0])
    if shared:
        raise typer.Exit(1)
    typer.echo("no file is shared by two subjects" + ("; every file decodes" if decode else ""))
