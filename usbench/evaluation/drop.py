"""What a score loses where the test data come from elsewhere: another dataset, centre or scanner.

The comparison is the same protocol with folds of whole subjects: over all data where a centre is held out, and over
the training dataset where the test data are another one. In the first case the very same units are answered twice, so
the drop is a paired difference; in the second the patients are others, and the drop is a difference of two samples.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import DataError
from usbench.evaluation.intervals import RESAMPLES
from usbench.evaluation.scoring import build_outcome, evaluate
from usbench.probes.facts import protocol_facts
from usbench.results.schema import ProtocolResult, Repeat, Units
from usbench.task.kinds import shown_metrics

if TYPE_CHECKING:
    from usbench.core.types import Vectors
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray
    from usbench.statistics.outcome import Outcome
    from usbench.statistics.splits import Split
    from usbench.task.cohort import Cohort
    from usbench.task.task import Task

FOLDS, REPEATS = 5, 5
"""Folds of whole subjects that the comparison uses, and how often they are drawn."""
DIGITS = 6


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
        ``drop``, each with value and interval, and ``p`` of a paired drop), and ``repeats``, the predictions within.
        Empty where every protocol tunes on its test folds.

    Raises:
        DataError: The known data cannot be cut into folds.
    """
    name = next((p for p in protocols if not protocol_facts(p).tunes_on_test), None)
    if name is None:
        return {}
    paired = task.transfer is None
    within = evaluate(name, task, cohort, vectors, unit_index, _folds(task, cohort), places, halves=False)
    units = cohort.describe([0] * len(cohort.units))
    shown = shown_metrics(task.kind, [m for m in within.metrics if m in protocols[name].metrics])
    differences = _differences(task, cohort.classes, units, within.repeats, protocols[name].repeats, shown)
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
    }


def drop_of_figures(
    figures: dict[str, Any], kind: str, classes: tuple[str, ...], units: Units, repeats: list[Repeat], cut: float | None
) -> dict[str, dict[str, float | None]]:
    """Compute the drops anew from the predictions that a result keeps, to check what it states.

    Args:
        figures: What :func:`measure_drop` returned.
        kind: Kind of the task.
        classes: Class names by number.
        units: The units.
        repeats: Predictions on data from elsewhere, of the same protocol.
        cut: Threshold of the task.

    Returns:
        Metric to value and interval.
    """
    within = [Repeat(**repeat) for repeat in figures["repeats"]]
    a = build_outcome(kind, classes, units, within, cut)
    b = build_outcome(kind, classes, units, repeats, cut)
    return _compare(a, b, list(figures["metrics"]), bool(figures["paired"]))


def _differences(
    task: Task, classes: tuple[str, ...], units: Units, within: list[Repeat], elsewhere: list[Repeat], shown: list[str]
) -> dict[str, dict[str, float | None]]:
    a = build_outcome(task.kind, classes, units, within, task.threshold)
    b = build_outcome(task.kind, classes, units, elsewhere, task.threshold)
    return _compare(a, b, shown, task.transfer is None)


def _compare(a: Outcome, b: Outcome, metrics: list[str], paired: bool) -> dict[str, dict[str, float | None]]:
    """Return by how much the second is worse: positive where something is lost."""
    from usbench.statistics.bootstrap import draw
    from usbench.statistics.metrics import get_metric, prepare
    from usbench.statistics.paired import compare

    found: dict[str, dict[str, float | None]] = {}
    for name in metrics:
        sign = 1.0 if get_metric(name).higher_is_better else -1.0
        if paired:
            c = compare(a, b, name, n_resamples=RESAMPLES, seed=0)
            ends = [None if v is None else sign * v for v in (c.low, c.high)]
            low, high = ends if sign > 0 else ends[::-1]
            value = None if c.difference is None else sign * c.difference
            found[name] = {"value": _round(value), "low": _round(low), "high": _round(high), "p": _round(c.p)}
            continue
        values, draws = [], []
        for seed, outcome in enumerate((a, b)):
            kernel = prepare(name, outcome)
            values.append(float(kernel(np.ones((1, outcome.n_units)))[0]))
            draws.append(draw(outcome, {name: kernel}, RESAMPLES, 0.95, seed, False)[name])
        spread = sign * (draws[0] - draws[1])
        spread = spread[np.isfinite(spread)]
        value = sign * (values[0] - values[1])
        low, high = np.quantile(spread, (0.025, 0.975)) if len(spread) else (None, None)
        found[name] = {"value": _round(value), "low": _round(low), "high": _round(high)}
    return found


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
