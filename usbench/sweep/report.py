"""The report of a sweep: what became of each cell, and what it cost beside what was estimated."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import atomic_write
from usbench.sweep.cell_state import Record
from usbench.sweep.cost_model import Estimate, Estimator
from usbench.sweep.specs import TaskSpec

REPORT_VERSION = 1


def estimate_of(record: Record, estimator: Estimator) -> Estimate | None:
    """Estimate a cell from its survey; ``None`` when it was never surveyed.

    Args:
        record: The cell.
        estimator: What was known before the sweep.
    """
    found, encoder = record.found, record.cell.encoder
    if found is None:
        return None
    if found.answered:
        return estimator.nothing()
    frames = sum(len(part) for part in found.parts)
    return estimator.estimate(found.facts, frames, encoder.device, found.precision, found.passes, encoder.gpus or 1)


def build_report(
    name: str,
    records: Sequence[Record],
    losses: Sequence[Mapping[str, Any]],
    engine: Mapping[str, Any],
    seconds: float,
    estimator: Estimator,
    before: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Arrange what happened as plain data.

    Args:
        name: Name of the grid.
        records: The cells.
        losses: Jobs that were begun again.
        engine: Facts on the engine.
        seconds: Wall time.
        estimator: What was known before the sweep.
        before: The report of an earlier run of the grid, if there is one: what a cell that is answered from its result
            had cost is carried over.
    """
    cells = [_cell(record, estimate_of(record, estimator)) for record in records]
    cells = [_carried(cell, before) if cell["state"] == "unchanged" else cell for cell in cells]
    estimated = [cell["estimate"] for cell in cells if cell["estimate"]]
    return {
        "version": REPORT_VERSION,
        "grid": name,
        "date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "engine": dict(engine),
        "seconds": round(seconds, 2),
        "counts": {state: sum(r.state == state for r in records) for state in ("done", "unchanged", "failed")},
        # Over all runs of this grid, like the estimates beside them; `seconds` is this run's.
        "totals": {
            "frames_encoded": sum(cell["encoded"] for cell in cells),
            "encode_seconds": round(sum(cell["encode_seconds"] for cell in cells), 2),
            "evaluate_seconds": round(sum(cell["evaluate_seconds"] for cell in cells), 2),
            "estimated_frames": sum(e["frames"] for e in estimated),
            "estimated_encode_seconds": round(sum(e["encode_seconds"] for e in estimated), 2),
            "estimated_probe_seconds": round(sum(e["probe_seconds"] for e in estimated), 2),
        },
        "lost": [dict(loss) for loss in losses],
        "cells": cells,
    }


def report_folder(results: Path) -> Path:
    """Return where the reports of sweeps into a folder of results lie: beside it, as it holds results alone."""
    return results.parent / "sweeps"


def write_report(folder: Path, report: Mapping[str, Any]) -> tuple[Path, Path]:
    """Write ``sweep-NAME.json`` and ``sweep-NAME.md`` into a folder and return their paths.

    Args:
        folder: From :func:`report_folder`.
        report: From :func:`build_report`.

    Raises:
        StoreError: The folder cannot be written.
    """
    plain, page = (folder / f"sweep-{report['grid']}.{suffix}" for suffix in ("json", "md"))
    atomic_write(plain, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())
    atomic_write(page, _markdown(report).encode())
    return plain, page


def _cell(record: Record, estimate: Estimate | None) -> dict[str, Any]:
    found, result = record.found, record.result
    headline = None
    if result is not None and result.protocols:
        protocol, outcome = next(iter(result.protocols.items()))
        metrics = {name: value.value for name, value in outcome.metrics.items()}
        headline = {"protocol": protocol, "metrics": metrics}
    return {
        "encoder": record.name,
        "task": record.cell.task.name,
        "data": record.cell.task.data,
        "board": found.board if found else None,
        "state": record.state,
        "error": record.error,
        "device": record.cell.encoder.device,
        "precision": found.precision if found and not found.answered else record.cell.encoder.precision,
        "frames": found.frames if found else None,
        "encoded": record.encoded,
        "shards": record.shards,
        "lost_jobs": record.lost,
        "encode_seconds": round(record.encode_seconds, 2),
        "network_seconds": round(record.network_seconds, 2),
        "evaluate_seconds": round(record.evaluate_seconds, 2),
        "processor_seconds": round(record.processor_seconds, 2),
        "probe_seconds": result.provenance.get("timings", {}).get("probe_seconds") if result else None,
        "estimate": estimate.to_dict() if estimate else None,
        "headline": headline,
        "inputs": found.inputs if found else None,
    }


# What a cell has cost, which a later run of the same grid repeats.
_TIMES = ("encode_seconds", "network_seconds", "evaluate_seconds", "processor_seconds")
_COST = ("frames", "encoded", "shards", "lost_jobs", *_TIMES, "estimate")


def _carried(cell: dict[str, Any], before: Mapping[str, Any] | None) -> dict[str, Any]:
    known = ("encoder", "task", "data", "inputs")
    for old in (before or {}).get("cells", []):
        if all(old.get(key) == cell[key] for key in known):
            return {**cell, **{key: old[key] for key in _COST if key in old}}
    return cell


def read_report(folder: Path, name: str) -> dict[str, Any] | None:
    """Return the report of an earlier run of a grid, or ``None`` when there is none of this layout.

    Args:
        folder: From :func:`report_folder`.
        name: Name of the grid.
    """
    try:
        report: Any = json.loads((folder / f"sweep-{name}.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return report if isinstance(report, dict) and report.get("version") == REPORT_VERSION else None


def _markdown(report: Mapping[str, Any]) -> str:
    counts, totals = report["counts"], report["totals"]
    told = ", ".join(f"{number} {state}" for state, number in counts.items())
    engine = ", ".join(f"{key} {value}" for key, value in report["engine"].items() if value is not None)
    took = (
        f"{totals['frames_encoded']} frames were encoded in {span(totals['encode_seconds'])} of workers' time "
        f"(estimated: {totals['estimated_frames']} in {span(totals['estimated_encode_seconds'])}); evaluation took "
        f"{span(totals['evaluate_seconds'])} (estimated for its probes: {span(totals['estimated_probe_seconds'])})."
    )
    columns = ("encoder", "task", "state", "frames", "encoded", "encoding: estimated → taken")
    headings = (*columns, "probes: estimated → taken", "rate from")
    lines = [
        f"# Sweep {report['grid']}",
        "",
        f"{report['date']}: {told}, in {span(report['seconds'])} (engine: {engine}).",
        "",
        took,
        "",
        f"| {' | '.join(headings)} |",
        "|---|---|---|---:|---:|---|---|---|",
    ]
    for cell in report["cells"]:
        estimate = cell["estimate"] or {}
        encoding = probes = "–"
        if cell["encoded"] and estimate:
            encoding = f"{span(estimate['encode_seconds'])} → {span(cell['encode_seconds'])}"
        if cell["evaluate_seconds"] and estimate and cell["probe_seconds"] is not None:
            probes = f"{span(estimate['probe_seconds'])} → {span(cell['probe_seconds'])}"
        frames = cell["frames"] if cell["frames"] else "–"
        lines.append(
            f"| {cell['encoder']} | {_label(cell)} | {cell['state']} | {frames} | {cell['encoded']} | {encoding} "
            f"| {probes} | {estimate.get('source', '–')} |"
        )
    failed = [cell for cell in report["cells"] if cell["state"] == "failed"]
    if failed:
        lines += ["", "## Failed", ""]
        lines += [f"- {cell['encoder']} on {_label(cell)}: {cell['error']}" for cell in failed]
    if report["lost"]:
        lines += ["", "## Begun again", ""]
        lines += [
            f"- {loss['job']} of {loss['cell']}"
            + (f", {loss['frames']} frames" if loss["frames"] else "")
            + f", after {span(loss['after_seconds'])}: {loss['reason']}"
            for loss in report["lost"]
        ]
    return "\n".join(lines) + "\n"


def _label(cell: Mapping[str, Any]) -> str:
    return TaskSpec(cell["task"]).label


def span(seconds: float) -> str:
    """Return a time as a person would say it: ``0.4 s``, ``12 min``, ``3.5 h``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
