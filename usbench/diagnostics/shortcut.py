"""Shortcut probe: can the scanner be read from the embedding, and what is left of the score within one scanner?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.diagnostics import perturbation
from usbench.evaluation.scoring import from_stored, to_stored
from usbench.results.schema import Repeat, Result, Units
from usbench.statistics.predictions import Predictions
from usbench.statistics.splits import subject_folds

if TYPE_CHECKING:
    from usbench.pipeline.context import Prepared

DIAGNOSTIC_VERSION = 1
PROTOCOL = "svc-nested@2"
METRIC = "balanced_accuracy"
FOLDS = 5
COLUMNS = ("device", "scanner", "site")
"""Columns that tell where a picture comes from, the first one present is asked for."""


def probe_shortcut(ready: Prepared, result: Result, clean: perturbation.Variant, column: str | None) -> dict[str, Any]:
    """Predict a property of the acquisition from the embedding, by the protocol that predicts the disease.

    Args:
        ready: Encoder, task and data.
        result: Its result, whose predictions are scored again within each value of the column.
        clean: Embedded frames of all units.
        column: Column of the dataset's table; one of :data:`COLUMNS` by default.

    Returns:
        The instrument: balanced accuracy with interval beside chance, and the score among units of one scanner; or a
        ``note`` that says why there is none.

    Raises:
        DataError: The column asked for does not exist or has one value.
    """
    from usbench.diagnostics.subgroups import check_column
    from usbench.task.cohort import build_cohort

    table = ready.located.dataset.index.table
    if column is None:
        column = next((c for c in COLUMNS if c in table.columns and table[c].nunique() > 1), None)
        if column is None:
            return _none(f"{ready.located.dataset.name} does not say from which scanner or site an image comes.")
    else:
        check_column(ready, column, "--shortcut")
    cohort = build_cohort(replace(ready.task, strata=(column,)), ready.located.dataset)
    values = [unit.strata[column] for unit in cohort.units]
    if "mixed" in values:
        return _none(f"a {ready.task.unit} has files of several values of {column}.", column)
    subjects = np.asarray(cohort.groups)
    labels = np.array([value or "" for value in values])
    counts = {name: len(set(subjects[labels == name])) for name in sorted(set(labels) - {""})}
    kept = [name for name, n in counts.items() if n >= FOLDS]
    left_out = {name: n for name, n in counts.items() if n < FOLDS}
    if len(kept) < 2:
        return _none(f"fewer than two values of {column} have the {FOLDS} subjects that folds need.", column)
    repeats = _predict(labels, kept, subjects, clean)
    section: dict[str, Any] = {
        "version": DIAGNOSTIC_VERSION,
        "column": column,
        "protocol": PROTOCOL,
        "metric": METRIC,
        "chance": perturbation.rounded(1 / len(kept)),
        "subjects": {name: counts[name] for name in kept},
        "left_out": left_out,
        "note": "",
    }
    stored = [{"fold": r.fold, "predicted": r.predicted} for r in repeats]
    estimate = perturbation.estimate(shortcut_predictions(values, subjects.tolist(), kept, stored), METRIC)
    section["estimate"] = {"value": estimate.value, "low": estimate.low, "high": estimate.high}
    section["values"] = values
    section["repeats"] = stored
    section["within"] = _within(result, values)
    return section


def shortcut_predictions(
    values: Sequence[Any], subjects: Sequence[str], kept: Sequence[str], repeats: Sequence[dict[str, Any]]
) -> Predictions:
    """Read the answers about the scanner; only predicted classes matter, as the metric is the balanced accuracy.

    Args:
        values: Value of the column by unit.
        subjects: Subject of each unit.
        kept: The values that were distinguished.
        repeats: ``fold`` and ``predicted`` of every unit, as they are stored.
    """
    two = len(kept) == 2
    number = {name: float(i) if two else np.eye(len(kept))[i].tolist() for i, name in enumerate(kept)}
    stored = [
        Repeat(r["fold"], [None if name is None else number[name] for name in r["predicted"]], r["predicted"])
        for r in repeats
    ]
    units = Units(id=[str(i) for i in range(len(values))], subject=list(subjects), target=list(values))
    return from_stored("binary" if two else "multiclass", kept, units, stored, None)


def _predict(labels: Any, kept: list[str], subjects: Any, clean: perturbation.Variant) -> list[Repeat]:
    from usbench.probes import ProbeData, run_protocol

    members = np.flatnonzero(np.isin(labels, kept))
    position = np.full(len(labels), -1)
    position[members] = np.arange(len(members))
    chosen = position[clean.unit_index] >= 0
    y = np.array([kept.index(label) for label in labels[members]])
    data = ProbeData(clean.vectors[chosen], position[clean.unit_index][chosen], y, subjects[members])
    folds = subject_folds(subjects[members], y, FOLDS, seed=0)
    probe = run_protocol(PROTOCOL, data, [folds], seed=0, n_jobs=-1)
    return to_stored(probe.predictions, kept, len(labels), members)


def _within(result: Result, values: list[Any]) -> dict[str, Any]:
    """Score only pairs of one scanner: what knowing the scanner alone cannot earn."""
    protocol = perturbation.honest_protocol(result)
    if "fold_auc" not in result.protocols[protocol].metrics:
        return {"note": "only an AUC can be counted over pairs from one scanner; see the strata for the score in each."}
    names = sorted({str(v) for v in values if v is not None})
    code = np.array([-1 if v is None else names.index(str(v)) for v in values])
    known = [
        replace(r, fold=[None if f is None or code[i] < 0 else f for i, f in enumerate(r.fold)])
        for r in result.protocols[protocol].repeats
    ]
    overall = perturbation.read(result, perturbation.only_where(result.protocols[protocol].repeats, known))
    # Pairs count within a fold; a fold that is cut by scanner has pairs of one scanner only.
    cut = perturbation.read(
        result,
        [
            replace(r, fold=[None if f is None else int(f) * len(names) + int(code[i]) for i, f in enumerate(r.fold)])
            for r in perturbation.only_where(result.protocols[protocol].repeats, known)
        ],
    )
    found = perturbation.estimate(cut, "fold_auc")
    return {
        "protocol": protocol,
        "metric": "fold_auc",
        "estimate": {"value": found.value, "low": found.low, "high": found.high},
        "difference": perturbation.difference(cut, overall, "fold_auc"),
        "note": "",
    }


def _none(why: str, column: str | None = None) -> dict[str, Any]:
    return {"version": DIAGNOSTIC_VERSION, "column": column, "note": f"Not measured: {why}"}
