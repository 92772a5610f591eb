"""What a probe predicted, with the truth: the one form between a probe and metrics, intervals and tests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import DataError
from usbench.statistics._types import AnyArray, FloatArray, IntArray
from usbench.statistics.splits import group_codes

if TYPE_CHECKING:
    from usbench.statistics.half_samples import Pairs

Kind = Literal["binary", "multiclass", "regression", "ordinal"]

UNTESTED = -1
"""Fold of a unit that a repeat did not test."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Truth and predictions of the same units, once per repeat.

    A repeat is one complete set of predictions: one draw of the cross-validation splits, one random initialisation of
    a head, or one of each. Build it with `binary`, `multiclass`, `ordinal` or `regression`, which check the values, or
    read it from a result (`usbench.evaluation.scoring.predictions_of`).

    A probe answers for all units that it was given. Those that it only trained on have the fold `UNTESTED`, and neither
    score nor prediction (NaN); `tested` leaves them out, as metrics need it.

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
        unit: Name of each unit; empty where they have none.
        truth: True class or value of each unit as a result writes it; empty where they have no names.
        halves: Metric to the scores of both halves of each halving, for standard errors that know of refitting; empty
            without half-samples.
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
    unit: tuple[str, ...] = ()
    truth: tuple[Any, ...] = ()
    halves: Mapping[str, Pairs] = field(default_factory=dict)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return len(self.y)

    @property
    def n_repeats(self) -> int:
        """Number of repeats."""
        return len(self.score)

    def comparable(self, other: Predictions) -> bool:
        """Whether both decided about the same units with the same truth, so that a paired test is meaningful."""
        return self.unit == other.unit and self.truth == other.truth

    def repeats(self, first: int, last: int) -> Predictions:
        """Return some repeats of all units.

        Args:
            first: The first repeat.
            last: The repeat after the last one.
        """
        part = slice(first, last)
        return replace(self, score=self.score[part], predicted=self.predicted[part], fold=self.fold[part])

    def take(self, units: Sequence[int] | IntArray) -> Predictions:
        """Return all repeats of some units, whose subjects are numbered anew without gaps.

        Args:
            units: Positions of the units.
        """
        position = np.asarray(units, dtype=np.int64)
        names, group = np.unique(self.group[position], return_inverse=True)
        return replace(
            self,
            y=self.y[position],
            score=np.take(self.score, position, axis=1),
            predicted=np.take(self.predicted, position, axis=1),
            fold=np.take(self.fold, position, axis=1),
            group=group.astype(np.int64),
            n_groups=len(names),
            unit=tuple(self.unit[i] for i in position) if self.unit else (),
            truth=tuple(self.truth[i] for i in position) if self.truth else (),
        )

    def tested(self, threshold: float | None = None) -> Predictions:
        """Return the predictions of the units that were tested, in order.

        Args:
            threshold: Regression and ordinal only: the threshold for the AUC, instead of the one it has.

        Raises:
            DataError: Nothing was tested, or the repeats tested different units.
        """
        there = self.fold != UNTESTED
        if not there.any() or (there != there[0]).any():
            raise DataError("The repeats did not test the same units, once each: score them apart.")
        found = self.take(np.flatnonzero(there[0]))
        return found if threshold is None else replace(found, threshold=threshold)

    @classmethod
    def binary(
        cls,
        y: ArrayLike,
        score: ArrayLike,
        predicted: ArrayLike | None = None,
        fold: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Predictions:
        """Gather the predictions of a two-class probe.

        Args:
            y: Truth, 0 or 1, [n_units].
            score: Decision values, higher for class 1, [n_units] or [n_repeats, n_units].
            predicted: Predicted class, 0 or 1, of the shape of `score`. Default: `score > 0`.
            fold: Fold of each prediction, of the shape of `score`. Default: all in one fold.
            groups: Subject of each unit, [n_units]. Default: every unit is its own subject.

        Returns:
            The predictions.

        Raises:
            DataError: If shapes disagree, a value is not finite, or y or `predicted` holds anything but 0 and 1.
        """
        scores = np.atleast_2d(np.asarray(score, dtype=np.float64))
        answers = scores > 0 if predicted is None else np.atleast_2d(np.asarray(predicted))
        return _checked("binary", y, scores, answers, fold, groups, 2, None)

    @classmethod
    def multiclass(
        cls,
        y: ArrayLike,
        score: ArrayLike,
        predicted: ArrayLike | None = None,
        fold: ArrayLike | None = None,
        groups: ArrayLike | None = None,
    ) -> Predictions:
        """Gather the predictions of a probe of K classes.

        Args:
            y: Truth, class numbers 0 to K - 1, [n_units].
            score: Decision values, [n_units, K] or [n_repeats, n_units, K].
            predicted: Predicted class numbers, [n_units] or [n_repeats, n_units]. Default: the class of highest
                score.
            fold: Fold of each prediction, of the shape of `predicted`. Default: all in one fold.
            groups: Subject of each unit, [n_units]. Default: every unit is its own subject.

        Returns:
            The predictions.

        Raises:
            DataError: If shapes disagree, a value is not finite, or a class number is outside 0 to K - 1.
        """
        scores = np.asarray(score, dtype=np.float64)
        scores = scores[None] if scores.ndim == 2 else scores
        if scores.ndim != 3:
            raise DataError(
                f"Scores of a multi-class probe have shape {scores.shape}: expected [repeats, units, classes]."
            )
        answers = scores.argmax(axis=2) if predicted is None else np.atleast_2d(np.asarray(predicted))
        return _checked("multiclass", y, scores, answers, fold, groups, scores.shape[2], None)

    @classmethod
    def regression(
        cls,
        y: ArrayLike,
        predicted: ArrayLike,
        fold: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        threshold: float | None = None,
    ) -> Predictions:
        """Gather the predictions of a regression probe.

        Args:
            y: Targets, [n_units], in the target's unit.
            predicted: Predictions in the same unit, [n_units] or [n_repeats, n_units].
            fold: Fold of each prediction, of the shape of `predicted`. Default: all in one fold.
            groups: Subject of each unit, [n_units]. Default: every unit is its own subject.
            threshold: Clinical threshold for the AUC: units with `y >= threshold` are positive.

        Returns:
            The predictions.

        Raises:
            DataError: If shapes disagree or a value is not finite.
        """
        answers = np.atleast_2d(np.asarray(predicted, dtype=np.float64))
        return _checked("regression", y, answers, answers, fold, groups, 0, threshold)

    @classmethod
    def ordinal(
        cls,
        y: ArrayLike,
        score: ArrayLike,
        predicted: ArrayLike,
        n_grades: int,
        fold: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        threshold: float | None = None,
    ) -> Predictions:
        """Gather the predictions of a probe of ordered grades.

        Args:
            y: True grades, 0 to ``n_grades - 1``, [n_units].
            score: Predictions before they are cut into grades, higher for higher grades, [n_units] or [n_repeats,
                n_units].
            predicted: Predicted grades, of the shape of `score`.
            n_grades: Number of grades.
            fold: Fold of each prediction, of the shape of `score`. Default: all in one fold.
            groups: Subject of each unit, [n_units]. Default: every unit is its own subject.
            threshold: For the AUC: units with `y >= threshold` are positive.

        Returns:
            The predictions.

        Raises:
            DataError: If shapes disagree, a value is not finite, or a grade is outside 0 to ``n_grades - 1``.
        """
        scores = np.atleast_2d(np.asarray(score, dtype=np.float64))
        return _checked("ordinal", y, scores, np.atleast_2d(np.asarray(predicted)), fold, groups, n_grades, threshold)


def _checked(
    kind: Kind,
    y: ArrayLike,
    score: FloatArray,
    predicted: AnyArray,
    fold: ArrayLike | None,
    groups: ArrayLike | None,
    n_classes: int,
    threshold: float | None,
) -> Predictions:
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
    return Predictions(kind, truth, score, answers, folds, code, len(names), n_classes, threshold)
