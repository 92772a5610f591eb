"""Scoring a map task: each unit is named by its nearest neighbours, first of other subjects, then of other sources.

Nothing is trained, so there are no folds; what takes their place is who may vote. Under ``neighbours`` a unit's own
subject may not. Under ``neighbours-other-source`` nothing of the unit's own source may, so that scanner, crop and
compression of one published set cannot give the organ away; organs that only one source shows cannot be asked about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from usbench.errors import UnknownNameError, UsbenchError
from usbench.evaluation.neighbours import neighbour_votes
from usbench.evaluation.scoring import scored_protocol, significant
from usbench.probes.data import ProbeData, mean_by_unit
from usbench.projection.quality import map_figures
from usbench.projection.umap import NEIGHBOURS, standardised
from usbench.results.schema import ProtocolResult, Repeat
from usbench.statistics._types import IntArray
from usbench.task.cohort import Cohort
from usbench.task.task import Task

# Seeds of UMAP in a result; the first gives the map that is shown.
SEEDS = (0, 1, 2)

PROTOCOLS: Mapping[str, str | None] = {"neighbours@1": None, "neighbours-other-source@1": "source"}
"""Protocols of map tasks, each with the column in which voters must differ besides the subject."""


def score_map(
    task: Task, cohort: Cohort, vectors: npt.NDArray[np.float32], unit_index: Sequence[int] | IntArray
) -> tuple[dict[str, ProtocolResult], dict[str, Any]]:
    """Score every protocol of a map task, and project its units.

    Args:
        task: The task, of kind ``map``.
        cohort: Its units.
        vectors: float32 ``(n_frames, D)``.
        unit_index: Position of the unit of each frame.

    Returns:
        Protocol to its outcome, and ``{"map": ...}`` as of :func:`usbench.projection.quality.map_figures`.

    Raises:
        UsbenchError: A protocol is unknown, lacks its column, or no class can be asked about.
        DataError: There are too few units to map.
    """
    labels = np.asarray([cohort.classes.index(unit.target) for unit in cohort.units], dtype=np.int64)
    data = ProbeData(vectors, np.asarray(unit_index, dtype=np.int64), labels, np.asarray(cohort.groups))
    points = mean_by_unit(data)
    protocols = {}
    for protocol in task.protocols:
        repeat = _repeat(protocol, task, cohort, standardised(points), labels)
        protocols[protocol] = scored_protocol(task, cohort, [repeat], {"neighbours": [NEIGHBOURS]})
    return protocols, {"map": map_figures(points, labels, cohort.groups, SEEDS)}


def _repeat(
    protocol: str, task: Task, cohort: Cohort, points: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]
) -> Repeat:
    apart = [np.asarray(cohort.groups)]
    column = _column(protocol)
    if column is not None:
        values = [unit.strata.get(column) for unit in cohort.units]
        if any(value is None for value in values):
            raise UsbenchError(
                f"task {task.name}: {protocol} needs a {column!r} for every unit; name the column in `strata`, or "
                "leave the protocol out."
            )
        apart.append(np.asarray(values))
    rows, asked = _askable(labels, apart)
    if len(asked) < 2:
        raise UsbenchError(
            f"task {task.name}: {protocol} needs two classes shown by at least two {column or 'subject'}s each, found "
            f"{', '.join(cohort.classes[k] for k in asked) or 'none'}. Leave the protocol out."
        )
    votes = neighbour_votes(
        points[rows], np.searchsorted(asked, labels[rows]), [a[rows] for a in apart], balanced=column is not None
    )
    n = len(labels)
    fold: list[int | None] = [None] * n
    score: list[Any] = [None] * n
    predicted: list[Any] = [None] * n
    for position, row in enumerate(rows):
        if votes.tested[position]:
            fold[row] = 0
            score[row] = [significant(share) for share in votes.share[position]]
            predicted[row] = cohort.classes[asked[votes.predicted[position]]]
    return Repeat(fold=fold, score=score, predicted=predicted, seed=0)


def _column(protocol: str) -> str | None:
    if protocol not in PROTOCOLS:
        raise UnknownNameError(f"unknown protocol {protocol!r} of a map: choose from {', '.join(PROTOCOLS)}.")
    return PROTOCOLS[protocol]


def _askable(
    labels: npt.NDArray[np.int64], apart: Sequence[npt.NDArray[Any]]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the units of classes that at least two groups of each grouping show, and these classes."""
    classes = [k for k in np.unique(labels) if all(len(np.unique(group[labels == k])) > 1 for group in apart)]
    return np.flatnonzero(np.isin(labels, classes)), np.asarray(classes, dtype=np.int64)
