"""Joining the frames of a unit that fill different places, such as two views at two phases of the heart.

Averaging the vectors of all places would throw away what only their difference tells: how far a ventricle contracts
is the difference between its end-diastole and its end-systole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from usbench.core.types import Vectors
from usbench.errors import DataError
from usbench.statistics._types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Places:
    """The place that each frame fills.

    Attributes:
        index: Place of each frame, int64 ``(n_frames,)``, 0 to ``n - 1``.
        names: Names of the places.
        pairs: Pairs of places whose difference is taken, after the mean over places; ``None`` puts the places side by
            side.
    """

    index: IntArray
    names: tuple[str, ...]
    pairs: tuple[tuple[int, int], ...] | None

    def take(self, frames: IntArray) -> Places:
        """Return the places of some frames."""
        return Places(self.index[frames], self.names, self.pairs)

    def own_columns(self, embeddings: Vectors) -> Vectors:
        """Put each frame into the columns of its place and zeros elsewhere.

        A head that sums over frames can then weigh the places against each other, and so take differences, which it
        cannot when it is told the place by an indicator alone.

        Args:
            embeddings: float32 ``(n_frames, D)``.

        Returns:
            float32 ``(n_frames, n_places * D)``.
        """
        wide = np.zeros((len(embeddings), len(self.names), embeddings.shape[1]), dtype=np.float32)
        wide[np.arange(len(embeddings)), self.index] = embeddings
        return wide.reshape(len(embeddings), -1)


def join_places(embeddings: Vectors, unit: IntArray, n_units: int, places: Places) -> FloatArray:
    """Join the places of each unit into one vector.

    Args:
        embeddings: float32 ``(n_frames, D)``.
        unit: Unit of each frame, int64 ``(n_frames,)``.
        n_units: Number of units.
        places: Place of each frame, and how places are joined.

    Returns:
        float64 ``(n_units, k * D)``: the mean over places and then each difference, or the places side by side.
        Several frames of a unit in one place are averaged first.

    Raises:
        DataError: A unit has no frame in some place.
    """
    n_places = len(places.names)
    cell = unit * n_places + places.index
    frames = np.bincount(cell, minlength=n_units * n_places)
    if (frames == 0).any():
        first = int(np.argmin(frames))
        raise DataError(
            f"{int((frames == 0).sum())} places are empty (first: unit {first // n_places} has no frame in place "
            f"{places.names[first % n_places]!r}): every unit must fill every place."
        )
    total = np.zeros((n_units * n_places, embeddings.shape[1]))
    np.add.at(total, cell, embeddings.astype(np.float64))
    by_place = (total / frames[:, None]).reshape(n_units, n_places, -1)
    if places.pairs is None:
        return by_place.reshape(n_units, -1)
    parts = [by_place.mean(axis=1), *(by_place[:, a] - by_place[:, b] for a, b in places.pairs)]
    return np.concatenate(parts, axis=1)
