"""Nested ridge regression, version 2: tuned for the mean absolute error, on a grid without edges.

One decomposition of a training fold serves every penalty and every inner fold. With the residual maker R of the ridge
fit on all n training units, an intercept included, the residuals of units t that are left out are R_tt^-1 (R y)_t
exactly (Cook & Weisberg 1982, section 2.2), so nothing is fitted again to tune. Features are standardised once per
training fold, on its units alone and without their targets; inner folds share that, and the penalty of the fold.

References:
    Cook RD, Weisberg S. Residuals and Influence in Regression. Chapman & Hall 1982.
    Hastie T, Tibshirani R, Friedman J. The Elements of Statistical Learning. Springer 2009 (section 7.10).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, FoldAnswer, Problem
from usbench.probes.ridge import INNER_FOLDS
from usbench.probes.squared_hinge_svm import fit_scaler
from usbench.probes.threads import map_folds
from usbench.probes.wide_grid import choose
from usbench.statistics._types import FloatArray
from usbench.statistics.splits import Split

GRID: tuple[float, ...] = tuple(10.0**k for k in np.arange(-10.0, 3.5, 0.5))
"""Penalties as a share of the number of training units, for features of mean squared length one: from hardly
regularised to a constant."""


def ridge_nested(problem: Problem, grid: Sequence[float] = GRID, inner_folds: int = INNER_FOLDS) -> Answer:
    """Regress the target on the mean latent, with the penalty tuned inside each training fold.

    The criterion is the absolute error over inner folds of whole subjects; the strongest penalty wins a tie.

    Args:
        problem: A regression problem.
        grid: Penalties as a share of the number of training units.
        inner_folds: Folds inside a training fold.

    Returns:
        Predictions and the chosen penalty of each fold.

    Raises:
        DataError: If a training fold has a single subject.
    """
    # From the strongest, so that the first minimum is the most cautious.
    penalties = np.array(sorted(grid, reverse=True), dtype=np.float64)

    def one_fold(job: tuple[int, int, Split]) -> tuple[FoldAnswer, FoldChoice]:
        repeat, fold, split = job
        y = problem.y[split.train]
        fit = RidgeFit(problem.features[split.train], y, problem.least_spread)
        inner = problem.inner_folds(repeat, fold, split, inner_folds)
        error: FloatArray = np.zeros(len(penalties))
        for s in inner:
            error += np.abs(fit.left_out(s.test, penalties)).sum(axis=1)
        error /= len(y)
        best, edge = choose(error, float(np.abs(y - np.median(y)).mean()))
        score = fit.predict(problem.features[split.test], penalties[best])
        choice = FoldChoice(repeat, fold, split.fold, {"penalty": float(penalties[best])}, float(error[best]), edge)
        return (repeat, fold, split, score, score), choice

    answers = map_folds(one_fold, problem.folds(), problem.n_jobs)
    return problem.gather(a for a, _ in answers), tuple(choice for _, choice in answers)


class RidgeFit:
    """Ridge regressions of one training set for any penalty, from one decomposition.

    Each minimises sum (y_i - w x_i - b)^2 + n * penalty * |w|^2 over standardised features.

    Args:
        train: Features as they come, float64 [n_train, D].
        y: Targets, float64 [n_train].
        least_spread: As in `fit_scaler`.
    """

    def __init__(self, train: FloatArray, y: FloatArray, least_spread: float = 0.0) -> None:
        self._scaler = fit_scaler(train, least_spread)
        left, values, self._right = np.linalg.svd(self._scaler(train), full_matrices=False)
        # Centred features have one direction less than there are units: what is left of it is rounding.
        kept = values > 1e-12 * max(float(values[0]), 1e-300)
        self._left, self._values, self._right = left[:, kept], values[kept], self._right[kept]
        self._centre = float(y.mean())
        self._n = len(y)
        self._projected = self._left.T @ (y - self._centre)
        # What no penalty ever fits.
        self._rest = (y - self._centre) - self._left @ self._projected

    def left_out(self, units: np.ndarray, penalties: FloatArray) -> FloatArray:
        """Return the residuals of some training units under fits to the others, float64 [n_penalties, n_units]."""
        load = self._n * penalties[:, None]
        kept = load / (self._values**2 + load)
        part = self._left[units]
        residual = self._rest[units] + (kept * self._projected) @ part.T
        outside = np.eye(len(units)) - 1 / self._n - part @ part.T
        maker = outside + (part * kept[:, None, :]) @ part.T
        found: FloatArray = np.linalg.solve(maker, residual[:, :, None])[:, :, 0]
        return found

    def predict(self, test: FloatArray, penalty: float) -> FloatArray:
        """Return predictions for units that were not trained on, float64 [n_test]."""
        shrink = self._values / (self._values**2 + self._n * penalty)
        predicted: FloatArray = (shrink * self._projected) @ (self._right @ self._scaler(test).T) + self._centre
        return predicted
