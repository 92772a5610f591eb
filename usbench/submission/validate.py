"""Is a result file what it claims to be? Schema, seal, folds, and every metric recomputed from the predictions.

The seal (``digest``) finds edits by hand and damaged copies. It is not a signature: somebody who means to deceive can
compute a new one. What protects against that is that metrics follow from predictions, and predictions from a command
that anybody can run.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usbench.core.documents import read_json
from usbench.core.text import one_line
from usbench.errors import DataError, ResultError, UsbenchError
from usbench.evaluation.intervals import estimates
from usbench.evaluation.restate import is_of_earlier_rule
from usbench.evaluation.scoring import metric_names, predictions_of
from usbench.results.checks import form_faults, published_schema, seal_fault
from usbench.results.schema import SCHEMA_VERSION, Estimate, Result, migrate, result_path

# Results hold metrics with six digits after the point.
TOLERANCE = 2e-6
# Coordinates of maps are rounded, and a neighbour at equal distance then votes or not.
MAP_TOLERANCE = 0.01


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a result file.

    Attributes:
        path: The file.
        where: Part of the file, such as ``svc-nested@1, accuracy``.
        what: What is wrong.
    """

    path: Path
    where: str
    what: str

    def __str__(self) -> str:
        return one_line(f"{self.path}: {self.where}: {self.what}")


def schema(version: int = SCHEMA_VERSION) -> dict[str, Any]:
    """Return the published JSON schema of result files.

    Args:
        version: Schema version.

    Raises:
        ResultError: There is no such version.
    """
    return published_schema(version)


def validate(path: Path, results: Path | None = None) -> list[Finding]:
    """Check one result file.

    Args:
        path: The file.
        results: Results folder; the file must then lie where its content belongs.

    Returns:
        Everything that is wrong, empty when nothing is.
    """
    try:
        data = read_json(path, ResultError)
    except UsbenchError as error:
        return [Finding(path, "file", str(error).removeprefix(f"{path}: "))]
    try:
        migrated = migrate(data, path.name)
    except ResultError as error:
        return [Finding(path, "schema", str(error))]
    findings = [Finding(path, where, what) for where, what in form_faults(migrated, SCHEMA_VERSION, every_value=True)]
    if findings:
        return findings
    try:
        result = Result.from_dict(migrated, str(path))
    except ResultError as error:
        return [Finding(path, "schema", str(error))]
    if fault := seal_fault(data):
        findings.append(Finding(path, "digest", fault))
    if results is not None and path.resolve() != result_path(results, result).resolve():
        findings.append(Finding(path, "file", f"belongs at {result_path(results, result)}"))
    findings += _units(path, result)
    if not findings or all(f.where in ("digest", "file") for f in findings):
        findings += [finding for protocol in result.protocols for finding in _protocol(path, result, protocol)]
    if "drop" in result.figures:
        findings += [Finding(path, f"figures/drop/{where}", what) for where, what in _drop(result)]
    if "map" in result.figures:
        findings += [Finding(path, "figures/map", what) for what in _map(result)]
    if result.instruments and all(f.where in ("digest", "file") for f in findings):
        from usbench.diagnostics.recompute import recheck

        findings += [Finding(path, where, what) for where, what in recheck(result)]
    return findings


def validate_folder(results: Path) -> tuple[int, list[Finding]]:
    """Check every result of a folder.

    Args:
        results: The results folder.

    Returns:
        Number of files, and everything that is wrong.
    """
    files = sorted(results.glob("*/*.json"))
    return len(files), [finding for path in files for finding in validate(path, results)]


def recompute(result: Result, protocol: str) -> dict[str, Estimate]:
    """Compute all metrics and intervals of a protocol anew from its predictions.

    Args:
        result: The result.
        protocol: One of its protocols.

    Raises:
        ResultError: The predictions do not fit the units.
        DataError: A prediction is not finite.
    """
    outcome = predictions_of(result, protocol)
    return estimates(outcome, metric_names(outcome), result.protocols[protocol].uncertainty)


def _units(path: Path, result: Result) -> list[Finding]:
    units, counts = result.units, result.dataset["counts"]
    findings = []
    columns = {"subject": units.subject, "target": units.target, **units.strata}
    if units.frames:
        columns["frames"] = units.frames
    for name, values in columns.items():
        if len(values) != len(units.id):
            findings.append(Finding(path, f"units/{name}", f"{len(values)} values for {len(units.id)} units"))
    if findings:
        return findings
    for name, number in (("subjects", len(set(units.subject))), ("units", len(units.id))):
        if counts[name] != number:
            findings.append(Finding(path, f"dataset/counts/{name}", f"is {counts[name]}, the units give {number}"))
    for name, number in counts.get("classes", {}).items():
        found = sum(target == name for target in units.target)
        if found != number:
            findings.append(Finding(path, f"dataset/counts/classes/{name}", f"is {number}, the units give {found}"))
    return findings


def _protocol(path: Path, result: Result, protocol: str) -> list[Finding]:
    entry = result.protocols[protocol]
    if not entry.repeats:
        return [] if not entry.metrics else [Finding(path, protocol, "has metrics but no predictions")]
    for number, repeat in enumerate(entry.repeats):
        lengths = {len(repeat.fold), len(repeat.score), len(repeat.predicted or repeat.fold)}
        if lengths != {len(result.units.id)}:
            return [Finding(path, f"{protocol}, repeat {number}", "predictions and units differ in number")]
        # Nothing is trained for a map, so that there is no other side of a split.
        straddling = None if result.task["kind"] == "map" else _straddling(result, repeat.fold)
        if straddling:
            return [Finding(path, f"{protocol}, repeat {number}", f"subject {straddling!r} is in two folds")]
    if is_of_earlier_rule(entry.uncertainty):
        told = "its intervals are by an earlier rule; `usbench results migrate FILE` brings them up to date"
        return [Finding(path, f"{protocol}, uncertainty", told)]
    try:
        recomputed = recompute(result, protocol)
    except (ResultError, DataError) as error:
        return [Finding(path, protocol, str(error))]
    findings = []
    for name in sorted(set(entry.metrics) | set(recomputed)):
        stated, found = entry.metrics.get(name), recomputed.get(name)
        if stated is None:  # a metric that is younger than the file; `usbench results migrate` adds it
            continue
        if found is None:
            findings.append(Finding(path, f"{protocol}, {name}", "cannot be computed from the predictions"))
            continue
        for part in ("value", "low", "high"):
            a, b = getattr(stated, part), getattr(found, part)
            if not _equal(a, b):
                findings.append(
                    Finding(path, f"{protocol}, {name}, {part}", f"is {a}, the predictions give {_plain(b)}")
                )
    return findings


def _drop(result: Result) -> list[tuple[str, str]]:
    """Compute the drop on data from elsewhere anew from the predictions that the result keeps."""
    from usbench.evaluation.drop import drop_of_figures

    figures = result.figures["drop"]
    try:
        found = drop_of_figures(
            figures,
            result.task["kind"],
            tuple(result.dataset["counts"].get("classes", {})),
            result.units,
            result.protocols[figures["protocol"]],
            result.task.get("threshold"),
        )
        stated = {
            f"{name}, {side}": entry[side] for name, entry in figures["metrics"].items() for side in ("within", "drop")
        }
    except (KeyError, IndexError, TypeError, ValueError, DataError) as error:
        return [("predictions", f"do not fit the units ({error!r})")]
    return [
        (f"{name}/{part}", f"is {stated[name].get(part)}, the predictions give {value}")
        for metric, sides in found.items()
        for side, parts in sides.items()
        for part, value in parts.items()
        if not _equal(stated[name := f"{metric}, {side}"].get(part), value)
    ]


def _map(result: Result) -> list[str]:
    """Measure the map that is shown anew from its coordinates, which are rounded, and so with some tolerance."""
    from usbench.projection.quality import shown_quality

    figures = result.figures["map"]
    try:
        found = shown_quality(figures["x"], figures["y"], result.units.target, result.units.subject)
        stated = {name: figures["quality"]["map"][name]["values"][0] for name in found}
    except (KeyError, IndexError, TypeError, ValueError, DataError) as error:
        return [f"cannot be measured ({error!r})"]
    return [
        f"{name} is {stated[name]}, the coordinates give {value:.4f}"
        for name, value in found.items()
        if not abs(stated[name] - value) < MAP_TOLERANCE
    ]


def _straddling(result: Result, folds: list[int | None]) -> str | None:
    """Return a subject with units in two folds, which would have been trained and tested on at once."""
    seen: dict[str, int | None] = {}
    for subject, fold in zip(result.units.subject, folds, strict=True):
        if seen.setdefault(subject, fold) != fold:
            return subject
    return None


def _equal(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=0, abs_tol=TOLERANCE)


def _plain(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
