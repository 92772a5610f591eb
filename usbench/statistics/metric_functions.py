"""Metrics as plain functions of arrays, each the value of one entry of `usbench.statistics.metrics.METRICS`."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from usbench.statistics.metrics import compute
from usbench.statistics.outcome import Outcome, binary_outcome, multiclass_outcome, regression_outcome


def accuracy(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of equal entries of two arrays of class numbers (0, 1, ...), [n] each."""
    return compute("accuracy", _labelled(y, predicted))


def balanced_accuracy(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean recall over the classes; None if one of them has no unit. Class numbers, [n] each."""
    return compute("balanced_accuracy", _labelled(y, predicted))


def macro_f1(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean F1 over classes; None if a class is neither present nor predicted. Class numbers, [n] each."""
    return compute("macro_f1", _labelled(y, predicted))


def f1(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """F1 of class 1; None if it is neither present nor predicted. Arrays of 0 and 1, [n] each."""
    return compute("f1", binary_outcome(y, np.zeros(np.shape(predicted)), predicted))


def sensitivity(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of class 1 that is recognised; None without class 1. Arrays of 0 and 1, [n] each."""
    return compute("sensitivity", binary_outcome(y, np.zeros(np.shape(predicted)), predicted))


def specificity(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Share of class 0 that is recognised; None without class 0. Arrays of 0 and 1, [n] each."""
    return compute("specificity", binary_outcome(y, np.zeros(np.shape(predicted)), predicted))


def auc(y: ArrayLike, score: ArrayLike) -> float | None:
    """Mann-Whitney AUC of scores [n] for y of 0 and 1 [n], ties half; None unless both classes occur."""
    return compute("auc", binary_outcome(y, score))


def fold_auc(y: ArrayLike, score: ArrayLike, fold: ArrayLike) -> float | None:
    """AUC over the pairs within the same fold (and repeat).

    Args:
        y: Truth, 0 or 1, [n_units].
        score: Decision values, [n_units] or [n_repeats, n_units].
        fold: Fold of each score, integers of the shape of `score`.

    Returns:
        Concordant share of the pairs, ties half; None if no fold has both classes (as in leave-one-out).
    """
    return compute("fold_auc", binary_outcome(y, score, fold=fold))


def pearson_r(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Pearson correlation of two arrays [n]; None if one of them is constant."""
    return compute("pearson_r", regression_outcome(y, predicted))


def mae(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Mean absolute error of two arrays [n], in the target's unit."""
    return compute("mae", regression_outcome(y, predicted))


def rmse(y: ArrayLike, predicted: ArrayLike) -> float | None:
    """Root mean squared error of two arrays [n], in the target's unit."""
    return compute("rmse", regression_outcome(y, predicted))


def _labelled(y: ArrayLike, predicted: ArrayLike) -> Outcome:
    answers = np.asarray(predicted, dtype=np.int64)
    n_classes = int(max(np.max(np.asarray(y)), np.max(answers), 1)) + 1
    return multiclass_outcome(y, np.eye(n_classes)[answers], answers)
