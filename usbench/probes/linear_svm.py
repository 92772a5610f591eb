"""The two linear SVC protocols: the paper's, and one whose tuning never sees the test fold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.fold_svm import FoldSet, solve_folds, standardised, tune_inside
from usbench.probes.problem import Answer, Problem, decide
from usbench.probes.solved import Scores
from usbench.statistics._types import FloatArray, IntArray
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
    scores = [s.values for s in solve_folds(problem, [split for _, _, split in folds], grid)]
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

    def anew(_: FoldSet, split: Split, cut: Split) -> FoldSet:
        # Unlike the second version, features are standardised anew in each inner fold.
        return standardised(problem, Split(split.train[cut.train], split.train[cut.test], cut.fold))

    def most_accurate(asked: list[tuple[Scores, IntArray]]) -> tuple[int, float, None]:
        pooled, truth = np.concatenate([s.values for s, _ in asked], axis=1), np.concatenate([y for _, y in asked])
        return *_most_accurate(pooled, truth.astype(np.float64), problem.n_classes), None

    return tune_inside(problem, grid, inner_folds, anew, most_accurate, lambda scores: scores.values)


def _most_accurate(scores: FloatArray, truth: FloatArray, n_classes: int) -> tuple[int, float]:
    """Position in the grid of the highest accuracy, the first of equals, and that accuracy."""
    right = (decide(scores, n_classes) == truth).sum(axis=1)
    best = int(np.argmax(right))
    return best, float(right[best] / len(truth))
