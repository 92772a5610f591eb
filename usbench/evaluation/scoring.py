"""From embeddings to a protocol's result, and from a stored result back to the arrays its metrics come from.

Metrics are computed from the predictions *as they are stored*, after rounding, so that anyone can recompute every
figure of a table from the result file to the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import DataError, ResultError
from usbench.evaluation.intervals import FIXED, HALF_SAMPLES, estimates
from usbench.results.schema import ProtocolResult, Repeat, Result, Units
from usbench.statistics.half_samples import Pairs
from usbench.statistics.metrics import METRICS
from usbench.statistics.outcome import (
    Outcome,
    binary_outcome,
    multiclass_outcome,
    ordinal_outcome,
    regression_outcome,
)
from usbench.statistics.thresholds import auc_name
from usbench.task.kinds import probe_question

if TYPE_CHECKING:
    from usbench.core.types import Vectors
    from usbench.probes import ProbeResult
    from usbench.probes.half_samples import HalfSamples
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray
    from usbench.statistics.splits import Split
    from usbench.task.cohort import Cohort
    from usbench.task.task import Task

# Raised when the same predictions would get other metrics or intervals.
EVALUATION_VERSION = 2
# Share of folds at the edge of a grid above which a page says so.
EDGE_SHARE = 0.1
# Significant digits of stored scores: far below any effect, and enough to keep ties apart.
DIGITS = 7


def evaluate(
    protocol: str,
    task: Task,
    cohort: Cohort,
    vectors: Vectors,
    unit_index: Sequence[int] | IntArray,
    splits: list[list[Split]],
    places: Places | None = None,
    halves: bool = True,
) -> ProtocolResult:
    """Run one protocol and score its predictions.

    Args:
        protocol: Versioned name, such as ``svc-nested@1``.
        task: The task.
        cohort: Units, labels and subjects.
        vectors: float32 ``(n_frames, D)``.
        unit_index: Position of the unit of each frame.
        splits: Splits of every repeat.
        places: Place that each frame fills, where the task gives frames roles.
        halves: Whether to refit in half-samples, so that intervals know of refitting; for what is only compared on the
            same predictions, resampling does.

    Raises:
        UsbenchError: The protocol is unknown or cannot be applied to these labels.
    """
    from usbench.probes import ProbeData, run_protocol
    from usbench.probes.half_samples import refit_halves

    labels = np.asarray(cohort.labels())
    positions = np.asarray(unit_index, dtype=np.int64)
    data = ProbeData(vectors, positions, labels, np.asarray(cohort.groups), places=places)
    question = probe_question(task.kind)
    probe = run_protocol(protocol, data, splits, seed=0, question=question, n_jobs=-1)
    repeats = repeats_of(probe, len(cohort.units), cohort.classes)
    units = cohort.describe([0] * len(cohort.units))
    outcome = build_outcome(task.kind, cohort.classes, units, repeats, task.threshold, task.further_thresholds)
    if not halves:
        return scored_protocol(task, cohort, repeats, _hyperparameters(probe))
    folds = task.split.folds if task.split.kind == "grouped" else None
    halved = refit_halves(
        protocol,
        data,
        splits[0],
        metric_names(outcome),
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
    return {"method": HALF_SAMPLES, "halvings": HALVINGS, "seed": 0, "folds": folds, "draws": draws, "halves": halves}


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
    outcome = build_outcome(task.kind, cohort.classes, units, repeats, task.threshold, task.further_thresholds)
    uncertainty = uncertainty or {"method": FIXED}
    reason = uncertainty.get("reason")
    notes = [f"Intervals resample subjects under fixed predictions: {reason}."] if reason else []
    if hyperparameters.get("edge", 0.0) > EDGE_SHARE:
        notes.append(edge_note(hyperparameters["edge"]))
    return ProtocolResult(
        metrics=estimates(outcome, metric_names(outcome), uncertainty),
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
        outcome = outcome_of(result, name)
        missing = [metric for metric in metric_names(outcome) if metric not in entry.metrics]
        if missing:
            found = estimates(outcome, missing, entry.uncertainty)
            protocols[name] = replace(entry, metrics={**entry.metrics, **found})
    return replace(result, protocols=protocols)


def outcome_of(result: Result, protocol: str) -> Outcome:
    """Rebuild the arrays behind the metrics of a stored result.

    Args:
        result: The result.
        protocol: One of its protocols.

    Raises:
        ResultError: The predictions do not fit the units.
    """
    kind = result.task["kind"]
    classes = tuple(result.dataset["counts"].get("classes", {}))
    try:
        return build_outcome(
            kind,
            classes,
            result.units,
            result.protocols[protocol].repeats,
            result.task.get("threshold"),
            result.task.get("further_thresholds", ()),
        )
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise ResultError(
            f"{result.encoder['name']} on {result.board}, {protocol}: predictions do not fit the units ({error!r})."
        ) from None


def build_outcome(
    kind: str,
    classes: Sequence[str],
    units: Units,
    repeats: Sequence[Repeat],
    threshold: float | None,
    further_thresholds: Sequence[float] = (),
) -> Outcome:
    """Arrange stored predictions for metrics, intervals and tests, over the units that were tested.

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
        found = regression_outcome([units.target[i] for i in tested], score, fold, groups, threshold)
        return replace(found, further_thresholds=tuple(further_thresholds))
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
        return ordinal_outcome(truth, score, predicted, len(classes), fold, groups, cut)
    make = binary_outcome if kind == "binary" else multiclass_outcome
    return make(truth, score, predicted, fold, groups)


def _position(grades: Sequence[str], threshold: float | None) -> float | None:
    """Return a threshold as a position among the grades: of numbers by their size, of names from 0."""
    if threshold is None:
        return None
    try:
        return float(sum(float(grade) < threshold for grade in grades))
    except ValueError:
        return threshold


def metric_names(outcome: Outcome) -> list[str]:
    """Return the metrics that are defined for an outcome."""
    names = [name for name, metric in METRICS.items() if outcome.kind in metric.kinds]
    if outcome.kind in ("regression", "ordinal") and outcome.threshold is None:
        names = [name for name in names if name not in ("auc", "fold_auc")]
    return names + [auc_name(threshold) for threshold in outcome.further_thresholds]


def repeats_of(probe: ProbeResult, n_units: int, classes: Sequence[str]) -> list[Repeat]:
    """Arrange a probe's predictions as they are stored, rounded, one entry a draw of the splits.

    Args:
        probe: The probe's answer; units it did not test stay empty.
        n_units: Number of units.
        classes: Class names by number; empty for regression.
    """
    table = probe.prediction
    repeats = []
    for repeat in np.unique(table.repeat):
        fold: list[int | None] = [None] * n_units
        score: list[Any] = [None] * n_units
        predicted: list[Any] = [None] * n_units
        for row in np.flatnonzero(table.repeat == repeat):
            unit = int(table.unit[row])
            fold[unit] = int(table.fold[row])
            score[unit] = significant(table.score[row])
            if probe.kind != "regression":
                predicted[unit] = classes[int(table.predicted[row])]
        repeats.append(
            Repeat(
                fold=fold, score=score, predicted=None if probe.kind == "regression" else predicted, seed=int(repeat)
            )
        )
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


@dataclass(frozen=True, eq=False)
class Scored:
    """An outcome with the names of its units.

    Attributes:
        units: Ids of the units that were tested, in the order of the arrays.
        truth: Their true classes or values, as written in the result.
        outcome: The arrays.
        halves: Metric to the scores of both halves of each halving; empty without half-samples.
    """

    units: tuple[str, ...]
    truth: tuple[Any, ...]
    outcome: Outcome
    halves: Mapping[str, Pairs] = field(default_factory=dict)

    def comparable(self, other: Scored) -> bool:
        """Whether both decided about the same units with the same truth, so that a paired test is meaningful."""
        return self.units == other.units and self.truth == other.truth


def scored(result: Result, protocol: str, where: str = "") -> Scored:
    """Rebuild the outcome of one protocol from the predictions.

    Args:
        result: The result.
        protocol: One of its protocols.
        where: File name for messages.

    Returns:
        The outcome over all units that were tested; units that were only trained on are left out.

    Raises:
        ResultError: The predictions do not fit the units, or the protocol is absent.
    """
    if protocol not in result.protocols:
        raise ResultError(f"{where or result.encoder['name']}: has no protocol {protocol!r}.")
    repeats = result.protocols[protocol].repeats
    if not repeats:
        raise ResultError(f"{where or result.encoder['name']}, {protocol}: no predictions. Run the task again.")
    tested = [i for i, fold in enumerate(repeats[0].fold) if fold is not None]
    try:
        outcome = outcome_of(result, protocol)
    except (ResultError, DataError) as error:
        raise ResultError(f"{where}: {error}" if where else str(error)) from None
    units, target = result.units.id, result.units.target
    halves = result.protocols[protocol].uncertainty.get("halves", {})
    return Scored(tuple(units[i] for i in tested), tuple(target[i] for i in tested), outcome, halves)
