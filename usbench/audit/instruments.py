"""All honesty instruments of one result, measured and kept with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench import results
from usbench.audit import budget, duplicates, permutation, shortcut, variants
from usbench.errors import UsbenchError, did_you_mean
from usbench.results import Result

if TYPE_CHECKING:
    from usbench.runner import Options, Prepared
    from usbench.settings import Settings

INSTRUMENTS: dict[str, str] = {
    "optimism": "How much tuning on the scored folds flatters.",
    "shortcut": "How well the scanner can be read from the embedding, and the score within one scanner.",
    "frame_budget": "The score on fewer frames.",
    "duplicates": "Near-identical pictures of different subjects across the split.",
    "permutation": "Whether shuffled labels would score as well.",
}
"""Name in the result and what it measures, in the order of printing."""

OPTIMISM_VERSION = 1
PERMUTATION_VERSION = 1
DEFAULT_PERMUTATIONS = 999

_VERSIONS = {
    "optimism": OPTIMISM_VERSION,
    "shortcut": shortcut.INSTRUMENT_VERSION,
    "frame_budget": budget.INSTRUMENT_VERSION,
    "duplicates": duplicates.INSTRUMENT_VERSION,
    "permutation": PERMUTATION_VERSION,
}


def chosen_instruments(names: Sequence[str]) -> list[str]:
    """Return the instruments asked for, all of them for none.

    Raises:
        UsbenchError: A name is unknown.
    """
    for name in names:
        if name not in INSTRUMENTS:
            hint = did_you_mean(name, INSTRUMENTS)
            raise UsbenchError(f"--only {name}: no such instrument.{hint} There are {', '.join(INSTRUMENTS)}.")
    return [name for name in INSTRUMENTS if not names or name in names]


def audit(
    ready: Prepared,
    result: Result,
    options: Options,
    settings: Settings,
    names: Sequence[str] = (),
    n_permutations: int = DEFAULT_PERMUTATIONS,
    shortcut_column: str | None = None,
) -> Result:
    """Measure instruments and keep them with the result, on disk after each one.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result; what it holds already is not measured again, unless ``options.fresh`` or asked otherwise.
        options: How to run.
        settings: Places to use.
        names: Instruments; all by default.
        n_permutations: Deals of the labels.
        shortcut_column: What to read from the embedding; the scanner by default.

    Returns:
        The result with its instruments.

    Raises:
        UsbenchError: An instrument is unknown, or cannot be applied for a reason that the user can mend.
    """
    if ready.task.kind == "map":
        raise UsbenchError(f"{ready.task.name} is a map: no probe is trained that an audit could question.")
    clean: variants.Variant | None = None
    for name in chosen_instruments(names):
        if not options.fresh and _current(result, name, n_permutations, shortcut_column):
            continue
        options.say(f"[dim]{ready.encoder.name} on {result.board}: {name}[/dim]")
        if name == "optimism":
            found = _optimism(result)
        elif name == "frame_budget":
            found = budget.measure_budget(ready, result, options, settings)
        elif name == "duplicates":
            text = f"pictures of {ready.located.dataset.name}"
            found = duplicates.find_duplicates(ready, result, _progress(options, text))
        else:
            clean = clean or embedded(ready, options, settings)
            if name == "shortcut":
                found = shortcut.probe_shortcut(ready, result, clean, shortcut_column)
            else:
                found = _permutation(ready, result, clean, n_permutations)
        result = replace(result, instruments={**result.instruments, name: found})
        if options.results is not None:
            results.save(options.results, result)
    return result


def embedded(ready: Prepared, options: Options, settings: Settings) -> variants.Variant:
    """Return the vectors of the task's own frames, from the store."""
    from usbench.embedding.engine import extract
    from usbench.embedding.store import Store
    from usbench.units import select_frames

    dataset = ready.located.dataset
    refs, owner, _ = select_frames(ready.cohort, dataset, ready.task.frames, dict(ready.digests), ready.decoding)
    store = Store(settings.store_dir, ready.encoder.identity())
    found = extract(ready.encoder, dataset, refs, store, batch_size=options.batch_size, workers=options.workers)
    return variants.Variant(found.vectors, np.asarray(owner, dtype=np.int64))


def _progress(options: Options, text: str) -> Callable[[int, int], None]:
    return lambda done, total: options.progress(text, done, total)


def _current(result: Result, name: str, n_permutations: int, column: str | None) -> bool:
    held = result.instruments.get(name)
    if held is None or held.get("version") != _VERSIONS[name]:
        return False
    if name == "permutation":
        return bool(held.get("n") == n_permutations or "n" not in held)
    return name != "shortcut" or column is None or held.get("column") == column


def _optimism(result: Result) -> dict[str, Any]:
    from usbench.leaderboard import formats
    from usbench.probes.optimism import optimism

    flat = next((p for p in result.protocols if "-paper" in p), None)
    nested = next((p for p in result.protocols if "-nested" in p), None)
    metric = formats.TUNED.get(result.task["kind"])
    if flat is None or nested is None or metric is None or not flat.startswith("svc"):
        return {
            "version": OPTIMISM_VERSION,
            "note": "Not measured: the task has no protocol that tunes on its test folds.",
        }
    outcomes = [variants.outcome(result, result.protocols[p].repeats) for p in (flat, nested)]
    found = optimism(outcomes[0], outcomes[1], (metric,), variants.RESAMPLES)[metric]
    parts = {k: variants.rounded(getattr(found, k)) for k in ("low", "high")}
    return {
        "version": OPTIMISM_VERSION,
        "flat": flat,
        "nested": nested,
        "metric": metric,
        "estimate": {"value": variants.rounded(found.difference), **parts},
        "note": "",
    }


def _permutation(ready: Prepared, result: Result, clean: variants.Variant, n: int) -> dict[str, Any]:
    from usbench.probes import ProbeData
    from usbench.probes.data import mean_by_unit

    labels, groups = np.asarray(ready.cohort.labels()), np.asarray(ready.cohort.groups)
    features = mean_by_unit(ProbeData(clean.vectors, clean.owner, labels, groups))
    test = permutation.permutation_of_labels(features, labels, groups, ready.task.kind == "regression", n)
    finite = test.null[np.isfinite(test.null)]
    low, high = (float(q) for q in np.quantile(finite, (0.025, 0.975)))
    return {
        "version": PERMUTATION_VERSION,
        "probe": "kernel ridge, penalty by leave-one-out error",
        "statistic": test.statistic,
        "n": n,
        "seed": 0,
        "observed": variants.rounded(test.observed),
        "p": test.p,
        "null": {
            "mean": variants.rounded(float(finite.mean())),
            "low": variants.rounded(low),
            "high": variants.rounded(high),
        },
        "note": "",
    }
