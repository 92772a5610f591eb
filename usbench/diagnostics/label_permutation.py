"""Would shuffled labels score as well? An exact-label permutation test of a whole cross-validation.

Labels are permuted among subjects, and everything that depends on them is done again: tuning, training, scoring.
With the probe of the headline that would take a thousand runs. A kernel ridge probe, closely related to the linear SVC,
is linear in the labels: once the features of a fold are decomposed, all permutations are trained, tuned and applied by
a few matrix products. Its score with the true labels is its own and is given beside the headline's.

Folds are drawn by subject without looking at labels, so that the statistic is one fixed function of the labels and the
test is exact: under independence every permutation of the labels is as likely as the true one.

References:
    Golland P, Fischl B. Permutation tests for classification: towards statistical significance in image-based studies.
        IPMI 2003, LNCS 2732:330-341.
    Ojala M, Garriga GC. Permutation tests for studying classifier performance. Journal of Machine Learning Research
        2010;11:1833-1863.
    Phipson B, Smyth GK. Permutation p-values should never be zero. Statistical Applications in Genetics and Molecular
        Biology 2010;9:39.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from usbench.errors import DataError, UsbenchError
from usbench.probes.squared_hinge_svm import fit_scaler
from usbench.probes.threads import one_blas_thread
from usbench.statistics._types import AnyArray, FloatArray
from usbench.statistics.exact import permute_labels
from usbench.statistics.splits import Split, subject_folds

GRID: tuple[float, ...] = tuple(10.0**k for k in range(-3, 4))
"""Penalties as a share of the number of training units, for features of mean squared length one."""

_BLOCK = 250  # permutations held at a time


@dataclass(frozen=True, eq=False)
class LabelPermutation:
    """A kernel probe's score against its distribution under permuted labels.

    Attributes:
        statistic: ``fold_auc`` for classes (several: mean over one against the rest), ``pearson_r`` for values.
        observed: With the true labels.
        p: Share of deals that score at least as high, the true one counted among them.
        null: Score of each permutation, float64 ``[n_permutations]``.
    """

    statistic: str
    observed: float
    p: float
    null: FloatArray


def permutation_of_labels(
    features: FloatArray,
    y: npt.ArrayLike,
    groups: npt.ArrayLike,
    regression: bool = False,
    n_permutations: int = 999,
    n_folds: int = 5,
    seed: int = 0,
) -> LabelPermutation:
    """Test whether embeddings and labels are independent.

    Args:
        features: Mean latent of each unit, float64 ``[n_units, D]``.
        y: Class number or value of each unit, ``[n_units]``.
        groups: Subject of each unit, ``[n_units]``.
        regression: Whether ``y`` holds values.
        n_permutations: Number of deals, at least 19.
        n_folds: Folds by subject; fewer where there are fewer subjects.
        seed: Seed of folds and deals.

    Returns:
        The test.

    Raises:
        UsbenchError: Too few permutations.
        DataError: Fewer than four subjects, or the statistic does not exist.
    """
    if n_permutations < 19:
        raise UsbenchError(f"{n_permutations} permutations cannot show p = 0.05: ask for at least 19.")
    subjects = len(np.unique(np.asarray(groups)))
    if subjects < 4:
        raise DataError(f"{subjects} subjects are too few to permute labels among: 4 are the least.")
    folds = subject_folds(groups, None, min(n_folds, subjects), seed, stratify=False)
    rng = np.random.default_rng(seed + 1)
    truth = np.asarray(y)
    deals = np.stack([truth, *(permute_labels(truth, groups, rng) for _ in range(n_permutations))], axis=1)
    with one_blas_thread():
        prepared = [_FoldProbe(features, split) for split in folds]
        parts = [
            _statistics(prepared, folds, deals[:, start : start + _BLOCK], regression)
            for start in range(0, deals.shape[1], _BLOCK)
        ]
    scores = np.concatenate(parts)
    if not np.isfinite(scores[0]):
        raise DataError("No two units of different class are tested in the same fold, so there is nothing to permute.")
    null = np.where(np.isfinite(scores[1:]), scores[1:], -np.inf)  # a deal without a statistic does not reach it
    reached = int((null >= scores[0] - 1e-12).sum())
    statistic = "pearson_r" if regression else "fold_auc"
    return LabelPermutation(statistic, float(scores[0]), (1 + reached) / (1 + n_permutations), scores[1:])


class _FoldProbe:
    """Kernel ridge regression of one fold, for any number of targets at once."""

    def __init__(self, features: FloatArray, split: Split) -> None:
        scaler = fit_scaler(features[split.train])
        left, values, right = np.linalg.svd(scaler(features[split.train]), full_matrices=False)
        keep = values > 1e-10 * max(float(values[0]), 1e-30)
        self._left, self._values = left[:, keep], values[keep]
        self._test = scaler(features[split.test]) @ right[keep].T

    def __call__(self, targets: FloatArray) -> FloatArray:
        """Train on each column, choose its penalty by the leave-one-out error, and predict the test units.

        Args:
            targets: float64 ``[n_train, n_targets]``.

        Returns:
            float64 ``[n_test, n_targets]``.
        """
        n = len(targets)
        centre = targets.mean(axis=0)
        inner = self._left.T @ (targets - centre)
        best = np.full(targets.shape[1], np.inf)
        chosen = np.zeros((len(self._test), targets.shape[1]))
        for penalty in reversed(GRID):  # from the strongest, so that the first of equals is the most cautious
            shrink = self._values**2 / (self._values**2 + n * penalty)
            leverage = 1.0 / n + (self._left**2) @ shrink  # 1/n for the intercept
            residual = targets - centre - self._left @ (shrink[:, None] * inner)
            error = ((residual / np.maximum(1.0 - leverage, 1e-6)[:, None]) ** 2).sum(axis=0)
            better = error < best - 1e-12
            best = np.where(better, error, best)
            weights = (shrink / self._values)[:, None] * inner
            chosen = np.where(better, self._test @ weights + centre, chosen)
        return chosen


def _statistics(probes: Sequence[_FoldProbe], folds: Sequence[Split], deals: AnyArray, regression: bool) -> FloatArray:
    """The statistic of every permutation of the labels, float64 ``[n_deals]``."""
    if regression:
        values = deals.astype(np.float64)
        predicted = np.empty(deals.shape)
        for probe, split in zip(probes, folds, strict=True):
            predicted[split.test] = probe(values[split.train])
        return _correlation(values, predicted)
    classes = np.unique(deals)
    ones = classes[1:] if len(classes) == 2 else classes
    per_class = []
    for label in ones:
        member = deals == label
        wins, pairs = np.zeros(deals.shape[1]), np.zeros(deals.shape[1])
        for probe, split in zip(probes, folds, strict=True):
            score = probe(_balanced(member[split.train]))
            won, met = _concordance(score, member[split.test])
            wins, pairs = wins + won, pairs + met
        with np.errstate(invalid="ignore", divide="ignore"):
            per_class.append(wins / pairs)
    found: FloatArray = np.mean(per_class, axis=0)
    return found


def _balanced(member: npt.NDArray[np.bool_]) -> FloatArray:
    """Code classes so that both pull alike whatever their shares: as in Fisher's discriminant, +n/n1 and -n/n0."""
    share = member.mean(axis=0)
    inside, outside = 1.0 / np.maximum(share, 1e-9), -1.0 / np.maximum(1.0 - share, 1e-9)
    one_class = (share == 0) | (share == 1)  # nothing to learn: every score is equal, and every pair a tie
    coded: FloatArray = np.where(one_class, 0.0, np.where(member, inside, outside))
    return coded


def _concordance(score: FloatArray, member: npt.NDArray[np.bool_]) -> tuple[FloatArray, FloatArray]:
    """Pairs won by members over others, ties half, and all such pairs, of every column."""
    from scipy.stats import rankdata

    positive = member.sum(axis=0).astype(np.float64)
    rank = rankdata(np.round(score, 10), axis=0)
    wins = np.where(member, rank, 0.0).sum(axis=0) - positive * (positive + 1) / 2
    return wins, positive * (len(member) - positive)


def _correlation(a: FloatArray, b: FloatArray) -> FloatArray:
    a, b = a - a.mean(axis=0), b - b.mean(axis=0)
    spread = np.sqrt((a**2).sum(axis=0) * (b**2).sum(axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        r: FloatArray = np.where(spread > 1e-12, (a * b).sum(axis=0) / spread, np.nan)
    return r
