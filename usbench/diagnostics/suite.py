"""All honesty instruments of one result, measured and kept with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench import results
from usbench.diagnostics import frame_budget, label_permutation, near_duplicates, perturbation, shortcut
from usbench.errors import UsbenchError, did_you_mean
from usbench.probes.facts import flat_and_nested
from usbench.results.schema import Result
from usbench.task.kinds import task_kind

if TYPE_CHECKING:
    from usbench.diagnostics.shifts import Level

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.pipeline.context import Options, Prepared

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
    "frame_budget": frame_budget.INSTRUMENT_VERSION,
    "duplicates": near_duplicates.INSTRUMENT_VERSION,
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
    if not task_kind(ready.task.kind).trains:
        raise UsbenchError(f"{ready.task.name} is a map: no probe is trained that an audit could question.")
    clean: perturbation.Variant | None = None
    for name in chosen_instruments(names):
        if not options.fresh and _current(result, name, n_permutations, shortcut_column):
            continue
        options.notify(f"[dim]{ready.encoder.name} on {result.board}: {name}[/dim]")
        if name == "optimism":
            found = _optimism(result)
        elif name == "frame_budget":
            found = frame_budget.measure_budget(ready, result, options, settings)
        elif name == "duplicates":
            text = f"pictures of {ready.located.dataset.name}"
            found = near_duplicates.find_duplicates(ready, result, _progress(options, text))
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


def embedded(ready: Prepared, options: Options, settings: Settings) -> perturbation.Variant:
    """Return the vectors of the task's own frames, from the store."""
    from usbench.pipeline.vectors import embed

    found = embed(ready, options, settings)
    return perturbation.Variant(found.vectors, found.unit_index)


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
    from usbench.diagnostics.optimism import optimism

    pair = flat_and_nested(result.protocols)
    metric = task_kind(result.task["kind"]).tuned
    if pair is None or metric is None:
        return {
            "version": OPTIMISM_VERSION,
            "note": "Not measured: the task has no protocol that tunes on its test folds.",
        }
    flat, nested = pair
    outcomes = [perturbation.outcome(result, result.protocols[p].repeats) for p in pair]
    found = optimism(outcomes[0], outcomes[1], (metric,), perturbation.RESAMPLES)[metric]
    parts = {k: perturbation.rounded(getattr(found, k)) for k in ("low", "high")}
    return {
        "version": OPTIMISM_VERSION,
        "flat": flat,
        "nested": nested,
        "metric": metric,
        "estimate": {"value": perturbation.rounded(found.difference), **parts},
        "note": "",
    }


def _permutation(ready: Prepared, result: Result, clean: perturbation.Variant, n: int) -> dict[str, Any]:
    from usbench.probes import ProbeData
    from usbench.probes.data import mean_by_unit

    labels, groups = np.asarray(ready.cohort.labels()), np.asarray(ready.cohort.groups)
    features = mean_by_unit(ProbeData(clean.vectors, clean.unit_index, labels, groups))
    test = label_permutation.permutation_of_labels(features, labels, groups, ready.task.kind == "regression", n)
    finite = test.null[np.isfinite(test.null)]
    low, high = (float(q) for q in np.quantile(finite, (0.025, 0.975)))
    return {
        "version": PERMUTATION_VERSION,
        "probe": "kernel ridge, penalty by leave-one-out error",
        "statistic": test.statistic,
        "n": n,
        "seed": 0,
        "observed": perturbation.rounded(test.observed),
        "p": test.p,
        "null": {
            "mean": perturbation.rounded(float(finite.mean())),
            "low": perturbation.rounded(low),
            "high": perturbation.rounded(high),
        },
        "note": "",
    }


def add_extras(
    ready: Prepared,
    result: Result,
    columns: Sequence[str],
    levels: Sequence[Level],
    options: Options,
    settings: Settings,
) -> Result:
    """Add strata and shifts to a result, and keep it on disk after each, as shifts can take long.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result.
        columns: Columns to score by.
        levels: Shifts to test under.
        options: How to run, and where results are kept.
        settings: Places to use.

    Raises:
        UsbenchError: A column makes no strata, or a shifted frame cannot be encoded.
    """
    if (columns or levels) and not task_kind(ready.task.kind).trains:
        raise UsbenchError(f"{ready.task.name} is a map: nothing is trained that strata or shifts could be asked of.")
    if columns:
        from usbench.diagnostics.subgroups import measure_strata

        result = measure_strata(ready, result, columns, options, settings)
        if options.results is not None:
            results.save(options.results, result)
    if levels:
        from usbench.diagnostics.shifts.robustness import measure_shifts

        result = measure_shifts(ready, result, levels, options, settings)
        if options.results is not None:
            results.save(options.results, result)
    return result
