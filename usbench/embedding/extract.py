"""The extraction engine: decode, preprocess and encode the frames that the store lacks.

Decoding and preprocessing run in worker threads (PyAV, Pillow and torch release the interpreter lock) a bounded number
of bytes ahead of the network, from before it is built; each file is opened once for all the frames wanted from it.
Finished vectors are published in shards every few seconds, so that a kill costs little and memory does not grow with
the dataset.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from usbench.core.types import Vectors
from usbench.data.dataset import Dataset
from usbench.data.frames import FrameRef
from usbench.embedding.prefetch import Transform, prepared_frames
from usbench.embedding.store import Store
from usbench.encoder.base import Encoder
from usbench.encoder.batching import Passes

if TYPE_CHECKING:
    import torch

__all__ = ["Extraction", "FrameRef", "Progress", "Transform", "companion_stores", "extract"]

Progress = Callable[[int, int], None]

# A shard is published after this many vectors or seconds, whichever comes first: the work a kill can cost.
SHARD_FRAMES = 1024
SHARD_SECONDS = float(os.environ.get("USBENCH_SHARD_SECONDS", "15"))


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
    companions: Mapping[str, Store] | None = None,
) -> Extraction:
    """Return the vectors of ``refs``, encoding only those that the store lacks.

    Where the encoder has companions, other poolings of the same network, a frame is encoded if any of their stores
    lacks it, once for all of them.

    Args:
        encoder: The encoder; loaded only when something is missing.
        dataset: Opens the files.
        refs: Frames wanted; repetitions are encoded once.
        store: Where vectors are kept.
        batch_size: Frames per step; by default the encoder's own, and on a GPU as many as memory allows.
        workers: Decoding threads; one a core up to four by default.
        transform: Applied to the grey frame before preprocessing, with the frame's key for seeding; whoever passes it
            must have put its name into the keys.
        companions: Stores of the encoder's companions by pooling; by default those beside ``store``.
        progress: Called with frames done and frames to do.

    Raises:
        MediaError: A file cannot be decoded.
        EncodingError: The encoder broke its contract, or ran out of memory.
        StoreError: The store cannot be written. What was published before stays.
    """
    stores = {
        encoder.pooling: store,
        **(companion_stores(store.folder.parent, encoder) if companions is None else companions),
    }
    lacking = {name: set(each.missing(ref.key for ref in refs)) for name, each in stores.items()}
    todo = list({ref.key: ref for ref in refs if any(ref.key in keys for keys in lacking.values())}.values())
    started = time.perf_counter()
    network_seconds = 0.0
    if todo:
        if progress:
            progress(0, len(todo))
        publishers = {name: _Publisher(each) for name, each in stores.items()}
        done = 0
        try:
            with Passes(encoder, batch_size, store.folder.parent / "batch-sizes.json") as passes:
                frames = prepared_frames(encoder, dataset, todo, transform=transform, workers=workers)
                for batch in _batches(frames, passes):
                    before = time.perf_counter()
                    vectors = passes.encode_poolings([tensor for _, tensor in batch], batch[0][0].path)
                    network_seconds += time.perf_counter() - before
                    for name, publisher in publishers.items():
                        rows = [row for row, (ref, _) in enumerate(batch) if ref.key in lacking[name]]
                        if rows:
                            publisher.add([batch[row][0].key for row in rows], vectors[name][rows])
                    done += len(batch)
                    if progress:
                        progress(done, len(todo))
        finally:
            for publisher in publishers.values():
                publisher.flush()  # also after an error or Ctrl-C: what was encoded is kept
    seconds = time.perf_counter() - started
    return Extraction(store.get([ref.key for ref in refs]), len(todo), seconds if todo else 0.0, network_seconds)


def companion_stores(root: Path, encoder: Encoder) -> dict[str, Store]:
    """Return the stores of an encoder's companions by pooling.

    Args:
        root: Root of the store.
        encoder: The encoder, its precision settled.
    """
    return {name: Store(root, identity) for name, identity in encoder.companion_identities().items()}


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


def _batches(
    items: Iterator[tuple[FrameRef, torch.Tensor]], passes: Passes
) -> Iterator[list[tuple[FrameRef, torch.Tensor]]]:
    """Yield as many frames at a time as a step takes at that time."""
    batch: list[tuple[FrameRef, torch.Tensor]] = []
    for item in items:
        batch.append(item)
        if len(batch) >= passes.frames:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(frozen=True)
class Shard:
    """What an encoding job did.

    Attributes:
        files: Names of the files it added to the store.
        encoded: Frames encoded; fewer than asked for when an earlier attempt had begun.
        seconds: Time spent encoding, decoding included.
        network_seconds: Part of it in the network.
        digests: Digest of each frame's pixels by key, where it was asked for.
        companions: Names of the files it added for other poolings, by the digest of their identity.
    """

    files: tuple[str, ...]
    encoded: int
    seconds: float
    network_seconds: float
    digests: Mapping[bytes, str] = field(default_factory=dict)
    companions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
