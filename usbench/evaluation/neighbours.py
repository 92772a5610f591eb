"""Votes of the nearest neighbours, where images that belong together must not vote for each other.

Frames of one video are almost equal. Whoever lets them vote measures whether an encoder recognises a video, which every
encoder does. The same holds, more quietly, for images of one published set when a set shows one organ: scanner, crop
and compression then give the organ away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import DataError
from usbench.projection.umap import NEIGHBOURS
from usbench.statistics._types import BoolArray, FloatArray, IntArray

_BLOCK = 512


@dataclass(frozen=True, eq=False)
class Votes:
    """What the neighbours of each unit say.

    Attributes:
        share: Share of the votes for each class, float64 [n, n_classes]; rows of untested units are zero.
        predicted: Class with most votes, int64 [n]; of equal shares the class of the nearest neighbour among them.
        tested: Units that were asked about, bool [n].
    """

    share: FloatArray
    predicted: IntArray
    tested: BoolArray

    def accuracy(self, labels: ArrayLike) -> float | None:
        """Return the share of tested units whose neighbours name their class; ``None`` if none was tested."""
        right = self.predicted == np.asarray(labels)
        return float(right[self.tested].mean()) if self.tested.any() else None


def neighbour_votes(
    points: ArrayLike,
    labels: ArrayLike,
    apart: Sequence[ArrayLike],
    n_neighbours: int = NEIGHBOURS,
    fewest: int = 1,
    balanced: bool = False,
) -> Votes:
    """Let the nearest units of other subjects vote on the class of each unit.

    Args:
        points: Vectors or map coordinates, [n, D]; distance is Euclidean.
        labels: Class numbers from 0, [n].
        apart: Groupings, each [n]; units that share a group in any of them do not vote for each other.
        n_neighbours: Number of neighbours; fewer where fewer are eligible.
        fewest: A unit is tested only if so many units of its own class are eligible; otherwise its class could not win.
        balanced: Divide the votes for a class by the number of its eligible units, so that chance is the same for
            every class although some have lost most of their units to ``apart``.

    Returns:
        Votes and predictions.

    Raises:
        DataError: Lengths disagree, or there is no neighbour to ask.
    """
    x = np.asarray(points, dtype=np.float64)
    y = np.asarray(labels, dtype=np.int64)
    groups = [np.unique(np.asarray(g), return_inverse=True)[1].reshape(-1) for g in apart]
    if x.ndim != 2 or y.shape != (len(x),) or any(g.shape != y.shape for g in groups):
        raise DataError(f"{x.shape} points with {y.size} labels: give one label and one group per unit.")
    if n_neighbours < 1 or fewest < 1:
        raise DataError(f"{n_neighbours} neighbours, at least {fewest} of the own class: both must be at least 1.")
    n, n_classes = len(x), int(y.max()) + 1
    x = x - x.mean(axis=0)  # far from the origin the expansion of the square loses digits
    square = (x**2).sum(axis=1)
    member = np.eye(n_classes)[y]
    share = np.zeros((n, n_classes))
    predicted = np.zeros(n, dtype=np.int64)
    tested = np.zeros(n, dtype=bool)
    for start in range(0, n, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, n))
        eligible = rows[:, None] != np.arange(n)
        for group in groups:
            eligible &= group[rows][:, None] != group
        distance = np.where(eligible, square[rows][:, None] + square - 2 * x[rows] @ x.T, np.inf)
        nearest = np.argsort(distance, axis=1, kind="stable")[:, :n_neighbours]
        voting = np.take_along_axis(eligible, nearest, axis=1)
        able = eligible @ member
        tested[rows] = able[np.arange(len(rows)), y[rows]] >= fewest
        share[rows], predicted[rows] = _count(y[nearest], voting, able if balanced else np.ones_like(able))
    share[~tested] = 0.0
    if not tested.any():
        raise DataError("no unit has eligible neighbours of its own class: there is nobody to ask.")
    return Votes(share, predicted, tested)


def _count(classes: IntArray, voting: BoolArray, size: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return shares [rows, n_classes] and winners [rows] from neighbours in order of distance [rows, k]."""
    votes = np.stack([((classes == k) & voting).sum(axis=1) for k in range(size.shape[1])], axis=1).astype(np.float64)
    np.divide(votes, size, out=votes, where=size > 0)
    total = votes.sum(axis=1, keepdims=True)
    share = np.divide(votes, total, out=np.zeros_like(votes), where=total > 0)
    best = np.isclose(share, share.max(axis=1, keepdims=True), rtol=1e-9, atol=0)
    leads = np.take_along_axis(best, classes, axis=1) & voting
    winner = np.take_along_axis(classes, leads.argmax(axis=1)[:, None], axis=1)[:, 0]
    return share, winner
