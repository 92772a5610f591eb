"""Near-identical pictures on both sides of a split: one patient under two names, or one picture published twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usbench.data.integrity import HASH_SIDE, NEAR, DatasetReport, check_dataset

if TYPE_CHECKING:
    from collections.abc import Callable

    from usbench.pipeline.context import Prepared
    from usbench.results.schema import Result

DIAGNOSTIC_VERSION = 1
_EXAMPLES = 5

_seen: dict[str, DatasetReport] = {}  # by fingerprint: the answer does not depend on the encoder


def find_duplicates(
    ready: Prepared, result: Result, progress: Callable[[int, int], None] | None = None
) -> dict[str, Any]:
    """Look for pictures of different subjects that nearly agree, and count those that a split keeps apart.

    Args:
        ready: Encoder, task and data.
        result: Its result, which says in which fold each unit is tested.
        progress: Called with files done and all files.

    Returns:
        The instrument. Files are compared by content and by a difference hash of their middle frame.
    """
    dataset = ready.located.dataset
    fingerprint = f"{dataset.name}:{dataset.fingerprint()}"
    if fingerprint not in _seen:
        _seen[fingerprint] = check_dataset(dataset, decode=True, progress=progress)
    report = _seen[fingerprint]
    unit_of = {path: i for i, unit in enumerate(ready.cohort.units) for path in unit.paths}
    repeats = next(iter(result.protocols.values())).repeats
    pairs = [p for p in (*report.shared, *report.alike) if p.first in unit_of and p.second in unit_of]
    across = []
    for pair in pairs:
        a, b = unit_of[pair.first], unit_of[pair.second]
        if any(repeat.fold[a] != repeat.fold[b] for repeat in repeats):
            across.append(pair)
    return {
        "version": DIAGNOSTIC_VERSION,
        "files": len(unit_of),
        "bits": HASH_SIDE**2,
        "near": NEAR,
        "identical": sum(pair.bits == 0 and pair in report.shared for pair in pairs),
        "pairs": len(pairs),
        "across": len(across),
        "examples": [
            {"first": p.first, "second": p.second, "subjects": list(p.subjects), "bits": p.bits}
            for p in across[:_EXAMPLES]
        ],
        "note": "",
    }
