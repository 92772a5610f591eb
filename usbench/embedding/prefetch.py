"""Decoding and preprocessing ahead of the network: each file opened once, in order, in bounded memory.

It begins before the network is built, whose libraries can take longer to import than many videos to decode.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from usbench.core.types import Frame
from usbench.data.dataset import Dataset
from usbench.data.frames import FrameRef
from usbench.encoder.base import Encoder

if TYPE_CHECKING:
    import torch

Transform = Callable[[Frame, bytes], Frame]

# Bytes of preprocessed frames that may wait for the network, and how many frames at most: of all files together, and
# of one, so that decoding of a long video pauses and others go on.
WAITING_BYTES = 2**28
MOST_WAITING = 4096
WAITING_FRAMES = 64
# Seconds after which a waiting thread looks whether it is still wanted.
_PATIENCE = 0.2


def prepared_frames(
    encoder: Encoder,
    dataset: Dataset,
    todo: Sequence[FrameRef],
    *,
    ahead: int | None = None,
    transform: Transform | None = None,
    workers: int | None = None,
) -> Iterator[tuple[FrameRef, torch.Tensor]]:
    """Yield preprocessed frames, file by file in the order of their first mention, frames ascending.

    Args:
        encoder: Preprocesses; its network is built meanwhile, in this thread.
        dataset: Opens the files.
        todo: Frames wanted.
        ahead: About how many frames may be decoded in advance; by default those that fit :data:`WAITING_BYTES`.
        transform: Applied to each grey frame before preprocessing, with the frame's key.
        workers: Threads, each with one file; one a core up to four by default.

    Raises:
        MediaError: A file cannot be decoded.
        EncodingError: ``preprocess`` failed.
    """
    files: dict[str, list[FrameRef]] = defaultdict(list)
    for ref in todo:
        files[ref.path].append(ref)
    coming = deque(files.items())
    running: deque[_File] = deque()
    claimed = 0
    stop = threading.Event()
    pool = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1), thread_name_prefix="decode")

    def begin(most: int) -> None:
        """Begin with the next files until ``most`` frames may wait, with one in any case."""
        nonlocal claimed
        while coming and (not running or claimed + _room(coming[0][1], most) <= most):
            path, refs = coming.popleft()
            file = _File(path, sorted(refs, key=lambda ref: ref.frame), stop, _room(refs, most))
            # Threads take files in this order, so that the one that is waited for is never behind another.
            pool.submit(file.fill, encoder, dataset, transform)
            running.append(file)
            claimed += file.room

    try:
        begin(1)
        if running:
            most = ahead or frames_that_may_wait(running[0].bytes_a_frame())
            running[0].room = claimed = _room(running[0].refs, most)
            begin(most)
        encoder.prepare()
        while running:
            yield from running[0]
            claimed -= running.popleft().room
            begin(most)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


def frames_that_may_wait(size: int) -> int:
    """Return how many preprocessed frames of ``size`` bytes may wait for the network."""
    return max(1, min(MOST_WAITING, WAITING_BYTES // max(size, 1)))


def _room(refs: Sequence[FrameRef], most: int) -> int:
    return min(len(refs), WAITING_FRAMES, most)


class _File:
    """The frames of one file on their way from a decoding thread to the network; ``room`` of them may wait."""

    def __init__(self, path: str, refs: Sequence[FrameRef], stop: threading.Event, room: int) -> None:
        self.path = path
        self.refs = refs
        self._stop = stop
        self._ready: queue.Queue[tuple[FrameRef, torch.Tensor] | BaseException | None] = queue.Queue()
        self._first: tuple[FrameRef, torch.Tensor] | BaseException | None = None
        self.room = room

    @property
    def room(self) -> int:
        """Frames that may wait; can be changed while a thread fills."""
        return self._ready.maxsize - 1

    @room.setter
    def room(self, frames: int) -> None:
        self._ready.maxsize = frames + 1  # the end waits too: else a thread stays with its file until that is taken

    def bytes_a_frame(self) -> int:
        """Wait for the first frame and return its size in memory; 0 where there is none."""
        self._first = self._ready.get()
        return int(getattr(self._first[1], "nbytes", 0)) if isinstance(self._first, tuple) else 0

    def __iter__(self) -> Iterator[tuple[FrameRef, torch.Tensor]]:
        item, self._first = self._first, None
        while (item := item or self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
            item = None

    def fill(self, encoder: Encoder, dataset: Dataset, transform: Transform | None) -> None:
        """Decode and preprocess; runs in a thread, which waits whenever enough frames are ready."""
        try:
            with dataset.open(self.path) as media:
                for ref, frame in zip(self.refs, media.stream([ref.frame for ref in self.refs]), strict=True):
                    shown = frame if transform is None else transform(frame, ref.key)
                    if not self._put((ref, self._preprocess(encoder, shown))):
                        return
        except BaseException as error:  # raised again where the frames are taken
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: tuple[FrameRef, torch.Tensor] | BaseException | None) -> bool:
        """Hand over; false when nobody wants it any more."""
        while not self._stop.is_set():
            try:
                self._ready.put(item, timeout=_PATIENCE)
            except queue.Full:
                continue
            return True
        return False

    def _preprocess(self, encoder: Encoder, frame: Frame) -> torch.Tensor:
        return encoder.preprocessed(frame, self.path)
