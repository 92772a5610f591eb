"""``usbench info``: the card of an encoder, a task or a dataset."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
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
        ("floor", "yes: a reference to beat" if card.floor else ""),
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
    from usbench.plugins.data_sources import provision_of

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
        ("data now", provision_of(task, load_settings())),
        ("embedded subset", task.fallback or ""),
        ("phantom twin", task.twin or ""),
    ]


def _show(lines: Iterable[tuple[str, str]]) -> None:
    import textwrap

    for label, text in lines:
        if text:
            first, *rest = textwrap.wrap(text, 90) or [""]
            typer.echo(f"{label:<16} {first}")
            for line in rest:
                typer.echo(f"{'':<16} {line}")
