"""The public way to run encoders on tasks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from usbench import results
from usbench.core.settings import Settings, load_settings
from usbench.encoder.base import Encoder
from usbench.pipeline.context import Options, prepare
from usbench.pipeline.experiment import run_prepared
from usbench.plugins.catalog import load_encoder, load_task
from usbench.task.task import Task


def run(
    encoder: str | Encoder | Iterable[str | Encoder],
    task: str | Task | Iterable[str | Task],
    *,
    data: str | None = None,
    data_root: str | Path | Iterable[str | Path] = (),
    results_dir: str | Path | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    by: Sequence[str] = (),
    shift: Sequence[str] = (),
    settings: Settings | None = None,
) -> results.Results:
    """Run every encoder on every task.

    Args:
        encoder: Name, encoder, or several.
        task: Name, task, or several.
        data: ``"phantom"`` for a task's synthetic twin, ``"subset"`` for its embedded subset, or a path.
        data_root: Folders in which datasets are found by name.
        results_dir: Where results are kept; by default nothing is written but embeddings.
        device: torch device for encoders given by name.
        precision: ``fp32``, ``bf16`` or ``auto`` for encoders given by name.
        by: Columns to score by as well, such as ``["device"]``; in ``instruments["strata"]`` of each result.
        shift: Acquisition shifts to test under as well, such as ``["gain:1..5"]``; in ``instruments["shifts"]``.
        settings: Places to use instead of the configured ones.

    Returns:
        One result a pair; ``.to_frame()`` gives a table.

    Raises:
        UsbenchError: What went wrong, in one message; results finished before it are on disk.
    """
    from usbench.diagnostics.shifts import parse_shifts
    from usbench.diagnostics.suite import add_extras

    roots = [data_root] if isinstance(data_root, str | Path) else list(data_root)
    encoders = [
        load_encoder(e, device=device, precision=precision) if isinstance(e, str) else e for e in _several(encoder)
    ]
    tasks = [load_task(t) if isinstance(t, str) else t for t in _several(task)]
    options = Options(data=data, results=Path(results_dir) if results_dir is not None else None)
    places = settings or load_settings(roots)
    levels, columns = parse_shifts(shift), list(dict.fromkeys(by))
    finished = []
    for one_task in tasks:
        for one_encoder in encoders:
            ready = prepare(one_encoder, one_task, options, places)
            result = run_prepared(ready, options, places)
            finished.append(add_extras(ready, result, columns, levels, options, places))
    return results.Results(finished)


def _several(item: Any) -> list[Any]:
    return [item] if isinstance(item, str | Encoder | Task) else list(item)
