"""Ridge regression on grades, with cut points that give each grade the share it has in the training fold.

A ridge shrinks towards the mean grade, so that rounding its prediction would hardly ever name the lowest and the
highest grade. The cut points are therefore taken from predictions for training units by models that did not see them:
they stand where these predictions, in order, change from one grade's share to the next one's.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.problem import LEAST_SPREAD, Answer, FoldAnswer, Problem
from usbench.probes.ridge import ridge_scores
from usbench.probes.threads import map_folds
from usbench.statistics._types import FloatArray
from usbench.statistics.splits import Split

GRID: tuple[float, ...] = tuple(10.0**k for k in np.arange(-7.0, 3.5, 0.5))
"""Penalties as a share of the number of training units, for features of mean squared length one."""

INNER_FOLDS = 4


def ordinal_ridge(problem: Problem, grid: Sequence[float] = GRID, inner_folds: int = INNER_FOLDS) -> Answer:
    """Regress the grade on the mean latent and cut the prediction into grades, all inside each training fold.

    The penalty is tuned for squared error over inner folds of whole subjects; the strongest wins a tie. The score of a
    unit is its predicted grade before cutting.

    Args:
        problem: An ordinal problem: grades are numbers from 0.
        grid: Penalties as a share of the number of training units.
        inner_folds: Folds inside a training fold.

    Returns:
        Predictions, and the chosen penalty and cut points of each fold.

    Raises:
        DataError: If a training fold has a single subject.
    """
    penalties = sorted(grid, reverse=True)

    def one_fold(job: tuple[int, int, Split]) -> tuple[FoldAnswer, FoldChoice]:
        repeat, fold, split = job
        features, y = problem.features[split.train], problem.y[split.train]
        unseen = np.empty((len(penalties), len(y)))
        for s in problem.inner_folds(repeat, fold, split, inner_folds):
            unseen[:, s.test] = ridge_scores(features[s.train], y[s.train], features[s.test], penalties, LEAST_SPREAD)
        error = ((unseen - y) ** 2).mean(axis=1)
        best = int(np.argmin(error))
        cuts = cut_points(unseen[best], y, problem.n_classes)
        score = ridge_scores(features, y, problem.features[split.test], [penalties[best]], LEAST_SPREAD)[0]
        grade = np.searchsorted(cuts, score, side="right").astype(np.float64)
        parameters = {"penalty": float(penalties[best])}
        parameters.update({f"cut{k + 1}": float(cut) for k, cut in enumerate(cuts)})
        choice = FoldChoice(repeat, fold, split.fold, parameters, float(error[best]))
        return (repeat, fold, split, score, grade), choice

    answers = map_folds(one_fold, problem.folds(), problem.n_jobs)
    return problem.gather(a for a, _ in answers), tuple(choice for _, choice in answers)


def cut_points(scores: FloatArray, y: FloatArray, n_grades: int) -> FloatArray:
    """Return the cut points that give each grade the share it has.

    Args:
        scores: Predictions for units that were not trained on, float64 ``(n,)``.
        y: Their grades, 0 to ``n_grades - 1``, float64 ``(n,)``.
        n_grades: Number of grades.

    Returns:
        Ascending, float64 ``(n_grades - 1,)``: a unit has grade k if its score lies between the k-th cut and the next.
    """
    ordered = np.sort(scores)
    below = np.array([(y < k).sum() for k in range(1, n_grades)])
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    # Half way between the last unit below a cut and the first above it; infinite where a grade at an end is empty.
    with np.errstate(invalid="ignore"):
        cuts: FloatArray = (padded[below] + padded[below + 1]) / 2
    return np.where(np.isfinite(cuts), cuts, np.where(below == 0, -1e300, 1e300))
