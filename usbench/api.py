"""The public way to run encoders on tasks, and the only loop over them: the command line calls it too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from usbench import results
from usbench.core.settings import Settings, load_settings
from usbench.core.types import Progress
from usbench.diagnostics.shifts.levels import Level, parse_shifts
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.pipeline.context import Notify, Options, Prepared, prepare
from usbench.pipeline.experiment import run_prepared
from usbench.plugins.catalog import load_encoders, load_task
from usbench.task.task import Task

# What is done with each result before it is returned: diagnostics that need the prepared run.
Finish = Callable[[Prepared, results.Result, Options, Settings], results.Result]
OnError = Callable[[str, str, UsbenchError], None]


def run(
    encoder: str | Encoder | Iterable[str | Encoder],
    task: str | Task | Iterable[str | Task],
    *,
    data: str | None = None,
    data_root: str | Path | Iterable[str | Path] = (),
    results_dir: str | Path | None = None,
    weights: str | Path | None = None,
    device: str = "auto",
    precision: str = "fp32",
    pooling: str | Sequence[str] | None = None,
    preprocessing: str | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    by: Sequence[str] = (),
    shift: Sequence[str | Level] = (),
    label_efficiency: bool = True,
    name: str | None = None,
    fresh: bool = False,
    replace: bool = False,
    settings: Settings | None = None,
    notify: Notify | None = None,
    progress: Progress | None = None,
    finish: Finish | None = None,
    on_error: OnError | None = None,
) -> results.Results:
    """Run every encoder on every task.

    Args:
        encoder: Name, encoder, or several. A name may say a variant: ``"tusa@pooling=stages"``.
        task: Name, task, or several.
        data: ``"phantom"`` for a task's synthetic twin, ``"subset"`` for its embedded subset, or a path.
        data_root: Folders in which datasets are found by name.
        results_dir: Where results are kept; by default nothing is written but embeddings.
        weights: Weight file of an encoder given by name; for one encoder only.
        device: torch device for encoders given by name; ``auto`` is CUDA, else MPS, else the CPU, unless
            the environment variable ``USBENCH_DEVICE`` says which.
        precision: ``fp32``, ``bf16`` or ``auto`` for encoders given by name; ``int8`` for screening on a CPU, whose
            results no leaderboard takes.
        pooling: How one vector is made, for encoders given by name; their first pooling by default. Several, as a list
            or with commas, or ``all``, give one result each from one pass over the frames.
        preprocessing: Preprocessing variant of encoders given by name; their first one by default.
        batch_size: Frames per forward pass; the encoder's own by default.
        workers: Decoding threads.
        by: Columns to score by as well, such as ``["device"]``; in ``instruments["strata"]`` of each result.
        shift: Acquisition shifts to test under as well, such as ``["gain:1..5"]``; in ``instruments["shifts"]``.
        label_efficiency: Whether to score on shares of the training subjects as well; in
            ``instruments["label_efficiency"]``.
        name: Name under which the results are kept, in place of the encoder's own; for one encoder given by name.
        fresh: Whether to probe again although an equal result exists.
        replace: Whether a result may take the place of one of another network that has its name; without, that is
            refused.
        settings: Places to use instead of the configured ones.
        notify: Called with messages for the user.
        progress: Called with a text, frames done and frames in all while frames are encoded.
        finish: Called with each finished run; what it returns takes the result's place.
        on_error: Called with the names of encoder and task and the error where a pair cannot run, so that the other
            pairs still get their figures; without it the error is raised.

    Returns:
        One result per pair that ran, those of one task after another; ``.to_frame()`` gives a table.

    Raises:
        UsbenchError: What went wrong, in one message; results finished before it are on disk.
    """
    from usbench.pipeline.prechecks import check_device, check_writable

    names = _several(encoder)
    if weights is not None and (len(names) > 1 or isinstance(names[0], Encoder)):
        raise UsbenchError(
            "Weights were given as one file, which fits one encoder given by name. Run the encoders one at a time."
        )
    if name is not None and (len(names) > 1 or isinstance(names[0], Encoder)):
        raise UsbenchError(
            f"{name!r} is a name for the results of one encoder given by name. Run the encoders one at a time."
        )
    roots = [data_root] if isinstance(data_root, str | Path) else list(data_root)
    places = settings or load_settings(roots)
    columns, levels = list(dict.fromkeys(by)), parse_shifts(shift)
    encoders = [
        each
        for item in names
        for each in (
            load_encoders(
                item,
                weights=weights,
                device=device,
                precision=precision,
                pooling=pooling,
                preprocessing=preprocessing,
                called=name,
            )
            if isinstance(item, str)
            else [item]
        )
    ]
    tasks = [load_task(item) if isinstance(item, str) else item for item in _several(task)]
    options = Options(
        data=data,
        results=Path(results_dir) if results_dir is not None else None,
        batch_size=batch_size,
        workers=workers,
        fresh=fresh,
        replace=replace,
    )
    options = options.reporting_to(notify, progress)
    check_device(device)
    if options.results is not None:
        check_writable(options.results, "--results")
    finished = []
    for one_task in tasks:
        for one_encoder in encoders:
            try:
                prepared = prepare(one_encoder, one_task, options, places)
                if columns:  # a column that makes no strata is refused before anything is encoded
                    from usbench.diagnostics.subgroups import check_column

                    for column in columns:
                        check_column(prepared, column)
                result = run_prepared(prepared, options, places)
                if columns or levels or label_efficiency:
                    from usbench.diagnostics.suite import add_extras

                    result = add_extras(prepared, result, columns, levels, options, places, label_efficiency)
                finished.append(finish(prepared, result, options, places) if finish else result)
            except UsbenchError as error:
                if on_error is None:
                    raise
                on_error(one_encoder.name, one_task.name, error)
    return results.Results(finished)


def _several(item: Any) -> list[Any]:
    return [item] if isinstance(item, str | Encoder | Task) else list(item)
