"""The temporal-attention head as a plan: what is trained on what, in which order, from which seed.

The plan is made of NumPy arrays and fixed by seeds, so that the batched trainer (`usbench.probes.attention.head`) and
the plain one (`benchmarks/heads_one_by_one.py`) follow the same one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from usbench.errors import DataError
from usbench.probes.data import ProbeData
from usbench.probes.problem import Problem
from usbench.statistics._types import BoolArray, FloatArray, IntArray
from usbench.statistics.splits import Split, group_codes


@dataclass(frozen=True)
class HeadSettings:
    """Size and training of the head.

    The paper says "several linear layers followed by a temporal attention mechanism" and ten initialisations; sizes
    and schedule are ours, chosen small for cohorts of some fifty patients.

    Attributes:
        hidden: Width of the layers.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        max_epochs: Most passes over the training units.
        patience: Passes without a better validation loss before a head stops.
        validation_share: Share of the training subjects set aside for early stopping.
        batch_units: Units in a mini-batch; larger where that leaves more than `max_steps` steps a pass.
        max_steps: Most steps per pass.
    """

    hidden: int = 32
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    max_epochs: int = 100
    patience: int = 10
    validation_share: float = 0.2
    batch_units: int = 8
    max_steps: int = 32


@dataclass(frozen=True, eq=False)
class Frames:
    """Embeddings arranged by unit, short units padded at the end.

    Attributes:
        values: float32 [n_units, n_frames, D], zero where padded.
        present: True where there is a frame, bool [n_units, n_frames].
    """

    values: NDArray[np.float32]
    present: BoolArray


@dataclass(frozen=True, eq=False)
class FoldPlan:
    """How the heads of one fold are trained.

    Attributes:
        repeat: Repeat of the splits.
        fold: Position of the fold in its repeat.
        split: The fold.
        train: Units that gradients come from, int64.
        validation: Units that early stopping looks at, int64; whole subjects out of the training side.
        mean: Mean of each feature over the frames of `train`, float64 [D].
        scale: Standard deviation of each feature, float64 [D]; infinite for constant features.
        target_mean: Mean target over `train`.
        target_scale: Standard deviation of the target over `train`.
        seed: Words that seed the order of the mini-batches; with the number of an initialisation, its weights.
    """

    repeat: int
    fold: int
    split: Split
    train: IntArray
    validation: IntArray
    mean: FloatArray
    scale: FloatArray
    target_mean: float
    target_scale: float
    seed: tuple[int, int, int]

    def batches(self, epoch: int, steps: int) -> list[IntArray]:
        """Deal the training units into mini-batches of nearly equal size.

        The order is that of the fold: initialisations differ in their weights alone.
        """
        rng = np.random.default_rng([*self.seed, 1, epoch])
        return np.array_split(rng.permutation(self.train), steps)

    def weight_seed(self, initialisation: int) -> int:
        """Return the seed of one initialisation's weights."""
        return int(np.random.SeedSequence([*self.seed, 2, initialisation]).generate_state(1)[0])


def arrange_frames(data: ProbeData) -> Frames:
    """Arrange frames by unit, in the order of time where it is given.

    Args:
        data: Embedded frames.

    Returns:
        The frames, padded to the longest unit; where frames have places, each place has columns of its own.
    """
    position = np.arange(len(data.unit)) if data.order is None else np.asarray(data.order)
    order = np.lexsort((position, data.unit))
    unit = data.unit[order]
    counts = np.bincount(unit, minlength=data.n_units)
    slot = np.arange(len(unit)) - np.repeat(np.cumsum(counts) - counts, counts)
    embeddings = data.embeddings
    if data.places is not None:
        embeddings = data.places.own_columns(embeddings)
    values = np.zeros((data.n_units, counts.max(), embeddings.shape[1]), dtype=np.float32)
    values[unit, slot] = embeddings[order]
    return Frames(values, np.arange(counts.max()) < counts[:, None])


def plan_folds(problem: Problem, frames: Frames, settings: HeadSettings) -> list[FoldPlan]:
    """Plan the training of every fold.

    Args:
        problem: A regression problem.
        frames: Its frames.
        settings: Size and training of the head.

    Returns:
        One plan per fold, repeat by repeat.

    Raises:
        DataError: If a fold trains on fewer than three subjects, or its target is constant once the validation
            subjects are set aside.
    """
    return [_plan(problem, frames, settings, *job) for job in problem.folds()]


def steps_per_epoch(plans: list[FoldPlan], settings: HeadSettings) -> int:
    """Return the number of mini-batches in a pass: one number for all folds, so that they advance together."""
    smallest = min(len(plan.train) for plan in plans)
    return max(1, min(smallest // settings.batch_units, settings.max_steps))


def _plan(problem: Problem, frames: Frames, settings: HeadSettings, repeat: int, fold: int, split: Split) -> FoldPlan:
    seed = (problem.seed, repeat, fold)
    validation = _validation_units(problem, split, settings.validation_share, seed)
    train = np.setdiff1d(split.train, validation)
    target = problem.y[train]
    if np.ptp(target) == 0:
        raise DataError(f"The target is constant in the training units of fold {split.fold!r}.")
    values = frames.values[train][frames.present[train]]
    mean, spread = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    if problem.least_spread and spread.any():
        spread = np.maximum(spread, problem.least_spread * np.median(spread[spread > 0]))
    scale = np.where(spread > 1e-9 * np.maximum(np.abs(mean), 1e-30), spread, np.inf)
    return FoldPlan(
        repeat, fold, split, train, validation, mean, scale, float(target.mean()), float(target.std()), seed
    )


def _validation_units(problem: Problem, split: Split, share: float, seed: tuple[int, int, int]) -> IntArray:
    """Set whole subjects aside that span the target: one from each of equal slices of the sorted subjects."""
    names, code = group_codes(problem.groups[split.train])
    if len(names) < 3:
        raise DataError(
            f"Fold {split.fold!r} trains on {len(names)} subjects: the attention head needs at least 3, "
            "some of them to decide when to stop."
        )
    target = np.bincount(code, weights=problem.y[split.train]) / np.bincount(code)
    n = min(max(1, round(share * len(names))), len(names) - 2)
    rng = np.random.default_rng([*seed, 0])
    # Ties between subjects are broken at random, not by name.
    ranked = np.lexsort((rng.random(len(names)), target))
    chosen = [rng.choice(part) for part in np.array_split(ranked, n)]
    return np.asarray(split.train[np.isin(code, chosen)], dtype=np.int64)
