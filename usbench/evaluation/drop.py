"""What a score loses where the test data come from elsewhere: another dataset, centre or scanner.

The comparison is the same protocol with folds of whole subjects: over all data where a centre is held out, and over
the training dataset where the test data are another one. In the first case the very same units are answered twice, so
the drop is a paired difference; in the second the patients are others, and the drop is a difference of two samples.

Its interval knows of refitting as that of every score does: both are refitted in the same halves of the subjects, so
that the chance which they have in common, that of the patients trained on, cancels. Interval and p-value are two
readings of one standard error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import DataError
from usbench.evaluation.intervals import RESAMPLES, estimates
from usbench.evaluation.scoring import evaluate, from_stored, probe_data
from usbench.probes.facts import protocol_facts
from usbench.results.schema import ProtocolResult, Repeat, Result, Units
from usbench.task.kinds import shown_metrics

if TYPE_CHECKING:
    from usbench.core.types import Vectors
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray
    from usbench.statistics.predictions import Predictions
    from usbench.statistics.splits import Split
    from usbench.task.cohort import Cohort
    from usbench.task.task import Task

FOLDS, REPEATS = 5, 5
"""Folds of whole subjects that the comparison uses, and how often they are drawn."""
DIGITS = 6
DROP_VERSION = 2
"""Raised when the same predictions would get another drop or interval; the rule of half-samples has its own number."""


def measures_drop(task: Task) -> bool:
    """Whether a task tests on data from elsewhere."""
    return task.transfer is not None or task.split.kind == "held-out"


def measure_drop(
    task: Task,
    cohort: Cohort,
    vectors: Vectors,
    unit_index: IntArray,
    places: Places | None,
    protocols: dict[str, ProtocolResult],
) -> dict[str, Any]:
    """Score the first protocol that does not tune on its test folds within the known data as well, and compare.

    Args:
        task: A task that :func:`measures_drop`.
        cohort: Its units.
        vectors: float32 ``(n_frames, D)``.
        unit_index: Position of the unit of each frame.
        places: Place that each frame fills.
        protocols: What the protocols gave on data from elsewhere.

    Returns:
        ``protocol``, ``reference`` (in words), ``paired``, ``metrics`` (name to ``within``, ``elsewhere`` and
        ``drop``, each with value and interval, and ``p`` of the drop), ``repeats``, the predictions within, and
        ``uncertainty``, where the intervals come from, as of a protocol. Empty where every protocol tunes on its test
        folds.

    Raises:
        DataError: The known data cannot be cut into folds.
    """
    name = next((p for p in protocols if not protocol_facts(p).tunes_on_test), None)
    if name is None:
        return {}
    paired = task.transfer is None
    within = evaluate(name, task, cohort, probe_data(cohort, vectors, unit_index, places), _folds(task, cohort))
    units = cohort.describe([0] * len(cohort.units))
    shown = shown_metrics(task.kind, [m for m in within.metrics if m in protocols[name].metrics])
    a = from_stored(task.kind, cohort.classes, units, within.repeats, task.threshold)
    b = from_stored(task.kind, cohort.classes, units, protocols[name].repeats, task.threshold)
    differences = _compare(a, b, shown, paired, within.uncertainty, protocols[name].uncertainty)
    where = "within all data" if paired else f"within {task.transfer.train.name}" if task.transfer else ""
    return {
        "protocol": name,
        "reference": f"{FOLDS} folds by subject {where}, {REPEATS} draws",
        "paired": paired,
        "metrics": {
            m: {
                "within": asdict(within.metrics[m]),
                "elsewhere": asdict(protocols[name].metrics[m]),
                "drop": differences[m],
            }
            for m in shown
        },
        "repeats": [asdict(repeat) for repeat in within.repeats],
        "uncertainty": within.uncertainty,
    }


def drop_of_figures(
    figures: Mapping[str, Any],
    kind: str,
    classes: tuple[str, ...],
    units: Units,
    elsewhere: ProtocolResult,
    cut: float | None,
) -> dict[str, dict[str, dict[str, float | None]]]:
    """Compute scores within and drops anew from the predictions that a result keeps, to check what it states.

    Args:
        figures: What :func:`measure_drop` returned.
        kind: Kind of the task.
        classes: Class names by number.
        units: The units.
        elsewhere: What the same protocol gave on data from elsewhere.
        cut: Threshold of the task.

    Returns:
        Metric to ``within`` and ``drop``, as they are stored.
    """
    within = [Repeat(**repeat) for repeat in figures["repeats"]]
    a = from_stored(kind, classes, units, within, cut)
    b = from_stored(kind, classes, units, elsewhere.repeats, cut)
    names = list(figures["metrics"])
    scores = estimates(a, names, figures["uncertainty"])
    drops = _compare(a, b, names, bool(figures["paired"]), figures["uncertainty"], elsewhere.uncertainty)
    return {name: {"within": asdict(scores[name]), "drop": drops[name]} for name in names}


def with_drop(result: Result) -> Result:
    """Return a result whose drop, where it states one, is computed anew from its predictions.

    Args:
        result: Any result, for example one whose units were given another order.
    """
    figures = result.figures.get("drop")
    if not figures:
        return result
    elsewhere = result.protocols[figures["protocol"]]
    classes = tuple(result.dataset["counts"].get("classes", {}))
    found = drop_of_figures(
        figures, result.task["kind"], classes, result.units, elsewhere, result.task.get("threshold")
    )
    metrics = {name: {**found[name], "elsewhere": asdict(elsewhere.metrics[name])} for name in figures["metrics"]}
    return replace(result, figures={**result.figures, "drop": {**figures, "metrics": metrics}})


def _compare(
    a: Predictions,
    b: Predictions,
    metrics: list[str],
    paired: bool,
    within: Mapping[str, Any],
    elsewhere: Mapping[str, Any],
) -> dict[str, dict[str, float | None]]:
    """Return by how much the second is worse: positive where something is lost.

    Args:
        a: Predictions within.
        b: Predictions elsewhere.
        metrics: Names of metrics.
        paired: Whether both are on the same units.
        within: Uncertainty of the first, as of a protocol's result.
        elsewhere: Uncertainty of the second.
    """
    from usbench.statistics.half_samples import standard_error
    from usbench.statistics.metrics import get_metric, prepare

    found: dict[str, dict[str, float | None]] = {}
    for name in metrics:
        sign = 1.0 if get_metric(name).higher_is_better else -1.0
        kernels = [prepare(name, outcome) for outcome in (a, b)]
        values = [float(kernel(np.ones((1, o.n_units)))[0]) for kernel, o in zip(kernels, (a, b), strict=True)]
        value = sign * (values[0] - values[1])
        first, second = (side.get("halves", {}).get(name) for side in (within, elsewhere))
        # Without the same halvings of the same subjects there is no telling which half belongs to which.
        joint = bool(first) and bool(second) and _halving(within) == _halving(elsewhere)
        fixed = _fixed_error(a, b, name, paired)
        halves = (first, second) if joint else (None, None)
        error = standard_error(fixed, *halves, subjects=a.n_groups, rule=int(within.get("rule", 1)))
        known = error.value > 0 and np.isfinite(value)
        bounds = (value - error.reach(), value + error.reach()) if known else (None, None)
        found[name] = {
            "value": _round(value),
            "low": _round(bounds[0]),
            "high": _round(bounds[1]),
            "p": _round(error.p(value)) if known else None,
        }
    return found


def _halving(uncertainty: Mapping[str, Any]) -> tuple[Any, ...]:
    return uncertainty.get("halvings"), uncertainty.get("seed")


def _fixed_error(a: Predictions, b: Predictions, metric: str, paired: bool) -> float | None:
    """Standard error of the difference under fixed predictions: of pairs by the same resamples of both."""
    from usbench.statistics.auc_variance import metric_test
    from usbench.statistics.bootstrap import draw
    from usbench.statistics.metrics import prepare

    if paired and (found := metric_test(metric, a, b)) is not None:
        return found.standard_error
    if min(a.n_groups, b.n_groups) < 2:
        return None
    seeds = (0, 0) if paired else (0, 1)
    draws = [
        draw(outcome, {metric: prepare(metric, outcome)}, RESAMPLES, 0.95, seed)[metric]
        for seed, outcome in zip(seeds, (a, b), strict=True)
    ]
    gaps = np.round(draws[0] - draws[1], 10)
    gaps = gaps[np.isfinite(gaps)]
    return None if len(gaps) < RESAMPLES / 2 else float(gaps.std())


def _folds(task: Task, cohort: Cohort) -> list[list[Split]]:
    """Return folds of whole subjects over the data that are known, as positions in the cohort."""
    from usbench.statistics.splits import Split, subject_folds

    known = np.arange(len(cohort.units))
    if task.transfer is not None:
        known = np.flatnonzero([unit.split == "train" for unit in cohort.units])
    groups = np.asarray(cohort.groups)[known]
    labels = np.asarray(cohort.labels())[known] if cohort.classes else None
    try:
        draws = [subject_folds(groups, labels, FOLDS, seed, stratify=labels is not None) for seed in range(REPEATS)]
    except DataError as error:
        raise DataError(f"task {task.name!r}, comparison within the known data: {error}") from None
    return [[Split(known[s.train], known[s.test], s.fold) for s in draw] for draw in draws]


def _round(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), DIGITS)
