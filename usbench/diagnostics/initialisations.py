"""How much of an untrained network's score is the luck of its initialisation?

The same frames are encoded by the same network drawn from other seeds, and the same probe is tuned and trained anew on
each. The seed of the result itself is one of them. A baseline that depends on a draw says little by one draw.
"""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from usbench.diagnostics import perturbation
from usbench.statistics.metrics import compute

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.pipeline.context import Options, Prepared
    from usbench.results.schema import Result

DIAGNOSTIC_VERSION = 1
SEEDS = 5


def measure_initialisations(ready: Prepared, result: Result, options: Options, settings: Settings) -> dict[str, Any]:
    """Score the network of an untrained encoder as other seeds draw it.

    Args:
        ready: Encoder, task and data.
        result: Its result.
        options: How to run.
        settings: Where the store is.

    Returns:
        The diagnostic: the seeds, that of the result first, the score of each, their mean and standard deviation; or
        a ``note`` that says why there is none.
    """
    from usbench.encoder.combined import Combined
    from usbench.evaluation.scoring import evaluate, probe_data
    from usbench.pipeline.vectors import embed
    from usbench.task.cohort import draw_splits

    own = ready.encoder.weights_seed
    if own is None:
        why = (
            "its parts are drawn apart"
            if isinstance(ready.encoder, Combined)
            else "its weights are not drawn at random"
        )
        return {"version": DIAGNOSTIC_VERSION, "note": f"Not measured: {why}."}
    protocol = perturbation.honest_protocol(result)
    metric = perturbation.primary_metric(result, protocol)
    splits = draw_splits(ready.task.split, ready.cohort)
    seeds = [own, *(seed for seed in range(SEEDS + 1) if seed != own)][:SEEDS]
    values = [compute(metric, perturbation.read(result, result.protocols[protocol].repeats))]
    for seed in seeds[1:]:
        # That of the last seed is let go before the next is built.
        drawn = replace(ready, encoder=ready.encoder.with_seed(seed))
        title = f"{ready.encoder.name}, seed {seed}, on {ready.located.dataset.name}"
        found = embed(drawn, options, settings, frames=ready.frames, title=title)
        data = probe_data(ready.cohort, found.vectors, found.unit_index, found.places)
        scored = evaluate(protocol, ready.task, ready.cohort, data, splits, halves=False)
        values.append(compute(metric, perturbation.read(result, scored.repeats)))
    known = [value for value in values if value is not None]
    if len(known) < SEEDS:
        note = f"Not measured: {metric} has no value for {SEEDS - len(known)} of {SEEDS} seeds."
        return {"version": DIAGNOSTIC_VERSION, "note": note}
    return {
        "version": DIAGNOSTIC_VERSION,
        "protocol": protocol,
        "metric": metric,
        "seeds": seeds,
        "values": [perturbation.rounded(value) for value in known],
        "mean": perturbation.rounded(statistics.fmean(known)),
        "sd": perturbation.rounded(statistics.stdev(known)),
        "note": "",
    }
