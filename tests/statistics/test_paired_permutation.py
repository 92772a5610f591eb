"""Exchanging two systems subject by subject: beside exact tests and brute force, and never against its own interval."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from usbench.statistics import (
    Predictions,
    compute,
    mcnemar_exact,
    sign_flip_exact,
)
from usbench.statistics.paired_permutation import exchange_test


def test_accuracy_of_single_units_is_mcnemars_exact_test() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(12) % 2
    a, b = ((rng.random(12) < share).astype(int) for share in (0.9, 0.4))
    first, second = (Predictions.binary(y, np.zeros(12), np.where(right, y, 1 - y)) for right in (a, b))
    found = exchange_test(first, second, "accuracy")
    assert found.exact
    assert found.p == pytest.approx(mcnemar_exact(int((a & ~b & 1).sum()), int((b & ~a & 1).sum())))


def test_accuracy_of_several_units_and_repeats_is_the_sign_flip_by_subject() -> None:
    rng = np.random.default_rng(1)
    y, groups = rng.integers(0, 2, 20), np.repeat(np.arange(10), 2)
    answers = rng.integers(0, 2, (2, 3, 20))
    first, second = (Predictions.binary(y, np.zeros((3, 20)), a, groups=groups) for a in answers)
    right = (answers == y).sum(axis=1)
    by_subject = np.bincount(groups, right[0] - right[1])
    assert exchange_test(first, second, "accuracy").p == pytest.approx(sign_flip_exact(by_subject))


def test_an_auc_is_tested_on_ranks_by_every_exchange() -> None:
    rng = np.random.default_rng(2)
    y = np.arange(8) % 2
    scores = [y + rng.normal(size=8), 1000 * rng.normal(size=8)]  # another scale
    found = exchange_test(*(Predictions.binary(y, s) for s in scores), "auc")
    ranks = [rankdata(s) for s in scores]
    differences = []
    for pattern in product([0, 1], repeat=8):
        swapped = np.array(pattern, dtype=bool)
        one, other = np.where(swapped, ranks[1], ranks[0]), np.where(swapped, ranks[0], ranks[1])
        differences.append(roc_auc_score(y, one) - roc_auc_score(y, other))
    assert found.difference == pytest.approx(differences[0])
    assert found.p == pytest.approx(np.mean(np.abs(differences) >= abs(differences[0]) - 1e-12))


def test_two_patients_of_each_class_cannot_show_anything() -> None:
    y = np.array([0, 0, 1, 1])
    found = exchange_test(Predictions.binary(y, y - 0.5), Predictions.binary(y, 0.5 - y), "auc")
    assert found.difference == 1.0
    assert found.p >= 2 / 2**4
    assert found.critical >= 1.0


@pytest.mark.parametrize("n", [10, 16])
def test_p_and_the_critical_difference_never_contradict_each_other(n: int) -> None:
    rng = np.random.default_rng(3)
    significant = 0
    for _ in range(60):
        y = np.arange(n) % 2
        a, b = (Predictions.binary(y, strength * y + rng.normal(size=n)) for strength in (3.0, 0.0))
        found = exchange_test(a, b, "auc")
        assert found.exact == (n <= 13)
        assert (found.p < 0.05) == (abs(found.difference) > found.critical)
        significant += found.p < 0.05
    assert 5 < significant < 60


def test_exchanging_two_equal_markers_keeps_its_level() -> None:
    rng = np.random.default_rng(4)
    n, reached, cohorts = 12, 0, 300
    y = np.arange(n) % 2
    for _ in range(cohorts):
        shared = y + rng.normal(size=n)
        a, b = (Predictions.binary(y, shared + rng.normal(size=n)) for _ in range(2))
        reached += exchange_test(a, b, "auc").p < 0.05
    print(f"{reached / cohorts:.3f}")
    assert reached / cohorts < 0.05 + 3 * np.sqrt(0.05 * 0.95 / cohorts)


def test_errors_and_several_classes_are_exchanged_as_they_are() -> None:
    rng = np.random.default_rng(5)
    y = rng.normal(size=9)
    a, b = (Predictions.regression(y, y + spread * rng.normal(size=9)) for spread in (0.1, 2.0))
    found = exchange_test(a, b, "mae")
    assert found.difference == pytest.approx(compute("mae", a) - compute("mae", b))
    assert found.p < 0.05
    classes = np.arange(12) % 3
    one, other = (Predictions.multiclass(classes, np.eye(3)[classes] + rng.normal(size=(12, 3))) for _ in range(2))
    found = exchange_test(one, other, "auc")
    assert found.difference == pytest.approx(compute("auc", one) - compute("auc", other))


def test_what_cannot_be_exchanged_has_no_test() -> None:
    y = np.arange(10) % 2
    a = Predictions.binary(y, np.arange(10.0), fold=np.arange(10) // 2)
    assert exchange_test(a, Predictions.binary(y, np.arange(10.0), fold=np.zeros(10)), "fold_auc") is None
    assert exchange_test(a, Predictions.binary(1 - y, np.arange(10.0), fold=np.arange(10) // 2), "auc") is None
    assert exchange_test(a, Predictions.binary(y, np.zeros((2, 10)), fold=np.zeros((2, 10))), "auc") is None
    assert exchange_test(a, a, "brier") is None
    one_class = Predictions.binary(np.zeros(10), np.arange(10.0))
    assert exchange_test(one_class, one_class, "auc") is None
