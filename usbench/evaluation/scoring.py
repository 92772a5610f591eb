"""From embeddings to a protocol's result, and from a stored result back to the predictions its metrics come from.

Metrics are computed from the predictions *as they are stored*, after rounding, so that anyone can recompute every
figure of a table from the result file to the last digit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import DataError, ResultError
from usbench.evaluation.intervals import FIXED, HALF_SAMPLES, estimates, interval_note
from usbench.results.schema import ProtocolResult, Repeat, Result, Units
from usbench.statistics.half_samples import RULE
from usbench.statistics.metrics import METRICS
from usbench.statistics.predictions import UNTESTED, Predictions
from usbench.statistics.thresholds import auc_name
from usbench.task.kinds import probe_question

if TYPE_CHECKING:
    from usbench.core.types import Vectors
    from usbench.probes import ProbeData, ProbeResult
    from usbench.probes.half_samples import HalfSamples
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray
    from usbench.statistics.splits import Split
    from usbench.task.cohort import Cohort
    from usbench.task.task import Task

# Raised when the same predictions would get other metrics or intervals.
EVALUATION_VERSION = 3
# Share of folds at the edge of a grid above which a page says so.
EDGE_SHARE = 0.1
# Significant digits of stored scores: far below any effect, and enough to keep ties apart.
DIGITS = 7


def probe_data(
    cohort: Cohort, vectors: Vectors, unit_index: Sequence[int] | IntArray, places: Places | None = None
) -> ProbeData:
    """Join vectors and what is known of their units; protocols on the same data share what they solve.

    Args:
        cohort: Units, labels and subjects.
        vectors: float32 ``(n_frames, D)``.
        unit_index: Position of the unit of each frame.
        places: Place that each frame fills, where the task gives frames roles.
    """
    from usbench.probes import ProbeData
    from usbench.probes.solved import Solved

    labels, groups = np.asarray(cohort.labels()), np.asarray(cohort.groups)
    return ProbeData(vectors, np.asarray(unit_index, dtype=np.int64), labels, groups, places=places, solved=Solved())


def evaluate(
    protocol: str, task: Task, cohort: Cohort, data: ProbeData, splits: list[list[Split]], halves: bool = True
) -> ProtocolResult:
    """Run one protocol and score its predictions.

    Args:
        protocol: Versioned name, such as ``svc-nested@1``.
        task: The task.
        cohort: Units, labels and subjects.
        data: Its embedded frames, from `probe_data`.
        splits: Splits of every repeat.
        halves: Whether to refit in half-samples, so that intervals know of refitting; for what is only compared on the
            same predictions, resampling does.

    Raises:
        UsbenchError: The protocol is unknown or cannot be applied to these labels.
    """
    from usbench.probes import run_protocol
    from usbench.probes.half_samples import refit_halves

    question = probe_question(task.kind)
    probe = run_protocol(protocol, data, splits, seed=0, question=question, n_jobs=-1)
    repeats = to_stored(probe.predictions, cohort.classes)
    if not halves:
        return scored_protocol(task, cohort, repeats, _hyperparameters(probe))
    units = cohort.describe([0] * len(cohort.units))
    predictions = from_stored(task.kind, cohort.classes, units, repeats, task.threshold, task.further_thresholds)
    folds = task.split.folds if task.split.kind == "grouped" else None
    halved = refit_halves(
        protocol,
        data,
        splits[0],
        metric_names(predictions),
        folds=folds,
        draws=len(splits),
        question=question,
        threshold=task.threshold,
        choices=probe.choices,
        n_jobs=-1,
    )
    return scored_protocol(
        task, cohort, repeats, _hyperparameters(probe), stored_uncertainty(halved, folds, len(splits))
    )


def stored_uncertainty(halved: HalfSamples, folds: int | None, draws: int) -> dict[str, Any]:
    """Return scores of half-samples as they are stored.

    Args:
        halved: The scores, or why there are none.
        folds: Number of folds that are drawn; ``None`` where they are given.
        draws: How often they are drawn for the whole.
    """
    from usbench.probes.half_samples import HALVINGS

    if halved.reason:
        return {"method": FIXED, "reason": halved.reason}
    halves = {name: [[_round(v) for v in pair] for pair in pairs] for name, pairs in halved.metrics.items()}
    told = {"method": HALF_SAMPLES, "rule": RULE, "halvings": HALVINGS}
    return {**told, "seed": 0, "folds": folds, "draws": draws, "halves": halves}


def scored_protocol(
    task: Task,
    cohort: Cohort,
    repeats: list[Repeat],
    hyperparameters: dict[str, Any],
    uncertainty: dict[str, Any] | None = None,
) -> ProtocolResult:
    """Compute the metrics of predictions and their intervals.

    Args:
        task: The task.
        cohort: Units, labels and subjects.
        repeats: Predictions as they are stored.
        hyperparameters: What was chosen.
        uncertainty: Where intervals come from, as of :class:`~usbench.results.schema.ProtocolResult`; by default
            subjects are resampled under fixed predictions.
    """
    units = cohort.describe([0] * len(cohort.units))
    predictions = from_stored(task.kind, cohort.classes, units, repeats, task.threshold, task.further_thresholds)
    uncertainty = uncertainty or {"method": FIXED}
    reason = uncertainty.get("reason")
    notes = [f"Intervals hold predictions fixed: {reason}."] if reason else []
    names = metric_names(predictions)
    if "halves" not in uncertainty and (few := interval_note(predictions, names)):
        notes.append(few)
    if hyperparameters.get("edge", 0.0) > EDGE_SHARE:
        notes.append(edge_note(hyperparameters["edge"]))
    return ProtocolResult(
        metrics=estimates(predictions, names, uncertainty),
        repeats=repeats,
        hyperparameters=hyperparameters,
        note=" ".join(notes),
        uncertainty=uncertainty,
    )


def edge_note(share: float) -> str:
    """Say how often the grid ended too early."""
    return (
        f"In {100 * share:.0f} % of the folds the choice lies at the end of its grid while the criterion still "
        "improves towards it: a wider grid might give another score."
    )


def with_missing_metrics(result: Result) -> Result:
    """Return a result with the metrics that have been registered since it was written.

    They follow from the stored predictions, so nothing is encoded or trained again; what the result states already
    stays as it is.

    Args:
        result: Any result.

    Raises:
        ResultError: The predictions do not fit the units.
    """
    protocols = dict(result.protocols)
    for name, entry in result.protocols.items():
        if not entry.repeats:
            continue
        predictions = predictions_of(result, name)
        missing = [metric for metric in metric_names(predictions) if metric not in entry.metrics]
        if missing:
            found = estimates(predictions, missing, entry.uncertainty)
            protocols[name] = replace(entry, metrics={**entry.metrics, **found})
    return replace(result, protocols=protocols)


def predictions_of(result: Result, protocol: str, where: str = "") -> Predictions:
    """Read the predictions of one protocol from a result.

    Args:
        result: The result.
        protocol: One of its protocols.
        where: File name for messages.

    Returns:
        The predictions of all units that were tested; units that were only trained on are left out.

    Raises:
        ResultError: The predictions do not fit the units or are not finite, or the protocol or its predictions are
            absent.
    """
    if protocol not in result.protocols:
        raise ResultError(f"{where or result.encoder['name']}: has no protocol {protocol!r}.")
    entry = result.protocols[protocol]
    if not entry.repeats:
        raise ResultError(f"{where or result.encoder['name']}, {protocol}: no predictions. Run the task again.")
    classes = tuple(result.dataset["counts"].get("classes", {}))
    prefix = f"{where}: " if where else ""
    try:
        found = from_stored(
            result.task["kind"],
            classes,
            result.units,
            entry.repeats,
            result.task.get("threshold"),
            result.task.get("further_thresholds", ()),
        )
    except DataError as error:
        raise ResultError(f"{prefix}{error}") from None
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ResultError(
            f"{prefix}{result.encoder['name']} on {result.board}, {protocol}: predictions do not fit the units "
            f"({error!r})."
        ) from None
    return replace(found, halves=entry.uncertainty.get("halves", {}))


def from_stored(
    kind: str,
    classes: Sequence[str],
    units: Units,
    repeats: Sequence[Repeat],
    threshold: float | None,
    further_thresholds: Sequence[float] = (),
) -> Predictions:
    """Read predictions from the form in which results store them, over the units that were tested.

    Args:
        kind: ``binary``, ``multiclass``, ``regression`` or ``map``.
        classes: Class names by number, the positive one last for ``binary``. A ``map`` asks about those of them only
            that some tested unit has, and its scores hold one value for each of these.
        units: The units.
        repeats: Predictions aligned with the units.
        threshold: Clinical threshold of a regression target.
        further_thresholds: Thresholds of a regression target that have an AUC of their own beside it.
    """
    tested = [i for i, fold in enumerate(repeats[0].fold) if fold is not None]
    groups = [units.subject[i] for i in tested]
    fold = np.array([[repeat.fold[i] for i in tested] for repeat in repeats], dtype=np.int64)
    score = np.array([[repeat.score[i] for i in tested] for repeat in repeats], dtype=np.float64)
    if kind == "regression":
        found = Predictions.regression([units.target[i] for i in tested], score, fold, groups, threshold)
        return _named(replace(found, further_thresholds=tuple(further_thresholds)), units, tested)
    if kind == "map":
        asked = {units.target[i] for i in tested}
        classes = [name for name in classes if name in asked]
    number = {name: i for i, name in enumerate(classes)}
    truth = [number[units.target[i]] for i in tested]
    predicted = np.array(
        [[number[repeat.predicted[i]] for i in tested] for repeat in repeats if repeat.predicted is not None],
        dtype=np.int64,
    )
    if kind == "ordinal":
        cut = _position(classes, threshold)
        found = Predictions.ordinal(truth, score, predicted, len(classes), fold, groups, cut)
    else:
        make = Predictions.binary if kind == "binary" else Predictions.multiclass
        found = make(truth, score, predicted, fold, groups)
    return _named(found, units, tested)


def _named(predictions: Predictions, units: Units, tested: Sequence[int]) -> Predictions:
    return replace(predictions, unit=tuple(units.id[i] for i in tested), truth=tuple(units.target[i] for i in tested))


def _position(grades: Sequence[str], threshold: float | None) -> float | None:
    """Return a threshold as a position among the grades: of numbers by their size, of names from 0."""
    if threshold is None:
        return None
    try:
        return float(sum(float(grade) < threshold for grade in grades))
    except ValueError:
        return threshold


def metric_names(predictions: Predictions) -> list[str]:
    """Return the metrics that are defined for a kind of predictions."""
    names = [name for name, metric in METRICS.items() if predictions.kind in metric.kinds]
    if predictions.kind in ("regression", "ordinal") and predictions.threshold is None:
        names = [name for name in names if name not in ("auc", "fold_auc")]
    return names + [auc_name(threshold) for threshold in predictions.further_thresholds]


def to_stored(
    predictions: Predictions,
    classes: Sequence[str],
    n_units: int | None = None,
    positions: Sequence[int] | IntArray | None = None,
) -> list[Repeat]:
    """Write predictions in the form in which results store them: rounded, one entry a draw of the splits.

    Args:
        predictions: Of a probe; units it did not test stay empty.
        classes: Class names by number; empty for regression.
        n_units: Number of units of the result, where the predictions are over some of them.
        positions: Position in the result of each unit of the predictions; all of them in order by default.
    """
    n = predictions.n_units if n_units is None else n_units
    place = np.arange(predictions.n_units) if positions is None else np.asarray(positions)
    classify = predictions.kind != "regression"
    repeats = []
    for seed in range(predictions.n_repeats):
        fold: list[int | None] = [None] * n
        score: list[Any] = [None] * n
        predicted: list[Any] = [None] * n
        for unit in np.flatnonzero(predictions.fold[seed] != UNTESTED):
            at = int(place[unit])
            fold[at] = int(predictions.fold[seed, unit])
            score[at] = significant(predictions.score[seed, unit])
            if classify:
                predicted[at] = classes[int(predictions.predicted[seed, unit])]
        repeats.append(Repeat(fold=fold, score=score, predicted=predicted if classify else None, seed=seed))
    return repeats


def _hyperparameters(probe: ProbeResult) -> dict[str, Any]:
    names = sorted({name for choice in probe.choices for name in choice.parameters})
    told: dict[str, Any] = {name: [choice.parameters.get(name) for choice in probe.choices] for name in names}
    edges = [choice.edge for choice in probe.choices if choice.edge is not None]
    if edges:
        told["edge"] = round(sum(edges) / len(edges), 4)
    return told


def significant(value: Any) -> Any:
    """Round scores to the digits that are stored; nested lists keep their shape."""
    if np.ndim(value):
        return [significant(v) for v in value]
    return float(f"{float(value):.{DIGITS}g}")


def _round(value: float | None) -> float | None:
    return None if value is None else round(float(value), 6)
