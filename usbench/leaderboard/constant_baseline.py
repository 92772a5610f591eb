"""The baseline below all baselines: the best answer that never looks at an image.

It is the majority class, or the median value, of the units that each fold is trained on, as any probe knows no others.
What does not beat it has learnt nothing. It needs labels and folds only, which every result file holds, so it stands on
every board without being run. Where the other entries have half-samples, so has it, from the same halvings.
"""

from __future__ import annotations

import statistics
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from usbench.evaluation.intervals import estimates
from usbench.evaluation.scoring import predictions_of
from usbench.results.schema import ProtocolResult, Repeat, Result
from usbench.task.kinds import KINDS

NAME = "constant"
# Draws of the folds that are looked at: the answers hardly differ between them.
_DRAWS = 5
# One value for everybody correlates with nothing; classes all called alike leave no F1 of the other class.
_MEANINGLESS = ("pearson_r", "fold_pearson_r", "brier", "calibration_slope")


def constant_floor(like: Result) -> Result | None:
    """Return the result of a constant answer on the units and folds of another result.

    Args:
        like: Any result of the board.

    Returns:
        A result that is marked as a baseline, or ``None`` for kinds of task that it does not know.

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
        protocols={},
        provenance={},
        figures={},
        instruments={},
    )
    # Nothing of a protocol but its folds, halves and metrics decides about a constant: most have these in common.
    made: dict[str, ProtocolResult] = {}
    protocols = {}
    for name, entry in like.protocols.items():
        asked = repr(([repeat.fold for repeat in entry.repeats[:_DRAWS]], _halving(entry), list(entry.metrics)))
        if asked not in made:
            made[asked] = _answered(like, bare, name)
        protocols[name] = made[asked]
    return replace(bare, protocols=protocols)


def _answered(like: Result, bare: Result, name: str) -> ProtocolResult:
    """Return the constant's predictions and metrics under one protocol."""
    entry, kind = like.protocols[name], like.task["kind"]
    repeats = [_answers(like, repeat) for repeat in entry.repeats[:_DRAWS]]
    found = ProtocolResult({}, repeats, uncertainty=_halved(like, entry))
    # Of many classes only what pages show: the rest takes long and says nothing of a constant.
    shown = KINDS[kind].shown if kind in ("multiclass", "map") else tuple(entry.metrics)
    wanted = [metric for metric in entry.metrics if metric in shown and metric not in _MEANINGLESS]
    outcome = predictions_of(replace(bare, protocols={name: found}), name)
    return replace(found, metrics=estimates(outcome, wanted, found.uncertainty))


def _halving(entry: ProtocolResult) -> dict[str, Any]:
    """Return how a protocol was halved, without the scores."""
    return {key: list(value) if key == "halves" else value for key, value in entry.uncertainty.items()}


def _halved(like: Result, entry: ProtocolResult) -> dict[str, Any]:
    """Refit the constant in the halves in which another encoder was refitted."""
    stated = entry.uncertainty
    if not stated.get("halves"):
        return dict(stated)
    from usbench.evaluation.scoring import stored_uncertainty
    from usbench.probes.data import ProbeData
    from usbench.probes.half_samples import refit_halves
    from usbench.statistics.splits import Split
    from usbench.task.kinds import probe_question

    question = probe_question(like.task["kind"])
    classes = {name: k for k, name in enumerate(like.dataset["counts"].get("classes", {}))}
    y = np.array([classes.get(str(t), t) for t in like.units.target])
    fold = np.array([-1 if f is None else f for f in entry.repeats[0].fold])
    splits = [Split(np.flatnonzero(fold != f), np.flatnonzero(fold == f), str(f)) for f in np.unique(fold) if f >= 0]
    blank = np.zeros((len(y), 1), dtype=np.float32)
    halved = refit_halves(
        "constant@1",
        ProbeData(blank, np.arange(len(y)), y, np.array(like.units.subject)),
        splits,
        list(stated["halves"]),
        folds=stated["folds"],
        draws=stated["draws"],
        question=question,
        threshold=like.task.get("threshold"),
        seed=stated["seed"],
        n_halvings=stated["halvings"],
    )
    return stored_uncertainty(halved, stated["folds"], stated["draws"])


def _card(kind: str) -> dict[str, Any]:
    answer = {"regression": "median", "ordinal": "median grade"}.get(kind, "majority class")
    return {"name": NAME, "title": f"Constant ({answer})", "floor": True, "parameters": 0, "gflops": 0.0}


def _answers(like: Result, repeat: Repeat) -> Repeat:
    """Answer for each fold what its training units say: nothing of the units it is asked about is known to it."""
    answer: dict[int | None, Any] = {None: None}
    for fold in sorted({f for f in repeat.fold if f is not None}):
        answer[fold] = _answer(like, repeat, fold)

    kind = like.task["kind"]
    answers = [answer[fold] for fold in repeat.fold]
    if kind == "regression":
        return Repeat(repeat.fold, answers)
    scores = next(score for score in repeat.score if score is not None)
    flat: Any = 0.0 if kind in ("binary", "ordinal") else [0.0] * len(scores)
    return Repeat(repeat.fold, [None if fold is None else flat for fold in repeat.fold], answers)


def _answer(like: Result, repeat: Repeat, fold: int) -> Any:
    """The median, or the most frequent class, of the units that a fold is trained on."""
    if like.task["kind"] == "map":  # nothing is trained, and some classes only may be asked about
        there = [f is not None for f in repeat.fold]
    else:
        there = [f != fold for f in repeat.fold]
    targets = [target for target, kept in zip(like.units.target, there, strict=True) if kept]
    if like.task["kind"] == "regression":
        return float(statistics.median(targets))
    if like.task["kind"] == "ordinal":
        grades = list(like.dataset["counts"]["classes"])
        return grades[statistics.median_low(grades.index(str(target)) for target in targets)]
    counts = Counter(str(target) for target in targets)
    return min(counts, key=lambda name: (-counts[name], name))
