"""The nested linear SVC, version 2: tuned for the AUC within folds, on a grid without edges.

Where the grid ends nothing is left to gain: for C = 1e-6 the classifier ranks units along the difference of the class
means, for C = 1e5 it separates whatever can be separated. Of equal values the smallest wins. Features are standardised
once per training fold, on its units alone and without their labels, and inner folds share that.
"""

from __future__ import annotations

from collections.abc import Sequence

from usbench.probes.data import FoldChoice
from usbench.probes.fold_svm import solve_folds, tune_inside
from usbench.probes.linear_svm import INNER_FOLDS
from usbench.probes.problem import Answer, Problem, decide
from usbench.probes.solved import Scores
from usbench.probes.wide_grid import auc_loss, choose
from usbench.statistics._types import FloatArray, IntArray

GRID: tuple[float, ...] = tuple(10.0**k for k in range(-6, 6))
"""Values of C, for standardised features scaled to a mean squared length of one."""


def svc_nested(problem: Problem, grid: Sequence[float] = GRID, inner_folds: int = INNER_FOLDS) -> Answer:
    """Tune C inside each training fold for the AUC within inner folds of whole subjects, stratified by class.

    Args:
        problem: A classification problem.
        grid: Values of C, ascending.
        inner_folds: Folds inside a training fold; fewer where a class has fewer subjects.

    Returns:
        Predictions and the chosen C of each fold.

    Raises:
        DataError: If a training fold has a class with a single subject.
    """

    def best_auc(asked: list[tuple[Scores, IntArray]]) -> tuple[int, float, bool]:
        losses = auc_loss([(scores.distances, y) for scores, y in asked], problem.n_classes)
        assert losses is not None  # stratified inner folds hold every class
        best, edge = choose(losses, 1.0)
        return best, float(1 - losses[best]), edge

    return tune_inside(
        problem, grid, inner_folds, lambda whole, _, cut: whole.part(cut), best_auc, lambda scores: scores.distances
    )


def near(choices: Sequence[FoldChoice], grid: Sequence[float] = GRID, decades: float = 2.0) -> list[float]:
    """Return the part of a grid that lies within some powers of ten of the values already chosen."""
    chosen = [c.parameters["C"] for c in choices] or list(grid)
    low, high = min(chosen) / 10**decades, max(chosen) * 10**decades
    return [c for c in grid if low * 0.99 <= c <= high * 1.01]


def svc_refit(problem: Problem, grid: Sequence[float] = GRID) -> Answer:
    """Do what `svc_nested` does at a fifth of its cost, for the refits that a standard error comes from.

    The C of a fold is the best on the *other* folds' test units, which are scored anyway, and not on inner folds. That
    looks once at what a nested choice never looks at, so the value is not to be reported; how it varies with the
    subjects is the same.

    Args:
        problem: A classification problem.
        grid: Values of C, ascending.

    Returns:
        Predictions and the chosen C of each fold. As `svc_nested`, where a repeat has fewer than three folds or a
        choice finds no pair to go by.
    """
    jobs = problem.folds()
    if min(map(len, problem.splits)) < 3:
        return svc_nested(problem, grid)
    scores = [s.distances for s in solve_folds(problem, [split for _, _, split in jobs], grid)]
    tested: dict[int, list[tuple[FloatArray, IntArray]]] = {}
    for (repeat, _, split), own in zip(jobs, scores, strict=True):
        tested.setdefault(repeat, []).append((own, problem.codes[split.test]))
    answers, choices = [], []
    for (repeat, fold, split), own in zip(jobs, scores, strict=True):
        losses = auc_loss(tested[repeat][:fold] + tested[repeat][fold + 1 :], problem.n_classes)
        if losses is None:
            return svc_nested(problem, grid)
        best, edge = choose(losses, 1.0)
        answers.append((repeat, fold, split, own[best], decide(own[best], problem.n_classes)))
        told = {"C": float(grid[best])}
        choices.append(FoldChoice(repeat, fold, split.fold, told, float(1 - losses[best]), edge))
    return problem.gather(answers), tuple(choices)
