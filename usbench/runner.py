"""Running encoders on tasks: from names to results on disk.

The path of one run is: resolve names, index the dataset, choose frames, take embeddings from the store and encode what
is missing, probe, add intervals, write the result. A result whose inputs have not changed is returned as it is.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench import provenance, results
from usbench.encoder import Encoder
from usbench.errors import ResultError, UsbenchError
from usbench.locate import Located, dataset_for
from usbench.plugins import load_encoder, load_task
from usbench.settings import Settings, load_settings
from usbench.survey import survey
from usbench.task import Task

if TYPE_CHECKING:
    from usbench.embedding.engine import Extraction
    from usbench.encoder import Vectors
    from usbench.units import Cohort

# Raised when the orchestration, the pairing of frames and units, or the meaning of a field changes.
RUNNER_VERSION = 1

# What is said while running: a message, or progress as (text, done, total).
Say = Callable[[str], None]
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        data: ``phantom``, ``subset``, a path, or ``None`` to search.
        results: Folder of results; ``None`` keeps nothing on disk.
        batch_size: Frames a forward pass; the encoder's own by default.
        workers: Decoding threads.
        fresh: Whether to probe again although an equal result exists.
        say: Called with messages for the user.
        progress: Called while frames are encoded.
    """

    data: str | None = None
    results: Path | None = None
    batch_size: int | None = None
    workers: int | None = None
    fresh: bool = False
    say: Say = field(default=lambda message: None)
    progress: Progress = field(default=lambda text, done, total: None)


def run(
    encoder: str | Encoder | Iterable[str | Encoder],
    task: str | Task | Iterable[str | Task],
    *,
    data: str | None = None,
    data_root: str | Path | Iterable[str | Path] = (),
    results_dir: str | Path | None = None,
    device: str = "cpu",
    precision: str = "fp32",
    by: Sequence[str] = (),
    shift: Sequence[str] = (),
    settings: Settings | None = None,
) -> results.Results:
    """Run every encoder on every task.

    Args:
        encoder: Name, encoder, or several.
        task: Name, task, or several.
        data: ``"phantom"`` for a task's synthetic twin, ``"subset"`` for its embedded subset, or a path.
        data_root: Folders in which datasets are found by name.
        results_dir: Where results are kept; by default nothing is written but embeddings.
        device: torch device for encoders given by name.
        precision: ``fp32``, ``bf16`` or ``auto`` for encoders given by name.
        by: Columns to score by as well, such as ``["device"]``; in ``instruments["strata"]`` of each result.
        shift: Acquisition shifts to test under as well, such as ``["gain:1..5"]``; in ``instruments["shifts"]``.
        settings: Places to use instead of the configured ones.

    Returns:
        One result a pair; ``.to_frame()`` gives a table.

    Raises:
        UsbenchError: What went wrong, in one message; results finished before it are on disk.
    """
    from usbench.audit.extras import add_extras
    from usbench.shifts import parse_shifts

    roots = [data_root] if isinstance(data_root, str | Path) else list(data_root)
    encoders = [
        load_encoder(e, device=device, precision=precision) if isinstance(e, str) else e for e in _several(encoder)
    ]
    tasks = [load_task(t) if isinstance(t, str) else t for t in _several(task)]
    options = Options(data=data, results=Path(results_dir) if results_dir is not None else None)
    places = settings or load_settings(roots)
    levels, columns = parse_shifts(shift), list(dict.fromkeys(by))
    finished = []
    for one_task in tasks:
        for one_encoder in encoders:
            ready = prepare(one_encoder, one_task, options, places)
            result = run_prepared(ready, options, places)
            finished.append(add_extras(ready, result, columns, levels, options, places))
    return results.Results(finished)


@dataclass(frozen=True)
class Prepared:
    """An encoder and a task on its dataset, indexed and checked, but not yet encoded.

    Attributes:
        encoder: The encoder.
        task: The task.
        located: Its dataset.
        cohort: The units to decide about.
        digests: SHA-256 of the content behind each path.
        decoding: Versions of everything between file and pixels, for the keys of frames.
        inputs: Digest of everything that decides the outcome.
    """

    encoder: Encoder
    task: Task
    located: Located
    cohort: Cohort
    digests: Mapping[str, str]
    decoding: str
    inputs: str


def prepare(encoder: Encoder, task: Task, options: Options, settings: Settings) -> Prepared:
    """Find and index the dataset of a task.

    Args:
        encoder: The encoder.
        task: The task.
        options: How to run.
        settings: Places to use.

    Raises:
        UsbenchError: The encoder is not ready, or the dataset is absent or does not fit the task.
    """
    from usbench.embedding.precision import settle
    from usbench.units import build_cohort, select_frames

    readiness = encoder.readiness()
    if not readiness.ready:
        raise UsbenchError(readiness.reason)
    located = dataset_for(task, settings, options.data)
    _announce(task, located, options.say)
    dataset = located.dataset
    cohort = build_cohort(task, dataset)
    paths = sorted({path for unit in cohort.units for path in unit.paths})
    digests = survey(dataset.digest, paths)
    decoding = decoding_versions()
    if encoder.precision == "auto":
        refs, _, _ = select_frames(cohort, dataset, task.frames, digests, decoding)
        decision = settle(encoder, dataset, refs)
        if decision is not None:
            options.say(f"{encoder.name}: {decision.describe()}")
    inputs = inputs_digest(encoder, task, located, digests, decoding)
    return Prepared(encoder, task, located, cohort, digests, decoding, inputs)


def decoding_versions() -> str:
    """Return the versions of everything between file and pixels, for the keys of frames."""
    from usbench.media import MEDIA_VERSION, decoder_versions

    return json.dumps({"media": MEDIA_VERSION, **decoder_versions()}, sort_keys=True)


def run_one(encoder: Encoder, task: Task, options: Options, settings: Settings) -> results.Result:
    """Run one encoder on one task.

    Args:
        encoder: The encoder.
        task: The task.
        options: How to run.
        settings: Places to use.

    Raises:
        UsbenchError: What went wrong, in one message.
    """
    return run_prepared(prepare(encoder, task, options, settings), options, settings)


def run_prepared(ready: Prepared, options: Options, settings: Settings) -> results.Result:
    """Encode, probe and score, unless an equal result exists.

    Args:
        ready: Encoder, task and data.
        options: How to run.
        settings: Places to use.

    Raises:
        UsbenchError: What went wrong, in one message.
    """
    if not options.fresh and (kept := _kept(options.results, ready)):
        options.say(f"{ready.encoder.name} on {kept.board}: nothing has changed, answered from {options.results}.")
        return kept
    result = _compute(ready, options, settings)
    if options.results is not None:
        results.save(options.results, result)
    return result


def _compute(ready: Prepared, options: Options, settings: Settings) -> results.Result:
    from usbench.embedding.engine import extract
    from usbench.embedding.store import Store
    from usbench.units import select_frames

    encoder, task, located, cohort = ready.encoder, ready.task, ready.located, ready.cohort
    refs, owner, frame_notes = select_frames(cohort, located.dataset, task.frames, dict(ready.digests), ready.decoding)
    text = f"{encoder.name} on {located.dataset.name}"
    extraction = extract(
        encoder,
        located.dataset,
        refs,
        Store(settings.store_dir, encoder.identity()),
        batch_size=options.batch_size,
        workers=options.workers,
        progress=lambda done, total: options.progress(text, done, total),
    )
    started = time.perf_counter()
    protocols, figures = _answers(ready, extraction.vectors, owner, options)
    frames = [0] * len(cohort.units)
    for position in owner:
        frames[position] += 1
    return results.Result(
        task=_task_facts(task),
        dataset=_dataset_facts(located, cohort, frames, (*cohort.notes, *frame_notes), len(ready.digests)),
        encoder=_encoder_facts(encoder, int(extraction.vectors.shape[1])),
        leakage=leakage(encoder, located),
        units=cohort.describe(frames),
        protocols=protocols,
        figures=figures,
        inputs=ready.inputs,
        provenance=_provenance(encoder, extraction, len(refs), time.perf_counter() - started),
    )


def _answers(
    ready: Prepared, vectors: Vectors, owner: Sequence[int], options: Options
) -> tuple[dict[str, results.ProtocolResult], dict[str, Any]]:
    """Return the outcome of every protocol, and further figures where the task is a map."""
    from usbench.evaluation import evaluate
    from usbench.units import draw_splits

    encoder, task, cohort = ready.encoder, ready.task, ready.cohort
    if task.kind == "map":
        from usbench.mapping.scoring import score_map

        options.say(f"[dim]{encoder.name} on {task.name}: neighbours, and maps of {len(cohort.units)} units[/dim]")
        return score_map(task, cohort, vectors, owner)
    splits = draw_splits(task.split, cohort)
    protocols = {}
    for protocol in task.protocols:
        options.say(f"[dim]{encoder.name} on {task.name}: {protocol}[/dim]")
        protocols[protocol] = evaluate(protocol, task, cohort, vectors, owner, splits)
    return protocols, {}


def leakage(encoder: Encoder, located: Located) -> dict[str, str]:
    """Compare an encoder's pre-training sets with the dataset it is asked about.

    Args:
        encoder: The encoder, with the weights in use.
        located: The dataset.

    Returns:
        ``state``: clean, overlap or unknown, and a ``detail`` of one sentence.
    """
    card = located.dataset.card
    seen = encoder.pretraining()
    if seen is None:
        return {
            "state": "unknown",
            "detail": encoder.card.pretraining_note or "Its pre-training sets are not published.",
        }
    names = {card.name, *card.aliases, *located.dataset.constituents()}
    common = sorted(names & set(seen))
    if common:
        return {"state": "overlap", "detail": f"It was pre-trained on {', '.join(common)}."}
    if not seen:
        return {"state": "clean", "detail": "It has not been trained on any image."}
    return {"state": "clean", "detail": f"{card.title} is not among its {len(seen)} pre-training sets."}


def _announce(task: Task, located: Located, say: Say) -> None:
    card = located.dataset.card
    if located.provision == "phantom":
        say(
            f"[bold yellow]PHANTOM DATA[/bold yellow]: {task.name} runs on simulated images ({card.title}). "
            "The figures say that the pipeline works; they say nothing about patients, and they enter no leaderboard."
        )
    elif located.provision == "subset":
        say(
            f"{task.name} runs on {card.title}, embedded real data. "
            f"For the whole set: `usbench data add {task.dataset} FOLDER`."
        )


def _kept(folder: Path | None, ready: Prepared) -> results.Result | None:
    if folder is None:
        return None
    task, dataset = ready.task, ready.located.dataset
    board = task.name if dataset.name == task.dataset else f"{task.name}@{dataset.name}"
    path = folder / board / f"{results.slug(ready.encoder.name)}.json"
    if not path.exists():
        return None
    try:
        result = results.load(path)
    except ResultError:  # damaged or of another schema: compute it again
        return None
    return result if result.inputs == ready.inputs else None


def inputs_digest(encoder: Encoder, task: Task, located: Located, digests: Mapping[str, str], decoding: str) -> str:
    """Digest everything that decides the figures: equal digests mean equal results."""
    from usbench.evaluation import EVALUATION_VERSION

    parts = [
        encoder.identity().digest(),
        repr(replace(task, description="", title="", twin=None)),  # the data themselves are named below
        located.dataset.name,
        located.dataset.fingerprint(),
        json.dumps(dict(digests), sort_keys=True),
        decoding,
        f"{RUNNER_VERSION}.{EVALUATION_VERSION}",
        json.dumps(provenance.package_versions(), sort_keys=True),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _task_facts(task: Task) -> dict[str, Any]:
    return {
        "name": task.name,
        "title": task.title,
        "kind": task.kind,
        "dataset": task.dataset,
        "target": task.target,
        "positive": task.positive if task.kind == "binary" else None,
        "unit": task.unit,
        "frames": task.frames.describe(),
        "split": task.split.describe(),
        "threshold": task.threshold,
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


def _encoder_facts(encoder: Encoder, dimension: int) -> dict[str, Any]:
    card, identity = encoder.card, encoder.identity()
    return {
        "name": encoder.name,
        "title": encoder.title,
        "floor": card.floor,
        "embedding_dim": dimension,
        "parameters": card.parameters,
        "gflops": card.gflops,
        "input_size": list(card.input_size) if card.input_size else None,
        "licence": card.licence,
        "citation": card.citation,
        "url": card.url,
        "weights": identity.weights,
        "version": identity.version,
        "preprocessing": identity.preprocessing,
        "pooling": identity.pooling,
        "precision": identity.precision,
        "identity": identity.digest(),
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


def typed_command() -> str:
    """Return the command typed, or ``usbench.run`` when called from Python; paths of this machine are left out."""
    if Path(sys.argv[0]).name != "usbench":
        return "usbench.run(...)"
    words: list[str] = []
    hide = False
    for word in sys.argv[1:]:
        words.append("PATH" if hide else word)
        hide = word in ("--data-root", "--results", "--cache", "--weights")
    return " ".join(["usbench", *words])


def _several(item: Any) -> list[Any]:
    return [item] if isinstance(item, str | Encoder | Task) else list(item)
