"""How many labelled subjects does the score need? The headline protocol on smaller training sets.

The protocol is the one that ranks, with everything it does: it tunes inside each smaller training set, because somebody
with so few patients has no others to tune on. Only the training sets shrink; the units that are tested stay, so that
the sizes are comparable, and the draws are the same for every encoder.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.diagnostics import perturbation
from usbench.errors import DataError, UsbenchError
from usbench.probes.facts import protocol_facts
from usbench.statistics.splits import Split, group_codes
from usbench.statistics.training_subsets import training_subsets
from usbench.task.kinds import probe_question

if TYPE_CHECKING:
    from usbench.pipeline.context import Prepared
    from usbench.probes import ProbeData
    from usbench.results.schema import Estimate, Result
    from usbench.statistics.predictions import Predictions

DIAGNOSTIC_VERSION = 1
SHARES = (0.05, 0.10, 0.25, 0.50)
"""Shares of the training subjects; the whole is the result itself."""
DRAWS = 5
MANY_SUBJECTS = 150
"""Training sets of more subjects are drawn only as often as they are disjoint: they differ less and cost more."""
SEED = 0


def measure_label_efficiency(ready: Prepared, result: Result, clean: perturbation.Variant) -> dict[str, Any]:
    """Score the protocol that ranks on shares of the training subjects.

    Args:
        ready: Encoder, task and data.
        result: Its result, on all training subjects.
        clean: Vectors of the task's own frames.

    Returns:
        What is kept in the result: ``curve`` with, for each share, the number of training subjects and units of a fold
        (means), the score of each draw and their estimate; ``left_out`` with the shares that are too small, and why; or
        nothing but a ``note`` that says why there is no curve.
    """
    from usbench.evaluation.scoring import probe_data
    from usbench.task.cohort import draw_splits

    chosen = _protocol(result)
    if isinstance(chosen, str):
        return {"version": DIAGNOSTIC_VERSION, "note": f"Not measured: {chosen}."}
    protocol, metric = chosen
    splits = draw_splits(ready.task.split, ready.cohort)
    data = probe_data(ready.cohort, clean.vectors, clean.unit_index, clean.places)
    drawn, left_out = _drawn(splits, data, probe_question(ready.task.kind) == "classification")
    scored, failed = _scored(ready, result, protocol, data, drawn)
    points = [
        _point(share, drawn[share], data, _values(metric, outcome), _estimate(metric, outcome))
        for share, outcome in scored.items()
    ]
    if not points:
        reasons = "; ".join(f"{100 * x['share']:g} %: {x['reason']}" for x in (*left_out, *failed))
        return {"version": DIAGNOSTIC_VERSION, "note": f"Not measured: too few training subjects ({reasons})."}
    whole = perturbation.read(result, result.protocols[protocol].repeats)
    points.append(_point(1.0, splits, data, _values(metric, whole), result.protocols[protocol].metrics[metric]))
    return {
        "version": DIAGNOSTIC_VERSION,
        "protocol": protocol,
        "metric": metric,
        "seed": SEED,
        "curve": points,
        "left_out": sorted([*left_out, *failed], key=lambda x: float(x["share"])),
        "note": "",
    }


def _protocol(result: Result) -> tuple[str, str] | str:
    """Return protocol and metric, or why there are none, as a clause.

    Heads of attention take minutes for each training set; a protocol of the same task that is linear stands for them.
    """
    possible = [
        name
        for name, entry in result.protocols.items()
        if entry.repeats and not protocol_facts(name).tunes_on_test and protocol_facts(name).model != "attention"
    ]
    if not possible:
        return "no protocol of the task both tunes inside the training folds and is quick enough to be repeated"
    try:
        return possible[0], perturbation.primary_metric(result, possible[0])
    except UsbenchError:
        return f"{possible[0]} has no metric that ranks"


def _drawn(
    splits: Sequence[Sequence[Split]], data: ProbeData, classify: bool
) -> tuple[dict[float, list[list[Split]]], list[dict[str, Any]]]:
    """Draw the training sets of each share; those that are too small are returned with the reason."""
    drawn: dict[float, list[list[Split]]] = {}
    left_out = []
    for share in SHARES:
        try:
            first = training_subsets(splits, data.groups, data.y if classify else None, share, 1, SEED)
            many = _mean_subjects(first, data) > MANY_SUBJECTS
            draws = min(DRAWS, int(1 / share)) if many else DRAWS
            drawn[share] = training_subsets(splits, data.groups, data.y if classify else None, share, draws, SEED)
        except DataError as error:
            left_out.append({"share": share, "reason": str(error)})
    return drawn, left_out


def _scored(
    ready: Prepared, result: Result, protocol: str, data: ProbeData, drawn: dict[float, list[list[Split]]]
) -> tuple[dict[float, Predictions], list[dict[str, Any]]]:
    """Run the protocol on all training sets at once: small ones are solved many at a time."""
    if not drawn:
        return {}, []
    try:
        return _run(ready, result, protocol, data, drawn), []
    except DataError as error:
        if len(drawn) == 1:
            return {}, [{"share": share, "reason": str(error).rstrip(".")} for share in drawn]
    # One share that cannot be trained on must not cost the others their scores.
    scored: dict[float, Predictions] = {}
    failed = []
    for share, draws in drawn.items():
        found, why = _scored(ready, result, protocol, data, {share: draws})
        scored.update(found)
        failed += why
    return scored, failed


def _run(
    ready: Prepared, result: Result, protocol: str, data: ProbeData, drawn: dict[float, list[list[Split]]]
) -> dict[float, Predictions]:
    from usbench.evaluation.scoring import to_stored
    from usbench.probes import run_protocol

    everything = [splits for draws in drawn.values() for splits in draws]
    probe = run_protocol(protocol, data, everything, seed=SEED, question=probe_question(ready.task.kind), n_jobs=-1)
    repeats = iter(to_stored(probe.predictions, ready.cohort.classes))
    return {share: perturbation.read(result, [next(repeats) for _ in draws]) for share, draws in drawn.items()}


def _values(metric: str, outcome: Predictions) -> list[float | None]:
    from usbench.statistics.metrics import compute

    return [perturbation.rounded(compute(metric, outcome.repeats(r, r + 1))) for r in range(outcome.n_repeats)]


def _estimate(metric: str, outcome: Predictions) -> Estimate:
    """Return the score over all draws; its interval joins other test subjects with other draws of training subjects."""
    from usbench.evaluation.intervals import fixed_error
    from usbench.results.schema import Estimate
    from usbench.statistics.half_samples import interval
    from usbench.statistics.metrics import compute

    value = compute(metric, outcome)
    values = [v for v in _values(metric, outcome) if v is not None]
    if value is None:
        return Estimate(None)
    fixed = fixed_error(metric, outcome, perturbation.RESAMPLES)
    between = float(np.var(values, ddof=1)) / len(values) if len(values) > 1 else 0.0
    bounds = interval(metric, value, sqrt(fixed**2 + between)) if fixed > 0 else None
    low, high = bounds or (None, None)
    return Estimate(*(perturbation.rounded(v) for v in (value, low, high)))


def _point(
    share: float,
    draws: Sequence[Sequence[Split]],
    data: ProbeData,
    values: list[float | None],
    estimate: Estimate,
) -> dict[str, Any]:
    units = [len(split.train) for splits in draws for split in splits]
    return {
        "share": share,
        "subjects": round(_mean_subjects(draws, data), 1),
        "units": round(float(np.mean(units)), 1),
        "values": values,
        "estimate": {"value": estimate.value, "low": estimate.low, "high": estimate.high},
    }


def _mean_subjects(draws: Sequence[Sequence[Split]], data: ProbeData) -> float:
    _, code = group_codes(data.groups)
    return float(np.mean([len(np.unique(code[split.train])) for splits in draws for split in splits]))
