"""Metrics of ordered grades.

References:
    Cohen J. Weighted kappa: nominal scale agreement with provision for scaled disagreement or partial credit.
    Psychological Bulletin 1968;70:213-220.
"""

from __future__ import annotations

from usbench.statistics._types import FloatArray
from usbench.statistics.kernels import Kernel, ratio
from usbench.statistics.predictions import Predictions


def quadratic_kappa(outcome: Predictions) -> Kernel:
    """Cohen's kappa with quadratic weights: 1 minus squared disagreement over that of independent gradings.

    Undefined where truth and prediction are both one and the same grade throughout.
    """
    y, predicted = outcome.y, outcome.predicted
    square = ((predicted - y) ** 2).T

    def kernel(weights: FloatArray) -> FloatArray:
        total = weights.sum(axis=1, keepdims=True)
        mean_y, mean_y2 = (ratio((weights @ v)[:, None], total) for v in (y, y**2))
        mean_p, mean_p2 = (ratio(weights @ v.T, total) for v in (predicted, predicted**2))
        chance = mean_y2 + mean_p2 - 2 * mean_y * mean_p
        kappa: FloatArray = (1 - ratio(ratio(weights @ square, total), chance)).mean(axis=1)
        return kappa

    return kernel
