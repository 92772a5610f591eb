"""``usbench data``: where datasets lie, and whether they can be used."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from usbench.cli import options

if TYPE_CHECKING:
    from rich.progress import TaskID

    from usbench.data.dataset import Dataset

app = typer.Typer(help="Describe and fetch datasets, say where they lie, and check them.")
Form = Literal["text", "markdown", "croissant"]

SHOWN = 10
"""Findings of one kind that are printed before the rest is only counted."""


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Dataset, or task when LOCATION is a manifest of your own.")],
    location: Annotated[Path, typer.Argument(help="Folder as published, or a manifest (.csv, .tsv, .parquet).")],
) -> None:
    """Remember where a dataset lies, after reading its index."""
    from usbench.core.settings import register
    from usbench.data.label_table import SUFFIXES
    from usbench.data.manifest import ManifestDataset
    from usbench.errors import DataError, did_you_mean
    from usbench.plugins.catalog import DATASETS, TASKS
    from usbench.plugins.data_sources import load_dataset

    location = location.expanduser()
    if not location.exists():
        raise DataError(f"{location}: no such file or folder. Check the path.")
    name = _spelled_as_registered(name)
    own = location.suffix.lower() in SUFFIXES
    if not own and name not in DATASETS.names() and ManifestDataset.recognises(location):
        location, own = ManifestDataset(location).root, True
    if not own and name not in DATASETS.names():
        known = DATASETS.names()
        raise DataError(
            f"unknown dataset {name!r}.{did_you_mean(name, known)} A folder must be of a known dataset, or hold a "
            f"manifest.csv of your own. Tasks that take one: {', '.join(TASKS.names())}."
        )
    dataset = load_dataset(str(location)) if own else load_dataset(name, root=location)
    for line in _summary(dataset, name):
        typer.echo(line)
    path = register("data", name, location)
    typer.echo(f"{name}: remembered in {path}")


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="Dataset name, or the path of a manifest.")],
    data_root: options.DataRoots = None,
    decode: Annotated[
        bool, typer.Option("--decode", help="Also decode every file, and look for pictures that are nearly the same.")
    ] = False,
) -> None:
    """Read the index, count, and look for files of one patient under two names; exit status 1 if anything is found."""
    from usbench.core.settings import load_settings
    from usbench.data.integrity import check_dataset
    from usbench.plugins.data_sources import load_dataset

    name = _spelled_as_registered(name)
    dataset = load_dataset(name, settings=load_settings(data_root or ()))
    for line in _summary(dataset, name):
        typer.echo(line)
    report = check_dataset(dataset, decode)
    findings = [
        ("damaged", list(report.damaged)),
        ("one patient?", [" and ".join(repr(name) for name in group) for group in report.names]),
        ("both sides", [f"{s.subject!r} is in {s.column} {' and '.join(s.values)}" for s in report.straddling]),
        ("same file", [f"{p.first} and {p.second}, subjects {' and '.join(p.subjects)}" for p in report.shared]),
        (
            "nearly the same picture",
            [
                f"{p.first} and {p.second}, subjects {' and '.join(p.subjects)}, {p.bits} of 256 bits differ"
                for p in report.alike
            ],
        ),
    ]
    for what, lines in findings:
        for line in lines[:SHOWN]:
            typer.echo(f"{what}: {line}")
        if len(lines) > SHOWN:
            typer.echo(f"{what}: and {len(lines) - SHOWN} more")
    for what, files in report.treated.items():
        typer.echo(f"read: {files} of {report.files} files: {what}")
    if told := report.few_levels_told():
        typer.echo(f"grey levels: {told}")
    if not report.sound:
        raise typer.Exit(1)
    typer.echo(
        "every file decodes, and no picture is under two subjects"
        if decode
        else "no file is under two subjects; --decode looks at the pictures too"
    )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Dataset name, or path/file.py:Class.")],
    form: Annotated[Form, typer.Option("--as", help="How: for the terminal, as a page, or as JSON-LD.")] = "text",
) -> None:
    """Show the card of a dataset: who is in it, how to get it, its faults, and what it overlaps with."""
    from usbench.data.croissant import as_json
    from usbench.data.datasheet import as_markdown, describe
    from usbench.errors import DataError

    reader = _reader(name)
    sheet = reader.datasheet()
    if form == "text":
        show_lines(describe(reader.card, sheet))
        return
    if sheet is None:
        raise DataError(f"{reader.card.name}: has no datasheet, cards/{reader.card.name}.toml beside its reader.")
    typer.echo((as_json if form == "croissant" else as_markdown)(reader.card, sheet), nl=False)


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Dataset name, or path/file.py:Class.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="Folder in which the dataset's own folder is made.", file_okay=False)
    ] = None,
) -> None:
    """Download a dataset whose publisher gives a direct link, compare digests, unpack it and remember where it lies."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    from usbench.core.settings import load_settings, register
    from usbench.data.fetch import fetch_files, how_to_get
    from usbench.errors import DataError

    name, settings = _spelled_as_registered(name), load_settings()
    reader = _reader(name)
    card, sheet = reader.card, reader.datasheet()
    if reader.embedded_root(settings) is not None:
        raise DataError(f"{name}: there is nothing to download. {how_to_get(card, sheet)}")
    folder = (to.expanduser() if to is not None else settings.download_dir) / card.name
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    if sheet is not None and sheet.files and not folder.exists():
        typer.echo(f"{card.name}: licence {card.licence}. By downloading you accept it.")
    with Progress(*columns, transient=True) as bar:
        tasks: dict[str, TaskID] = {}

        def told(file: str, done: int, total: int | None) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=None)
            bar.update(tasks[file], completed=done, total=total)

        root = fetch_files(card, sheet, folder, told)
    for file in sheet.files if sheet is not None else ():
        checked = f"as stated by {file.digest_from}" if file.sha256 else "no digest is known, so it was not compared"
        typer.echo(f"{file.filename}: {checked}")
    dataset = reader.at(root, settings)
    for line in _summary(dataset, name):
        typer.echo(line)
    if sheet is not None and sheet.images not in (None, len(dataset.index.table)):
        typer.echo(f"note: the card states {sheet.images} files; this is another version of the dataset")
    typer.echo(f"{name}: remembered in {register('data', name, root)}")


def show_lines(lines: Iterable[tuple[str, list[str]]]) -> None:
    """Print labels and texts, wrapped; further texts of a label begin with a dash."""
    import textwrap

    for label, texts in lines:
        for number, text in enumerate(texts):
            mark = "- " if len(texts) > 1 else ""
            first, *rest = textwrap.wrap(mark + text, 90, break_long_words=False, break_on_hyphens=False) or [""]
            typer.echo(f"{label if number == 0 else '':<16} {first}")
            for line in rest:
                typer.echo(f"{'':<16} {' ' * len(mark)}{line}")


def _reader(name: str) -> type[Dataset]:
    """Return the reader of a dataset: registered, or ``path/file.py:Class``."""
    from usbench.plugins.catalog import DATASETS

    return DATASETS.get(_spelled_as_registered(name)).value


def _spelled_as_registered(name: str) -> str:
    """Return the registered spelling of a name typed with underscores for hyphens, or the name as it is."""
    from usbench.plugins.catalog import DATASETS, TASKS

    hyphens = name.replace("_", "-")
    return hyphens if name not in TASKS.names() and hyphens in DATASETS.names() else name


def _summary(dataset: Dataset, name: str) -> list[str]:
    """Return counts of files and subjects, by split, and by the target of every task that asks this dataset."""
    from usbench.plugins.catalog import TASKS

    index = dataset.index
    table = index.table
    lines = [f"{name}: {len(table)} files of {table['subject'].nunique()} subjects in {dataset.root}"]
    lines += [f"note: {note}" for note in index.notes]
    tasks = [TASKS.get(task).value for task in TASKS.names()]
    targets = [task.target for task in tasks if name in (task.name, task.dataset, task.fallback, task.twin)]
    for column in dict.fromkeys(["label", *targets, "split", "fold", "device", "organ"]):
        if column not in table.columns:
            continue
        if table[column].nunique() > 12 and table[column].dtype.kind in "if":
            values = table.drop_duplicates("subject")[column]
            lines.append(
                f"{column}: {values.min():g} to {values.max():g}, median {values.median():g} over "
                f"{int(values.notna().sum())} subjects"
            )
            continue
        counts = table.groupby(column, dropna=False)["subject"].agg(["size", "nunique"])
        lines.append(
            f"{column}: "
            + ", ".join(f"{value} {row['size']} files of {row['nunique']} subjects" for value, row in counts.iterrows())
        )
    return lines
