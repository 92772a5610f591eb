"""What differs between two result files, in the order in which a reader would ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from usbench.results.schema import Result


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        where: Part of the file.
        before: In the first file.
        after: In the second file.
    """

    where: str
    before: str
    after: str


def diff(a: Result, b: Result) -> list[Change]:
    """Compare two results: what was asked, who was decided about, predictions, metrics, and how they came about.

    Args:
        a: First result.
        b: Second result.

    Returns:
        The differences; timings are left out, as they differ every time.
    """
    found = list(_facts("task", a.task, b.task))
    found += _facts("dataset", a.dataset, b.dataset)
    found += _facts("encoder", a.encoder, b.encoder)
    found += _facts("leakage", a.leakage, b.leakage)
    found += _units(a, b)
    for protocol in dict.fromkeys([*a.protocols, *b.protocols]):
        found += _protocol(a, b, protocol)
    if a.inputs != b.inputs:
        found.append(Change("inputs", a.inputs[:12], b.inputs[:12]))
    found += _facts("provenance", _without_timings(a.provenance), _without_timings(b.provenance))
    return found


def _facts(where: str, a: Any, b: Any) -> Iterator[Change]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in dict.fromkeys([*a, *b]):
            yield from _facts(f"{where}.{key}", a.get(key), b.get(key))
    elif a != b:
        yield Change(where, _short(a), _short(b))


def _units(a: Result, b: Result) -> Iterator[Change]:
    first = dict(zip(a.units.id, zip(a.units.subject, map(str, a.units.target), strict=True), strict=True))
    second = dict(zip(b.units.id, zip(b.units.subject, map(str, b.units.target), strict=True), strict=True))
    only_a, only_b = [u for u in first if u not in second], [u for u in second if u not in first]
    if only_a or only_b:
        yield Change("units", f"{len(only_a)} only here {_some(only_a)}", f"{len(only_b)} only here {_some(only_b)}")
    changed = [u for u in first if u in second and first[u] != second[u]]
    if changed:
        yield Change("units", f"{len(changed)} with another subject or target", _some(changed))


def _protocol(a: Result, b: Result, name: str) -> Iterator[Change]:
    first, second = a.protocols.get(name), b.protocols.get(name)
    if first is None or second is None:
        yield Change(name, "absent" if first is None else "present", "absent" if second is None else "present")
        return
    for metric in dict.fromkeys([*first.metrics, *second.metrics]):
        before, after = first.metrics.get(metric), second.metrics.get(metric)
        if before != after:
            yield Change(f"{name}, {metric}", _estimate(before), _estimate(after))
    if len(first.repeats) != len(second.repeats):
        yield Change(f"{name}, repeats", str(len(first.repeats)), str(len(second.repeats)))
        return
    for part in ("fold", "score", "predicted"):
        names = _changed_units(a, b, name, part)
        if names:
            yield Change(f"{name}, {part}", f"{len(names)} units differ", _some(names))
    yield from _facts(f"{name}, hyperparameters", first.hyperparameters, second.hyperparameters)


def _changed_units(a: Result, b: Result, protocol: str, part: str) -> list[str]:
    """Return the units whose fold, score or class differs in some repeat."""
    changed: dict[str, None] = {}
    for one, other in zip(a.protocols[protocol].repeats, b.protocols[protocol].repeats, strict=True):
        before = dict(zip(a.units.id, getattr(one, part) or [None] * len(a.units.id), strict=False))
        after = dict(zip(b.units.id, getattr(other, part) or [None] * len(b.units.id), strict=False))
        changed.update({unit: None for unit in before if unit in after and before[unit] != after[unit]})
    return list(changed)


def _estimate(estimate: Any) -> str:
    if estimate is None or estimate.value is None:
        return "absent"
    if estimate.low is None:
        return f"{estimate.value:.4f}"
    return f"{estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"


def _without_timings(provenance: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in provenance.items() if key != "timings"}


def _some(names: list[str], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (" ..." if len(names) > limit else "")


def _short(value: Any) -> str:
    text = "absent" if value is None else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
