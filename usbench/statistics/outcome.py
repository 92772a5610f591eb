"""What a probe answered, in the form that metrics, intervals and tests work on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import DataError
from usbench.statistics._types import AnyArray, FloatArray, IntArray
from usbench.statistics.splits import group_codes

Kind = Literal["binary", "multiclass", "regression", "ordinal"]


@dataclass(frozen=True, eq=False)
class Outcome:
    """Truth and predictions of the same units, once per repeat.

    A repeat is one complete set of predictions: one draw of the cross-validation splits, one random
    initialisation of a head, or one of each. Build it with `binary_outcome`, `multiclass_outcome` or
    `regression_outcome`, which check the shapes.

    Attributes:
        kind: "binary", "multiclass", "regression" or "ordinal".
        y: Truth: class number (ordinal: grade from 0) for classification, target for regression; float64 [n_units].
        score: Decision value (binary: higher means class 1) or prediction (regression), float64 [n_repeats,
            n_units]; multi-class: [n_repeats, n_units, n_classes].
        predicted: Predicted class number, or the prediction again, float64 [n_repeats, n_units].
        fold: Number of the fold in which the unit was tested, int64 [n_repeats, n_units].
        group: Number of the unit's subject, int64 [n_units], from 0 without gaps.
        n_groups: Number of subjects.
        n_classes: Number of classes; 0 for regression.
        threshold: Regression and ordinal only: units with `y >= threshold` count as positive for the AUC. None: no AUC.
        further_thresholds: Regression only: thresholds that have an AUC of their own beside it.
    """

    kind: Kind
    y: FloatArray
    score: FloatArray
    predicted: FloatArray
    fold: IntArray
    group: IntArray
    n_groups: int
    n_classes: int
    threshold: float | None = None
    further_thresholds: tuple[float, ...] = ()

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.y)

    @property
    def n_repeats(self) -> int:
        """Number of repeats."""
        return len(self.score)

    def one_repeat(self, repeat: int) -> Outcome:
        """Return the outcome of a single repeat, for spread over splits or initialisations."""
        pick = slice(repeat, repeat + 1)
        return replace(self, score=self.score[pick], predicted=self.predicted[pick], fold=self.fold[pick])


def binary_outcome(
    y: ArrayLike,
    score: ArrayLike,
    predicted: ArrayLike | None = None,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Outcome:
    """Gather the outcome of a two-class probe.

    Args:
        y: Truth, 0 or 1, [n_units].
        score: Decision values, higher for class 1, [n_units] or [n_repeats, n_units].
        predicted: Predicted class, 0 or 1, of the shape of `score`. Default: `score > 0`.
        fold: Fold of each prediction, of the shape of `score`. Default: all in one fold.
        groups: Subject of each unit, [n_units]. Default: every unit is its own subject.

    Returns:
        The outcome.

    Raises:
        DataError: If shapes disagree, a value is not finite, or y or `predicted` holds anything but 0 and 1.
    """
    scores = np.atleast_2d(np.asarray(score, dtype=np.float64))
    answers = scores > 0 if predicted is None else np.atleast_2d(np.asarray(predicted))
    return _outcome("binary", y, scores, answers, fold, groups, 2, None)


def multiclass_outcome(
    y: ArrayLike,
    score: ArrayLike,
    predicted: ArrayLike | None = None,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
) -> Outcome:
    """Gather the outcome of a probe of K classes.

    Args:
        y: Truth, class numbers 0 to K - 1, [n_units].
        score: Decision values, [n_units, K] or [n_repeats, n_units, K].
        predicted: Predicted class numbers, [n_units] or [n_repeats, n_units]. Default: the class of highest
            score.
        fold: Fold of each prediction, of the shape of `predicted`. Default: all in one fold.
        groups: Subject of each unit, [n_units]. Default: every unit is its own subject.

    Returns:
        The outcome.

    Raises:
        DataError: If shapes disagree, a value is not finite, or a class number is outside 0 to K - 1.
    """
    scores = np.asarray(score, dtype=np.float64)
    scores = scores[None] if scores.ndim == 2 else scores
    if scores.ndim != 3:
        raise DataError(f"Scores of a multi-class probe have shape {scores.shape}: expected [repeats, units, classes].")
    answers = scores.argmax(axis=2) if predicted is None else np.atleast_2d(np.asarray(predicted))
    return _outcome("multiclass", y, scores, answers, fold, groups, scores.shape[2], None)


def regression_outcome(
    y: ArrayLike,
    predicted: ArrayLike,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    threshold: float | None = None,
) -> Outcome:
    """Gather the outcome of a regression probe.

    Args:
        y: Targets, [n_units], in the target's unit.
        predicted: Predictions in the same unit, [n_units] or [n_repeats, n_units].
        fold: Fold of each prediction, of the shape of `predicted`. Default: all in one fold.
        groups: Subject of each unit, [n_units]. Default: every unit is its own subject.
        threshold: Clinical threshold for the AUC: units with `y >= threshold` are positive.

    Returns:
        The outcome.

    Raises:
        DataError: If shapes disagree or a value is not finite.
    """
    answers = np.atleast_2d(np.asarray(predicted, dtype=np.float64))
    return _outcome("regression", y, answers, answers, fold, groups, 0, threshold)


def ordinal_outcome(
    y: ArrayLike,
    score: ArrayLike,
    predicted: ArrayLike,
    n_grades: int,
    fold: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    threshold: float | None = None,
) -> Outcome:
    """Gather the outcome of a probe of ordered grades.

    Args:
        y: True grades, 0 to ``n_grades - 1``, [n_units].
        score: Predictions before they are cut into grades, higher for higher grades, [n_units] or [n_repeats, n_units].
        predicted: Predicted grades, of the shape of `score`.
        n_grades: Number of grades.
        fold: Fold of each prediction, of the shape of `score`. Default: all in one fold.
        groups: Subject of each unit, [n_units]. Default: every unit is its own subject.
        threshold: For the AUC: units with `y >= threshold` are positive.

    Returns:
        The outcome.

    Raises:
        DataError: If shapes disagree, a value is not finite, or a grade is outside 0 to ``n_grades - 1``.
    """
    scores = np.atleast_2d(np.asarray(score, dtype=np.float64))
    return _outcome("ordinal", y, scores, np.atleast_2d(np.asarray(predicted)), fold, groups, n_grades, threshold)


def _outcome(
    kind: Kind,
    y: ArrayLike,
    score: FloatArray,
    predicted: AnyArray,
    fold: ArrayLike | None,
    groups: ArrayLike | None,
    n_classes: int,
    threshold: float | None,
) -> Outcome:
    truth = np.asarray(y, dtype=np.float64)
    answers = predicted.astype(np.float64)
    if truth.ndim != 1 or len(truth) == 0:
        raise DataError(f"Labels have shape {truth.shape}: expected one value for each of at least one unit.")
    folds = np.zeros(answers.shape, np.int64) if fold is None else np.atleast_2d(np.asarray(fold, dtype=np.int64))
    names, code = group_codes(np.arange(len(truth)) if groups is None else groups)
    expected = (score.shape[0], len(truth))
    shapes = (score.shape[:2], answers.shape, folds.shape)
    if any(shape != expected for shape in shapes) or len(code) != len(truth):
        raise DataError(
            f"Scores {shapes[0]}, predictions {shapes[1]}, folds {shapes[2]} and subjects ({len(code)},) "
            f"do not fit {len(truth)} labels: give one of each for every unit and repeat."
        )
    for what, values in (("label", truth), ("score", score), ("prediction", answers)):
        if not np.isfinite(values).all():
            raise DataError(f"A {what} is not finite (NaN or infinite): remove the unit or repair the probe.")
    if kind != "regression":
        for what, values in (("label", truth), ("prediction", answers)):
            if not np.isin(values, np.arange(n_classes)).all():
                raise DataError(f"A {what} is not one of the class numbers 0 to {n_classes - 1}.")
    return Outcome(kind, truth, score, answers, folds, code, len(names), n_classes, threshold)
