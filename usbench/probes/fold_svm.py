"""Linear SVCs of many training folds: features standardised once per fold, each solved where that is shortest.

Small training sets are solved together, from their stacked Gram matrices; larger ones by themselves, on threads, in the
space of the units or of the features, whichever is smaller. What was solved for one protocol is kept for the others
that train on the same units (`usbench.probes.solved`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.kernel_svm import GramProblem, GramSolution, gram_path, gram_paths
from usbench.probes.problem import Answer, Problem, decide
from usbench.probes.solved import Key, Scores
from usbench.probes.squared_hinge_svm import balanced_weights, fit_scaler, svc_path
from usbench.probes.threads import map_folds, one_blas_thread
from usbench.statistics._types import BoolArray, FloatArray, IntArray
from usbench.statistics.splits import Split

R = TypeVar("R")

# Training sets up to this size are stacked, unless few features make that the longer way.
_SMALL = 300
_TINY = 80
# Units per feature up to which a problem is solved in the space of the units: a step there is one factorisation of the
# active units' matrix, in the space of the features it is one of all features after an update by the units that enter
# or leave.
_UNITS_PER_FEATURE = 1.3


@dataclass(frozen=True, eq=False)
class FoldSet:
    """A training set and the units it is asked about, features standardised on the training units.

    Attributes:
        y: Class number of each training unit, int64 [n].
        train: Features float64 [n, d], or inner products of the training units [n, n].
        test: Features float64 [n_test, d], or inner products with the training units [n_test, n].
        width: Number of features.
        by_gram: Whether the two hold inner products.
    """

    y: IntArray
    train: FloatArray
    test: FloatArray
    width: int
    by_gram: bool

    def part(self, split: Split) -> FoldSet:
        """Cut the training units in two; features stay as they were standardised."""
        train = self.train[split.train]
        test = self.train[split.test]
        if self.by_gram:
            train, test = train[:, split.train], test[:, split.train]
        return FoldSet(self.y[split.train], train, test, self.width, self.by_gram)

    def in_its_space(self) -> FoldSet:
        """Turn features into inner products where that makes the smaller problem."""
        if self.by_gram or not (is_small(len(self.y), self.width) or len(self.y) <= _UNITS_PER_FEATURE * self.width):
            return self
        return FoldSet(self.y, self.train @ self.train.T, self.test @ self.train.T, self.width, True)


def standardised(problem: Problem, split: Split) -> FoldSet:
    """Standardise a fold on its training units.

    Args:
        problem: A classification problem.
        split: The fold.

    Returns:
        Training set and test units.
    """
    train, test = problem.features[split.train], problem.features[split.test]
    scaler = fit_scaler(train, problem.least_spread)
    whole = FoldSet(problem.codes[split.train], scaler(train), scaler(test), train.shape[1], False)
    return whole.in_its_space()


def solve(sets: Sequence[FoldSet], n_classes: int, grids: Sequence[Sequence[float]]) -> list[Scores]:
    """Train on each set for each C of its grid, on one thread.

    Args:
        sets: Training sets.
        n_classes: Number of classes; of more than two each is separated from the rest, balanced by itself.
        grids: Values of C for each set, ascending.

    Returns:
        Decision values of the sets' test units.
    """
    labels = [1] if n_classes == 2 else list(range(n_classes))
    found: dict[int, Scores] = {}
    for grid in dict.fromkeys(tuple(g) for g in grids):
        mine = [k for k in range(len(sets)) if tuple(grids[k]) == grid]
        stacked = {k: sets[k].in_its_space() for k in mine if is_small(len(sets[k].y), sets[k].width)}
        problems = [GramProblem(s.train, s.y == label) for s in stacked.values() for label in labels]
        solutions = iter(gram_paths(problems, grid))
        for k, one in stacked.items():
            found[k] = _joined([_from_gram(one, next(solutions)) for _ in labels])
        for k in mine:
            if k not in stacked:
                found[k] = _joined([_alone(sets[k].in_its_space(), sets[k].y == label, grid) for label in labels])
    return [found[k] for k in range(len(sets))]


def solve_folds(problem: Problem, splits: Sequence[Split], grid: Sequence[float]) -> list[Scores]:
    """Train on each fold for each C.

    Args:
        problem: A classification problem. Where its data have a `solved`, what that holds is not solved again.
        splits: The folds.
        grid: Values of C, ascending.

    Returns:
        Decision values of the folds' test units.
    """
    solved: dict[Key, Scores] = problem.data.solved.scores if problem.data.solved is not None else {}
    folds = [_digest(problem, split) for split in splits]
    wanted = [[float(c) for c in grid if (fold, float(c)) not in solved] for fold in folds]
    todo = [k for k in range(len(splits)) if wanted[k]]

    def together(members: Sequence[int]) -> list[Scores]:
        sets = [standardised(problem, splits[todo[m]]) for m in members]
        return solve(sets, problem.n_classes, [wanted[todo[m]] for m in members])

    for k, new in zip(todo, by_size(problem, [splits[k] for k in todo], together), strict=True):
        for i, c in enumerate(wanted[k]):
            solved[folds[k], c] = Scores(new.values[i], new.norm[i])
    each = [[solved[fold, float(c)] for c in grid] for fold in folds]
    return [Scores(np.stack([s.values for s in mine]), np.stack([s.norm for s in mine])) for mine in each]


def _digest(problem: Problem, split: Split) -> bytes:
    found = hashlib.sha256()
    for part in (split.train, problem.codes[split.train], split.test):
        found.update(len(part).to_bytes(8, "little") + part.tobytes())
    return found.digest()


def tune_inside(
    problem: Problem,
    grid: Sequence[float],
    inner_folds: int,
    inner: Callable[[FoldSet, Split, Split], FoldSet],
    choose: Callable[[list[tuple[Scores, IntArray]]], tuple[int, float, bool | None]],
    read: Callable[[Scores], FloatArray],
) -> Answer:
    """Choose C on inner folds of whole subjects of each training fold, and train on the fold with it.

    Args:
        problem: A classification problem.
        grid: Values of C, ascending.
        inner_folds: Folds inside a training fold; fewer where a class has fewer subjects.
        inner: From a fold, its split and a cut of its training units to the inner training set.
        choose: From the scores and class numbers of each inner fold's test units to the position of the choice, its
            criterion, and whether it is at an edge of the grid.
        read: The scores that are reported.

    Returns:
        Predictions and the chosen C of each fold.

    Raises:
        DataError: If a training fold has a class with a single subject.
    """
    jobs = problem.folds()
    splits = [split for _, _, split in jobs]
    cuts = [problem.inner_folds(*job, inner_folds) for job in jobs]

    def tuned(members: Sequence[int]) -> list[tuple[FloatArray, float, float, bool | None]]:
        outer = [standardised(problem, splits[k]) for k in members]
        sets = [inner(whole, splits[k], cut) for whole, k in zip(outer, members, strict=True) for cut in cuts[k]]
        asked = iter(solve(sets, problem.n_classes, [grid] * len(sets)))
        chosen = [
            choose([(next(asked), whole.y[cut.test]) for cut in cuts[k]])
            for whole, k in zip(outer, members, strict=True)
        ]
        scores = solve(outer, problem.n_classes, [[grid[best]] for best, _, _ in chosen])
        return [
            (read(own)[0], float(grid[best]), criterion, edge)
            for own, (best, criterion, edge) in zip(scores, chosen, strict=True)
        ]

    answers, choices = [], []
    for (repeat, fold, split), (score, c, criterion, edge) in zip(jobs, by_size(problem, splits, tuned), strict=True):
        answers.append((repeat, fold, split, score, decide(score, problem.n_classes)))
        choices.append(FoldChoice(repeat, fold, split.fold, {"C": c}, criterion, edge))
    return problem.gather(answers), tuple(choices)


def by_size(problem: Problem, splits: Sequence[Split], together: Callable[[Sequence[int]], list[R]]) -> list[R]:
    """Work on all small folds at once, and on larger ones side by side, so that few of these are held at a time.

    Args:
        problem: A classification problem.
        splits: The folds.
        together: From the positions of some folds to their answers.

    Returns:
        The answers in the order of the folds.
    """
    width = problem.features.shape[1]
    small = [k for k, split in enumerate(splits) if is_small(len(split.train), width)]
    large = [k for k, split in enumerate(splits) if not is_small(len(split.train), width)]
    with one_blas_thread():
        found = dict(zip(small, together(small), strict=True)) if small else {}
    found.update(zip(large, map_folds(lambda k: together([k])[0], large, problem.n_jobs), strict=True))
    return [found[k] for k in range(len(splits))]


def is_small(units: int, width: int) -> bool:
    """Say whether a training set is solved together with others."""
    return units <= min(_SMALL, max(_TINY, 2 * width))


def _from_gram(one: FoldSet, solution: GramSolution) -> Scores:
    values = solution.alpha @ one.test.T + solution.intercept[:, None]
    norm = np.sqrt(np.einsum("ci,ci->c", solution.alpha @ one.train, solution.alpha))
    return Scores(values, norm)


def _alone(one: FoldSet, positive: BoolArray, grid: Sequence[float]) -> Scores:
    if one.by_gram:
        return _from_gram(one, gram_path(GramProblem(one.train, positive), grid))
    coef, intercept = svc_path(one.train, positive, balanced_weights(positive), grid)
    return Scores(coef @ one.test.T + intercept[:, None], np.linalg.norm(coef, axis=1))


def _joined(columns: Sequence[Scores]) -> Scores:
    if len(columns) == 1:
        return columns[0]
    return Scores(np.stack([s.values for s in columns], axis=2), np.stack([s.norm for s in columns], axis=1))
