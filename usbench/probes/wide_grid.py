"""Tuning on a grid that does not end before the answer does, and saying where it did.

A grid of regularisation ends somewhere. Where a criterion is level at that end, a longer grid would choose an equal
model; where it still improves towards it, the score is that of the grid and not of the embedding. The second kind is
called *at the edge*, is kept with every choice and told to the reader.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usbench.statistics._types import BoolArray, FloatArray

EDGE_TOLERANCE = 1e-3
"""Share of the criterion's scale by which the last step of a grid must still improve it for its end to be an edge."""

# Up to so many pairs are compared one by one, which is quicker than sorting.
_ALL_PAIRS = 200_000
# Criteria nearer than this differ by rounding.
_TIE = 1e-12


def choose(losses: FloatArray, scale: float) -> tuple[int, bool]:
    """Choose the first of equals with the least loss, and say whether the grid ended too early.

    Args:
        losses: Criterion of each value, lower is better, in order from the most to the least regularised, so that the
            most cautious of equals wins, float64 [n_values].
        scale: What the criterion is measured against: 1 for an AUC, the error of a constant for an error.

    Returns:
        Position of the choice, and whether it is at an edge: at an end of the grid, with a criterion that still
        improves by more than `EDGE_TOLERANCE` times `scale` over the value next to it.
    """
    best = int(np.argmax(losses <= losses.min() + _TIE * max(scale, 1e-300)))
    if len(losses) < 2 or 0 < best < len(losses) - 1:
        return best, False
    neighbour = 1 if best == 0 else best - 1
    return best, bool(losses[neighbour] - losses[best] > EDGE_TOLERANCE * scale)


def discordance(scores: FloatArray, positive: BoolArray) -> tuple[FloatArray, int]:
    """Count the pairs of a positive and a negative unit that are ranked the wrong way round, ties half.

    Args:
        scores: Decision values for each value of the grid, float64 [n_values, n_units].
        positive: Whether a unit is positive, bool [n_units].

    Returns:
        The count for each value, float64 [n_values], and the number of pairs.
    """
    asked, ranked = scores[:, positive], scores[:, ~positive]
    if asked.size * ranked.shape[1] <= _ALL_PAIRS:
        above = asked[:, :, None] - ranked[:, None, :]
        return (above < 0).sum(axis=(1, 2)) + 0.5 * (above == 0).sum(axis=(1, 2)), asked.shape[1] * ranked.shape[1]
    ranked = np.sort(ranked, axis=1)
    lost = np.zeros(len(scores))
    for k, (negatives, positives) in enumerate(zip(ranked, asked, strict=True)):
        below = np.searchsorted(negatives, positives, side="left")
        not_above = np.searchsorted(negatives, positives, side="right")
        lost[k] = asked.shape[1] * ranked.shape[1] - 0.5 * float((below + not_above).sum())
    return lost, asked.shape[1] * ranked.shape[1]


def auc_loss(folds: Sequence[tuple[FloatArray, np.ndarray]], n_classes: int) -> FloatArray | None:
    """Compute one minus the AUC within folds for each value of the grid.

    Args:
        folds: Decision values [n_values, n_units] (more than two classes: [n_values, n_units, n_classes]) and class
            numbers [n_units] of each fold's test units.
        n_classes: Number of classes; of more than two, the mean of each against the rest.

    Returns:
        The loss, float64 [n_values]; None where no fold has a pair.
    """
    losses = []
    for label in [1] if n_classes == 2 else range(n_classes):
        lost: FloatArray = np.zeros(len(folds[0][0]))
        pairs = 0
        for scores, y in folds:
            mine, number = discordance(scores if n_classes == 2 else scores[:, :, label], y == label)
            lost, pairs = lost + mine, pairs + number
        if pairs == 0:
            return None
        losses.append(lost / pairs)
    found: FloatArray = np.mean(losses, axis=0)
    return found
