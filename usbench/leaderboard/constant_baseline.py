"""The floor below all floors: the best answer that never looks at an image.

It is the majority class, or the median value, of all units, given to each of them. No constant can do better in
accuracy or absolute error, so what does not beat it has learnt nothing. It needs the labels only, which every result
file holds, so it stands on every board without being run.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from typing import Any

from usbench.evaluation.scoring import scored
from usbench.results.schema import Estimate, ProtocolResult, Repeat, Result
from usbench.statistics.bootstrap import bootstrap
from usbench.task.kinds import KINDS

NAME = "constant"
# One value for everybody correlates with nothing; classes all called alike leave no F1 of the other class.
_MEANINGLESS = ("pearson_r",)


def constant_floor(like: Result) -> Result | None:
    """Return the result of a constant answer on the units and folds of another result.

    Args:
        like: Any result of the board.

    Returns:
        A result that is marked as a floor, or ``None`` for kinds of task that it does not know.

    Raises:
        ResultError: The predictions of ``like`` do not fit its units.
    """
    kind = like.task["kind"]
    if kind not in KINDS:
        return None
    bare = replace(
        like,
        encoder=_card(kind),
        leakage={"state": "clean", "detail": "It has not been trained on any image."},
        protocols={
            # One repeat is enough: the answers are the same in each.
            name: ProtocolResult({}, [_answers(like, repeat) for repeat in entry.repeats[:1]])
            for name, entry in like.protocols.items()
        },
        provenance={},
        figures={},
        instruments={},
    )
    protocols = {}
    for name, entry in like.protocols.items():
        # Of many classes only what pages show: the rest takes long and says nothing of a constant.
        shown = KINDS[kind].shown if kind in ("multiclass", "map") else tuple(entry.metrics)
        wanted = [metric for metric in entry.metrics if metric in shown and metric not in _MEANINGLESS]
        estimates = bootstrap(scored(bare, name).outcome, wanted)
        metrics = {metric: Estimate(e.value, e.low, e.high) for metric, e in estimates.items()}
        protocols[name] = replace(bare.protocols[name], metrics=metrics)
    return replace(bare, protocols=protocols)


def _card(kind: str) -> dict[str, Any]:
    answer = {"regression": "median", "ordinal": "median grade"}.get(kind, "majority class")
    return {"name": NAME, "title": f"Constant ({answer})", "floor": True, "parameters": 0, "gflops": 0.0}


def _answer(like: Result, repeat: Repeat) -> Any:
    if like.task["kind"] == "regression":
        return float(statistics.median(like.units.target))
    if like.task["kind"] == "ordinal":
        grades = list(like.dataset["counts"]["classes"])
        return grades[statistics.median_low(grades.index(str(target)) for target in like.units.target)]
    # A map may ask about some of its classes only.
    asked = [like.task["kind"] != "map" or fold is not None for fold in repeat.fold]
    counts = Counter(str(t) for t, there in zip(like.units.target, asked, strict=True) if there)
    return min(counts, key=lambda name: (-counts[name], name))


def _answers(like: Result, repeat: Repeat) -> Repeat:
    def everywhere(value: Any) -> list[Any]:
        return [None if fold is None else value for fold in repeat.fold]

    kind, answer = like.task["kind"], _answer(like, repeat)
    if kind == "regression":
        return Repeat(repeat.fold, everywhere(answer))
    scores = next(score for score in repeat.score if score is not None)
    flat: Any = 0.0 if kind in ("binary", "ordinal") else [0.0] * len(scores)
    return Repeat(repeat.fold, everywhere(flat), everywhere(answer))
