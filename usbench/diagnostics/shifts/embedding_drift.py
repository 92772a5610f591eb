"""How far embeddings move when the picture is shifted, in units of how far subjects lie apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from usbench.core.types import Vectors
from usbench.errors import DataError

Floats = npt.NDArray[np.float64]

RESAMPLES = 1000


@dataclass(frozen=True)
class Drift:
    """Mean cosine distance of frames to their shifted selves, over the mean between different subjects.

    Attributes:
        value: The ratio; 0 when nothing moves, 1 when a shift moves a frame as far as another subject is away.
        low: Lower end of the 95 % interval, subjects resampled in numerator and denominator alike.
        high: Upper end.
        distance: The numerator, a cosine distance from 0 to 2.
        spread: The denominator.
    """

    value: float | None
    low: float | None
    high: float | None
    distance: float
    spread: float


def drift(clean: Vectors, shifted: Vectors, subjects: npt.ArrayLike, seed: int = 0) -> Drift:
    """Measure the drift of one shift.

    Args:
        clean: float32 ``(n, D)``.
        shifted: float32 ``(n, D)``, the same frames in the same order.
        subjects: Subject of each frame, ``(n,)``.
        seed: Seed of the resampling.

    Returns:
        The drift. Without value when all subjects have the same embedding.

    Raises:
        DataError: Shapes disagree, or there is one subject only.
    """
    if clean.shape != shifted.shape or len(clean) != np.size(subjects):
        raise DataError(
            f"drift of {clean.shape} to {shifted.shape} for {np.size(subjects)} subjects: give equal sizes."
        )
    names, code = np.unique(np.asarray(subjects), return_inverse=True)
    if len(names) < 2:
        raise DataError("the spread between subjects needs at least 2 of them.")
    a, b = _unit_length(clean), _unit_length(shifted)
    frames = np.bincount(code)
    moved = np.bincount(code, weights=_distance(a, b)) / frames  # a subject counts once, however many frames it has
    means = np.zeros((len(names), a.shape[1]))
    np.add.at(means, code, a)
    apart = 1.0 - (means / frames[:, None]) @ (means / frames[:, None]).T
    np.fill_diagonal(apart, 0.0)
    ones = np.ones((1, len(names)))
    value, distance, spread = (float(part[0]) for part in _ratio(ones, moved, apart))
    if not np.isfinite(value):
        return Drift(None, None, None, distance, spread)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=RESAMPLES).astype(np.float64)
    draws = _ratio(weights, moved, apart)[0]
    low, high = np.quantile(draws[np.isfinite(draws)], (0.025, 0.975))
    return Drift(value, float(low), float(high), distance, spread)


def _ratio(weights: Floats, moved: Floats, apart: Floats) -> tuple[Floats, Floats, Floats]:
    """Numerator over denominator for weights of the subjects, ``[draws, subjects]``; pairs of one subject count 0."""
    total = weights.sum(axis=1)
    pairs = total**2 - (weights**2).sum(axis=1)
    distance = weights @ moved / total
    # A subject drawn twice is no pair of subjects: only off-diagonal pairs are counted, above and below.
    spread = np.einsum("ds,st,dt->d", weights, apart, weights, optimize=True) / np.where(pairs > 0, pairs, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(spread > 1e-12, distance / spread, np.nan)
    return value, distance, spread


def _distance(a: Floats, b: Floats) -> Floats:
    """Cosine distance of rows of unit length; two empty vectors agree, an empty and a full one are at 1."""
    distance = 1.0 - np.einsum("nd,nd->n", a, b)
    both_empty = ~a.any(axis=1) & ~b.any(axis=1)
    clipped: Floats = np.where(both_empty, 0.0, np.maximum(distance, 0.0))
    return clipped


def _unit_length(vectors: Vectors) -> Floats:
    wide = vectors.astype(np.float64)
    length = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: Floats = wide / np.where(length > 0, length, 1.0)
    return unit
