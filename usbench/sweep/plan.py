"""``usbench plan``: what a grid would cost, before anything is encoded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from usbench import results
from usbench.core.settings import Settings
from usbench.core.thread_map import map_in_threads
from usbench.data.frames import FrameRef
from usbench.errors import UsbenchError
from usbench.plugins.data_sources import Located
from usbench.sweep.config import Grid
from usbench.sweep.cost_model import Estimate, Estimator, describe
from usbench.sweep.specs import Cell, TaskSpec
from usbench.task.cohort import Cohort
from usbench.task.task import Task


@dataclass(frozen=True)
class Planned:
    """One cell as it would run.

    Attributes:
        cell: The cell.
        estimate: Its cost; ``None`` when its data or its encoder cannot be found.
        images: Frames of the task, stored or not, shifted ones not counted.
        units: Units it decides about.
        note: What is in the way, or what was assumed.
        answered: Whether a result that holds is there already.
    """

    cell: Cell
    estimate: Estimate | None
    images: int = 0
    units: int = 0
    note: str = ""
    answered: bool = False


@dataclass(frozen=True)
class Total:
    """The cost of a grid.

    Attributes:
        cells: How many cells can run.
        images: Frames to encode, shifted ones included.
        worker_seconds: Time of workers, added up.
        gpu_seconds: Time for which GPUs are held, added up.
        wall_seconds: Least time on the workers at hand, if they are never idle.
        disk_bytes: What the store grows by.
        bottleneck: What takes most of the time: an encoder's network, decoding, or probes.
    """

    cells: int
    images: int
    worker_seconds: float
    gpu_seconds: float
    wall_seconds: float
    disk_bytes: int
    bottleneck: str


@dataclass(frozen=True)
class _Counted:
    """The data of a task, counted once for all encoders."""

    task: Task
    located: Located
    cohort: Cohort
    refs: Sequence[FrameRef]
    digests: Mapping[str, str]


def plan_grid(grid: Grid, settings: Settings, estimator: Estimator, look: bool = True) -> list[Planned]:
    """Estimate every cell of a grid.

    Args:
        grid: The grid.
        settings: Places to use.
        estimator: What was measured before.
        look: Whether to read the files once, in order to know what the store and the results hold already; without,
            all frames are taken to be new.
    """
    counted: dict[TaskSpec, _Counted | str] = {}
    planned = []
    for cell in grid.cells:
        if cell.task not in counted:
            try:
                counted[cell.task] = _count(cell.task, settings, look)
            except UsbenchError as error:
                counted[cell.task] = str(error)
        data = counted[cell.task]
        try:
            planned.append(
                Planned(cell, None, note=data)
                if isinstance(data, str)
                else _planned(cell, data, grid, settings, estimator, look)
            )
        except UsbenchError as error:
            planned.append(Planned(cell, None, note=str(error)))
    return planned


def total(planned: Sequence[Planned], jobs: int, gpus: int) -> Total:
    """Add up the cells that can run.

    Args:
        planned: From :func:`plan_grid`.
        jobs: Workers that share what needs no GPU.
        gpus: GPUs that share what needs one.
    """
    known = [(p, p.estimate) for p in planned if p.estimate is not None]
    probes = sum(e.probe_seconds for _, e in known)
    on_gpu = sum(e.encode_seconds for p, e in known if p.cell.encoder.device != "cpu")
    on_cpu = sum(e.encode_seconds for p, e in known if p.cell.encoder.device == "cpu")
    spent: dict[str, float] = {}
    for p, e in known:
        name = f"the network of {p.cell.encoder.label}" if e.bottleneck == "network" else "decoding and preprocessing"
        spent[name] = spent.get(name, 0.0) + e.encode_seconds
        spent["probes"] = spent.get("probes", 0.0) + e.probe_seconds
    most = max(spent, key=lambda name: spent[name], default="nothing")
    work = on_gpu + on_cpu + probes
    return Total(
        cells=len(known),
        images=sum(e.frames for _, e in known),
        worker_seconds=work,
        gpu_seconds=sum(e.gpu_seconds for _, e in known),
        wall_seconds=max(on_gpu / max(gpus, 1), (on_cpu + probes) / max(jobs, 1)),
        disk_bytes=sum(e.disk_bytes for _, e in known),
        bottleneck=f"{most} ({spent[most] / work:.0%} of the time)" if work else "nothing",
    )


def to_dict(planned: Sequence[Planned], whole: Total) -> dict[str, Any]:
    """Return a plan as plain data."""
    from dataclasses import asdict

    return {
        "total": {key: round(v, 2) if isinstance(v, float) else v for key, v in asdict(whole).items()},
        "cells": [
            {
                "encoder": p.cell.encoder.label,
                "task": p.cell.task.name,
                "data": p.cell.task.data,
                "device": p.cell.encoder.device,
                "images": p.images,
                "units": p.units,
                "answered": p.answered,
                "note": p.note,
                "estimate": p.estimate.to_dict() if p.estimate else None,
            }
            for p in planned
        ],
    }


def _count(spec: TaskSpec, settings: Settings, look: bool) -> _Counted:
    from usbench.data.frames import decoding_versions
    from usbench.plugins.data_sources import dataset_for
    from usbench.task.cohort import build_cohort, select_frames

    task = spec.load()
    located = dataset_for(task, settings, spec.data)
    cohort = build_cohort(task, located.dataset)
    paths = cohort.paths
    digests = map_in_threads(located.dataset.digest, paths) if look else {path: path for path in paths}
    refs, _, _ = select_frames(cohort, located.dataset, task.frames, digests, decoding_versions())
    return _Counted(task, located, cohort, refs, digests)


def _planned(cell: Cell, data: _Counted, grid: Grid, settings: Settings, estimator: Estimator, look: bool) -> Planned:
    # A check of precision would load the network: an estimate takes fp32 for auto.
    precision = "fp32" if cell.encoder.precision == "auto" else cell.encoder.precision
    encoder = replace(cell.encoder, precision=precision, device="cpu").load()
    facts = describe(encoder, data.task, len(data.cohort.units))
    keys = list(dict.fromkeys(ref.key for ref in data.refs))
    missing, note = len(keys) * (1 + len(grid.levels)), ""
    readiness = encoder.readiness()
    if not readiness.ready:
        note = readiness.reason
    elif look:
        if _answered(data, grid, encoder):
            return Planned(cell, estimator.nothing(), len(keys), len(data.cohort.units), "", True)
        missing = _missing(data, grid, settings, encoder)
    if encoder.companions and not _pays(cell, grid):
        missing, note = 0, note or "encoded together with another pooling"
    gpus: float = 0 if cell.encoder.device == "cpu" else (1 if cell.encoder.gpus is None else cell.encoder.gpus)
    cost = estimator.estimate(facts, missing, cell.encoder.device, precision, 1 + len(grid.levels), gpus)
    return Planned(cell, cost, len(keys), len(data.cohort.units), note)


def _pays(cell: Cell, grid: Grid) -> bool:
    """Say whether a cell is the first of those that share its forward passes, which is charged for them."""
    alike = (c for c in grid.cells if c.task == cell.task and c.encoder.network == cell.encoder.network)
    return next(alike) == cell


def _answered(data: _Counted, grid: Grid, encoder: Any) -> bool:
    from usbench.data.frames import decoding_versions
    from usbench.encoder.variants import row_name
    from usbench.pipeline.context import inputs_digest
    from usbench.sweep.scheduler import holds_all

    task, dataset = data.task, data.located.dataset
    board = results.board_name(task.name, task.dataset, dataset.name)
    path = results.file_of(grid.results, board, row_name(encoder))
    try:
        kept = results.load(path) if path.exists() else None
    except UsbenchError:
        return False
    if kept is None or not holds_all(kept, grid.columns, grid.levels, grid.label_efficiency):
        return False
    return kept.inputs == inputs_digest(encoder, task, data.located, data.digests, decoding_versions())


def _missing(data: _Counted, grid: Grid, settings: Settings, encoder: Any) -> int:
    from usbench.data.frames import decoding_versions, frame_key
    from usbench.diagnostics.shifts.catalogue import shift_key
    from usbench.embedding.store import Store

    if not (settings.store_dir / encoder.identity().digest()[:32]).is_dir():  # a plan leaves no folders behind
        return len({ref.key for ref in data.refs}) * (1 + len(grid.levels))
    keys = [ref.key for ref in data.refs]
    for level in grid.levels:
        suffix = f"{decoding_versions()}|{shift_key(level)}"
        keys += [frame_key(data.digests[ref.path], ref.frame, suffix) for ref in data.refs]
    return len(Store(settings.store_dir, encoder.identity()).missing(keys))
