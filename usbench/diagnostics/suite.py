"""All diagnostics of one result, measured and kept with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench import results
from usbench.diagnostics import (
    frame_budget,
    initialisations,
    label_efficiency,
    label_permutation,
    near_duplicates,
    perturbation,
    shortcut,
)
from usbench.errors import UsbenchError, did_you_mean
from usbench.probes.facts import nested_twin
from usbench.results.schema import Repeat, Result
from usbench.task.kinds import task_kind

if TYPE_CHECKING:
    from usbench.diagnostics.shifts import Level

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.pipeline.context import Options, Prepared
    from usbench.pipeline.vectors import Embedded

OPTIMISM_VERSION = 2
PERMUTATION_VERSION = 1
DEFAULT_PERMUTATIONS = 999


@dataclass(eq=False)
class Request:
    """What a diagnostic may look at.

    Attributes:
        prepared: Encoder, task and data that the result was computed from.
        result: The result, with the diagnostics that were measured before.
        options: How to run.
        settings: Places to use.
        n_permutations: How often labels are shuffled.
        shortcut_column: What to read from the embedding; the scanner or site where it is ``None``.
    """

    prepared: Prepared
    result: Result
    options: Options
    settings: Settings
    n_permutations: int = DEFAULT_PERMUTATIONS
    shortcut_column: str | None = None
    _embedded: Embedded | None = None

    def embedded(self) -> Embedded:
        """The task's own frames with their vectors, from the store; read once for all diagnostics."""
        if self._embedded is None:
            from usbench.pipeline.vectors import embed

            self._embedded = embed(self.prepared, self.options, self.settings)
        return self._embedded

    def clean(self) -> perturbation.Variant:
        """Vectors of the task's own frames, as a variant that probes are trained on."""
        found = self.embedded()
        return perturbation.Variant(found.vectors, found.unit_index, found.places)


@dataclass(frozen=True)
class Diagnostic:
    """One diagnostic of a score.

    Attributes:
        about: What it measures, in one sentence.
        version: Raised when the same predictions would get other figures, or the layout changes.
        measure: From a request to what is kept in the result: plain values, among them ``version`` and ``note``;
            nothing but these two where it does not apply, the note saying why.
        current: Whether what a result holds answers a request; a matter of the version alone by default.
    """

    about: str
    version: int
    measure: Callable[[Request], dict[str, Any]]
    current: Callable[[Request, Mapping[str, Any]], bool] = lambda request, held: True


def chosen_diagnostics(names: Sequence[str]) -> list[str]:
    """Return the diagnostics asked for, all of them for none.

    Raises:
        UsbenchError: A name is unknown.
    """
    for name in names:
        if name not in DIAGNOSTICS:
            hint = did_you_mean(name, DIAGNOSTICS)
            raise UsbenchError(f"--only {name}: no such diagnostic.{hint} There are {', '.join(DIAGNOSTICS)}.")
    return [name for name in DIAGNOSTICS if not names or name in names]


def audit(
    ready: Prepared,
    result: Result,
    options: Options,
    settings: Settings,
    names: Sequence[str] = (),
    n_permutations: int = DEFAULT_PERMUTATIONS,
    shortcut_column: str | None = None,
) -> Result:
    """Measure diagnostics and keep them with the result, on disk after each one.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result; what it holds already is not measured again, unless ``options.fresh`` or asked otherwise.
        options: How to run.
        settings: Places to use.
        names: Diagnostics; all by default.
        n_permutations: Permutations of the labels.
        shortcut_column: What to read from the embedding; the scanner by default.

    Returns:
        The result with its instruments.

    Raises:
        UsbenchError: A diagnostic is unknown, or cannot be applied for a reason that the user can fix.
    """
    if not task_kind(ready.task.kind).trains:
        raise UsbenchError(f"{ready.task.name} is a map: no probe is trained that an audit could question.")
    request = Request(ready, result, options, settings, n_permutations, shortcut_column)
    for name in chosen_diagnostics(names):
        diagnostic = DIAGNOSTICS[name]
        held = request.result.instruments.get(name)
        if (
            not options.fresh
            and held is not None
            and held.get("version") == diagnostic.version
            and diagnostic.current(request, held)
        ):
            continue
        options.notify(f"[dim]{ready.encoder.name} on {result.board}: {name}[/dim]")
        found = diagnostic.measure(request)
        request.result = replace(request.result, instruments={**request.result.instruments, name: found})
        if options.results is not None:
            results.save(options.results, request.result)
    return request.result


def embedded(ready: Prepared, options: Options, settings: Settings) -> perturbation.Variant:
    """Return the vectors of the task's own frames, from the store."""
    from usbench.pipeline.vectors import embed

    found = embed(ready, options, settings)
    return perturbation.Variant(found.vectors, found.unit_index, found.places)


def _optimism(request: Request) -> dict[str, Any]:
    from usbench.diagnostics.optimism import optimism

    result = request.result
    metric = task_kind(result.task["kind"]).tuned
    pair = next(((flat, nested) for flat in result.protocols if (nested := nested_twin(flat))), None)
    if pair is None or metric is None:
        return {
            "version": OPTIMISM_VERSION,
            "note": "Not measured: the task has no protocol that tunes on its test folds.",
        }
    flat, nested = pair
    outcomes = [perturbation.read(result, _repeats(request, protocol)) for protocol in pair]
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


def _repeats(request: Request, protocol: str) -> Sequence[Repeat]:
    """Return the predictions of a protocol: those of the result, or made now from the same vectors and splits."""
    if protocol in request.result.protocols:
        return request.result.protocols[protocol].repeats
    from usbench.evaluation.scoring import evaluate, probe_data
    from usbench.task.cohort import draw_splits

    task, cohort, clean = request.prepared.task, request.prepared.cohort, request.clean()
    splits = draw_splits(task.split, cohort)
    data = probe_data(cohort, clean.vectors, clean.unit_index, clean.places)
    return evaluate(protocol, task, cohort, data, splits, halves=False).repeats


def _permutation(request: Request) -> dict[str, Any]:
    from usbench.evaluation.scoring import probe_data
    from usbench.probes.data import unit_features

    ready, clean, n = request.prepared, request.clean(), request.n_permutations
    data = probe_data(ready.cohort, clean.vectors, clean.unit_index, clean.places)
    numeric = ready.task.kind in ("regression", "ordinal")
    test = label_permutation.permutation_of_labels(unit_features(data), data.y, data.groups, numeric, n)
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


def _duplicates(request: Request) -> dict[str, Any]:
    options, text = request.options, f"pictures of {request.prepared.located.dataset.name}"
    return near_duplicates.find_duplicates(
        request.prepared, request.result, lambda done, total: options.progress(text, done, total)
    )


def _shortcut(request: Request) -> dict[str, Any]:
    return shortcut.probe_shortcut(request.prepared, request.result, request.clean(), request.shortcut_column)


def _frame_budget(request: Request) -> dict[str, Any]:
    return frame_budget.measure_budget(request.prepared, request.result, request.embedded())


def _initialisations(request: Request) -> dict[str, Any]:
    return initialisations.measure_initialisations(request.prepared, request.result, request.options, request.settings)


def _label_efficiency(request: Request) -> dict[str, Any]:
    return label_efficiency.measure_label_efficiency(request.prepared, request.result, request.clean())


def _same_column(request: Request, held: Mapping[str, Any]) -> bool:
    return request.shortcut_column is None or held.get("column") == request.shortcut_column


def _same_number(request: Request, held: Mapping[str, Any]) -> bool:
    return "n" not in held or held["n"] == request.n_permutations


DIAGNOSTICS: dict[str, Diagnostic] = {
    "optimism": Diagnostic("How much tuning on the scored folds flatters.", OPTIMISM_VERSION, _optimism),
    "label_efficiency": Diagnostic(
        "The score on shares of the training subjects.", label_efficiency.DIAGNOSTIC_VERSION, _label_efficiency
    ),
    "shortcut": Diagnostic(
        "How well the scanner can be read from the embedding, and the score within one scanner.",
        shortcut.DIAGNOSTIC_VERSION,
        _shortcut,
        _same_column,
    ),
    "frame_budget": Diagnostic(
        "The score on fewer frames, drawn several times.", frame_budget.DIAGNOSTIC_VERSION, _frame_budget
    ),
    "initialisations": Diagnostic(
        "The score of an untrained network over several seeds.",
        initialisations.DIAGNOSTIC_VERSION,
        _initialisations,
    ),
    "duplicates": Diagnostic(
        "Near-identical images of different subjects across the split.",
        near_duplicates.DIAGNOSTIC_VERSION,
        _duplicates,
    ),
    "permutation": Diagnostic(
        "Whether shuffled labels would score as well.", PERMUTATION_VERSION, _permutation, _same_number
    ),
}
"""Diagnostics by their name in a result, in the order of measuring and printing."""


def add_extras(
    ready: Prepared,
    result: Result,
    columns: Sequence[str],
    levels: Sequence[Level],
    options: Options,
    settings: Settings,
    efficiency: bool = False,
) -> Result:
    """Add strata, shifts and the label efficiency to a result, and keep it on disk after each, as shifts can take long.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result.
        columns: Columns to score by.
        levels: Shifts to test under.
        options: How to run, and where results are kept.
        settings: Places to use.
        efficiency: Whether to score on shares of the training subjects; of a map, which trains nothing, there is none.

    Raises:
        UsbenchError: A column makes no strata, or a shifted frame cannot be encoded.
    """
    if (columns or levels) and not task_kind(ready.task.kind).trains:
        raise UsbenchError(f"{ready.task.name} is a map: nothing is trained that strata or shifts could be asked of.")
    if efficiency and task_kind(ready.task.kind).trains:
        result = audit(ready, result, options, settings, ["label_efficiency"])
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
