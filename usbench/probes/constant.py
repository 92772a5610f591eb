"""The predictor that never looks at an image: the row every table needs."""

from __future__ import annotations

import numpy as np

from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, Problem
from usbench.statistics._types import FloatArray


def constant(problem: Problem) -> Answer:
    """Predict the median target, or the most frequent class, of the training fold for every test unit.

    The median is the constant of least absolute error. For classification the score is the training share of
    the positive class minus one half (more classes: of each class), the same for all units of a fold, so that
    the AUC within folds is exactly one half. Pooled over folds it is not: the share falls as more positives
    are tested.

    Args:
        problem: Any problem.

    Returns:
        Predictions; there is nothing to choose.
    """
    answers, choices = [], []
    for repeat, fold, split in problem.folds():
        y = problem.y[split.train]
        n = len(split.test)
        score: FloatArray
        if problem.kind == "regression":
            predicted = score = np.full(n, np.median(y))
        elif problem.kind == "ordinal":
            predicted = score = np.full(n, np.floor(np.median(y)))
        else:
            share = np.bincount(y.astype(np.int64), minlength=problem.n_classes) / len(y)
            predicted = np.full(n, float(share.argmax()))
            score = np.full(n, share[1] - 0.5) if problem.kind == "binary" else np.tile(share, (n, 1))
        answers.append((repeat, fold, split, score, predicted))
        choices.append(FoldChoice(repeat, fold, split.fold, {}))
    return problem.gather(answers), tuple(choices)
