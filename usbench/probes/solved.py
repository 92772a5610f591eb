"""Decision values of trained probes, and the store that keeps protocols from training the same probe twice."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from usbench.statistics._types import FloatArray

Key = tuple[bytes, float]
"""Digest of training units, their class numbers and test units, and C."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Decision values of test units for each C.

    Attributes:
        values: float64 [n_C, n_test]; of more than two classes [n_C, n_test, n_classes], each against the rest.
        norm: Length of the weights, float64 [n_C]; of more than two classes [n_C, n_classes].
    """

    values: FloatArray
    norm: FloatArray

    @property
    def distances(self) -> FloatArray:
        """Distances to the boundary of two classes; more classes are decided by their decision values as they come."""
        if self.values.ndim == 3:
            return self.values
        # Classes with equal means leave no direction: every unit is then on the boundary.
        found: FloatArray = self.values / np.where(self.norm > 0, self.norm, 1.0)[:, None]
        return found


@dataclass(frozen=True, eq=False)
class Solved:
    """What has been solved on one set of embedded frames, for the protocols that train on the same folds.

    Attributes:
        scores: Decision values for one C each.
    """

    scores: dict[Key, Scores] = field(default_factory=dict)
