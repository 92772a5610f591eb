"""``usbench embed``: the vectors of any data, written to a folder.

Vectors go through the store like those of any run: what is there already is not encoded again, and what is encoded
before a kill is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.settings import Settings
from usbench.core.thread_map import map_in_threads
from usbench.core.types import Frame, Progress, silent
from usbench.data.dataset import Dataset
from usbench.data.frame_sampling import AllFrames, FramePolicy
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.plugins.data_sources import data_named, dataset_for
from usbench.task.task import Task

if TYPE_CHECKING:
    from usbench.data.frames import FrameRef
    from usbench.embedding.extract import Shard
    from usbench.task.cohort import Cohort

Spread = Callable[[Encoder, "Sequence[FrameRef]"], "Shard"]

FORMATS = ("parquet", "csv")
# Frames decoded at a time for their digests; a long video is read in pieces.
_CHUNK = 64


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        frames: Number of vectors.
        dimension: Their length.
        encoded: How many were encoded now; the others came from the store.
        seconds: Time spent encoding them.
        notes: What a reader of the vectors should know.
    """

    frames: int
    dimension: int
    encoded: int
    seconds: float
    notes: tuple[str, ...]


def embed_poolings(encoders: Sequence[Encoder], folder: Path, settings: Settings, **options: Any) -> list[Written]:
    """Write the vectors of several poolings of one encoder, each to a folder of its own, from one pass.

    Args:
        encoders: What :func:`usbench.plugins.catalog.load_encoders` gives.
        folder: Gets a folder for each, called after the pooling; the files themselves where there is one encoder.
        settings: Places to use.
        **options: As for :func:`embed`.

    Raises:
        UsbenchError: What went wrong, in one message.
    """
    places = [folder if len(encoders) == 1 else folder / encoder.pooling for encoder in encoders]
    digests: dict[bytes, str] = {}
    written = []
    for encoder, place in zip(encoders, places, strict=True):
        written.append(embed(encoder, place, settings, frame_digests=digests, **options))
        options["spread"] = None  # the first has encoded for all
    return written


def embed(
    encoder: Encoder,
    folder: Path,
    settings: Settings,
    *,
    data: str | None = None,
    task: Task | None = None,
    policy: FramePolicy | None = None,
    table: str = "parquet",
    batch_size: int | None = None,
    workers: int | None = None,
    progress: Progress = silent,
    spread: Spread | None = None,
    frame_digests: dict[bytes, str] | None = None,
) -> Written:
    """Write the vectors of a dataset, with an index, in the layout of :mod:`usbench.embedding.vector_folder`.

    Args:
        encoder: The encoder.
        folder: Where the two files go.
        settings: Places to use.
        data: As for :func:`data_named`; with a task, as for ``usbench run``.
        task: Take exactly the frames, and the data, of this task.
        policy: Which frames of each image or video; all by default. Not together with a task, which has its own.
        table: Format of the index, ``parquet`` or ``csv``.
        batch_size: Frames per forward pass; the encoder's own by default.
        workers: Decoding threads.
        progress: Called with a text, what is done and what there is to do.
        spread: Encodes elsewhere what the store lacks, before anything is encoded here.
        frame_digests: Digests of frames that are known already, by key; those found now are added.

    Raises:
        UsbenchError: What went wrong, in one message.
    """
    from usbench.data.frames import decoding_versions
    from usbench.embedding.extract import extract
    from usbench.embedding.precision import measure_int8, resolve_precision
    from usbench.embedding.store import Store
    from usbench.embedding.vector_folder import frame_sha256, write_vectors
    from usbench.pipeline.prechecks import check_device, check_encoder, check_writable
    from usbench.task.cohort import build_cohort, select_frames

    check_device(encoder.device)
    check_writable(folder, "--out")
    if table not in FORMATS:
        raise UsbenchError(f"unknown format {table!r} of the index. Use {' or '.join(FORMATS)}.")
    check_encoder(encoder)
    if task is not None:
        if policy is not None:
            raise UsbenchError(f"task {task.name!r} says which frames ({task.frames.describe()}). Leave --frames out.")
        dataset, policy = dataset_for(task, settings, data).dataset, task.frames
        cohort = build_cohort(task, dataset)
    elif data is None:
        raise UsbenchError("say which data to embed: a dataset, a manifest, a folder, or a task.")
    else:
        dataset, policy = data_named(data, settings), policy or AllFrames()
        cohort = _every_file(dataset)

    digests = map_in_threads(dataset.digest, cohort.paths)
    refs, _, notes = select_frames(cohort, dataset, policy, digests, decoding_versions())
    notes = (*cohort.notes, *notes)
    refs = sorted(dict.fromkeys(refs), key=lambda ref: (ref.path, ref.frame))

    decision = resolve_precision(encoder, dataset, refs)
    if decision is not None:
        notes = (*notes, decision.describe())
    if (screened := measure_int8(encoder, dataset, refs)) is not None:
        notes = (*notes, screened.describe())

    ahead = spread(encoder, refs) if spread is not None else None
    frames = {} if frame_digests is None else frame_digests
    frames.update(ahead.digests if ahead is not None else {})

    def noted(frame: Frame, key: bytes) -> Frame:
        frames[key] = frame_sha256(frame)
        return frame

    text = f"{encoder.name} on {dataset.name}"
    extraction = extract(
        encoder,
        dataset,
        refs,
        Store(settings.store_dir, encoder.identity()),
        batch_size=batch_size,
        workers=workers,
        transform=noted,
        progress=lambda done, total: progress(text, done, total),
    )
    _complete(frames, refs, dataset, lambda done, total: progress("digests of frames", done, total))
    index = _index(dataset, refs, digests, frames)
    facts: dict[str, Any] = {"encoder": _facts(encoder), "dataset": _origin(dataset), "frames": policy.describe()}
    if screened is not None:
        facts["int8"] = screened.facts()
    write_vectors(folder, extraction.vectors, index, facts, f".{table}")
    encoded, seconds = extraction.encoded, extraction.seconds
    if ahead is not None:
        encoded, seconds = encoded + ahead.encoded, seconds + ahead.seconds
    return Written(len(refs), extraction.vectors.shape[1], encoded, seconds, notes)


def _every_file(dataset: Dataset) -> Cohort:
    """Take each image or video as a unit of its own, without asking for labels."""
    import pandas as pd

    from usbench.task.cohort import MARK_COLUMNS, Cohort, Unit

    units = []
    for row in dataset.index.table.to_dict("records"):
        marks = {column: int(row[column]) for column in MARK_COLUMNS if not pd.isna(row.get(column))}
        units.append(Unit(row["path"], row["subject"], None, (row["path"],), (marks,), {}, None, None))
    return Cohort(tuple(units), (), dataset.index.notes)


def _complete(
    frames: dict[bytes, str], refs: Sequence[FrameRef], dataset: Dataset, progress: Callable[[int, int], None]
) -> None:
    """Add the digests of frames that were not decoded now, as their vectors were in the store."""
    from usbench.embedding.vector_folder import frame_sha256

    by_path: dict[str, list[FrameRef]] = {}
    for ref in refs:
        if ref.key not in frames:
            by_path.setdefault(ref.path, []).append(ref)

    def digest(path: str) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        wanted = by_path[path]
        with dataset.open(path) as media:
            for start in range(0, len(wanted), _CHUNK):
                some = wanted[start : start + _CHUNK]
                pixels = media.frames([ref.frame for ref in some])
                found |= {ref.key: frame_sha256(frame) for ref, frame in zip(some, pixels, strict=True)}
        return found

    with ThreadPoolExecutor(4) as pool:
        for done, found in enumerate(pool.map(digest, by_path), start=1):
            frames |= found
            progress(done, len(by_path))


def _index(dataset: Dataset, refs: Sequence[FrameRef], digests: dict[str, str], frames: dict[bytes, str]) -> Any:
    import pandas as pd

    rows = pd.DataFrame(
        {
            "path": [ref.path for ref in refs],
            "frame": [ref.frame for ref in refs],
            "frame_sha256": [frames[ref.key] for ref in refs],
            "file_sha256": [digests[ref.path] for ref in refs],
        }
    )
    own = dataset.index.table
    own = own.rename(columns={column: f"dataset_{column}" for column in rows.columns[1:] if column in own.columns})
    return rows.merge(own, on="path", how="left", validate="many_to_one")


def _origin(dataset: Dataset) -> dict[str, str]:
    return {"name": dataset.name, "title": dataset.card.title, "fingerprint": dataset.fingerprint()}


def _facts(encoder: Encoder) -> dict[str, Any]:
    """Describe the encoder so that its vectors can be told, and checked for leakage, without it."""
    card, seen = encoder.card, encoder.pretraining()
    return {
        "name": encoder.name,
        "title": encoder.title,
        "description": card.description,
        "parameters": card.parameters,
        "gflops": card.gflops,
        "input_size": list(card.input_size) if card.input_size else None,
        "licence": card.licence,
        "citation": card.citation,
        "url": card.url,
        "year": card.year,
        "pretraining_kind": card.pretraining_kind,
        "pretraining_modality": card.pretraining_modality,
        "pretraining": None if seen is None else list(seen),
        "pretraining_note": card.pretraining_note,
        "floor": card.floor,
        "identity": asdict(encoder.identity()),
    }
