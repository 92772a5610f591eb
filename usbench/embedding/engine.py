"""The extraction engine: decode, preprocess and encode the frames that the store lacks.

Decoding and preprocessing run in worker threads (PyAV, Pillow and torch release the interpreter lock) a bounded number
of frames ahead of the network, each file opened once for all the frames wanted from it. Finished vectors are published
in shards every few seconds, so that a kill costs little and memory does not grow with the dataset.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from usbench.dataset import Dataset
from usbench.embedding.store import Store
from usbench.encoder import Encoder, Frame, Vectors
from usbench.errors import EncodingError, UsbenchError

if TYPE_CHECKING:
    import torch

Progress = Callable[[int, int], None]
Transform = Callable[[Frame, bytes], Frame]

# A shard is published after this many vectors or seconds, whichever comes first: the work a kill can cost.
SHARD_FRAMES = 1024
SHARD_SECONDS = float(os.environ.get("USBENCH_SHARD_SECONDS", "15"))
# Frames decoded from one file at a time; a long video wanted whole is read in pieces of this size.
CHUNK_FRAMES = 64


@dataclass(frozen=True)
class FrameRef:
    """One frame of a dataset.

    Attributes:
        path: Value of the index's ``path`` column.
        frame: Position in the file, from 0.
        key: Key in the embedding store.
    """

    path: str
    frame: int
    key: bytes


@dataclass(frozen=True)
class Extraction:
    """What an extraction did.

    Attributes:
        vectors: float32 ``(n, D)`` in the order of the references asked for.
        encoded: Frames encoded now; the others came from the store.
        seconds: Wall time spent encoding what was missing, decoding included.
        network_seconds: Part of it spent in the network.
    """

    vectors: Vectors
    encoded: int
    seconds: float
    network_seconds: float


def extract(
    encoder: Encoder,
    dataset: Dataset,
    refs: Sequence[FrameRef],
    store: Store,
    *,
    batch_size: int | None = None,
    workers: int | None = None,
    transform: Transform | None = None,
    progress: Progress | None = None,
) -> Extraction:
    """Return the vectors of ``refs``, encoding only those that the store lacks.

    Args:
        encoder: The encoder; loaded only when something is missing.
        dataset: Opens the files.
        refs: Frames wanted; repetitions are encoded once.
        store: Where vectors are kept.
        batch_size: Frames a forward pass; the encoder's own by default.
        workers: Decoding threads; one a core up to four by default.
        transform: Applied to the grey frame before preprocessing, with the frame's key for seeding; whoever passes it
            must have put its name into the keys.
        progress: Called with frames done and frames to do.

    Raises:
        MediaError: A file cannot be decoded.
        EncodingError: The encoder broke its contract, or ran out of memory.
        StoreError: The store cannot be written. What was published before stays.
    """
    wanted = set(store.missing(ref.key for ref in refs))
    todo = list({ref.key: ref for ref in refs if ref.key in wanted}.values())
    started = time.perf_counter()
    network_seconds = 0.0
    if todo:
        step = batch_size or encoder.batch_size
        if progress:
            progress(0, len(todo))
        publisher = _Publisher(store)
        done = 0
        try:
            for batch in _batches(_prepared(encoder, dataset, todo, transform, workers, 4 * step), step):
                before = time.perf_counter()
                vectors = _encode(encoder, [tensor for _, tensor in batch], batch[0][0].path)
                network_seconds += time.perf_counter() - before
                publisher.add([ref.key for ref, _ in batch], vectors)
                done += len(batch)
                if progress:
                    progress(done, len(todo))
        finally:
            publisher.flush()  # also after an error or Ctrl-C: what was encoded is kept
    seconds = time.perf_counter() - started
    return Extraction(store.get([ref.key for ref in refs]), len(todo), seconds if todo else 0.0, network_seconds)


class _Publisher:
    """Collects vectors and publishes them in shards."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys: list[bytes] = []
        self._vectors: list[Vectors] = []
        self._since = time.monotonic()

    def add(self, keys: list[bytes], vectors: Vectors) -> None:
        self._keys += keys
        self._vectors.append(vectors)
        if len(self._keys) >= SHARD_FRAMES or time.monotonic() - self._since > SHARD_SECONDS:
            self.flush()

    def flush(self) -> None:
        keys, vectors = self._keys, self._vectors
        self._keys, self._vectors, self._since = [], [], time.monotonic()
        if keys:
            self._store.put(keys, np.concatenate(vectors))


def _encode(encoder: Encoder, tensors: list[torch.Tensor], path: str) -> Vectors:
    import torch

    if len({tensor.shape for tensor in tensors}) > 1:
        shapes = sorted({tuple(tensor.shape) for tensor in tensors})
        raise EncodingError(f"{encoder.name}: preprocess() gave tensors of different shapes {shapes}; make them equal.")
    try:
        return encoder.encode_batch(torch.stack(tensors))
    except UsbenchError:
        raise
    except (torch.OutOfMemoryError, MemoryError):
        raise EncodingError(
            f"{encoder.name}: out of memory with {len(tensors)} frames a batch. Use a smaller --batch-size; "
            "finished frames are kept."
        ) from None
    except Exception as error:  # a plugin can fail in any way
        raise EncodingError(f"{encoder.name}: encode() failed near {path}: {type(error).__name__}: {error}") from error


def _prepared(
    encoder: Encoder,
    dataset: Dataset,
    todo: Sequence[FrameRef],
    transform: Transform | None,
    workers: int | None,
    ahead: int,
) -> Iterator[tuple[FrameRef, torch.Tensor]]:
    """Yield preprocessed frames in order, decoded by threads at most about ``ahead`` frames in advance."""

    def work(path: str, refs: Sequence[FrameRef]) -> list[tuple[FrameRef, torch.Tensor]]:
        with dataset.open(path) as media:
            frames = media.frames([ref.frame for ref in refs])
        if transform is not None:
            frames = [transform(frame, ref.key) for ref, frame in zip(refs, frames, strict=True)]
        try:
            return [(ref, encoder.preprocess(frame)) for ref, frame in zip(refs, frames, strict=True)]
        except UsbenchError:
            raise
        except Exception as error:  # a plugin can fail in any way
            raise EncodingError(
                f"{encoder.name}: preprocess() failed on {path}: {type(error).__name__}: {error}"
            ) from error

    jobs = _jobs(todo)
    encoder.prepare()  # in this thread: workers must not race to build the network
    pool = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1), thread_name_prefix="decode")
    running: deque[tuple[int, Future[list[tuple[FrameRef, torch.Tensor]]]]] = deque()
    pending = 0
    try:
        for path, refs in jobs:
            while running and pending + len(refs) > max(ahead, CHUNK_FRAMES):
                count, future = running.popleft()
                yield from future.result()
                pending -= count
            running.append((len(refs), pool.submit(work, path, refs)))
            pending += len(refs)
        while running:
            yield from running.popleft()[1].result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _jobs(todo: Sequence[FrameRef]) -> Iterator[tuple[str, Sequence[FrameRef]]]:
    by_path: dict[str, list[FrameRef]] = defaultdict(list)
    for ref in todo:
        by_path[ref.path].append(ref)
    for path, refs in by_path.items():
        refs.sort(key=lambda ref: ref.frame)
        for start in range(0, len(refs), CHUNK_FRAMES):
            yield path, refs[start : start + CHUNK_FRAMES]


def _batches(
    items: Iterator[tuple[FrameRef, torch.Tensor]], size: int
) -> Iterator[list[tuple[FrameRef, torch.Tensor]]]:
    batch: list[tuple[FrameRef, torch.Tensor]] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
