"""Exact and permutation tests, and the correction for several of them.

References:
    McNemar Q. Note on the sampling error of the difference between correlated proportions or percentages.
        Psychometrika 1947;12:153-157.
    Pagano M, Tritchler D. On obtaining permutation distributions in polynomial time. Journal of the American
        Statistical Association 1983;78:435-440.
    Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics
    1979;6:65-70. Phipson B, Smyth GK. Permutation p-values should never be zero. Statistical Applications in
    Genetics and Molecular
        Biology 2010;9:39.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from usbench.statistics._types import AnyArray
from usbench.statistics.splits import group_codes


def mcnemar_exact(only_a: int, only_b: int) -> float:
    """McNemar's exact test of two classifiers on the same independent units.

    Args:
        only_a: Units that only A classifies rightly.
        only_b: Units that only B classifies rightly.

    Returns:
        Two-sided p value from the binomial distribution of the discordant units.
    """
    n = only_a + only_b
    tail = sum(comb(n, k) for k in range(min(only_a, only_b) + 1))
    return float(min(Fraction(1), Fraction(2 * tail, 2**n)))


def sign_flip_exact(difference: ArrayLike) -> float:
    """Exact test that whole-numbered differences of subjects are symmetric about zero.

    If two classifiers are equally good, exchanging their answers for any subject changes nothing but the sign
    of its difference. All 2^n patterns of signs are counted by adding subjects one at a time. With
    differences of -1, 0 and 1 this is McNemar's exact test; with several units or repeats a subject it is its
    clustered form.

    Args:
        difference: Difference of each subject, whole numbers, [n_subjects].

    Returns:
        Two-sided p value: the share of patterns whose absolute sum reaches the observed one.
    """
    values = np.asarray(difference, dtype=np.int64)
    sizes = np.abs(values[values != 0])
    total = int(sizes.sum())
    if total == 0:
        return 1.0
    # chance[k] is the probability that the subjects with a positive sign add up to k.
    chance = np.zeros(total + 1)
    chance[0] = 1.0
    reach = 0
    for size in sizes.tolist():
        grown = 0.5 * chance[: reach + size + 1]
        grown[size:] += 0.5 * chance[: reach + 1]
        reach += size
        chance[: reach + 1] = grown
    absolute = np.abs(2 * np.arange(total + 1) - total)
    return float(min(1.0, chance[absolute >= abs(int(values.sum()))].sum()))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust p values for their number, by Holm's step-down method.

    Args:
        p_values: p values; None for tests that do not exist, which stay None and do not count.

    Returns:
        Adjusted p values in the given order, at most 1.
    """
    known = sorted((p, k) for k, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, k) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * p))
        adjusted[k] = highest
    return adjusted


def permute_labels(y: ArrayLike, groups: ArrayLike, rng: np.random.Generator) -> AnyArray:
    """Deal the labels out anew among subjects.

    A subject whose units share one label gets the label of another such subject for all its units. Subjects
    with mixed labels exchange their units' labels as a whole, among subjects with the same number of units.

    Args:
        y: Labels or targets, [n_units].
        groups: Subject of each unit, [n_units].
        rng: Source of chance.

    Returns:
        Permuted labels, [n_units].
    """
    labels = np.asarray(y)
    _, code = group_codes(groups)
    order = np.argsort(code, kind="stable")
    units = np.split(order, np.flatnonzero(np.diff(code[order])) + 1)
    pure = [k for k, mine in enumerate(units) if (labels[mine] == labels[mine[0]]).all()]
    out = labels.copy()
    for to, source in zip(pure, rng.permutation(pure), strict=True):
        out[units[to]] = labels[units[source][0]]
    mixed: dict[int, list[int]] = {}
    for k in sorted(set(range(len(units))) - set(pure)):
        mixed.setdefault(len(units[k]), []).append(k)
    for members in mixed.values():
        for to, source in zip(members, rng.permutation(members), strict=True):
            out[units[to]] = labels[units[source]]
    return out
