"""Precision ``auto``: bfloat16 where the device gains by it and it changes next to nothing; and what ``int8`` changes.

A check on the first batch shows what it changes.

The decision is made before anything is stored and becomes the encoder's precision, so that it is a part of the store's
key and of every result: vectors of different precision never mix. Runs use float32 unless asked, because a cosine of
0.9999 can still move the last printed digit of a figure.

Precision ``int8`` is taken only where it is asked for. What it changes is measured on the same frames and becomes a
part of the result, which is for screening and enters no leaderboard.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.core.types import Vectors
from usbench.data.dataset import Dataset
from usbench.encoder.base import Encoder

if TYPE_CHECKING:
    import torch

    from usbench.data.frames import FrameRef

# The smallest cosine similarity to float32, over the vectors of the batch, at which bfloat16 is used.
COSINE = 0.9999
# Frames that decide.
FRAMES = 4


@dataclass(frozen=True)
class Decision:
    """What the check found.

    Attributes:
        precision: ``bf16`` or ``fp32``; the encoder has it now.
        cosine: Smallest cosine similarity between the two vectors of a frame; ``None`` where the device has no
            instructions for bfloat16, so that nothing was compared.
        speedup: Time of the batch in float32 over that in bfloat16; ``None`` likewise.
    """

    precision: str
    cosine: float | None = None
    speedup: float | None = None

    def describe(self) -> str:
        """Return one sentence for the user."""
        if self.cosine is None or self.speedup is None:
            return (
                f"precision auto: {self.precision} (this device has no instructions for bf16, which would be slower)."
            )
        why = f"cosine to fp32 {self.cosine:.6f}, {self.speedup:.1f} times as fast on the first batch"
        return f"precision auto: {self.precision} ({why}; bf16 needs a cosine of at least {COSINE})."


@dataclass(frozen=True)
class Screening:
    """What int8 changes on the first frames.

    Attributes:
        cosine: Smallest cosine similarity between the two vectors of a frame.
        frames: Number of frames.
        speedup: Time of the batch in float32 over that in int8.
    """

    cosine: float
    frames: int
    speedup: float

    def describe(self) -> str:
        """Return one sentence for the user."""
        seen = "the first frame" if self.frames == 1 else f"the first {self.frames} frames"
        return (
            f"precision int8, for screening: cosine to fp32 at least {self.cosine:.6f} on {seen}, "
            f"{self.speedup:.1f} times as fast."
        )

    def facts(self) -> dict[str, float | int]:
        """Return what a result says of it."""
        return {"cosine": round(self.cosine, 6), "frames": self.frames, "speedup": round(self.speedup, 2)}


def lowest_cosine(one: Vectors, other: Vectors) -> float:
    """Return the smallest cosine similarity between rows of equal position.

    Args:
        one: ``(n, D)``.
        other: ``(n, D)``.

    Returns:
        -1 to 1. Two zero vectors agree; a zero vector and another do not.
    """
    first, second = one.astype(np.float64), other.astype(np.float64)
    sizes = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    both_zero = ~first.any(axis=1) & ~second.any(axis=1)
    cosines = np.where(both_zero, 1.0, (first * second).sum(axis=1) / np.maximum(sizes, np.finfo(float).tiny))
    return float(cosines.min())


def multiplies_bfloat16(device: str) -> bool:
    """Say whether a device has instructions that multiply bfloat16 numbers.

    Without them torch emulates: on a CPU with AVX2 alone a product of matrices takes eight times as long as in
    float32.

    Args:
        device: As torch names it, such as ``cpu`` or ``cuda:0``.

    Returns:
        ``False`` also where torch is too old to tell (``torch.cpu.get_capabilities``).
    """
    import torch

    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device != "cpu":
        return True
    found: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))


def resolve_precision(
    encoder: Encoder, dataset: Dataset, refs: Sequence[FrameRef], gains: bool | None = None
) -> Decision | None:
    """Replace precision ``auto`` by the one that the device and the first frames justify.

    Args:
        encoder: Its ``precision`` becomes ``bf16`` or ``fp32``; untouched when it is not ``auto``.
        dataset: Opens the files.
        refs: Frames that will be encoded; the first ones decide, so that equal requests are decided alike.
        gains: Whether bfloat16 is to be considered; by default whether the encoder's device multiplies it.

    Returns:
        What was found, or ``None`` when there was nothing to decide.

    Raises:
        MediaError: A file cannot be decoded.
        EncodingError: The encoder broke its contract.
    """
    if encoder.precision != "auto":
        return None
    if encoder.original is not None and encoder.original.precision != "auto":
        encoder.precision = encoder.original.precision  # one pass serves both poolings
        return None
    encoder.prepare()
    if encoder.network is None or not refs:
        encoder.precision = "fp32"
        return None
    if not (multiplies_bfloat16(encoder.device) if gains is None else gains):
        encoder.precision = "fp32"
        return Decision("fp32")
    cosine, speedup = _beside_fp32(encoder, _first_batch(encoder, dataset, refs), "bf16")
    # The clock has no say: it would give one request different keys on different days.
    encoder.precision = "bf16" if cosine >= COSINE else "fp32"
    return Decision(encoder.precision, cosine, speedup)


def measure_int8(encoder: Encoder, dataset: Dataset, refs: Sequence[FrameRef]) -> Screening | None:
    """Compare int8 with float32 on the first frames, where the encoder's precision is int8.

    Args:
        encoder: The encoder; it stays as it is.
        dataset: Opens the files.
        refs: Frames that will be encoded.

    Returns:
        What was found, or ``None`` where there was nothing to compare.

    Raises:
        MediaError: A file cannot be decoded.
        EncodingError: The encoder broke its contract.
        UsbenchError: The device has no instructions for int8, or it would change nothing.
    """
    if encoder.precision != "int8" or not refs:
        return None
    batch = _first_batch(encoder, dataset, refs)
    try:
        cosine, speedup = _beside_fp32(encoder, batch, "int8")
    finally:
        encoder.precision = "int8"
    return Screening(cosine, len(batch), speedup)


def _first_batch(encoder: Encoder, dataset: Dataset, refs: Sequence[FrameRef]) -> torch.Tensor:
    import torch

    tensors = []
    for ref in refs[: min(FRAMES, encoder.batch_size)]:
        with dataset.open(ref.path) as media:
            tensors.append(encoder.preprocessed(media.frames([ref.frame])[0], ref.path))
    return torch.stack(tensors)


def _beside_fp32(encoder: Encoder, batch: torch.Tensor, other: str) -> tuple[float, float]:
    """Return the smallest cosine to float32 in another precision, in which the encoder is left, and how much faster."""
    poolings = (encoder.pooling, *encoder.companions)
    vectors, seconds = {}, {}
    encoder.precision = other
    encoder.encode_batch(batch[:1])  # first of all, so that what it cannot do is said at once; it sets things up, too
    for precision in ("fp32", other):
        encoder.precision = precision
        if precision == "fp32":
            encoder.encode_batch(batch[:1])
        started = time.perf_counter()
        vectors[precision] = encoder.encode_batch_poolings(batch, poolings)
        seconds[precision] = time.perf_counter() - started
    cosine = min(lowest_cosine(vectors["fp32"][name], vectors[other][name]) for name in poolings)
    return cosine, seconds["fp32"] / max(seconds[other], 1e-9)
