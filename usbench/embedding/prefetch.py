"""Decoding and preprocessing ahead of the network: each file opened once, in order, in bounded memory."""

from __future__ import annotations

import os
import queue
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from usbench.dataset import Dataset
from usbench.encoder import Encoder, Frame
from usbench.errors import EncodingError, UsbenchError

if TYPE_CHECKING:
    import torch

Transform = Callable[[Frame, bytes], Frame]

# Preprocessed frames of one file that may wait for the network; decoding of a long video then pauses.
WAITING_FRAMES = 64
# Seconds after which a waiting thread looks whether it is still wanted.
_PATIENCE = 0.2


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


def prepared_frames(
    encoder: Encoder,
    dataset: Dataset,
    todo: Sequence[FrameRef],
    *,
    ahead: int,
    transform: Transform | None = None,
    workers: int | None = None,
) -> Iterator[tuple[FrameRef, torch.Tensor]]:
    """Yield preprocessed frames, file by file in the order of their first mention, frames ascending.

    Args:
        encoder: Preprocesses.
        dataset: Opens the files.
        todo: Frames wanted.
        ahead: About how many frames may be decoded in advance, at least :data:`WAITING_FRAMES`.
        transform: Applied to each grey frame before preprocessing, with the frame's key.
        workers: Threads, each with one file; one a core up to four by default.

    Raises:
        MediaError: A file cannot be decoded.
        EncodingError: ``preprocess`` failed.
    """
    files: dict[str, list[FrameRef]] = defaultdict(list)
    for ref in todo:
        files[ref.path].append(ref)
    encoder.prepare()  # in this thread: workers must not race to build the network
    stop = threading.Event()
    pool = ThreadPoolExecutor(workers or min(4, os.cpu_count() or 1), thread_name_prefix="decode")
    running: deque[_File] = deque()
    claimed = 0
    try:
        for path, refs in files.items():
            file = _File(path, sorted(refs, key=lambda ref: ref.frame), stop)
            while running and claimed + file.room > max(ahead, WAITING_FRAMES):
                first = running.popleft()
                yield from first
                claimed -= first.room
            # Threads take files in this order, so that the one that is waited for is never behind another.
            pool.submit(file.fill, encoder, dataset, transform)
            running.append(file)
            claimed += file.room
        while running:
            yield from running.popleft()
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)


class _File:
    """The frames of one file on their way from a decoding thread to the network."""

    def __init__(self, path: str, refs: Sequence[FrameRef], stop: threading.Event) -> None:
        self.path = path
        self.refs = refs
        self.room = min(len(refs), WAITING_FRAMES)
        self._stop = stop
        self._ready: queue.Queue[tuple[FrameRef, torch.Tensor] | BaseException | None] = queue.Queue(self.room)

    def __iter__(self) -> Iterator[tuple[FrameRef, torch.Tensor]]:
        while (item := self._ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

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
        try:
            return encoder.preprocess(frame)
        except UsbenchError:
            raise
        except Exception as error:  # a plugin can fail in any way
            raise EncodingError(
                f"{encoder.name}: preprocess() failed on {self.path}: {type(error).__name__}: {error}"
            ) from error
