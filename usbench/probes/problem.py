"""A probe's question once labels are coded and frames averaged, and what the protocols share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usbench.errors import DataError
from usbench.probes.data import FoldChoice, Prediction, ProbeData
from usbench.statistics._types import AnyArray, FloatArray, IntArray
from usbench.statistics.outcome import Kind
from usbench.statistics.splits import Split, subject_folds

LEAST_SPREAD = 0.1


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


def fold_prediction(repeat: int, fold: int, split: Split, score: FloatArray, predicted: FloatArray) -> Prediction:
    """Tabulate the predictions of one fold's test units."""
    n = len(split.test)
    return Prediction(
        split.test,
        np.full(n, repeat, dtype=np.int64),
        np.full(n, fold, dtype=np.int64),
        score,
        predicted.astype(np.float64),
    )


def stack(predictions: Sequence[Prediction]) -> Prediction:
    """Join the tables of several folds."""
    return Prediction(
        np.concatenate([p.unit for p in predictions]),
        np.concatenate([p.repeat for p in predictions]),
        np.concatenate([p.fold for p in predictions]),
        np.concatenate([p.score for p in predictions]),
        np.concatenate([p.predicted for p in predictions]),
    )


def decide(score: FloatArray, n_classes: int) -> FloatArray:
    """Turn decision values into class numbers.

    Args:
        score: Two classes: [..., n], class 1 above zero. More: [..., n, n_classes], the highest wins.
        n_classes: Number of classes.

    Returns:
        Class numbers, float64 [..., n].
    """
    return (score > 0).astype(np.float64) if n_classes == 2 else score.argmax(axis=-1).astype(np.float64)


Answer = tuple[Prediction, tuple[FoldChoice, ...]]
