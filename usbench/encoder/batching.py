"""Forward passes: how many frames each takes, and on a CPU how many run side by side.

A network of many small operations leaves most of a CPU idle when its cores share every operation. An encoder that says
so (``Encoder.micro_batch_size``) is run in as many threads as there are cores instead, each with one core and a few
frames that fit its cache.

On a GPU the number of frames grows to what memory allows, and where memory runs out it is halved and the same frames
are tried again; what was found is kept for the next run.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import numpy as np

from usbench.core.allocator import keep_freed_memory
from usbench.core.atomic_files import atomic_write
from usbench.core.types import Vectors
from usbench.errors import EncodingError, UsbenchError

if TYPE_CHECKING:
    import torch

    from usbench.encoder.base import Encoder

# The most frames per pass of a GPU takes, and the share of its free memory that is planned for.
MOST_FRAMES = 512
SHARE_OF_MEMORY = 0.7


class Passes:
    """Runs an encoder on prepared frames. Use it as a context manager.

    Args:
        encoder: The encoder.
        batch_size: Frames per step, if the user has a request; then it is never changed.
        memory: File in which batch sizes that were found are kept; ``None`` keeps nothing.
    """

    def __init__(self, encoder: Encoder, batch_size: int | None = None, memory: Path | None = None) -> None:
        import torch

        self._encoder, self._memory = encoder, memory
        self._fixed = batch_size is not None
        self._cuda = encoder.device.startswith("cuda")
        if encoder.device == "cpu":
            keep_freed_memory()
        threads = torch.get_num_threads()
        share = encoder.micro_batch_size if encoder.device == "cpu" else None
        self._share = min(share, batch_size) if share and batch_size else share
        lanes = threads if self._share else 1
        self.frames = batch_size or max(encoder.batch_size, lanes * (self._share or 1))
        self._grown = self._fixed or not self._cuda
        if self._cuda and not self._fixed and (known := self._recall()) is not None:
            self.frames, self._grown = known, True
        self._pool = _lanes(lanes, threads) if lanes > 1 else None

    def __enter__(self) -> Passes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def encode(self, tensors: Sequence[torch.Tensor], path: str) -> Vectors:
        """Encode prepared frames of one shape.

        Args:
            tensors: Outputs of ``preprocess``; any number.
            path: File of the first one, for messages.

        Returns:
            float32 ``(len(tensors), D)``.

        Raises:
            EncodingError: As for :meth:`encode_poolings`.
        """
        return self.encode_poolings(tensors, path)[self._encoder.pooling]

    def encode_poolings(self, tensors: Sequence[torch.Tensor], path: str) -> dict[str, Vectors]:
        """Encode prepared frames of one shape in the encoder's pooling and in those kept beside it.

        Args:
            tensors: Outputs of ``preprocess``; any number, but not none.
            path: File of the first one, for messages.

        Returns:
            float32 ``(len(tensors), D)`` by pooling.

        Raises:
            EncodingError: The encoder broke its contract, or memory is too small for a single frame or for the batch
                size that the user wants.
        """
        import torch

        if len({tensor.shape for tensor in tensors}) > 1:
            shapes = sorted({tuple(tensor.shape) for tensor in tensors})
            raise EncodingError(
                f"{self._encoder.name}: preprocess() gave tensors of different shapes {shapes}; make them equal."
            )
        done: list[dict[str, Vectors]] = []
        first = 0
        while first < len(tensors):
            batch = torch.stack(list(tensors[first : first + self.frames]))
            try:
                done.append(self._of_promised_length(self._once(batch)))
                first += len(batch)
            except UsbenchError:
                raise
            except Exception as error:
                if not _out_of_memory(error):
                    # A plugin can fail in any way.
                    raise EncodingError(
                        f"{self._encoder.name}: encode() failed near {path}: {type(error).__name__}: {error}"
                    ) from error
                self._shrink(len(batch))
        return _joined(done)

    def _of_promised_length(self, vectors: dict[str, Vectors]) -> dict[str, Vectors]:
        card = self._encoder.card
        usual = vectors.get(next(iter(card.poolings), ""))
        if usual is not None and card.embedding_dim is not None and card.embedding_dim != usual.shape[1]:
            raise EncodingError(
                f"{self._encoder.name}: its card says embedding_dim={card.embedding_dim}, encode() gives "
                f"{usual.shape[1]} values per frame. Correct the one that is wrong."
            )
        return vectors

    def _pass(self, batch: torch.Tensor) -> dict[str, Vectors]:
        encoder = self._encoder
        if not encoder.companions:
            return {encoder.pooling: encoder.encode_batch(batch)}
        return encoder.encode_batch_poolings(batch, (encoder.pooling, *encoder.companions))

    def _once(self, batch: torch.Tensor) -> dict[str, Vectors]:
        if not self._grown:
            return self._and_grow(batch)
        if self._share is None or len(batch) <= self._share:
            return self._pass(batch)
        parts = [batch[first : first + self._share] for first in range(0, len(batch), self._share)]
        run = map if self._pool is None else self._pool.map
        return _joined(list(run(self._pass, parts)))

    def _and_grow(self, batch: torch.Tensor) -> dict[str, Vectors]:
        """Encode, and plan from the memory that this took how many frames fit."""
        import torch

        self._encoder.prepare()
        device = torch.device(self._encoder.device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        vectors = self._pass(batch)
        each = (torch.cuda.max_memory_allocated(device) - before) / len(batch)
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - before
        self.frames, self._grown = frames_that_fit(each, free, self.frames), True
        self._keep()
        return vectors

    def _shrink(self, tried: int) -> None:
        import torch

        if self._fixed or tried <= 1:
            advice = "Use a smaller --batch-size" if tried > 1 else "Use another device or --precision bf16"
            raise EncodingError(
                f"{self._encoder.name}: out of memory with {tried} frame{'s' if tried > 1 else ''} a batch. {advice}; "
                "finished frames are kept."
            ) from None
        if self._cuda:
            torch.cuda.empty_cache()
        self.frames, self._grown = max(1, tried // 2), True
        self._keep()

    def _key(self) -> str:
        import torch

        device = torch.cuda.get_device_name(self._encoder.device) if self._cuda else "cpu"
        identity = self._encoder.identity()
        return f"{identity.name} {identity.preprocessing} {identity.pooling} {identity.precision} on {device}"

    def _recall(self) -> int | None:
        try:
            kept = json.loads(self._memory.read_text("utf-8")).get(self._key()) if self._memory else None
        except (OSError, ValueError, AttributeError):
            return None
        return kept if isinstance(kept, int) and kept >= 1 else None

    def _keep(self) -> None:
        if self._memory is None or not self._cuda:
            return
        try:
            kept = json.loads(self._memory.read_text("utf-8"))
        except (OSError, ValueError):
            kept = {}
        kept = {**kept, self._key(): self.frames} if isinstance(kept, dict) else {self._key(): self.frames}
        atomic_write(self._memory, (json.dumps(kept, indent=1, sort_keys=True) + "\n").encode())


def _joined(parts: Sequence[dict[str, Vectors]]) -> dict[str, Vectors]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def frames_that_fit(each: float, free: float, tried: int) -> int:
    """Return how many frames per pass may take.

    Args:
        each: Bytes that one frame more takes at the peak.
        free: Bytes that may be used.
        tried: Frames that are known to fit.

    Returns:
        A multiple of 8 where it is greater than ``tried``, at most :data:`MOST_FRAMES`.
    """
    fits = int(SHARE_OF_MEMORY * free / max(each, 1.0))
    return max(tried, min(MOST_FRAMES, fits) // 8 * 8)


def _lanes(number: int, threads: int) -> ThreadPoolExecutor:
    """Return a pool of threads in which torch uses one core each."""
    import torch

    together = threading.Barrier(number)

    def start(_: int) -> None:
        torch.get_num_threads()  # takes over the general setting, which torch would do later, after ours
        torch.set_num_threads(1)
        together.wait()

    pool = ThreadPoolExecutor(number, thread_name_prefix="encode")
    list(pool.map(start, range(number)))
    # The setting holds for the thread that makes it and for those that begin later: put the latter right again.
    torch.set_num_threads(threads)
    return pool


def _out_of_memory(error: Exception) -> bool:
    import torch

    # The allocator of the CPU has no error class of its own.
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
