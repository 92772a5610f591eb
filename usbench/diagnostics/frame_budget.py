"""How many frames per patient does the score need? The same probe on nested budgets of frames."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from usbench.data.frame_sampling import BetweenMarks, LinspaceFrames, RandomFrames
from usbench.diagnostics import perturbation
from usbench.results.schema import Result

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.pipeline.context import Options, Prepared

DIAGNOSTIC_VERSION = 1
BUDGETS = (1, 5, 20)


def measure_budget(ready: Prepared, result: Result, options: Options, settings: Settings) -> dict[str, Any]:
    """Train and test on fewer frames per unit.

    Args:
        ready: Encoder, task and data.
        result: Its result, on the task's own number of frames.
        options: How to run.
        settings: Places to use.

    Returns:
        The instrument: score and paired difference to the full budget for each smaller one; or a ``note`` that says
        why there is none.
    """
    from usbench.evaluation.scoring import evaluate
    from usbench.pipeline.vectors import embed, frames_of
    from usbench.task.cohort import draw_splits

    policy = ready.task.frames
    if not isinstance(policy, RandomFrames | LinspaceFrames | BetweenMarks) or policy.n < 2:
        return {
            "version": DIAGNOSTIC_VERSION,
            "note": f"Not measured: the task takes {policy.describe()} and no number of frames that could be smaller.",
        }
    protocol = perturbation.honest_protocol(result)
    metric = perturbation.primary_metric(result, protocol)
    full = perturbation.read(result, result.protocols[protocol].repeats)
    splits = draw_splits(ready.task.split, ready.cohort)
    curve = []
    for n in (n for n in BUDGETS if n < policy.n):
        few_frames = embed(ready, options, settings, frames=frames_of(ready, replace(policy, n=n)))
        entry = evaluate(
            protocol,
            ready.task,
            ready.cohort,
            few_frames.vectors,
            few_frames.unit_index,
            splits,
            few_frames.places,
            halves=False,
        )
        few = perturbation.read(result, entry.repeats)
        e = perturbation.estimate(few, metric)
        curve.append(
            {
                "frames": n,
                "estimate": {"value": e.value, "low": e.low, "high": e.high},
                "difference": perturbation.difference(few, full, metric),
                "score": [repeat.score for repeat in entry.repeats],
            }
        )
    e = perturbation.estimate(full, metric)
    curve.append({"frames": policy.n, "estimate": {"value": e.value, "low": e.low, "high": e.high}})
    nested = isinstance(policy, RandomFrames)
    return {
        "version": DIAGNOSTIC_VERSION,
        "protocol": protocol,
        "metric": metric,
        "curve": curve,
        "note": "The frames of a smaller budget are among those of a larger one." if nested else "",
    }
