"""From the places a task names to the place of each selected frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from usbench.errors import DataError

if TYPE_CHECKING:
    from usbench.data.frames import FrameRef
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray
    from usbench.task.cohort import Cohort
    from usbench.task.task import Task


def places_of(task: Task, cohort: Cohort, refs: Sequence[FrameRef], unit_index: IntArray) -> Places | None:
    """Return the place of each frame; ``None`` for a task whose frames are all alike.

    Args:
        task: The task.
        cohort: Its units, with the place of each of their files.
        refs: The selected frames.
        unit_index: Position of the unit of each frame.

    Raises:
        DataError: A unit has no frame in some place.
    """
    if task.slots is None:
        return None
    import numpy as np

    from usbench.probes.places import Places

    names = task.slots.names
    of_file = {
        (i, path): place for i, u in enumerate(cohort.units) for path, place in zip(u.paths, u.places, strict=True)
    }
    index = np.array(
        [names.index(of_file[i, r.path]) for i, r in zip(unit_index.tolist(), refs, strict=True)], np.int64
    )
    filled = np.zeros((len(cohort.units), len(names)), dtype=bool)
    filled[unit_index, index] = True
    if not filled.all():
        unit, place = (int(k) for k in np.argwhere(~filled)[0])
        raise DataError(
            f"{task.unit} {cohort.units[unit].id!r} has no frame in place {names[place]!r} (column "
            f"{task.slots.column!r}): select frames of every place, or leave the {task.unit} out."
        )
    return Places(index, names, task.slots.pairs)
