"""Train as always, test on something else: other pixels, or fewer frames, of the same units.

A variant is another set of embedded frames of some or all units. The probe of every fold is trained on the original
frames, tuned on them, and answers for the original and for every variant of its test units. Nothing of a variant is
ever trained or tuned on, and the folds are those of the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError
from usbench.evaluation.scoring import from_stored, to_stored
from usbench.probes.facts import protocol_facts
from usbench.results.schema import Estimate, Repeat, Result
from usbench.statistics.predictions import Predictions
from usbench.task.kinds import probe_question, task_kind

if TYPE_CHECKING:
    from usbench.core.types import Vectors
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray
    from usbench.statistics.splits import Split
    from usbench.task.cohort import Cohort
    from usbench.task.task import Task

RESAMPLES = 2000
DIGITS = 6


@dataclass(frozen=True, eq=False)
class Variant:
    """Other frames of the units.

    Attributes:
        vectors: float32 ``(n_frames, D)``.
        unit_index: Position of the unit of each frame, int64 ``(n_frames,)``; units without a frame are not tested.
        places: Place that each frame fills, where the task gives frames roles.
    """

    vectors: Vectors
    unit_index: IntArray
    places: Places | None = None


def predict(
    protocol: str,
    task: Task,
    cohort: Cohort,
    clean: Variant,
    variants: Mapping[str, Variant],
    splits: Sequence[Sequence[Split]],
) -> dict[str, list[Repeat]]:
    """Answer for every variant with probes trained on the clean frames.

    Args:
        protocol: Versioned name; one that tunes on the folds it scores is refused.
        task: The task.
        cohort: Units, labels and subjects.
        clean: The frames to train on; every unit has some.
        variants: Frames to answer for, by name.
        splits: Splits of every repeat.

    Returns:
        Predictions by name, aligned with the units of the cohort.

    Raises:
        UsbenchError: The protocol would tune on the variants.
    """
    from usbench.probes import ProbeData, run_protocol

    if protocol_facts(protocol).tunes_on_test:
        raise UsbenchError(f"{protocol} tunes on the folds it scores, so it cannot be tested on other frames.")
    n = len(cohort.units)
    labels, groups = np.asarray(cohort.labels()), np.asarray(cohort.groups)
    vectors, unit_index, base = [clean.vectors], [np.asarray(clean.unit_index, np.int64)], [np.arange(n)]
    bounds: dict[str, tuple[int, int]] = {}
    total = n
    for name, variant in variants.items():
        present, position = np.unique(variant.unit_index, return_inverse=True)
        vectors.append(variant.vectors)
        unit_index.append(position.astype(np.int64) + total)
        base.append(present)
        bounds[name] = (total, total + len(present))
        total += len(present)
    origin = np.concatenate(base)
    data = ProbeData(
        np.concatenate(vectors),
        np.concatenate(unit_index),
        labels[origin],
        groups[origin],
        places=_joined([clean, *variants.values()]),
    )
    extended = [[replace(split, test=_with_variants(split.test, origin, n)) for split in draw] for draw in splits]
    probe = run_protocol(protocol, data, extended, seed=0, question=probe_question(task.kind), n_jobs=-1)
    found = {}
    for name, (first, last) in bounds.items():
        own = probe.predictions.take(np.arange(first, last))
        found[name] = to_stored(own, cohort.classes, n, origin[first:last])
    return found


def honest_protocol(result: Result) -> str:
    """Return the first protocol of a result that does not tune on the folds it scores.

    Raises:
        UsbenchError: There is none.
    """
    for protocol, entry in result.protocols.items():
        if entry.repeats and not protocol_facts(protocol).tunes_on_test:
            return protocol
    raise UsbenchError(
        f"{result.task['name']}: diagnostics need a protocol that is tuned inside the training data, such as "
        "svc-nested@2; add one to the task."
    )


def primary_metric(result: Result, protocol: str) -> str:
    """Return the metric that ranks a protocol's results, as on the pages.

    Raises:
        UsbenchError: The protocol has no metric that ranks.
    """
    metrics = result.protocols[protocol].metrics
    for name in task_kind(result.task["kind"]).primary:
        if name in metrics and metrics[name].value is not None:
            return name
    raise UsbenchError(f"{result.task['name']}, {protocol}: no metric to measure anything by.")


def read(result: Result, repeats: Sequence[Repeat]) -> Predictions:
    """Read predictions for the units of a result as its own are read."""
    classes = tuple(result.dataset["counts"].get("classes", {}))
    return from_stored(result.task["kind"], classes, result.units, repeats, result.task.get("threshold"))


def only_where(repeats: Sequence[Repeat], tested: Sequence[Repeat]) -> list[Repeat]:
    """Return the predictions of those units that another set of predictions tested as well."""
    masked = []
    for repeat, other in zip(repeats, tested, strict=True):
        keep = [fold is not None for fold in other.fold]

        def kept(values: Sequence[Any], keep: Sequence[bool] = keep) -> list[Any]:
            return [value if k else None for value, k in zip(values, keep, strict=True)]

        predicted = None if repeat.predicted is None else kept(repeat.predicted)
        masked.append(replace(repeat, fold=kept(repeat.fold), score=kept(repeat.score), predicted=predicted))
    return masked


def estimate(found: Predictions, metric: str) -> Estimate:
    """Return a metric with its interval over subjects under fixed predictions, rounded as it is stored.

    It holds percentiles of resamples; a perfect score, which every resample repeats, has its exact bound.
    """
    from usbench.evaluation.intervals import estimates

    return estimates(found, [metric])[metric]


def difference(found: Predictions, clean: Predictions, metric: str) -> dict[str, Any]:
    """Compare a variant with the clean frames on the same units: value, interval, p and the test's name."""
    from usbench.statistics.paired import compare

    c = compare(found, clean, metric, n_resamples=RESAMPLES, seed=0)
    return {
        "value": rounded(c.difference),
        "low": rounded(c.low),
        "high": rounded(c.high),
        "p": rounded(c.p),
        "test": c.test,
    }


def rounded(value: float | None) -> float | None:
    """Round to the digits that are stored."""
    return None if value is None else round(float(value), DIGITS)


def _joined(parts: Sequence[Variant]) -> Places | None:
    first = parts[0].places
    if first is None:
        return None
    return replace(first, index=np.concatenate([part.places.index for part in parts if part.places is not None]))


def _with_variants(test: IntArray, origin: IntArray, n: int) -> IntArray:
    chosen = np.zeros(n, dtype=bool)
    chosen[test] = True
    extra: IntArray = n + np.flatnonzero(chosen[origin[n:]])
    return np.concatenate([test, extra])
