"""The nested linear SVC, version 2: tuned for the AUC within folds, on a grid without edges.

Where the grid ends nothing is left to gain: for C = 1e-6 the classifier ranks units along the difference of the class
means, for C = 1e5 it separates whatever can be separated. Of equal values the smallest wins. Features are standardised
once per training fold, on its units alone and without their labels, and inner folds share that: they are then parts of
one Gram matrix, or of one reduced set of features.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.kernel_svm import GramProblem, gram_paths
from usbench.probes.linear_svm import INNER_FOLDS
from usbench.probes.problem import Answer, Problem, decide
from usbench.probes.squared_hinge_svm import balanced_weights, fit_scaler, reduce_to_samples, svc_path
from usbench.probes.threads import map_folds, one_blas_thread
from usbench.probes.wide_grid import auc_loss, choose
from usbench.statistics._types import FloatArray, IntArray
from usbench.statistics.splits import Split

GRID: tuple[float, ...] = tuple(10.0**k for k in range(-6, 6))
"""Values of C, for standardised features scaled to a mean squared length of one."""

# Training sets up to this size are solved by their Gram matrices, together, unless few features make that the longer
# way.
_SMALL = 300
_TINY = 80


@dataclass(frozen=True, eq=False)
class _Set:
    """A training set and the units it is asked about, features standardised: float64 [n, d], class numbers [n]."""

    train: FloatArray
    y: IntArray
    test: FloatArray


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
    jobs = problem.folds()
    outer = map_folds(lambda job: _standardised(problem, job[2]), jobs, problem.n_jobs)
    cuts = [problem.inner_folds(*job, inner_folds) for job in jobs]
    inner = [
        _Set(whole.train[s.train], whole.y[s.train], whole.train[s.test])
        for whole, cut in zip(outer, cuts, strict=True)
        for s in cut
    ]
    asked = iter(_scores(inner, problem.n_classes, [grid] * len(inner), problem.n_jobs))
    chosen = []
    for whole, cut in zip(outer, cuts, strict=True):
        losses = auc_loss([(next(asked), whole.y[s.test]) for s in cut], problem.n_classes)
        assert losses is not None  # stratified inner folds hold every class
        chosen.append((*choose(losses, 1.0), losses))
    grids = [[grid[best]] for best, _, _ in chosen]
    scores = _scores(outer, problem.n_classes, grids, problem.n_jobs)
    answers, choices = [], []
    for (repeat, fold, split), score, (best, edge, losses) in zip(jobs, scores, chosen, strict=True):
        answers.append((repeat, fold, split, score[0], decide(score[0], problem.n_classes)))
        told = {"C": float(grid[best])}
        choices.append(FoldChoice(repeat, fold, split.fold, told, float(1 - losses[best]), edge))
    return problem.gather(answers), tuple(choices)


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
    outer = map_folds(lambda job: _standardised(problem, job[2]), jobs, problem.n_jobs)
    if min(map(len, problem.splits)) < 3:
        return svc_nested(problem, grid)
    scores = _scores(outer, problem.n_classes, [grid] * len(outer), problem.n_jobs)
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


def _standardised(problem: Problem, split: Split) -> _Set:
    train, test = problem.features[split.train], problem.features[split.test]
    scaler = fit_scaler(train, problem.least_spread)
    reduced, asked = reduce_to_samples(scaler(train), scaler(test))
    return _Set(reduced, problem.codes[split.train], asked)


def _scores(sets: Sequence[_Set], n_classes: int, grids: Sequence[Sequence[float]], n_jobs: int) -> list[FloatArray]:
    """Train on each set for each C of its grid: float64 [n_C, n_test], more classes [n_C, n_test, n_classes]."""
    labels = [1] if n_classes == 2 else list(range(n_classes))
    found: list[FloatArray | None] = [None] * len(sets)
    for grid in dict.fromkeys(tuple(g) for g in grids):
        small = [k for k, s in enumerate(sets) if tuple(grids[k]) == grid and _by_gram(s)]
        grams = {k: sets[k].train @ sets[k].train.T for k in small}
        problems = [GramProblem(grams[k], sets[k].y == label) for k in small for label in labels]
        with one_blas_thread():
            solved = iter(gram_paths(problems, grid))
        for k in small:
            cross = sets[k].train @ sets[k].test.T
            each = [next(solved) for _ in labels]
            columns = []
            for s in each:
                norm = np.sqrt(np.einsum("ci,ci->c", s.alpha @ grams[k], s.alpha))
                columns.append((s.alpha @ cross + s.intercept[:, None], norm))
            found[k] = _stacked(columns)
    large = [k for k in range(len(sets)) if found[k] is None]
    answers = map_folds(lambda k: _primal(sets[k], labels, grids[k]), large, n_jobs)
    for k, answer in zip(large, answers, strict=True):
        found[k] = answer
    return [scores for scores in found if scores is not None]


def _by_gram(one: _Set) -> bool:
    units, width = one.train.shape
    return bool(units <= min(_SMALL, max(_TINY, 2 * width)))


def _primal(one: _Set, labels: Sequence[int], grid: Sequence[float]) -> FloatArray:
    train, test = reduce_to_samples(one.train, one.test)
    columns = []
    for label in labels:
        positive = one.y == label
        coef, intercept = svc_path(train, positive, balanced_weights(positive), grid)
        columns.append((coef @ test.T + intercept[:, None], np.linalg.norm(coef, axis=1)))
    return _stacked(columns)


def _stacked(columns: Sequence[tuple[FloatArray, FloatArray]]) -> FloatArray:
    """Distances to the boundary of two classes; more classes are decided by their decision values as they come."""
    if len(columns) > 1:
        return np.stack([values for values, _ in columns], axis=2)
    values, norm = columns[0]
    # Classes with equal means leave no direction: every unit is then on the boundary.
    distance: FloatArray = values / np.where(norm > 0, norm, 1.0)[:, None]
    return distance
