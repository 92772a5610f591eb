"""From encoders and a task to the maps of its units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from usbench.core.settings import Settings
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.pipeline.context import Options, leakage, prepare
from usbench.projection.plot import MapOf
from usbench.projection.quality import map_figures
from usbench.task.cohort import Cohort
from usbench.task.task import Task


@dataclass(frozen=True)
class Taken:
    """Maps of one task.

    Attributes:
        title: Task and data.
        maps: One an encoder.
        units: Name of each unit.
        subjects: How many subjects they come from.
        labels: Class number of each unit.
        classes: Class names; for regression ranges of the target.
    """

    title: str
    maps: list[MapOf]
    units: list[str]
    subjects: int
    labels: list[int]
    classes: list[str]


def take_maps(
    encoders: Sequence[Encoder], task: Task, options: Options, settings: Settings, seeds: Sequence[int]
) -> Taken:
    """Embed the units of a task with each encoder, from the store where they are known, and map them.

    Args:
        encoders: At least one.
        task: Any task; the classes are what is coloured.
        options: How to run; ``results`` is not used.
        settings: Places to use.
        seeds: Seeds of UMAP; the first gives the map that is shown.

    Raises:
        UsbenchError: The data are absent, or there is nothing to map.
    """
    from usbench.embedding.extract import extract
    from usbench.embedding.store import Store
    from usbench.task.cohort import select_frames

    maps: list[MapOf] = []
    ready = None
    for encoder in encoders:
        ready = prepare(encoder, task, options, settings)
        dataset, cohort = ready.located.dataset, ready.cohort
        refs, owner, _ = select_frames(cohort, dataset, task.frames, dict(ready.digests), ready.decoding)
        text = f"{encoder.name} on {dataset.name}"
        vectors = extract(
            encoder,
            dataset,
            refs,
            Store(settings.store_dir, encoder.identity()),
            batch_size=options.batch_size,
            workers=options.workers,
            progress=lambda done, total, text=text: options.progress(text, done, total),  # type: ignore[misc]
        ).vectors
        labels, classes = coloured(task, cohort)
        options.say(f"[dim]{encoder.name}: {len(seeds)} maps of {len(labels)} units[/dim]")
        figures = map_figures(_by_unit(vectors, owner, labels, cohort), labels, cohort.groups, seeds)
        maps.append(MapOf(encoder.title, encoder.name, leakage(encoder, ready.located)["state"], figures))
    if ready is None:
        raise UsbenchError("no encoder to map: give one with -e.")
    return Taken(
        f"{task.title} · {ready.located.dataset.card.title}",
        maps,
        [unit.id for unit in ready.cohort.units],
        len(set(ready.cohort.groups)),
        labels,
        classes,
    )


def _by_unit(
    vectors: npt.NDArray[np.float32], owner: Sequence[int], labels: Sequence[int], cohort: Cohort
) -> npt.NDArray[np.float64]:
    """Average the vectors of each unit's frames."""
    from usbench.probes.data import ProbeData, mean_by_unit

    frames = np.asarray(owner, dtype=np.int64)
    return mean_by_unit(ProbeData(vectors, frames, np.asarray(labels), np.asarray(cohort.groups)))


def coloured(task: Task, cohort: Cohort) -> tuple[list[int], list[str]]:
    """Return class numbers and names; a regression target is cut at the task's threshold, or into thirds.

    Raises:
        UsbenchError: All units fall into one class.
    """
    if cohort.classes:
        labels, names = [int(label) for label in cohort.labels()], list(cohort.classes)
    else:
        values = np.asarray(cohort.labels(), dtype=np.float64)
        edges = [task.threshold] if task.threshold is not None else np.quantile(values, [1 / 3, 2 / 3]).tolist()
        labels = [int(number) for number in np.digitize(values, edges)]
        unit = f" {task.unit_of_target}" if task.unit_of_target else ""
        names = [f"below {edges[0]:g}{unit}"]
        names += [f"{low:g} to {high:g}{unit}" for low, high in itertools.pairwise(edges)]
        names.append(f"{edges[-1]:g}{unit} and more")
    if len(set(labels)) < 2:
        raise UsbenchError(f"{task.name}: all units are of one class ({names[labels[0]]}), so a map shows nothing.")
    return labels, names
