"""How many frames per unit does a score need, and how much of it is the luck of their draw?

The same probe, tuned and trained anew, on fewer of the frames that the task takes. Each budget is drawn several times
from these frames, so that every vector is one that the run has used: nothing is encoded, and the curve costs seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.data.frame_sampling import RandomFrames, frame_rank
from usbench.diagnostics import perturbation
from usbench.results.schema import Repeat, Result
from usbench.statistics.metrics import compute

if TYPE_CHECKING:
    from usbench.pipeline.context import Prepared
    from usbench.pipeline.vectors import Embedded
    from usbench.statistics._types import IntArray
    from usbench.statistics.splits import Split

DIAGNOSTIC_VERSION = 2
BUDGETS = (1, 2, 4, 8)
DRAWS = 5
_OF_SCORES = ("fold_auc", "auc", "mae", "pearson_r")
"""Metrics that need no predicted class, which is then not stored."""


def measure_budget(ready: Prepared, result: Result, embedded: Embedded) -> dict[str, Any]:
    """Train and test on fewer frames per unit.

    Args:
        ready: Encoder, task and data.
        result: Its result, on all frames that the task takes.
        embedded: These frames with their vectors.

    Returns:
        The diagnostic: for each budget the score of every draw, their mean with its interval and the paired difference
        to all frames, which come last; or a ``note`` that says why there is none.
    """
    from usbench.task.cohort import draw_splits

    counts = np.bincount(embedded.unit_index, minlength=len(ready.cohort.units))
    most = int(counts.max())
    if embedded.places is not None or most < 2:
        why = "each frame has a place of its own" if embedded.places is not None else "there is one frame per decision"
        return {"version": DIAGNOSTIC_VERSION, "note": f"Not measured: {why}, so that none can be left out."}
    protocol = perturbation.honest_protocol(result)
    metric = perturbation.primary_metric(result, protocol)
    repeats = result.protocols[protocol].repeats
    full = perturbation.read(result, repeats)
    splits = draw_splits(ready.task.split, ready.cohort)
    order = [_ranked(ready, embedded, seed) for seed in _seeds(ready)]
    curve = []
    for n in (n for n in BUDGETS if n < most):
        drawn = [_answers(ready, embedded, protocol, np.flatnonzero(ranks < n), splits) for ranks in order]
        found = perturbation.read(result, [repeat for draw in drawn for repeat in draw])
        values = [compute(metric, perturbation.read(result, draw)) for draw in drawn]
        e = perturbation.estimate(found, metric)
        point = {
            "frames": n,
            "estimate": {"value": e.value, "low": e.low, "high": e.high},
            "difference": perturbation.difference(found, full, metric),
            "draws": [perturbation.rounded(value) for value in values],
            "score": [[repeat.score for repeat in draw] for draw in drawn],
        }
        if metric not in _OF_SCORES:
            point["predicted"] = [[repeat.predicted for repeat in draw] for draw in drawn]
        curve.append(point)
    e = perturbation.estimate(full, metric)
    curve.append({"frames": most, "estimate": {"value": e.value, "low": e.low, "high": e.high}})
    fewest = int(counts.min())
    some = "" if fewest == most else f" Some units have fewer than {most} frames, the fewest {fewest}."
    return {
        "version": DIAGNOSTIC_VERSION,
        "protocol": protocol,
        "metric": metric,
        "curve": curve,
        "note": "Every draw is from the frames that the task takes; in one draw, those of a smaller budget are among "
        f"those of a larger one.{some}",
    }


def draws_of(section: dict[str, Any], point: dict[str, Any], repeats: Sequence[Repeat]) -> list[list[Repeat]]:
    """Return the predictions behind one point of a curve, one list per draw.

    Args:
        section: The diagnostic, of any version.
        point: One of its points that has scores.
        repeats: Repeats of the protocol, whose folds the draws share.

    Raises:
        ValueError: A draw has another number of repeats.
    """
    scores = point["score"] if section["version"] >= 2 else [point["score"]]
    answers = point.get("predicted", [[repeat.predicted for repeat in repeats]] * len(scores))
    return [
        [
            replace(repeat, score=score, predicted=predicted)
            for repeat, score, predicted in zip(repeats, own, classes, strict=True)
        ]
        for own, classes in zip(scores, answers, strict=True)
    ]


def _seeds(ready: Prepared) -> list[int]:
    """Seeds of the draws; the first is that of the task, so that a smaller budget of the task itself is among them."""
    policy = ready.task.frames
    first = policy.seed if isinstance(policy, RandomFrames) else 0
    return [first + k for k in range(DRAWS)]


def _ranked(ready: Prepared, embedded: Embedded, seed: int) -> IntArray:
    """Rank the frames of every unit, 0 first, by the draw of a seed; int64 ``(n_frames,)``."""
    units, unit_index = ready.cohort.units, embedded.unit_index
    keys = [
        (unit, frame_rank(seed, units[unit].id, ref.path, ref.frame))
        for unit, ref in zip(unit_index.tolist(), embedded.frames.refs, strict=True)
    ]
    order = np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)
    first = np.searchsorted(unit_index[order], np.arange(len(units)))
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.arange(len(keys)) - first[unit_index[order]]
    return ranks


def _answers(
    ready: Prepared, embedded: Embedded, protocol: str, chosen: IntArray, splits: list[list[Split]]
) -> list[Repeat]:
    from usbench.evaluation.scoring import evaluate, probe_data

    data = probe_data(ready.cohort, embedded.vectors[chosen], embedded.unit_index[chosen])
    return evaluate(protocol, ready.task, ready.cohort, data, splits, halves=False).repeats
