"""A linear support vector classifier, solved exactly and for many values of C at once.

The problem is that of liblinear's primal solver, with an intercept that is not regularised:

    minimise  |w|^2 / 2  +  C * sum_i s_i max(0, 1 - y_i (w x_i + b))^2

The squared hinge is scikit-learn's default for `LinearSVC`. It makes the objective strictly convex in w and
piecewise quadratic, so Newton's method with an exact line search ends at the solution after finitely many
steps (Mangasarian 2002; Keerthi & DeCoste 2005), usually fewer than ten, without a random order of
coordinates and without a tolerance to choose. The intercept is left free because liblinear shrinks it like a
weight, which moves the threshold for features that are not centred in the training fold's balanced sense.

Two things make a grid over C cheap: the Gram matrix of the active units is updated by the few that enter or leave, and
each C starts from the solution of the one before. Where units are fewer than features, `usbench.probes.kernel_svm`
solves the same problem in their space.

References:
    Mangasarian OL. A finite Newton method for classification. Optimization Methods and Software 2002;17:913-929.
    Keerthi SS, DeCoste D. A modified finite Newton method for fast solution of large scale linear SVMs. Journal of
        Machine Learning Research 2005;6:341-361.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usbench.statistics._types import BoolArray, FloatArray

_MAX_STEPS = 200


@dataclass(frozen=True, eq=False)
class Scaler:
    """Affine map of features learnt on training units.

    Attributes:
        mean: Mean of each feature, float64 [D].
        scale: Divisor of each feature, float64 [D].
    """

    mean: FloatArray
    scale: FloatArray

    def __call__(self, features: FloatArray) -> FloatArray:
        """Map features [n, D]."""
        scaled: FloatArray = (features - self.mean) / self.scale
        return scaled


def fit_scaler(train: FloatArray, least: float = 0.0) -> Scaler:
    """Learn to centre features, give them unit variance, and vectors a mean squared length of one.

    Dividing by the root of the number of varying features lets one grid of C serve encoders of any width.
    Features without variation in the training fold map to zero there and carry no weight anywhere.

    Args:
        train: Training features, float64 [n_train, D].
        least: Least spread that a feature is divided by, as a share of the median spread of those that vary. Above 0 it
            keeps features that hardly ever vary, such as the difference of two corners that are black in almost every
            image, from being blown up by the one test unit in which they do.

    Returns:
        The map.
    """
    mean = train.mean(axis=0)
    spread = train.std(axis=0)
    varies = spread > 1e-9 * np.maximum(np.abs(mean), 1e-30)
    if least > 0 and varies.any():
        spread = np.maximum(spread, least * np.median(spread[varies]))
    width = max(int(varies.sum()), 1)
    # An infinite divisor silences a constant feature in training and test units alike.
    return Scaler(mean, np.where(varies, spread * np.sqrt(width), np.inf))


def balanced_weights(positive: BoolArray) -> FloatArray:
    """Weight units so that both classes weigh the same and the mean weight is one, float64 [n]."""
    share = positive.mean()
    weight: FloatArray = np.where(positive, 0.5 / share, 0.5 / (1 - share))
    return weight


def svc_path(
    features: FloatArray, positive: BoolArray, weight: FloatArray, grid: Sequence[float]
) -> tuple[FloatArray, FloatArray]:
    """Solve the linear SVC for each C of an ascending grid.

    Args:
        features: Training features, float64 [n, d].
        positive: Whether a unit is of the positive class, bool [n]; both classes occur.
        weight: Weight s_i of each unit's loss, float64 [n], positive.
        grid: Values of C, ascending.

    Returns:
        Weights float64 [n_C, d] and intercepts float64 [n_C].
    """
    # The intercept is a last column of ones whose weight is not penalised.
    design = np.column_stack([features, np.ones(len(features))])
    sign = np.where(positive, 1.0, -1.0)
    gram = _ActiveGram(design, weight)
    beta = np.zeros(design.shape[1])
    path = np.empty((len(grid), design.shape[1]))
    for k, c in enumerate(grid):
        beta = path[k] = _newton(design, sign, weight, float(c), beta, gram)
    return path[:, :-1], path[:, -1]


class _ActiveGram:
    """Weighted Gram matrix of the active units' features, kept up to date as units enter and leave.

    Of the symmetric matrix the upper triangle alone is computed and factorised, in the order of memory that LAPACK
    takes without a copy.
    """

    def __init__(self, design: FloatArray, weight: FloatArray) -> None:
        self._rows = design * np.sqrt(weight)[:, None]
        self._active: BoolArray = np.zeros(len(design), dtype=bool)
        size = design.shape[1]
        self._matrix: FloatArray = np.zeros((size, size), order="F")
        self._scaled: FloatArray = np.empty_like(self._matrix)

    def solve(self, active: BoolArray, factor: float, ridge: FloatArray, goal: FloatArray) -> FloatArray:
        """Solve ``(factor * Gram + diag(ridge)) x = goal`` for the Gram matrix of the active units."""
        from scipy.linalg import cho_factor, cho_solve

        self._update(active)
        scaled = np.multiply(self._matrix, factor, out=self._scaled)
        scaled[np.diag_indices_from(scaled)] += ridge
        solution: FloatArray = cho_solve(
            cho_factor(scaled, overwrite_a=True, check_finite=False), goal, check_finite=False
        )
        return solution

    def _update(self, active: BoolArray) -> None:
        entering, leaving = active & ~self._active, self._active & ~active
        if 2 * (entering.sum() + leaving.sum()) >= active.sum():
            self._matrix[:] = 0
            entering, leaving = active, np.zeros_like(active)
        self._add(entering, 1.0)
        self._add(leaving, -1.0)
        self._active = active

    def _add(self, units: BoolArray, sign: float) -> None:
        from scipy.linalg.blas import dsyrk

        if units.any():
            self._matrix = dsyrk(sign, self._rows[units].T, beta=1.0, c=self._matrix, overwrite_c=True)


def _newton(
    design: FloatArray, sign: FloatArray, weight: FloatArray, c: float, beta: FloatArray, gram: _ActiveGram
) -> FloatArray:
    """Solve for one C from a starting point; `beta` [d + 1] ends with the intercept."""
    penalty = np.ones(len(beta))
    penalty[-1] = 0.0
    pulls = weight * sign
    margin = sign * (design @ beta)
    active = margin < 1
    for _ in range(_MAX_STEPS):
        ridge = penalty if active.any() else np.ones(len(beta))
        goal = gram.solve(active, 2 * c, ridge, 2 * c * ((active * pulls) @ design))
        margin_goal = sign * (design @ goal)
        if np.array_equal(margin_goal < 1, active):
            return goal
        step = goal - beta
        free = step * penalty
        t = line_search(margin, margin_goal - margin, weight, c, float((beta * penalty) @ free), float(free @ free))
        moved = beta + t * step
        # Units on the margin to rounding can flicker for ever; a step that no longer moves is the end.
        if np.abs(moved - beta).max() <= 1e-12 * (1 + np.abs(beta).max()):
            return np.asarray(moved)
        beta, margin = moved, sign * (design @ moved)
        active = margin < 1
    return beta


def line_search(
    margin: FloatArray, change: FloatArray, weight: FloatArray, c: float, slope: float, curve: float
) -> float:
    """Find the exact minimum along a direction: the root of a rising, piecewise linear derivative.

    A unit's loss is active where margin + t * change < 1, so it enters or leaves at one breakpoint.

    Args:
        margin: Margin of each unit at the start, float64 [n].
        change: What a whole step adds to it, float64 [n].
        weight: Weight of each unit's loss, float64 [n].
        c: The C of the problem.
        slope: Inner product of the weights with the step.
        curve: Squared length of the step.

    Returns:
        The share of the step to take.
    """
    gap = 1 - margin
    at_zero = (gap > 0) | ((gap == 0) & (change < 0))
    # Derivative of the active losses is 2 c sum s_i (t change_i^2 - gap_i change_i).
    linear = -2 * c * weight * gap * change
    square = 2 * c * weight * change**2
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = np.where(change != 0, gap / change, np.inf)
    crosses = np.flatnonzero((cross > 0) & np.isfinite(cross))
    crosses = crosses[np.argsort(cross[crosses], kind="stable")]
    turn = np.where(at_zero[crosses], -1.0, 1.0)
    slopes = slope + linear[at_zero].sum() + np.concatenate([[0.0], np.cumsum(turn * linear[crosses])])
    curves = curve + square[at_zero].sum() + np.concatenate([[0.0], np.cumsum(turn * square[crosses])])
    ends = np.append(cross[crosses], np.inf)
    # First piece whose derivative has reached zero by its end.
    with np.errstate(invalid="ignore"):
        reached = slopes + curves * ends >= 0
    reached[-1] = True
    piece = int(np.argmax(reached))
    start = 0.0 if piece == 0 else float(ends[piece - 1])
    if curves[piece] <= 0:
        return start
    return max(start, float(-slopes[piece] / curves[piece]))
