"""The frames of a prepared run and their vectors: the one way from a task's data to arrays.

Everything that needs vectors comes through here, so that the options of a run (batch size, decoding threads, progress)
reach every one of them, and vectors that are in the store are never encoded again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from usbench.core.devices import describe_device
from usbench.data.frames import FrameRef
from usbench.task.cohort import select_frames
from usbench.task.places import places_of

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.core.types import Frame, Vectors
    from usbench.embedding.extract import Extraction
    from usbench.pipeline.context import Options, Prepared
    from usbench.probes.places import Places
    from usbench.statistics._types import IntArray

# From a decoded frame and its key to what the encoder sees.
Transform = Callable[["Frame", bytes], "Frame"]


@dataclass(frozen=True, eq=False)
class SelectedFrames:
    """The frames that a task asks for.

    Attributes:
        refs: Reference of each frame.
        unit_index: Position of the unit each frame belongs to, int64 ``(n_frames,)``.
        notes: What a reader should know of the selection, one sentence each.
        places: Place that each frame fills, where the task gives frames roles.
    """

    refs: list[FrameRef]
    unit_index: IntArray
    notes: tuple[str, ...] = ()
    places: Places | None = None


@dataclass(frozen=True, eq=False)
class Embedded:
    """Frames with their vectors.

    Attributes:
        frames: The frames, in the order of the vectors.
        vectors: float32 ``(n_frames, D)``.
        extraction: What was encoded now and how long it took.
    """

    frames: SelectedFrames
    vectors: Vectors
    extraction: Extraction

    @property
    def unit_index(self) -> IntArray:
        """Position of the unit of each frame, int64 ``(n_frames,)``."""
        return self.frames.unit_index

    @property
    def places(self) -> Places | None:
        """Place that each frame fills, where the task gives frames roles."""
        return self.frames.places


def frames_of(prepared: Prepared) -> SelectedFrames:
    """Choose the frames of every unit anew; `Prepared.frames` keeps them.

    Args:
        prepared: Encoder, task and data.

    Raises:
        MediaError: A file is damaged.
    """
    refs, unit_index, notes = select_frames(
        prepared.cohort,
        prepared.located.dataset,
        prepared.task.frames,
        dict(prepared.digests),
        prepared.decoding,
    )
    positions = np.asarray(unit_index, dtype=np.int64)
    places = places_of(prepared.task, prepared.cohort, refs, positions)
    return SelectedFrames(refs, positions, notes, places)


def embed(
    prepared: Prepared,
    options: Options,
    settings: Settings,
    *,
    frames: SelectedFrames | None = None,
    variants: Sequence[FrameRef] = (),
    transform: Transform | None = None,
    title: str = "",
) -> Embedded:
    """Return the vectors of a run's frames, from the store where they are known.

    Args:
        prepared: Encoder, task and data.
        options: How to run: batch size, decoding threads, progress.
        settings: Where the store is.
        frames: Frames to embed; those the task asks for by default.
        variants: Further references whose vectors follow those of ``frames``, such as shifted frames.
        transform: Changes a decoded frame before the encoder sees it, by its key.
        title: What progress is reported under; encoder and dataset by default.

    Raises:
        UsbenchError: A file is damaged, or the encoder broke its contract.
    """
    from usbench.embedding.extract import extract
    from usbench.embedding.store import Store

    encoder, dataset = prepared.encoder, prepared.located.dataset
    chosen = frames or prepared.frames
    text = title or f"{encoder.name} on {dataset.name}"
    extraction = extract(
        encoder,
        dataset,
        [*chosen.refs, *variants] if variants else chosen.refs,
        Store(settings.store_dir, encoder.identity()),
        batch_size=options.batch_size,
        workers=options.workers,
        transform=transform,
        progress=lambda done, total: options.progress(text, done, total),
    )
    if extraction.encoded and encoder.device != "cpu" and encoder.card.parameters:
        options.notify(f"Encoded on {describe_device(encoder.device)}; --device cpu uses the CPU.")
    return Embedded(chosen, extraction.vectors, extraction)
