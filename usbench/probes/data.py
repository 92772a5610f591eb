"""What goes into a probe and what comes out of it: arrays, and nothing about files or datasets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from usbench.errors import DataError
from usbench.probes.places import Places, join_places
from usbench.probes.solved import Solved
from usbench.statistics._types import AnyArray, FloatArray, IntArray
from usbench.statistics.predictions import Predictions

FrameArray = NDArray[np.float32]
# Rows that are checked at a time, and numbers that are summed at a time.
_BLOCK = 4096
_SUMMED = 1_000_000


@dataclass(frozen=True, eq=False)
class ProbeData:
    """Embedded frames, the units they belong to, and what is known about the units.

    A unit is what a decision is made about: a patient, one eye at one visit, an image.

    Attributes:
        embeddings: Encoded frames, float32 [n_frames, D], finite.
        unit: Unit of each frame, int64 [n_frames], 0 to n_units - 1; every unit has at least one frame.
        y: Label or target of each unit, [n_units]; classes of any sortable type, or finite numbers.
        groups: Subject of each unit, [n_units].
        order: Position of each frame in time within its unit, [n_frames]; default: as listed. Heads that look
            at several frames see them in this order.
        places: Place that each frame fills, where frames have roles; default: all frames of a unit are alike.
        solved: Where protocols keep what they solve on these frames and labels, for others to use; default: nowhere.

    Raises:
        DataError: If lengths disagree, an embedding is not finite, or a unit has no frame.
    """

    embeddings: FrameArray
    unit: IntArray
    y: AnyArray
    groups: AnyArray
    order: AnyArray | None = None
    places: Places | None = None
    solved: Solved | None = None

    def __post_init__(self) -> None:
        """Bring the arrays to their types and refuse what no probe can use."""
        embeddings = np.asarray(self.embeddings, dtype=np.float32)
        unit = np.asarray(self.unit, dtype=np.int64)
        y, groups = np.asarray(self.y), np.asarray(self.groups)
        if embeddings.ndim != 2 or embeddings.shape[1] == 0:
            raise DataError(f"Embeddings have shape {embeddings.shape}: expected [frames, features].")
        if unit.shape != (len(embeddings),) or y.ndim != 1 or groups.shape != y.shape:
            raise DataError(
                f"{len(embeddings)} frames with {unit.size} unit numbers, {y.size} labels and {groups.size} "
                "subjects: give one unit per frame, and one label and one subject per unit."
            )
        if self.order is not None and np.shape(self.order) != unit.shape:
            raise DataError(f"{np.size(self.order)} frame positions for {len(unit)} frames: give one a frame.")
        if self.places is not None and self.places.index.shape != unit.shape:
            raise DataError(f"{self.places.index.size} places for {len(unit)} frames: give one per frame.")
        if len(unit) == 0 or unit.min() < 0 or unit.max() >= len(y):
            raise DataError(f"Frames must belong to the units 0 to {len(y) - 1}, and there must be a frame.")
        frames = np.bincount(unit, minlength=len(y))
        if (frames == 0).any():
            raise DataError(
                f"{int((frames == 0).sum())} units have no frame (first: unit {int(np.argmin(frames))}, "
                f"subject {groups[np.argmin(frames)]}): drop them or embed their frames."
            )
        if (bad := _first_not_finite(embeddings)) is not None:
            raise DataError(f"The embedding of frame {bad} (unit {unit[bad]}) is not finite: check the encoder.")
        for name, value in (("embeddings", embeddings), ("unit", unit), ("y", y), ("groups", groups)):
            object.__setattr__(self, name, value)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.y)


def _first_not_finite(embeddings: FrameArray) -> int | None:
    """Return the first row that holds NaN or infinity; looked for in blocks, not in a mask as large as all frames."""
    for start in range(0, len(embeddings), _BLOCK):
        fine = np.isfinite(embeddings[start : start + _BLOCK]).all(axis=1)
        if not fine.all():
            return start + int(np.argmin(fine))
    return None


def unit_features(data: ProbeData) -> FloatArray:
    """Return one vector per unit: the mean of its frames, or its places joined where frames have roles.

    Args:
        data: Embedded frames.

    Returns:
        float64 ``(n_units, D)``, or ``(n_units, k * D)`` with places.

    Raises:
        DataError: A unit does not fill every place.
    """
    if data.places is None:
        return mean_by_unit(data)
    return join_places(data.embeddings, data.unit, data.n_units, data.places)


def mean_by_unit(data: ProbeData) -> FloatArray:
    """Average the embeddings of each unit's frames.

    Args:
        data: Embedded frames.

    Returns:
        Mean latent of each unit, float64 [n_units, D].
    """
    order = np.argsort(data.unit, kind="stable")
    starts = np.searchsorted(data.unit[order], np.arange(data.n_units + 1))
    frames = np.diff(starts)
    total = np.empty((data.n_units, data.embeddings.shape[1]))
    # Some units at a time, and of a unit with very many frames some features, so that a copy in double precision of all
    # frames is never held. Every sum is over the same numbers in the same order, however it is cut.
    rows = max(1, _SUMMED // total.shape[1])
    first = 0
    while first < data.n_units:
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + rows, side="right")) - 1)
        some = order[starts[first] : starts[last]]
        width = max(1, _SUMMED // len(some))
        for left in range(0, total.shape[1], width):
            block = data.embeddings[some, left : left + width].astype(np.float64)
            total[first:last, left : left + width] = np.add.reduceat(block, starts[first:last] - starts[first], axis=0)
        first = last
    return total / frames[:, None]


@dataclass(frozen=True)
class FoldChoice:
    """Hyper-parameters chosen for one fold.

    Attributes:
        repeat: Repeat.
        fold: Position of the fold in its repeat.
        label: Label of the fold.
        parameters: Chosen value by name.
        score: Value of the criterion that made the choice (accuracy, AUC, or an error), None if there was no choice
            to make.
        edge: Whether the grid ended before the criterion stopped improving; None where that was not looked at.
    """

    repeat: int
    fold: int
    label: str
    parameters: Mapping[str, float]
    score: float | None = None
    edge: bool | None = None


@dataclass(frozen=True, eq=False)
class ProbeResult:
    """Answer of a probe.

    Attributes:
        protocol: Name with version, such as "svc-nested@1".
        classes: Labels by class number; empty for regression.
        predictions: Predictions of all repeats, over all units that the probe was given.
        choices: Chosen hyper-parameters of each fold.
        settings: What the protocol was run with: seeds, grids, sizes. Plain values.
    """

    protocol: str
    classes: tuple[object, ...]
    predictions: Predictions
    choices: tuple[FoldChoice, ...]
    settings: Mapping[str, object] = field(default_factory=dict)


def encode_labels(y: ArrayLike, classes: Sequence[object]) -> IntArray:
    """Turn labels into class numbers.

    Args:
        y: Labels, [n_units].
        classes: Labels by class number.

    Returns:
        Class numbers, int64 [n_units].

    Raises:
        DataError: If a label is not among the classes.
    """
    numbers = {label: k for k, label in enumerate(classes)}
    try:
        return np.array([numbers[label] for label in np.asarray(y).tolist()], dtype=np.int64)
    except KeyError as error:
        known = ", ".join(map(str, classes))
        raise DataError(f"Label {error.args[0]!r} is not one of the classes {known}.") from error
