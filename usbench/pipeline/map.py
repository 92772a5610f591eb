"""From encoders and a task to the maps of its units."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from usbench.core.settings import Settings
from usbench.core.types import Progress, silent
from usbench.encoder.base import Encoder
from usbench.encoder.variants import row_name, row_title
from usbench.errors import UsbenchError
from usbench.pipeline.context import Options, prepare
from usbench.pipeline.leakage import leakage
from usbench.projection.plot import EncoderMap
from usbench.projection.quality import map_figures
from usbench.task.cohort import Cohort
from usbench.task.task import Task

if TYPE_CHECKING:
    from usbench.pipeline.vectors import Embedded


@dataclass(frozen=True)
class TaskMaps:
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
    maps: list[EncoderMap]
    units: list[str]
    subjects: int
    labels: list[int]
    classes: list[str]


def map_task(
    encoders: Sequence[Encoder],
    task: Task,
    options: Options,
    settings: Settings,
    seeds: Sequence[int],
    mapping: Progress = silent,
) -> TaskMaps:
    """Embed the units of a task with each encoder, from the store where they are known, and map them.

    Args:
        encoders: At least one.
        task: Any task; the classes are what is coloured.
        options: How to run; ``results`` is not used.
        settings: Places to use.
        seeds: Seeds of UMAP; the first gives the map that is shown.
        mapping: Told while maps are drawn: whose, how many are done, and how many there are.

    Raises:
        UsbenchError: The data are absent, or there is nothing to map.
    """
    from usbench.pipeline.vectors import embed

    maps: list[EncoderMap] = []
    ready = None
    for encoder in encoders:
        ready = prepare(encoder, task, options, settings)
        embedded, cohort = embed(ready, options, settings), ready.cohort
        labels, classes = coloured(task, cohort)
        compiling = "" if maps else "; the first compiles UMAP, about half a minute"
        options.notify(f"[dim]{encoder.name}: {len(seeds)} maps of {len(labels)} units{compiling}[/dim]")

        def told(text: str, done: int, total: int, whose: str = encoder.name) -> None:
            mapping(f"{whose}: {text}", done, total)

        figures = map_figures(_by_unit(embedded, labels, cohort), labels, cohort.groups, seeds, told)
        seen = leakage(encoder, ready.located, task, ready.digests)["state"]
        maps.append(EncoderMap(row_title(encoder), row_name(encoder), seen, figures))
    if ready is None:
        raise UsbenchError("no encoder to map: give one with -e.")
    return TaskMaps(
        f"{task.title} · {ready.located.dataset.card.title}",
        maps,
        [unit.id for unit in ready.cohort.units],
        len(set(ready.cohort.groups)),
        labels,
        classes,
    )


def _by_unit(embedded: Embedded, labels: Sequence[int], cohort: Cohort) -> npt.NDArray[np.float64]:
    """Average the vectors of each unit's frames."""
    from usbench.probes.data import ProbeData, mean_by_unit

    return mean_by_unit(ProbeData(embedded.vectors, embedded.unit_index, np.asarray(labels), np.asarray(cohort.groups)))


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
