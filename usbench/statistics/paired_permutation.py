"""Two systems on the same few subjects, compared by exchanging them.

If two systems are equally good, it makes no difference which of the two answered for a subject. Every pattern of
exchanges is then as likely as the one observed, whatever the number of subjects: the test needs no standard error,
which is what few subjects and perfect scores do not give. Scores of an AUC are turned into ranks first, among the units
with which they are compared, so that exchanged ones are on one scale (Venkatraman & Begg 1996).

References:
    Venkatraman ES, Begg CB. A distribution-free procedure for comparing receiver operating characteristic curves from a
        paired experiment. Biometrika 1996;83:835-848.
    Bandos AI, Rockette HE, Gur D. A permutation test sensitive to differences in areas for comparing ROC curves from a
        paired design. Statistics in Medicine 2005;24:2873-2893.
    Phipson B, Smyth GK. Permutation p-values should never be zero. Stat Appl Genet Mol Biol 2010;9:39.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from usbench.statistics._types import AnyArray, FloatArray
from usbench.statistics.metrics import prepare
from usbench.statistics.predictions import Predictions

ALL_PATTERNS_UP_TO = 13
"""Subjects of whom every pattern of exchanges is counted; of more, patterns are drawn."""
DRAWN = 4999
_RANKED = ("auc", "fold_auc", "auprc", "sensitivity_at_90_specificity", "sensitivity_at_95_specificity")
# Calibration is fitted on scores of one system; exchanged ones would be fitted anew.
_NOT_EXCHANGED = ("brier", "calibration_slope")
_TIE = 1e-10


@dataclass(frozen=True)
class Exchange:
    """A difference against its distribution under exchanges.

    Attributes:
        difference: First minus second.
        p: Two-sided p-value, the observed pattern counted.
        critical: The difference is significant at 5 % exactly where its size is above this.
        exact: Whether every pattern was counted.
    """

    difference: float
    p: float
    critical: float
    exact: bool


def exchange_test(a: Predictions, b: Predictions, metric: str, level: float = 0.95, seed: int = 0) -> Exchange | None:
    """Test whether two systems differ in a metric, by exchanging them subject by subject.

    Args:
        a: Predictions of the first system.
        b: Predictions of the second; the same units in the same folds and repeats.
        metric: Key of `usbench.statistics.metrics.METRICS`.
        level: One minus the level of `Exchange.critical`.
        seed: Seed of the patterns that are drawn.

    Returns:
        The test; None where the two did not answer for the same units in the same folds, or the metric does not exist
        or cannot be exchanged.
    """
    alike = a.kind == b.kind and a.score.shape == b.score.shape and np.array_equal(a.fold, b.fold)
    if not alike or not np.array_equal(a.y, b.y) or not np.array_equal(a.group, b.group) or metric in _NOT_EXCHANGED:
        return None
    kernel = prepare(metric, _beside(a, b, metric))
    patterns = _patterns(a.n_groups, seed)
    differences = []
    rows = max(1, 2_000_000 // (2 * a.n_units))
    for start in range(0, len(patterns), rows):
        swapped = patterns[start : start + rows][:, a.group]
        first = np.concatenate([1 - swapped, swapped], axis=1).astype(np.float64)
        differences.append(kernel(first) - kernel(1 - first))
    found: FloatArray = np.concatenate(differences)
    if np.isnan(found[0]):
        return None
    sizes = np.abs(found[~np.isnan(found)])
    observed = abs(float(found[0]))
    p = float((sizes >= observed - _TIE).mean())
    least = ceil((1 - level) * len(sizes) - 1e-9)
    critical = float(np.sort(sizes)[::-1][least - 1]) + _TIE
    return Exchange(float(found[0]), p, critical, a.n_groups <= ALL_PATTERNS_UP_TO)


def _beside(a: Predictions, b: Predictions, metric: str) -> Predictions:
    """Put the units of both systems one after the other; weights then choose whose answer counts."""
    first, second = (_ranks(o, metric == "fold_auc") if metric in _RANKED else o.score for o in (a, b))
    return replace(
        a,
        y=np.concatenate([a.y, b.y]),
        score=np.concatenate([first, second], axis=1),
        predicted=np.concatenate([a.predicted, b.predicted], axis=1),
        fold=np.concatenate([a.fold, b.fold], axis=1),
        group=np.concatenate([a.group, b.group]),
    )


def _ranks(outcome: Predictions, within_folds: bool) -> FloatArray:
    from scipy.stats import rankdata

    score = outcome.score
    found = np.empty(score.shape)
    for repeat, fold in enumerate(outcome.fold):
        own = fold if within_folds else np.zeros_like(fold)
        for number in np.unique(own):
            members = own == number
            found[repeat, members] = rankdata(score[repeat, members], axis=0)
    return found


def _patterns(subjects: int, seed: int) -> AnyArray:
    """Which subjects are exchanged, uint8 [n_patterns, n_subjects]; the first pattern exchanges nobody."""
    if subjects <= ALL_PATTERNS_UP_TO:
        # Exchanging all of the others instead turns the sign alone: half of the patterns are enough.
        numbers = np.arange(2 ** max(subjects - 1, 0))
        return ((numbers[:, None] >> np.arange(subjects)) & 1).astype(np.uint8)
    drawn = np.random.default_rng(seed).integers(0, 2, (DRAWN, subjects), dtype=np.uint8)
    return np.concatenate([np.zeros((1, subjects), np.uint8), drawn])
