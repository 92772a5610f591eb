"""Nearest neighbours on mean latents: nothing is trained, so the embedding alone earns the score."""

from __future__ import annotations

import numpy as np

from usbench.errors import UsbenchError
from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, FoldAnswer, Problem
from usbench.probes.squared_hinge_svm import fit_scaler
from usbench.probes.threads import map_folds
from usbench.statistics._types import FloatArray
from usbench.statistics.splits import Split


def knn(problem: Problem, n_neighbours: int = 5) -> Answer:
    """Predict each unit from the nearest training units, nearer ones counting more.

    Distance is Euclidean between mean latents standardised in the training fold; a neighbour weighs the
    inverse of its distance. Classification: the weights are shared out so that each class has the same total
    over the training fold, as the SVC protocols do; the score of two classes is the positive share minus one
    half. Regression: the weighted mean of the targets; ordinal: that mean, rounded to a grade.

    Args:
        problem: Any problem.
        n_neighbours: Number of neighbours, fewer where the training fold is smaller.

    Returns:
        Predictions; there is nothing to choose.

    Raises:
        UsbenchError: If `n_neighbours` is below 1.
    """
    if n_neighbours < 1:
        raise UsbenchError(f"{n_neighbours} neighbours cannot vote: ask for at least 1.")

    def one_fold(job: tuple[int, int, Split]) -> tuple[FoldAnswer, FoldChoice]:
        repeat, fold, split = job
        neighbours, weight = _nearest(problem, split, n_neighbours)
        y = problem.y[split.train]
        choice = FoldChoice(repeat, fold, split.fold, {})
        if problem.kind in ("regression", "ordinal"):
            score = (weight * y[neighbours]).sum(axis=1) / weight.sum(axis=1)
            predicted = np.rint(score) if problem.kind == "ordinal" else score
            return (repeat, fold, split, score, predicted), choice
        frequency = np.bincount(y.astype(np.int64), minlength=problem.n_classes) / len(y)
        votes = np.stack(
            [((y[neighbours] == k) * weight).sum(axis=1) / frequency[k] for k in range(problem.n_classes)], axis=1
        )
        votes /= votes.sum(axis=1, keepdims=True)
        score = votes[:, 1] - 0.5 if problem.kind == "binary" else votes
        predicted = votes.argmax(axis=1)
        return (repeat, fold, split, score, predicted), choice

    answers = map_folds(one_fold, problem.folds(), problem.n_jobs)
    return problem.gather(a for a, _ in answers), tuple(choice for _, choice in answers)


def _nearest(problem: Problem, split: Split, n_neighbours: int) -> tuple[np.ndarray, FloatArray]:
    """Positions in the training fold of the nearest units of each test unit, and their weights [n_test, k]."""
    scaler = fit_scaler(problem.features[split.train], problem.least_spread)
    train, test = scaler(problem.features[split.train]), scaler(problem.features[split.test])
    square = (test**2).sum(axis=1)[:, None] + (train**2).sum(axis=1) - 2 * test @ train.T
    nearest = np.argsort(square, axis=1, kind="stable")[:, : min(n_neighbours, len(train))]
    # A twin at distance zero takes all but nothing divides by zero: the shortest length is a rounding
    # error's.
    distance = np.sqrt(np.maximum(np.take_along_axis(square, nearest, axis=1), 1e-16))
    return nearest, 1.0 / distance
