"""The score in each stratum: by scanner, sex, BLUE point, or whatever else the dataset's table says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.core.names import column_fault
from usbench.core.settings import Settings
from usbench.data.label_table import listed
from usbench.diagnostics import perturbation
from usbench.errors import DataError, did_you_mean
from usbench.pipeline.context import Options, Prepared
from usbench.results.schema import Estimate, Result
from usbench.task.cohort import build_cohort, draw_splits, plain_text

if TYPE_CHECKING:
    from usbench.pipeline.vectors import Embedded
    from usbench.statistics._types import BoolArray

DIAGNOSTIC_VERSION = 2
MOST_LEVELS = 20
"""A column with more values than this is a measurement or a name, not a stratum."""


def measure_strata(
    ready: Prepared, result: Result, columns: Sequence[str], options: Options, settings: Settings
) -> Result:
    """Add the primary metric in each stratum of some columns to a result.

    Where a column has one value per unit, the predictions of the result are scored within each value. Where units are
    made of files with different values (a patient filmed at several points), the probe is trained on all frames of the
    training patients and answers from the frames of one value alone.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result.
        columns: Columns of the dataset's table.
        options: How to run.
        settings: Places to use.

    Returns:
        The result with ``instruments["strata"]``, and each column with one value per unit among its units' strata. A
        column with two strata that are large enough has the largest ``gap`` between any two, with an interval.

    Raises:
        DataError: A column does not exist, is the target, has one value, or too many.
    """
    protocol = perturbation.honest_protocol(result)
    metric = perturbation.primary_metric(result, protocol)
    for column in columns:
        check_column(ready, column)
    cohort = build_cohort(replace(ready.task, strata=tuple(columns)), ready.located.dataset)
    before = result.instruments.get("strata", {})
    usable = before.get("version") == DIAGNOSTIC_VERSION and before.get("metric") == metric
    measured = dict(before["columns"]) if usable else {}
    own = dict(result.units.strata)
    for column in columns:
        values = [unit.strata[column] for unit in cohort.units]
        if "mixed" in values:
            parts, scope = _by_frames(ready, result, protocol, column, options, settings), "frames"
        else:
            own[column] = values
            parts, scope = _by_units(result, values), "units"
        levels = [_level(name, part, protocol, metric) for name, part in parts.items()]
        known = sum(level["units"] for level in levels) if scope == "units" else None
        missing = len(values) - known if known is not None else sum(value is None for value in values)
        measured[column] = {"scope": scope, "missing": missing, "levels": levels}
        sure = [level["value"] for level in levels if level["estimate"]["low"] is not None]
        if gap := _gap({name: parts[name] for name in sure}, protocol, metric):
            measured[column]["gap"] = gap
    section = {"version": DIAGNOSTIC_VERSION, "protocol": protocol, "metric": metric, "columns": measured}
    units = replace(result.units, strata=own)
    return replace(result, units=units, instruments={**result.instruments, "strata": section})


def levels_of(ready: Prepared, column: str) -> list[str]:
    """Return the values of a column over the files of the task, sorted, without missing ones."""
    import pandas as pd

    table = ready.located.dataset.index.table
    values = table.loc[table["path"].isin(ready.cohort.paths), column]
    return sorted({plain_text(value) for value in values if not bool(pd.isna(value))})


def check_column(ready: Prepared, column: str, option: str = "--by") -> None:
    """Refuse a column that makes no strata.

    Args:
        ready: Task and data.
        column: The column asked for.
        option: What the message begins with.

    Raises:
        DataError: It does not exist, is the target, has one value, or too many.
    """
    table, task, name = ready.located.dataset.index.table, ready.task, ready.located.dataset.name
    offered = [str(c) for c in table.columns if c not in ("path", task.target)]
    if column == task.target:
        raise DataError(f"{option} {column}: that is what {task.name} predicts; every stratum would have one class.")
    if column not in offered:
        hint = did_you_mean(column, offered)
        raise DataError(f"{option} {column}: {name} has no column {column!r}.{hint} It has {listed(offered, 15)}.")
    if fault := column_fault(column):
        raise DataError(f"{option}: {fault}. Rename it in the table.")
    values = levels_of(ready, column)
    if len(values) < 2:
        told = f"one value only ({values[0]!r})" if values else "no value at all"
        raise DataError(f"{option} {column}: {name} has {told} in it, so there are no strata to compare.")
    if len(values) > MOST_LEVELS:
        raise DataError(
            f"{option} {column}: {name} has {len(values)} different values in it (first {listed(values, 3)}); name a "
            f"column of at most {MOST_LEVELS} groups."
        )


def _by_units(result: Result, values: Sequence[Any]) -> dict[str, Result]:
    """Return the result over the units of each value."""
    # The pages break results down by the same function, so that both tell the same figures.
    from usbench.results.subset import restrict

    names = sorted({str(v) for v in values if v is not None})
    return {
        name: restrict(result, [i for i, v in enumerate(values) if v is not None and str(v) == name]) for name in names
    }


def _by_frames(
    ready: Prepared,
    result: Result,
    protocol: str,
    column: str,
    options: Options,
    settings: Settings,
) -> dict[str, Result]:
    """Return the result over the units with frames of each value, answered from these frames alone."""
    import pandas as pd

    from usbench.pipeline.vectors import embed
    from usbench.results.subset import restrict

    embedded = embed(ready, options, settings)
    vectors, unit_index = embedded.vectors, embedded.unit_index
    table = ready.located.dataset.index.table.set_index("path")[column]
    value_of = {str(p): None if bool(pd.isna(v)) else plain_text(v) for p, v in table.items()}
    of_frame = np.array([value_of[ref.path] or "" for ref in embedded.frames.refs])
    names = [name for name in levels_of(ready, column) if (of_frame == name).any()]
    answers = perturbation.predict(
        protocol,
        ready.task,
        ready.cohort,
        perturbation.Variant(vectors, unit_index, embedded.places),
        {name: _part(embedded, of_frame == name) for name in names},
        draw_splits(ready.task.split, ready.cohort),
    )
    parts = {}
    for name in names:
        members = np.unique(unit_index[of_frame == name]).tolist()
        entry = replace(result.protocols[protocol], repeats=answers[name])
        parts[name] = restrict(replace(result, protocols={protocol: entry}), members)
    return parts


def _part(embedded: Embedded, chosen: BoolArray) -> perturbation.Variant:
    places = None if embedded.places is None else embedded.places.take(np.flatnonzero(chosen))
    return perturbation.Variant(embedded.vectors[chosen], embedded.unit_index[chosen], places)


def _level(name: str, part: Result, protocol: str, metric: str) -> dict[str, Any]:
    from usbench.results.subset import MIN_SUBJECTS, interval_fault

    subjects, units = len(set(part.units.subject)), len(part.units.id)
    classes = {c: part.units.target.count(c) for c in part.dataset["counts"].get("classes", {})}
    found, note = Estimate(None), ""
    if subjects < MIN_SUBJECTS:
        note = f"too small: {subjects} of at least {MIN_SUBJECTS} subjects"
    elif classes and 0 in classes.values():
        note = f"one class only ({next(c for c, n in classes.items() if n)})"
    else:
        found = perturbation.estimate(perturbation.read(part, part.protocols[protocol].repeats), metric)
        if found.value is None:
            note = "no two units of different class were tested in the same fold"
        elif note := interval_fault(part):
            found = Estimate(found.value)
    estimate = {"value": found.value, "low": found.low, "high": found.high}
    return {"value": name, "subjects": subjects, "units": units, "classes": classes, "estimate": estimate, "note": note}


def _gap(parts: dict[str, Result], protocol: str, metric: str) -> dict[str, Any] | None:
    """Return the largest gap between strata that have an interval of their own, under fixed predictions."""
    from usbench.statistics.gaps import largest_gap

    if len(parts) < 2:
        return None
    names = sorted({subject for part in parts.values() for subject in part.units.subject})
    number = {name: k for k, name in enumerate(names)}
    outcomes, subjects = {}, {}
    for level, part in parts.items():
        repeats = part.protocols[protocol].repeats
        outcomes[level] = perturbation.read(part, repeats)
        tested = [i for i, fold in enumerate(repeats[0].fold) if fold is not None]
        subjects[level] = np.array([number[part.units.subject[i]] for i in tested])
    found = largest_gap(outcomes, subjects, metric, perturbation.RESAMPLES)
    if found is None:
        return None
    low, high = found.bounds or (None, None)
    return {
        "between": [found.high, found.low],
        "value": perturbation.rounded(found.value),
        "low": perturbation.rounded(low),
        "high": perturbation.rounded(high),
        "p": perturbation.rounded(found.p),
        "strata": found.groups,
    }
