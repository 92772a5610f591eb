"""Ridge regression on mean latents, its penalty tuned inside each training fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, FoldAnswer, Problem
from usbench.probes.squared_hinge_svm import fit_scaler
from usbench.probes.threads import map_folds
from usbench.statistics._types import FloatArray
from usbench.statistics.splits import Split

GRID: tuple[float, ...] = tuple(10.0**k for k in np.arange(-3.0, 3.5, 0.5))
"""Penalties as a share of the number of training units, for features of mean squared length one."""

INNER_FOLDS = 4


def ridge_scores(
    train: FloatArray, y: FloatArray, test: FloatArray, grid: Sequence[float], least_spread: float = 0.0
) -> FloatArray:
    """Fit ridge regressions for every penalty of a grid by one factorisation, and apply them.

    Minimises sum (y_i - w x_i - b)^2 + n * penalty * |w|^2 over features standardised on the training units;
    the intercept is not penalised.

    Args:
        train: Training features as they come, float64 [n_train, D].
        y: Targets, float64 [n_train].
        test: Test features, float64 [n_test, D].
        grid: Penalties, positive.
        least_spread: As in `fit_scaler`.

    Returns:
        Predictions, float64 [n_penalties, n_test].
    """
    scaler = fit_scaler(train, least_spread)
    left, values, right = np.linalg.svd(scaler(train), full_matrices=False)
    centre = y.mean()
    shrink = values / (values**2 + len(y) * np.asarray(grid, dtype=np.float64)[:, None])
    predicted: FloatArray = (shrink * (left.T @ (y - centre))) @ (right @ scaler(test).T) + centre
    return predicted


def ridge_nested(problem: Problem, grid: Sequence[float] = GRID, inner_folds: int = INNER_FOLDS) -> Answer:
    """Regress the target on the mean latent, with the penalty tuned inside each training fold.

    The criterion is the squared error pooled over inner folds of whole subjects; the strongest penalty wins a
    tie.

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
    penalties = sorted(grid, reverse=True)
    least = problem.least_spread

    def one_fold(job: tuple[int, int, Split]) -> tuple[FoldAnswer, FoldChoice]:
        repeat, fold, split = job
        features, y = problem.features[split.train], problem.y[split.train]
        error = np.zeros(len(penalties))
        for s in problem.inner_folds(repeat, fold, split, inner_folds):
            predicted = ridge_scores(features[s.train], y[s.train], features[s.test], penalties, least)
            error += ((predicted - y[s.test]) ** 2).sum(axis=1)
        best = int(np.argmin(error))
        score = ridge_scores(features, y, problem.features[split.test], [penalties[best]], least)[0]
        choice = FoldChoice(repeat, fold, split.fold, {"penalty": float(penalties[best])}, float(error[best] / len(y)))
        return (repeat, fold, split, score, score), choice

    answers = map_folds(one_fold, problem.folds(), problem.n_jobs)
    return problem.gather(a for a, _ in answers), tuple(choice for _, choice in answers)
