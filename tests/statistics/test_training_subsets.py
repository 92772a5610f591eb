"""Smaller training sets: whole subjects, class by class, disjoint as long as they last, the same for everybody."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.errors import DataError
from usbench.statistics import assert_disjoint, repeated_subject_folds
from usbench.statistics.training_subsets import training_subsets


def cohort(n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Two images a subject, a third of the subjects positive in one of them at least."""
    groups = np.repeat([f"p{k:02d}" for k in range(n)], 2)
    y = (np.arange(n) % 3 == 0).astype(int).repeat(2)
    y[1::6] = 0  # of a positive subject, one image is negative
    return groups, y


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_a_share_of_each_class_of_whole_subjects_is_kept(share: float) -> None:
    groups, y = cohort()
    folds = repeated_subject_folds(groups, y, 5, 2, 0)
    drawn = training_subsets(folds, groups, y, share, 5)
    assert len(drawn) == 5
    for k, splits in enumerate(drawn):
        for split, whole in zip(splits, folds[k % 2], strict=True):
            assert_disjoint(split, groups)
            np.testing.assert_array_equal(split.test, whole.test)
            assert set(split.train) <= set(whole.train)
            kept = set(groups[split.train])
            assert len(split.train) == 2 * len(kept)  # both images of each subject
            ill = {s for s in kept if y[groups == s].max()}
            n_ill = len({s for s in groups[whole.train] if y[groups == s].max()})
            n_well = len(set(groups[whole.train])) - n_ill
            assert len(ill) == int(share * n_ill + 0.5)
            assert len(kept - ill) == int(share * n_well + 0.5)


def test_draws_are_disjoint_as_long_as_subjects_last() -> None:
    groups, y = cohort(120)
    folds = repeated_subject_folds(groups, y, 2, 1, 0)
    quarters = training_subsets(folds, groups, y, 0.25, 4)
    first_fold = [set(groups[splits[0].train]) for splits in quarters]
    assert not any(first_fold[a] & first_fold[b] for a in range(4) for b in range(a))
    halves = [set(groups[splits[0].train]) for splits in training_subsets(folds, groups, y, 0.5, 4)]
    assert not halves[0] & halves[1]
    assert not halves[2] & halves[3]
    assert halves[0] not in (halves[2], halves[3])  # ranked anew


def test_they_depend_on_subjects_and_classes_alone() -> None:
    groups, y = cohort()
    folds = repeated_subject_folds(groups, y, 5, 1, 0)
    again = [training_subsets(folds, groups, y, 0.25, 3, seed=seed) for seed in (0, 0, 1)]
    same = [np.array_equal(a[0].train, b[0].train) for a, b in zip(again[0], again[1], strict=True)]
    other = [np.array_equal(a[0].train, b[0].train) for a, b in zip(again[0], again[2], strict=True)]
    assert all(same)
    assert not any(other)
    whole = training_subsets(folds, groups, y, 1.0, 1)[0]
    assert all(np.array_equal(a.train, b.train) for a, b in zip(whole, folds[0], strict=True))


def test_too_few_subjects_are_refused_by_number() -> None:
    groups, y = cohort()
    folds = repeated_subject_folds(groups, y, 5, 1, 0)
    with pytest.raises(DataError, match="1 training subjects of a class, of at least 2"):
        training_subsets(folds, groups, y, 0.05, 1)
    with pytest.raises(DataError, match="2 training subjects, of at least 5"):
        training_subsets(folds, groups, None, 0.05, 1)
