"""A probe's question once labels are coded and frames averaged, and what the protocols share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from usbench.errors import DataError
from usbench.probes.data import FoldChoice, ProbeData
from usbench.statistics._types import AnyArray, FloatArray, IntArray
from usbench.statistics.predictions import UNTESTED, Kind, Predictions
from usbench.statistics.splits import Split, group_codes, subject_folds

LEAST_SPREAD = 0.1

FoldAnswer = tuple[int, int, Split, FloatArray, AnyArray]
"""Repeat, fold, its split, and for the split's test units their scores [n_test] or [n_test, n_classes] and the
predicted class numbers or targets [n_test]."""


@dataclass(frozen=True, eq=False)
class Problem:
    """The arrays a protocol works on.

    Attributes:
        data: Embedded frames as given.
        kind: "binary", "multiclass" or "regression".
        features: Mean latent of each unit, or its places joined, float64 [n_units, D].
        y: Class number or target of each unit, float64 [n_units].
        groups: Subject of each unit, [n_units].
        n_classes: Number of classes; 0 for regression.
        splits: Splits of each repeat.
        seed: Seed of everything the protocol draws itself.
        n_jobs: Threads for folds.
    """

    data: ProbeData
    kind: Kind
    features: FloatArray
    y: FloatArray
    groups: AnyArray
    n_classes: int
    splits: Sequence[Sequence[Split]]
    seed: int
    n_jobs: int

    @property
    def least_spread(self) -> float:
        """Least spread of a feature when features are standardised, as a share of the median; see `fit_scaler`.

        Differences between places are constant in the margins of an image for all but a few units.
        """
        return LEAST_SPREAD if self.data.places is not None else 0.0

    @property
    def codes(self) -> IntArray:
        """Class number of each unit, int64 [n_units]."""
        return self.y.astype(np.int64)

    def folds(self) -> list[tuple[int, int, Split]]:
        """List all folds of all repeats as (repeat, fold, split)."""
        return [(r, f, split) for r, splits in enumerate(self.splits) for f, split in enumerate(splits)]

    def inner_folds(self, repeat: int, fold: int, split: Split, most: int) -> list[Split]:
        """Cut the training units of a fold into folds of whole subjects, to tune on.

        Args:
            repeat: Repeat of the outer fold.
            fold: Position of the outer fold.
            split: The outer fold.
            most: Number of inner folds, fewer where a class or the whole has fewer subjects.

        Returns:
            Splits whose positions refer to `split.train`; stratified by class for classification.

        Raises:
            DataError: If the training units cannot be cut in two.
        """
        groups, y = self.groups[split.train], self.y[split.train]
        classify = self.kind not in ("regression", "ordinal")
        parts = [groups[y == k] for k in range(self.n_classes)] if classify else [groups]
        fewest = min(len(np.unique(part)) for part in parts)
        if fewest < 2:
            raise DataError(
                f"Fold {split.fold!r} trains on {fewest} subject of a class: tuning inside the training fold "
                "needs at least 2 of each. Use fewer classes, more folds, or a protocol that does not tune."
            )
        seed = np.random.SeedSequence([self.seed, repeat, fold]).generate_state(1)[0]
        return subject_folds(groups, y if classify else None, min(most, fewest), int(seed), stratify=classify)

    def gather(self, folds: Iterable[FoldAnswer]) -> Predictions:
        """Join the answers of all folds of all repeats.

        Args:
            folds: What each fold predicts for its test units.

        Returns:
            The predictions over all units; those that no fold of a repeat tested stay `UNTESTED` in it.

        Raises:
            DataError: If a repeat tests a unit twice, or a score is not finite.
        """
        answers = list(folds)
        shape = (1 + max(answer[0] for answer in answers), len(self.y))
        score = np.full(shape + answers[0][3].shape[1:], np.nan)
        predicted = np.full(shape, np.nan)
        fold = np.full(shape, UNTESTED, dtype=np.int64)
        for repeat, number, split, scores, predictions in answers:
            if (fold[repeat, split.test] != UNTESTED).any():
                raise DataError(f"Fold {split.fold!r} tests a unit that another fold tests: score the folds apart.")
            if not np.isfinite(scores).all():
                raise DataError("A score is not finite (NaN or infinite): remove the unit or repair the probe.")
            fold[repeat, split.test] = number
            score[repeat, split.test] = scores
            predicted[repeat, split.test] = predictions
        names, group = group_codes(self.groups)
        return Predictions(self.kind, self.y, score, predicted, fold, group, len(names), self.n_classes)


def decide(score: FloatArray, n_classes: int) -> FloatArray:
    """Turn decision values into class numbers.

    Args:
        score: Two classes: [..., n], class 1 above zero. More: [..., n, n_classes], the highest wins.
        n_classes: Number of classes.

    Returns:
        Class numbers, float64 [..., n].
    """
    return (score > 0).astype(np.float64) if n_classes == 2 else score.argmax(axis=-1).astype(np.float64)


Answer = tuple[Predictions, tuple[FoldChoice, ...]]
