"""The two linear SVC protocols: the paper's, and one whose tuning never sees the test fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, FoldAnswer, Problem, decide
from usbench.probes.squared_hinge_svm import svc_scores
from usbench.probes.threads import map_folds
from usbench.statistics._types import FloatArray
from usbench.statistics.splits import Split

GRID: tuple[float, ...] = tuple(10.0**k for k in range(-3, 4))
"""Values of C, for standardised features scaled to a mean squared length of one."""

INNER_FOLDS = 4


def svc_paper(problem: Problem, grid: Sequence[float] = GRID) -> Answer:
    """Tune C for accuracy on the very folds that are scored, as the paper does (section III-D-3).

    In each repeat one C serves all folds: the one with the highest accuracy over the pooled test predictions,
    the smallest where several tie. The score is optimistic, because it is the best of several.

    Args:
        problem: A classification problem.
        grid: Values of C, ascending.

    Returns:
        Predictions and the chosen C of each fold.
    """
    folds = problem.folds()
    scores = map_folds(lambda job: _fold_scores(problem, job[2], grid), folds, problem.n_jobs)
    answers, choices = [], []
    for repeat in range(len(problem.splits)):
        mine = [(job, s) for job, s in zip(folds, scores, strict=True) if job[0] == repeat]
        pooled = np.concatenate([s for _, s in mine], axis=1)
        truth = np.concatenate([problem.y[job[2].test] for job, _ in mine])
        best, accuracy = _most_accurate(pooled, truth, problem.n_classes)
        for (_, fold, split), s in mine:
            answers.append((repeat, fold, split, s[best], decide(s[best], problem.n_classes)))
            choices.append(FoldChoice(repeat, fold, split.fold, {"C": float(grid[best])}, accuracy))
    return problem.gather(answers), tuple(choices)


def svc_nested(problem: Problem, grid: Sequence[float] = GRID, inner_folds: int = INNER_FOLDS) -> Answer:
    """Tune C inside each training fold, on folds of whole subjects stratified by class.

    The criterion, its ties and the grid are those of `svc_paper`, so that the difference of the two is the
    optimism of tuning on the test folds and nothing else.

    Args:
        problem: A classification problem.
        grid: Values of C, ascending.
        inner_folds: Folds inside a training fold; fewer where a class has fewer subjects.

    Returns:
        Predictions and the chosen C of each fold.

    Raises:
        DataError: If a training fold has a class with a single subject.
    """

    def one_fold(job: tuple[int, int, Split]) -> tuple[FoldAnswer, FoldChoice]:
        repeat, fold, split = job
        features, y = problem.features[split.train], problem.codes[split.train]
        inner = problem.inner_folds(repeat, fold, split, inner_folds)
        pooled = [
            svc_scores(features[s.train], y[s.train], problem.n_classes, features[s.test], grid, problem.least_spread)
            for s in inner
        ]
        truth = np.concatenate([y[s.test] for s in inner]).astype(np.float64)
        best, accuracy = _most_accurate(np.concatenate(pooled, axis=1), truth, problem.n_classes)
        score = _fold_scores(problem, split, [grid[best]])[0]
        choice = FoldChoice(repeat, fold, split.fold, {"C": float(grid[best])}, accuracy)
        return (repeat, fold, split, score, decide(score, problem.n_classes)), choice

    answers = map_folds(one_fold, problem.folds(), problem.n_jobs)
    return problem.gather(a for a, _ in answers), tuple(choice for _, choice in answers)


def _fold_scores(problem: Problem, split: Split, grid: Sequence[float]) -> FloatArray:
    train, test = problem.features[split.train], problem.features[split.test]
    return svc_scores(train, problem.codes[split.train], problem.n_classes, test, grid, problem.least_spread)


def _most_accurate(scores: FloatArray, truth: FloatArray, n_classes: int) -> tuple[int, float]:
    """Position in the grid of the highest accuracy, the first of equals, and that accuracy."""
    right = (decide(scores, n_classes) == truth).sum(axis=1)
    best = int(np.argmax(right))
    return best, float(right[best] / len(truth))
