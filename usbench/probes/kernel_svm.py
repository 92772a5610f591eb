"""The exact linear support vector classifier again, in the space of the units.

`usbench.probes.squared_hinge_svm` solves in the space of the features, which suits many more units than features. Here
a training set is the Gram matrix of its units: a Newton step solves for the active ones alone, and the sets of inner
folds are parts of one matrix. Small sets are many (a board of some sixty patients asks for hundreds of problems of some
fifty units: folds, inner folds, half-samples), and there the interpreter takes longer than the arithmetic: their
matrices are stacked, and one Newton step of all of them is one batched solution.

For the active units (margin below one) the minimum of

    |w|^2 / 2  +  C * sum_i s_i max(0, 1 - y_i (w x_i + b))^2

has w = sum_i a_i x_i with (K + I / (2 C s)) a + b = y and sum_i a_i = 0; the active units are found by Newton's method
with an exact line search, as there. All solvers end at the same solution; `gram_path` and `gram_paths` compute it from
the active units alone, so that it does not depend on the grid that led there.

References:
    Chapelle O. Training a support vector machine in the primal. Neural Computation 2007;19:1155-1178.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usbench.probes.squared_hinge_svm import balanced_weights, line_search
from usbench.statistics._types import BoolArray, FloatArray, IntArray

_MAX_STEPS = 200
# Numbers held in stacked matrices at a time: 4 million float64 are 32 MB.
_BLOCK = 4_000_000


@dataclass(frozen=True, eq=False)
class GramProblem:
    """One training set.

    Attributes:
        gram: Inner products of the training units' features, float64 [n, n].
        positive: Whether a unit is of the positive class, bool [n]; both classes occur.
    """

    gram: FloatArray
    positive: BoolArray


@dataclass(frozen=True, eq=False)
class GramSolution:
    """Classifiers of one training set for every C.

    Attributes:
        alpha: Coefficient of each training unit, float64 [n_C, n]; decision values are `alpha @ k + intercept` with the
            inner products `k` of training units and the unit asked about.
        intercept: float64 [n_C].
    """

    alpha: FloatArray
    intercept: FloatArray


def gram_path(problem: GramProblem, grid: Sequence[float]) -> GramSolution:
    """Solve a class-balanced linear SVC on one training set for each C of an ascending grid.

    Args:
        problem: The training set.
        grid: Values of C, ascending.

    Returns:
        The solutions.
    """
    gram = problem.gram
    sign, weight = np.where(problem.positive, 1.0, -1.0), balanced_weights(problem.positive)
    alpha: FloatArray = np.zeros(len(sign))
    intercept, lift = 0.0, np.zeros(len(sign))
    path, intercepts = np.empty((len(grid), len(sign))), np.empty(len(grid))
    for k, c in enumerate(map(float, grid)):
        for _ in range(_MAX_STEPS):
            margin = sign * (lift + intercept)
            active = margin < 1
            goal, goal_intercept, goal_lift = _active_goal(gram, np.flatnonzero(active), sign, 2 * c * weight)
            goal_margin = sign * (goal_lift + goal_intercept)
            found = np.array_equal(goal_margin < 1, active)
            step, step_lift, step_intercept = goal - alpha, goal_lift - lift, goal_intercept - intercept
            t = 1.0
            if not found:
                slope, curve = float(alpha @ step_lift), float(step @ step_lift)
                t = line_search(margin, goal_margin - margin, weight, c, slope, curve)
                # Units on the margin to rounding can flicker for ever; a step that no longer moves is the end.
                moved = t * max(np.abs(step).max(), abs(step_intercept))
                found = moved <= 1e-12 * (1 + np.abs(alpha).max() + abs(intercept))
            if t == 1.0:
                alpha, intercept, lift = goal, goal_intercept, goal_lift
            else:
                alpha, intercept = alpha + t * step, intercept + t * step_intercept
                lift = lift + t * step_lift
            if found:
                break
        path[k], intercepts[k] = alpha, intercept
    return GramSolution(path, intercepts)


def _active_goal(
    gram: FloatArray, active: IntArray, sign: FloatArray, load: FloatArray
) -> tuple[FloatArray, float, FloatArray]:
    """Solve for the minimum if exactly the active units counted: coefficients [n], intercept, and `gram @ alpha` [n].

    One factorisation of the active units' matrix gives the coefficients without an intercept and what one adds to them.
    """
    from scipy.linalg import cho_factor, cho_solve

    goal: FloatArray = np.zeros(len(sign))
    if len(active) == 0:
        # Nothing holds the intercept: zero it, and all units are active again.
        return goal, 0.0, np.zeros(len(sign))
    rows = gram if len(active) == len(sign) else gram[active]
    system = rows.copy() if rows is gram else rows[:, active]
    system[np.diag_indices_from(system)] += 1 / load[active]
    # The transpose is the same matrix, in the order of memory that LAPACK takes without a copy.
    factor = cho_factor(system.T, lower=True, overwrite_a=True, check_finite=False)
    right = np.column_stack([sign[active], np.ones(len(active))])
    plain, per_intercept = cho_solve(factor, right, overwrite_b=True, check_finite=False).T
    intercept = float(plain.sum() / per_intercept.sum())
    goal[active] = plain - intercept * per_intercept
    return goal, intercept, goal[active] @ rows


def gram_paths(problems: Sequence[GramProblem], grid: Sequence[float]) -> list[GramSolution]:
    """Solve class-balanced linear SVCs on several small training sets for each C of an ascending grid, as `gram_path`.

    Args:
        problems: The training sets.
        grid: Values of C, ascending.

    Returns:
        The solutions, in the order of the problems.
    """
    found: list[GramSolution | None] = [None] * len(problems)
    # Sets of like size together, so that little is padded.
    order = sorted(range(len(problems)), key=lambda k: len(problems[k].positive))
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * (len(problems[order[end]].positive) + 1) ** 2 <= _BLOCK:
            end += 1
        members = order[start:end]
        for k, solution in zip(members, _solve([problems[k] for k in members], grid), strict=True):
            found[k] = solution
        start = end
    return [solution for solution in found if solution is not None]


def _solve(problems: Sequence[GramProblem], grid: Sequence[float]) -> list[GramSolution]:
    sizes = [len(p.positive) for p in problems]
    stack = _Stack(problems, max(sizes))
    paths = []
    for c in grid:
        stack.minimise(float(c))
        paths.append((stack.alpha.copy(), stack.intercept.copy()))
    return [
        GramSolution(np.stack([alpha[k, :size] for alpha, _ in paths]), np.stack([b[k] for _, b in paths]))
        for k, size in enumerate(sizes)
    ]


class _Stack:
    """Problems of like size, padded with units that are never active."""

    def __init__(self, problems: Sequence[GramProblem], size: int) -> None:
        count = len(problems)
        self.gram: FloatArray = np.zeros((count, size, size))
        self.sign: FloatArray = np.zeros((count, size))
        self.weight: FloatArray = np.ones((count, size))
        for k, problem in enumerate(problems):
            n = len(problem.positive)
            self.gram[k, :n, :n] = problem.gram
            self.sign[k, :n] = np.where(problem.positive, 1.0, -1.0)
            self.weight[k, :n] = balanced_weights(problem.positive)
        self.real = self.sign != 0
        self.alpha: FloatArray = np.zeros((count, size))
        self.intercept: FloatArray = np.zeros(count)

    def minimise(self, c: float) -> None:
        """Move every problem from where it is to its minimum for one C."""
        todo = np.arange(len(self.sign))
        lift = np.einsum("bij,bj->bi", self.gram, self.alpha)
        for _ in range(_MAX_STEPS):
            sign, weight, real = self.sign[todo], self.weight[todo], self.real[todo]
            alpha, intercept = self.alpha[todo], self.intercept[todo]
            margin = np.where(real, sign * (lift + intercept[:, None]), np.inf)
            active = margin < 1
            goal, goal_intercept = self._goal(todo, active, c)
            goal_lift = np.einsum("bij,bj->bi", self.gram[todo], goal)
            goal_margin = np.where(real, sign * (goal_lift + goal_intercept[:, None]), np.inf)
            done = ((goal_margin < 1) == active).all(axis=1)
            step = _line_search(margin, goal_margin, np.where(real, weight, 0.0), c, alpha, lift, goal, goal_lift)
            step[done] = 1.0
            moved = alpha + step[:, None] * (goal - alpha)
            moved_intercept = intercept + step * (goal_intercept - intercept)
            # Units on the margin to rounding can flicker for ever; a step that no longer moves is the end.
            scale = 1 + np.abs(alpha).max(axis=1) + np.abs(intercept)
            change = np.maximum(np.abs(moved - alpha).max(axis=1), np.abs(moved_intercept - intercept))
            done |= change <= 1e-12 * scale
            self.alpha[todo], self.intercept[todo] = moved, moved_intercept
            lift = lift + step[:, None] * (goal_lift - lift)
            todo, lift = todo[~done], lift[~done]
            if len(todo) == 0:
                return

    def _goal(self, todo: np.ndarray, active: BoolArray, c: float) -> tuple[FloatArray, FloatArray]:
        """Solve for the minimum if exactly the active units counted."""
        count, size = active.shape
        system = np.zeros((count, size + 1, size + 1))
        np.multiply(self.gram[todo], active[:, :, None] & active[:, None, :], out=system[:, :size, :size])
        diagonal = np.arange(size)
        system[:, diagonal, diagonal] += np.where(active, 1 / (2 * c * self.weight[todo]), 1.0)
        system[:, :size, size] = system[:, size, :size] = active
        # Without an active unit nothing holds the intercept: zero it, and all units are active again.
        system[:, size, size] = ~active.any(axis=1)
        right = np.zeros((count, size + 1, 1))
        right[:, :size, 0] = np.where(active, self.sign[todo], 0.0)
        solution = np.linalg.solve(system, right)[:, :, 0]
        return solution[:, :size], solution[:, size]


def _line_search(
    margin: FloatArray,
    goal_margin: FloatArray,
    weight: FloatArray,
    c: float,
    alpha: FloatArray,
    lift: FloatArray,
    goal: FloatArray,
    goal_lift: FloatArray,
) -> FloatArray:
    """Find the exact minimum along each direction: the root of a rising, piecewise linear derivative, float64 [b]."""
    real = np.isfinite(margin)
    gap = np.where(real, 1 - np.where(real, margin, 1.0), 0.0)
    change = np.where(real, np.where(real, goal_margin, 0.0) - np.where(real, margin, 0.0), 0.0)
    step, step_lift = goal - alpha, goal_lift - lift
    slope0 = np.einsum("bi,bi->b", alpha, step_lift)
    curve0 = np.einsum("bi,bi->b", step, step_lift)
    at_zero = real & ((gap > 0) | ((gap == 0) & (change < 0)))
    # The derivative of the active losses is 2 c sum s_i (t change_i^2 - gap_i change_i).
    linear = -2 * c * weight * gap * change
    square = 2 * c * weight * change**2
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = np.where(change != 0, gap / change, np.inf)
    cross = np.where(real & (cross > 0) & np.isfinite(cross), cross, np.inf)
    order = np.argsort(cross, axis=1, kind="stable")
    ends = np.take_along_axis(cross, order, axis=1)
    turn = np.where(np.isfinite(cross), np.where(at_zero, -1.0, 1.0), 0.0)

    def pieces(first: FloatArray, terms: FloatArray) -> FloatArray:
        turned = np.take_along_axis(turn * terms, order, axis=1)
        begin = first + np.where(at_zero, terms, 0.0).sum(axis=1)
        summed = np.concatenate([np.zeros((len(turned), 1)), np.cumsum(turned, axis=1)], axis=1)
        found: FloatArray = begin[:, None] + summed
        return found

    slope, curve = pieces(slope0, linear), pieces(curve0, square)
    ends = np.concatenate([ends, np.full((len(ends), 1), np.inf)], axis=1)
    # First piece whose derivative has reached zero by its end.
    with np.errstate(invalid="ignore"):
        reached = (slope + curve * ends >= 0) | np.isinf(ends)
    piece = reached.argmax(axis=1)
    rows = np.arange(len(piece))
    start = np.where(piece == 0, 0.0, ends[rows, np.maximum(piece - 1, 0)])
    bend = curve[rows, piece]
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.where(bend > 0, -slope[rows, piece] / bend, start)
    found: FloatArray = np.maximum(start, root)
    return found
