"""``usbench info``: the card of an encoder, a task or a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.encoder.base import Encoder
    from usbench.task.task import Task

app = typer.Typer()


@app.command()
def info(name: Annotated[str, typer.Argument(help="Name of an encoder, a task or a dataset.")]) -> None:
    """Describe an encoder, a task or a dataset."""
    from usbench.errors import UnknownNameError, did_you_mean
    from usbench.plugins.catalog import DATASETS, ENCODERS, TASKS, load_encoder, load_task

    if name in TASKS.names() or name.endswith(".toml"):
        _show(_task_lines(load_task(name)))
    elif name in DATASETS.names():
        from usbench.cli.data import show_lines
        from usbench.core.settings import load_settings
        from usbench.data.datasheet import describe
        from usbench.plugins.data_sources import where_is

        reader = DATASETS.get(name).value
        where = where_is(name, load_settings())
        missing = "not found; `usbench data add` registers a folder"
        if (sheet := reader.datasheet()) is not None and sheet.files:
            missing += f", `usbench data fetch {name}` downloads it"
        show_lines([*describe(reader.card, sheet), ("where", [where or missing])])
    elif name in ENCODERS.names() or ":" in name:
        _show(_encoder_lines(load_encoder(name)))
    else:
        known = [*ENCODERS.names(), *TASKS.names(), *DATASETS.names()]
        raise UnknownNameError(f"nothing is called {name!r}.{did_you_mean(name, known)} See `usbench list`.")


def _encoder_lines(encoder: Encoder) -> list[tuple[str, str]]:
    card = encoder.card
    seen = encoder.pretraining()
    ready = encoder.readiness()
    lines = [
        ("encoder", encoder.name),
        ("title", encoder.title),
        ("what", card.description),
        ("parameters", f"{card.parameters:,}" if card.parameters is not None else "unknown until loaded"),
        ("embedding size", str(card.embedding_dim or "depends on the model")),
        ("input size", " x ".join(map(str, card.input_size)) + " px" if card.input_size else "any"),
        ("GFLOPs per image", f"{card.gflops:g}" if card.gflops is not None else "not measured"),
        ("licence", card.licence),
        ("citation", card.citation),
        ("home", card.url),
        ("pre-training", "unknown" if seen is None else ", ".join(seen) or "none"),
        ("", card.pretraining_note),
        ("baseline", "yes: a reference to beat" if card.floor else ""),
        ("training", card.pretraining_kind),
        ("trained on", card.pretraining_modality),
        ("year", str(card.year or "")),
        ("ready", ("yes: " if ready.ready else "no: ") + ready.reason if ready.reason else "yes"),
    ]
    for what, variants in (("preprocessing", card.preprocessings), ("pooling", card.poolings)):
        default = next(iter(variants))
        lines += [(what, f"{key}{' (default)' if key == default else ''}: {text}") for key, text in variants.items()]
    if card.weights is not None:
        lines += [
            (
                "weights",
                f"{card.weights.filename}, from {card.weights.page} (licence: {card.weights.licence})",
            ),
        ]
    return lines


def _task_lines(task: Task) -> list[tuple[str, str]]:
    from usbench.core.settings import load_settings

    return [
        ("task", task.name),
        ("title", task.title),
        ("what", task.description),
        ("dataset", task.dataset),
        ("target", f"{task.target} ({task.kind})"),
        ("unit", task.unit),
        ("frames", task.frames.describe()),
        ("split", task.split.describe()),
        ("protocols", ", ".join(task.protocols)),
        ("strata", ", ".join(task.strata)),
        ("data now", _data_now(task, load_settings())),
        ("embedded subset", task.fallback or ""),
        ("simulated twin", task.twin or ""),
        ("results", _results_of(task.name)),
    ]


def _data_now(task: Task, settings: Settings) -> str:
    """Say what data a task would run on now; a table of the user's own is read, so that its faults are known."""
    from usbench.errors import UsbenchError
    from usbench.leaderboard.number_format import plural
    from usbench.plugins.data_sources import dataset_for, provision_of
    from usbench.task.cohort import build_cohort

    provision = provision_of(task, settings)
    if provision != "your manifest":
        return provision
    try:
        dataset = dataset_for(task, settings).dataset
        cohort = build_cohort(task, dataset)
    except UsbenchError as error:
        return f"your manifest, which cannot be used: {error}"
    units, subjects = plural(len(cohort.units), task.unit), plural(len(set(cohort.groups)), "subject")
    classes = f", classes {', '.join(cohort.classes)}" if cohort.classes else ""
    counted = units if task.unit == "subject" else f"{units} of {subjects}"
    return f"your manifest, {dataset.root}: {counted}{classes}"


def _results_of(name: str) -> str:
    """Say which encoders have a result on a task: of one's own runs, or on the board of a clone."""
    from usbench.results.places import readable

    folder = readable(None, name)
    found = sorted(path.parent.name for path in folder.glob("*/*.json"))
    boards = {board: found.count(board) for board in found if board.partition("@")[0] == name}
    told = ", ".join(f"{board}: {count} encoder{'' if count == 1 else 's'}" for board, count in boards.items())
    return f"{told} (in {folder})" if told else f"not run yet (none in {folder})"


def _show(lines: Iterable[tuple[str, str]]) -> None:
    import shutil
    import textwrap

    width = max(20, min(90, shutil.get_terminal_size((108, 24)).columns - 18))
    for label, text in lines:
        if text:
            first, *rest = textwrap.wrap(text, width) or [""]
            typer.echo(f"{label:<16} {first}")
            for line in rest:
                typer.echo(f"{'':<16} {line}")
