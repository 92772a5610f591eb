"""Running encoders on tasks: from names to results on disk.

The path of one run is: resolve names, index the dataset, choose frames, take embeddings from the store and encode what
is missing, probe, add intervals, write the result. A result whose inputs have not changed is returned as it is.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench import results
from usbench.core import provenance
from usbench.core.provenance import typed_command
from usbench.core.settings import Settings
from usbench.data.manifest import ManifestDataset
from usbench.encoder.base import Encoder
from usbench.encoder.variants import row_name, row_title, spelling
from usbench.errors import ResultError
from usbench.evaluation.restate import with_current_intervals
from usbench.pipeline.context import Options, Prepared
from usbench.pipeline.leakage import leakage
from usbench.plugins.data_sources import Located
from usbench.results.rows import refuse_another
from usbench.task.task import Task

if TYPE_CHECKING:
    from usbench.embedding.extract import Extraction
    from usbench.pipeline.vectors import Embedded
    from usbench.task.cohort import Cohort


def run_prepared(ready: Prepared, options: Options, settings: Settings) -> results.Result:
    """Encode, probe and score, unless an equal result exists.

    Args:
        ready: Encoder, task and data.
        options: How to run.
        settings: Places to use.

    Raises:
        UsbenchError: What went wrong, in one message.
    """
    if options.results is not None and not options.fresh and (kept := _cached(options, ready)):
        name, current = kept.encoder["name"], with_current_intervals(kept)
        if current is not kept:
            options.notify(f"{name} on {kept.board}: intervals were by an earlier rule and are restated.")
        if (now := _leakage(ready)) != current.leakage:
            # What was declared since, or is judged otherwise by a newer program, moves no figure.
            current = replace(current, leakage=now)
        if current is not kept:
            results.save(options.results, current)
            kept = current
        options.notify(f"{name} on {kept.board}: nothing has changed, answered from {options.results}.")
        return kept
    if not options.replace:
        _refuse_another(options, ready)
    result = _compute(ready, options, settings)
    if options.results is not None:
        results.save(options.results, result)
    return result


def _compute(ready: Prepared, options: Options, settings: Settings) -> results.Result:
    from usbench.pipeline.vectors import embed

    encoder, task, located, cohort = ready.encoder, ready.task, ready.located, ready.cohort
    screened = _screened(ready, options)
    embedded = embed(ready, options, settings)
    started = time.perf_counter()
    protocols, figures = _answers(ready, embedded, options)
    frames = np.bincount(embedded.unit_index, minlength=len(cohort.units)).tolist()
    return results.Result(
        task=_task_facts(task, cohort, located),
        dataset=_dataset_facts(located, cohort, frames, (*cohort.notes, *embedded.frames.notes), len(ready.digests)),
        encoder={**encoder_facts(encoder), "embedding_dim": int(embedded.vectors.shape[1])},
        leakage=_leakage(ready),
        units=cohort.describe(frames),
        protocols=protocols,
        figures=figures,
        inputs=ready.inputs,
        provenance={
            **_provenance(encoder, embedded.extraction, len(embedded.frames.refs), time.perf_counter() - started),
            **screened,
        },
    )


def _screened(ready: Prepared, options: Options) -> dict[str, Any]:
    """Measure, before anything is encoded, what a precision that is for screening changes."""
    from usbench.embedding.precision import measure_int8

    found = measure_int8(ready.encoder, ready.located.dataset, ready.frames.refs)
    if found is None:
        return {}
    options.notify(f"{ready.encoder.name}: {found.describe()}")
    return {"int8": found.facts()}


def _answers(
    ready: Prepared, embedded: Embedded, options: Options
) -> tuple[dict[str, results.ProtocolResult], dict[str, Any]]:
    """Return the outcome of every protocol, and further figures: of a map, or the drop against folds by subject."""
    from usbench.evaluation.drop import measure_drop, measures_drop
    from usbench.evaluation.scoring import evaluate, probe_data
    from usbench.task.cohort import draw_splits

    encoder, task, cohort = ready.encoder, ready.task, ready.cohort
    vectors, unit_index = embedded.vectors, embedded.unit_index
    if task.kind == "map":
        from usbench.evaluation.retrieval import score_map

        options.notify(f"[dim]{encoder.name} on {task.name}: neighbours, and maps of {len(cohort.units)} units[/dim]")
        return score_map(task, cohort, vectors, unit_index)
    splits = draw_splits(task.split, cohort)
    data = probe_data(cohort, vectors, unit_index, embedded.places)
    protocols = {}
    for protocol in task.protocols:
        options.notify(f"[dim]{encoder.name} on {task.name}: {protocol}[/dim]")
        protocols[protocol] = evaluate(protocol, task, cohort, data, splits)
    if measures_drop(task):
        options.notify(f"[dim]{encoder.name} on {task.name}: the drop against folds by subject[/dim]")
        found = measure_drop(task, cohort, vectors, unit_index, embedded.places, protocols)
        return protocols, {"drop": found} if found else {}
    return protocols, {}


def _leakage(ready: Prepared) -> dict[str, str]:
    return leakage(ready.encoder, ready.located, ready.task, ready.digests)


def _place(folder: Path, ready: Prepared) -> Path:
    task, dataset = ready.task, ready.located.dataset
    board = results.board_name(task.name, task.dataset, dataset.name)
    return results.file_of(folder, board, row_name(ready.encoder))


def _cached(options: Options, ready: Prepared) -> results.Result | None:
    if options.results is None:
        return None
    path = _place(options.results, ready)
    if not path.exists():
        return None
    try:
        result = results.load(path)
    except ResultError as error:  # damaged, changed by hand or of another schema
        options.notify(f"{error} It is computed again now.")
        return None
    return result if result.inputs == ready.inputs else None


def _refuse_another(options: Options, ready: Prepared) -> None:
    """Refuse, before anything is encoded, to replace the result of another network that has the same name."""
    if options.results is None:
        return
    path = _place(options.results, ready)
    try:
        there = results.load(path) if path.exists() else None
    except ResultError:  # it has been said above
        return
    if there is not None:
        refuse_another(path, there.encoder, encoder_facts(ready.encoder))


# What a split is called that stands in a table of the user's own: nobody has published it.
_OWN_SPLITS = {"fixed": "the train/test split of the table", "official": "the folds of the table"}


def _split_in_words(task: Task, located: Located) -> str:
    if task.transfer is not None:
        return task.transfer.describe()
    own = located.provision == "own" and isinstance(located.dataset, ManifestDataset)
    return _OWN_SPLITS.get(task.split.kind, task.split.describe()) if own else task.split.describe()


def _task_facts(task: Task, cohort: Cohort, located: Located) -> dict[str, Any]:
    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind,
        "dataset": Path(task.dataset).name,  # of a manifest, its file: the folder is nobody's business
        "target": task.target,
        "positive": cohort.classes[-1] if task.kind == "binary" else None,
        "unit": task.unit,
        "frames": task.frames.describe(),
        "split": _split_in_words(task, located),
        **({"slots": task.slots.describe()} if task.slots else {}),
        "threshold": task.threshold,
        **({"further_thresholds": list(task.further_thresholds)} if task.further_thresholds else {}),
        "unit_of_target": task.unit_of_target,
        "reported": task.reported,
    }


def _dataset_facts(
    located: Located, cohort: Cohort, frames: Sequence[int], notes: tuple[str, ...], files: int
) -> dict[str, Any]:
    card = located.dataset.card
    counts: dict[str, Any] = {
        "subjects": len(set(cohort.groups)),
        "units": len(cohort.units),
        "files": files,
        "frames": sum(frames),
    }
    if cohort.classes:
        counts["classes"] = {name: sum(u.target == name for u in cohort.units) for name in cohort.classes}
    return {
        "name": located.dataset.name,
        "cohort": card.cohort or located.dataset.name,
        "title": card.title,
        "provision": located.provision,
        "synthetic": card.synthetic,
        "licence": card.licence,
        "citation": card.citation,
        "url": card.url,
        "note": card.note,
        "fingerprint": located.dataset.fingerprint(),
        "counts": counts,
        "notes": list(notes),
    }


def encoder_facts(encoder: Encoder) -> dict[str, Any]:
    """Return what a result says of its encoder.

    Args:
        encoder: An encoder that is ready, its precision settled.
    """
    card, identity = encoder.card, encoder.identity()
    name, spelt = row_name(encoder), spelling(encoder)
    stated = {
        "year": card.year,
        "pretraining_kind": card.pretraining_kind,
        "pretraining_modality": card.pretraining_modality,
    }
    return {
        "name": name,
        "title": row_title(encoder),
        **({"base": encoder.name} if name != encoder.name else {}),
        **({"spelling": spelt} if spelt != name else {}),
        "floor": card.floor,
        "embedding_dim": card.embedding_dim,
        "parameters": card.parameters,
        "gflops": card.gflops,
        "input_size": list(card.input_size) if card.input_size else None,
        "licence": card.licence,
        "citation": card.citation,
        "url": card.url,
        **{key: value for key, value in stated.items() if value},
        "weights": identity.weights,
        "version": identity.version,
        "preprocessing": identity.preprocessing,
        "pooling": identity.pooling,
        "precision": encoder.precision_of_vectors(),
        "identity": identity.digest(),
        **({"source": identity.source} if identity.source else {}),
    }


def _provenance(encoder: Encoder, extraction: Extraction, frames: int, probe_seconds: float) -> dict[str, Any]:
    timings: dict[str, Any] = {"frames": frames, "encoded_now": extraction.encoded}
    if extraction.encoded:
        timings["encode_seconds"] = round(extraction.seconds, 2)
        timings["network_seconds"] = round(extraction.network_seconds, 2)
        timings["images_per_second"] = round(extraction.encoded / extraction.seconds, 2)
    timings["probe_seconds"] = round(probe_seconds, 2)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "command": typed_command(),
        "revision": provenance.revision(),
        "packages": provenance.package_versions(),
        "machine": {**provenance.machine(), "device": encoder.device},
        "timings": timings,
    }
