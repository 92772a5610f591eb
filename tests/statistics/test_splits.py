from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usbench.errors import UsbenchError
from usbench.statistics import (
    Split,
    assert_disjoint,
    fixed_split,
    leave_one_group_out,
    official_folds,
    repeated_subject_folds,
    subject_folds,
)


@st.composite
def cohorts(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int, int]:
    """Subjects with one to five units each, two to four classes, and a number of folds that fits."""
    n_splits = draw(st.integers(2, 6))
    n_classes = draw(st.integers(2, 4))
    per_class = draw(st.lists(st.integers(n_splits, n_splits + 9), min_size=n_classes, max_size=n_classes))
    label = np.repeat(np.arange(n_classes), per_class)
    units = np.array(draw(st.lists(st.integers(1, 5), min_size=len(label), max_size=len(label))))
    seed = draw(st.integers(0, 2**32 - 1))
    subject = np.repeat([f"p{k}" for k in range(len(label))], units)
    order = np.random.default_rng(seed).permutation(len(subject))
    return subject[order], np.repeat(label, units)[order], n_splits, seed


@given(cohorts())
@settings(deadline=None, max_examples=60)
def test_no_subject_straddles_and_every_unit_is_tested_once(cohort) -> None:
    groups, y, n_splits, seed = cohort
    folds = subject_folds(groups, y, n_splits, seed)
    assert len(folds) == n_splits
    tested = np.concatenate([fold.test for fold in folds])
    assert sorted(tested) == list(range(len(y)))
    for fold in folds:
        assert set(groups[fold.train]).isdisjoint(groups[fold.test])
        assert sorted([*fold.train, *fold.test]) == list(range(len(y)))
        # Each class is on both sides of each fold.
        assert set(y[fold.train]) == set(y[fold.test]) == set(y)


@given(cohorts())
@settings(deadline=None, max_examples=30)
def test_a_seed_fixes_the_folds_whatever_the_names_of_the_classes(cohort) -> None:
    groups, y, n_splits, seed = cohort
    once = subject_folds(groups, y, n_splits, seed)
    again = subject_folds(groups, np.array(["a", "b", "c", "d"])[y], n_splits, seed)
    assert all((a.test == b.test).all() for a, b in zip(once, again, strict=True))


def test_one_unit_a_subject_balances_classes_to_one_unit() -> None:
    y = np.repeat([0, 1], [30, 33])
    for fold in subject_folds(np.arange(63), y, 5, seed=3):
        assert (y[fold.test] == 0).sum() == 6
        assert (y[fold.test] == 1).sum() in (6, 7)
        assert len(fold.test) in (12, 13)


def test_repeats_differ_and_are_reproducible() -> None:
    y = np.repeat([0, 1], [30, 33])
    first = repeated_subject_folds(np.arange(63), y, 5, repeats=3, seed=0)
    again = repeated_subject_folds(np.arange(63), y, 5, repeats=3, seed=0)
    assert all((a.test == b.test).all() for r, s in zip(first, again, strict=True) for a, b in zip(r, s, strict=True))
    assert not np.array_equal(first[0][0].test, first[1][0].test)


def test_regression_folds_need_no_labels() -> None:
    folds = subject_folds(np.repeat(np.arange(10), 3), None, 5, seed=0, stratify=False)
    assert [len(f.test) for f in folds] == [6] * 5


@pytest.mark.parametrize(
    ("groups", "y", "n", "message"),
    [
        (["a", "b", "c"], [0, 1, 0], 5, "3 subjects cannot fill 5 folds"),
        (["a", "b", "c"], [1, 1, 1], 2, r"Only one class \(1\)"),
        (["a", "a", "b", "c", "d"], [0, 0, 1, 1, 1], 2, "Class 0 has 1 subjects, fewer than the 2 folds"),
        (["a", "b", "c"], [0.0, 1.0, float("nan")], 2, "1 of 3 labels are missing .first: unit 2"),
        (["a", "", "c"], [0, 1, 1], 2, "Unit 1 has no subject"),
        (["a", "b"], [0, 1], 1, "at least 2"),
        ([], [], 2, "No units"),
    ],
)
def test_what_cannot_be_cut_says_why(groups, y, n, message) -> None:
    with pytest.raises(UsbenchError, match=message):
        subject_folds(groups, y, n, seed=0)


def test_official_folds_are_taken_as_they_are() -> None:
    folds = official_folds([2, 1, 1, 3, 2], ["a", "b", "b", "c", "d"])
    assert [f.fold for f in folds] == ["1", "2", "3"]
    assert folds[1].test.tolist() == [0, 4]
    assert folds[1].train.tolist() == [1, 2, 3]


def test_a_subject_in_two_official_folds_is_named() -> None:
    with pytest.raises(UsbenchError, match=r"1 subject is in more than one official fold: b\."):
        official_folds([2, 1, 2, 3], ["a", "b", "b", "c"])


def test_an_official_fold_may_not_be_missing() -> None:
    with pytest.raises(UsbenchError, match="1 of 3 units have no official fold"):
        official_folds([1.0, 2.0, np.nan], ["a", "b", "c"])


def test_leave_one_group_out_keeps_a_subject_whole() -> None:
    splits = leave_one_group_out(["b", "a", "b", "c"])
    assert [s.fold for s in splits] == ["a", "b", "c"]
    assert splits[1].test.tolist() == [0, 2]
    with pytest.raises(UsbenchError, match="at least 2 subjects"):
        leave_one_group_out(["a", "a"])


def test_fixed_split_reads_synonyms_and_places_validation() -> None:
    column, groups = ["TRAIN", "val", "Test", "training"], ["a", "b", "c", "d"]
    assert fixed_split(column, groups).train.tolist() == [0, 1, 3]
    assert fixed_split(column, groups, validation="unused").train.tolist() == [0, 3]
    assert fixed_split(column, groups).test.tolist() == [2]


def test_fixed_split_names_at_most_five_straddlers() -> None:
    groups = [f"p{k}" for k in range(7)] * 2
    with pytest.raises(UsbenchError, match="7 subjects are in more than one split: p0, p1, p2, p3, p4 and 2 more"):
        fixed_split(["train"] * 7 + ["test"] * 7, groups)


def test_fixed_split_refuses_unknown_and_empty_sets() -> None:
    with pytest.raises(UsbenchError, match="Unknown split 'holdout'"):
        fixed_split(["train", "holdout"], ["a", "b"])
    with pytest.raises(UsbenchError, match="no test unit"):
        fixed_split(["train", "train"], ["a", "b"])


def test_assert_disjoint_catches_a_hand_made_leak() -> None:
    with pytest.raises(UsbenchError, match="both the training and the test set: a"):
        assert_disjoint(Split(np.array([0, 1]), np.array([2]), "x"), ["a", "b", "a"])
