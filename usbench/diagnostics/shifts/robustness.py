"""The score against severity: probes trained on clean frames, tested on shifted ones of the same patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from usbench.core.settings import Settings
from usbench.core.types import Frame
from usbench.data.frames import FrameRef, frame_key
from usbench.diagnostics import perturbation
from usbench.diagnostics.shifts.catalogue import SHIFTS, shift_frame, shift_key
from usbench.diagnostics.shifts.embedding_drift import drift
from usbench.diagnostics.shifts.levels import Level
from usbench.pipeline.context import Options, Prepared
from usbench.pipeline.vectors import embed
from usbench.results.schema import Repeat, Result
from usbench.statistics.exact import holm
from usbench.task.cohort import draw_splits

DIAGNOSTIC_VERSION = 1
"""Raised when the same predictions would get other figures, or the layout changes."""

NOTE = "Probes are trained and tuned on clean frames, and tested on shifted frames of patients they have not seen."

# Vectors of variants held at a time, in values: 64 million float32 are 256 MB.
_HELD = 64_000_000


def measure_shifts(
    ready: Prepared, result: Result, levels: Sequence[Level], options: Options, settings: Settings
) -> Result:
    """Add the score at every level to a result.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result; levels it holds already are kept and not computed again, unless ``options.fresh``.
        levels: What to measure.
        options: How to run.
        settings: Places to use.

    Returns:
        The result with ``instruments["shifts"]``.

    Raises:
        UsbenchError: A file is damaged, or the encoder broke its contract.
    """
    protocol = perturbation.honest_protocol(result)
    metric = perturbation.primary_metric(result, protocol)
    section = _section(result, protocol, metric, options.fresh)
    wanted = [level for level in levels if str(level) not in section["measured"]]
    if not wanted:
        options.notify(f"{ready.encoder.name} on {result.board}: every shift asked for is in the result already.")
    clean, subjects = None, np.empty(0)
    for batch in _batches(wanted, sum(result.units.frames) * int(result.encoder["embedding_dim"])):
        vectors, unit_index, places = _vectors(ready, batch, options, settings)
        clean = vectors.pop("clean")
        subjects = np.asarray(ready.cohort.groups)[unit_index]
        answers = perturbation.predict(
            protocol,
            ready.task,
            ready.cohort,
            perturbation.Variant(clean, unit_index, places),
            {name: perturbation.Variant(v, unit_index, places) for name, v in vectors.items()},
            draw_splits(ready.task.split, ready.cohort),
        )
        for level in batch:
            moved = drift(clean, vectors[str(level)], subjects)
            section["spread"] = perturbation.rounded(moved.spread)
            entry = _scored(result, protocol, metric, answers[str(level)])
            drifted = {k: perturbation.rounded(getattr(moved, k)) for k in ("value", "low", "high", "distance")}
            section["measured"][str(level)] = {
                "shift": level.shift,
                "severity": level.severity,
                "amount": SHIFTS[level.shift].amount(level.severity),
                "version": SHIFTS[level.shift].version,
                "trained": level.shift in ready.encoder.card.trained_shifts,
                **entry,
                "drift": drifted,
            }
    # p values of one curve are read together with those of all others.
    found = sorted(section["measured"].values(), key=lambda e: (list(SHIFTS).index(e["shift"]), e["severity"]))
    for entry, p in zip(found, holm([e["difference"]["p"] for e in found]), strict=True):
        entry["difference"]["p_adjusted"] = perturbation.rounded(p)
    section["measured"] = {f"{e['shift']}:{e['severity']}": e for e in found}
    return replace(result, instruments={**result.instruments, "shifts": section})


def _section(result: Result, protocol: str, metric: str, fresh: bool) -> dict[str, Any]:
    clean = result.protocols[protocol].metrics[metric]
    section = {
        "version": DIAGNOSTIC_VERSION,
        "protocol": protocol,
        "metric": metric,
        "note": NOTE,
        "clean": {"value": clean.value, "low": clean.low, "high": clean.high},
        "spread": None,
        "measured": {},
    }
    before = result.instruments.get("shifts")
    same = ("version", "protocol", "metric")
    if fresh or before is None or any(before.get(key) != section[key] for key in same):
        return section
    kept = {
        name: entry
        for name, entry in before["measured"].items()
        if entry["shift"] in SHIFTS and entry["version"] == SHIFTS[entry["shift"]].version
    }
    return {**section, "spread": before["spread"], "measured": kept}


def _batches(levels: Sequence[Level], values_each: int) -> list[Sequence[Level]]:
    size = max(1, _HELD // max(values_each, 1))
    return [levels[start : start + size] for start in range(0, len(levels), size)]


def _vectors(
    ready: Prepared, levels: Sequence[Level], options: Options, settings: Settings
) -> tuple[dict[str, Any], Any, Any]:
    """Encode clean and shifted frames in one pass, so that every file is decoded once for all levels."""
    frames = ready.frames
    level_of: dict[bytes, Level] = {}
    shifted: list[FrameRef] = []
    for level in levels:
        for ref in frames.refs:
            # The level is part of the identity of a shifted frame: it can never be taken for the clean one.
            key = frame_key(ready.digests[ref.path], ref.frame, f"{ready.decoding}|{shift_key(level)}")
            level_of[key] = level
            shifted.append(FrameRef(ref.path, ref.frame, key))

    def transform(frame: Frame, key: bytes) -> Frame:
        level = level_of.get(key)
        return frame if level is None else shift_frame(frame, level)

    title = f"{ready.encoder.name} on shifted {ready.located.dataset.name}"
    found = embed(ready, options, settings, frames=frames, variants=shifted, transform=transform, title=title).vectors
    n = len(frames.refs)
    vectors = {str(level): found[(k + 1) * n : (k + 2) * n] for k, level in enumerate(levels)}
    return {"clean": found[:n], **vectors}, frames.unit_index, frames.places


def _scored(result: Result, protocol: str, metric: str, repeats: Sequence[Repeat]) -> dict[str, Any]:
    clean = perturbation.read(result, result.protocols[protocol].repeats)
    shifted = perturbation.read(result, repeats)
    found = perturbation.estimate(shifted, metric)
    entry: dict[str, Any] = {
        "estimate": {"value": found.value, "low": found.low, "high": found.high},
        "difference": perturbation.difference(shifted, clean, metric),
        "score": [repeat.score for repeat in repeats],
    }
    if metric in ("accuracy", "balanced_accuracy"):  # which need more than scores to be computed again
        entry["predicted"] = [repeat.predicted for repeat in repeats]
    return entry
