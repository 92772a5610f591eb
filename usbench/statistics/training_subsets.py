"""Smaller training sets of whole subjects, the same for every encoder.

What is drawn depends on the subjects, their classes and the seed alone. Test sets stay as they are, so that scores on
training sets of different sizes are scores on the same units.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import DataError
from usbench.statistics._types import IntArray
from usbench.statistics.splits import Split, group_codes

LEAST_OF_A_CLASS = 2
"""Fewest training subjects of each class: tuning inside the training set must part them."""
LEAST_SUBJECTS = 5
"""Fewest training subjects where there are no classes."""


def training_subsets(
    splits_by_repeat: Sequence[Sequence[Split]],
    groups: ArrayLike,
    y: ArrayLike | None,
    share: float,
    n_draws: int,
    seed: int = 0,
) -> list[list[Split]]:
    """Draw a share of the training subjects of every fold, several times.

    Subjects are ranked at random within their class, and a draw takes the next so many of each class. Draws are
    therefore disjoint as long as the subjects last (two halves, four quarters); then subjects are ranked anew. Where
    folds are drawn several times, draws go through them in turn.

    Args:
        splits_by_repeat: Splits of each draw of the folds.
        groups: Subject of each unit, [n_units].
        y: Class of each unit, [n_units], of which a subject counts with its highest; None without classes.
        share: Share of the training subjects to keep, above 0 and at most 1.
        n_draws: Number of draws.
        seed: Seed of the ranks.

    Returns:
        Splits of each draw: smaller training sets, the same test sets.

    Raises:
        DataError: A training set would hold too few subjects; the message says how many.
    """
    names, code = group_codes(groups)
    stratum = np.zeros(len(names), dtype=np.int64)
    if y is not None:
        np.maximum.at(stratum, code, np.unique(np.asarray(y), return_inverse=True)[1])
    parts = max(1, int(1 / share + 1e-9))
    found = []
    for draw in range(n_draws):
        rank = np.random.default_rng([seed, draw // parts]).permutation(len(names))
        splits = splits_by_repeat[draw % len(splits_by_repeat)]
        found.append([_smaller(split, code, stratum, rank, share, draw % parts, y is not None) for split in splits])
    return found


def _smaller(
    split: Split, code: IntArray, stratum: IntArray, rank: IntArray, share: float, part: int, classes: bool
) -> Split:
    trained = np.unique(code[split.train])
    kept = []
    for label in np.unique(stratum[trained]):
        members = trained[stratum[trained] == label]
        members = members[np.argsort(rank[members])]
        number = int(share * len(members) + 0.5)
        least = LEAST_OF_A_CLASS if classes else LEAST_SUBJECTS
        if number < least:
            whose = "subjects of a class" if classes else "subjects"
            raise DataError(f"{number} training {whose}, of at least {least}")
        kept.append(members[(part * number + np.arange(number)) % len(members)])
    chosen = np.isin(code[split.train], np.concatenate(kept))
    return Split(split.train[chosen], split.test, split.fold)
