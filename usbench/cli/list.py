"""``usbench list``: what there is, and whether it can be used now."""

from __future__ import annotations

import typer

from usbench.cli import options

app = typer.Typer(help="List encoders, tasks or datasets, and whether each is ready.")


@app.command()
def encoders() -> None:
    """List encoders and whether their weights are found."""
    from usbench.plugins.catalog import ENCODERS, load_encoder

    rows = []
    for name in ENCODERS.names():
        if name.endswith(":"):
            rows.append((f"{name}NAME", "family", ENCODERS.family(name).card.description))
            continue
        encoder = load_encoder(name)
        ready = encoder.readiness()
        rows.append((name, "ready" if ready.ready else "no weights", encoder.card.title))
    _print(("encoder", "state", "what"), rows)


@app.command()
def tasks(data_root: options.DataRoots = None) -> None:
    """List tasks and what data each would run on now."""
    from usbench.core.settings import load_settings
    from usbench.plugins.catalog import TASKS, load_task
    from usbench.plugins.data_sources import provision_of

    settings = load_settings(data_root or ())
    rows = []
    for name in TASKS.names():
        task = load_task(name)
        rows.append((name, provision_of(task, settings), f"{task.title}; {task.dataset}, by {task.unit}"))
    _print(("task", "data", "what"), rows)


@app.command()
def datasets(data_root: options.DataRoots = None) -> None:
    """List datasets and where each is found."""
    from usbench.core.settings import load_settings
    from usbench.plugins.catalog import DATASETS
    from usbench.plugins.data_sources import where_is

    settings = load_settings(data_root or ())
    rows = []
    for name in DATASETS.names():
        card = DATASETS.get(name).value.card
        found = where_is(name, settings)
        rows.append((name, found or "not found", f"{card.title}; {card.licence}"))
    rows += [
        (name, str(path), "registered by you") for name, path in settings.data.items() if name not in DATASETS.names()
    ]
    _print(("dataset", "where", "what"), rows)


def _print(head: tuple[str, ...], rows: list[tuple[str, str, str]]) -> None:
    """Print plain aligned columns: quick, and fit for grep."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(2)]
    for row in [head, *rows]:
        typer.echo(f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]}")
