from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from usbench.errors import UsbenchError
from usbench.statistics import (
    METRICS,
    binary_outcome,
    by_repeat,
    compute,
    compute_all,
    multiclass_outcome,
    regression_outcome,
)
from usbench.statistics import metric_functions as metrics


def paper_confusion() -> tuple[np.ndarray, np.ndarray]:
    """COVID-BLUES row of the paper's Table III: 23 of 33 positive and 21 of 30 negative patients recognised."""
    y = np.repeat([1, 0], [33, 30])
    predicted = np.concatenate([np.repeat([1, 0], [23, 10]), np.repeat([1, 0], [9, 21])])
    return y, predicted


def test_the_papers_confusion_matrix_gives_the_papers_figures() -> None:
    y, predicted = paper_confusion()
    percent = {
        name: round(100 * getattr(metrics, name)(y, predicted), 1)
        for name in ("accuracy", "specificity", "sensitivity", "f1")
    }
    assert percent == {"accuracy": 69.8, "specificity": 70.0, "sensitivity": 69.7, "f1": 70.8}


def test_auc_by_hand_with_a_tie() -> None:
    # Pairs (positive, negative): (3, 1) wins, (3, 2) wins, (2, 1) wins, (2, 2) ties: 3.5 of 4.
    assert metrics.auc([1, 1, 0, 0], [3, 2, 1, 2]) == pytest.approx(3.5 / 4)


def test_fold_auc_by_hand() -> None:
    # Fold 0: positive 5 against negatives 1 and 9: 1 of 2. Fold 1: positive 0 against -1: 1 of 1. Fold 2: no
    # pair.
    y, score, fold = [1, 0, 0, 1, 0, 1], [5, 1, 9, 0, -1, 4], [0, 0, 0, 1, 1, 2]
    assert metrics.fold_auc(y, score, fold) == pytest.approx(2 / 3)


def test_fold_auc_does_not_see_offsets_between_folds() -> None:
    rng = np.random.default_rng(0)
    y, fold = rng.integers(0, 2, 60), np.repeat(np.arange(5), 12)
    score = rng.normal(size=60) + y
    shifted = score + 100.0 * rng.normal(size=5)[fold]
    assert metrics.fold_auc(y, shifted, fold) == pytest.approx(metrics.fold_auc(y, score, fold))
    assert metrics.auc(y, shifted) != pytest.approx(metrics.auc(y, score))


labels = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed))


@given(labels, st.integers(5, 60))
@settings(deadline=None, max_examples=40)
def test_binary_metrics_agree_with_scikit_learn(rng, n) -> None:
    y = rng.permutation(np.arange(n) % 2)
    score = np.round(rng.normal(size=n), 1)
    predicted = (score > 0).astype(int)
    assert metrics.accuracy(y, predicted) == pytest.approx(reference.accuracy_score(y, predicted))
    assert metrics.balanced_accuracy(y, predicted) == pytest.approx(reference.balanced_accuracy_score(y, predicted))
    assert metrics.f1(y, predicted) == pytest.approx(reference.f1_score(y, predicted))
    assert metrics.sensitivity(y, predicted) == pytest.approx(reference.recall_score(y, predicted))
    assert metrics.specificity(y, predicted) == pytest.approx(reference.recall_score(y, predicted, pos_label=0))
    assert metrics.auc(y, score) == pytest.approx(reference.roc_auc_score(y, score))


@given(labels, st.integers(12, 60))
@settings(deadline=None, max_examples=30)
def test_multiclass_metrics_agree_with_scikit_learn(rng, n) -> None:
    y = rng.permutation(np.arange(n) % 4)
    raw = rng.random((n, 4)) + 0.1
    score = raw / raw.sum(axis=1, keepdims=True)
    outcome = multiclass_outcome(y, score)
    answer = score.argmax(axis=1)
    assert compute("auc", outcome) == pytest.approx(reference.roc_auc_score(y, score, multi_class="ovr"))
    assert compute("macro_f1", outcome) == pytest.approx(reference.f1_score(y, answer, average="macro"))
    assert compute("balanced_accuracy", outcome) == pytest.approx(reference.balanced_accuracy_score(y, answer))
    assert compute("accuracy", outcome) == pytest.approx(reference.accuracy_score(y, answer))
    assert metrics.macro_f1(y, answer) == pytest.approx(compute("macro_f1", outcome))


@given(labels, st.integers(4, 60), st.floats(-1e4, 1e4))
@settings(deadline=None, max_examples=30)
def test_regression_metrics_agree_with_scikit_learn(rng, n, shift) -> None:
    y = rng.normal(size=n) + shift
    predicted = y + rng.normal(size=n)
    assert metrics.mae(y, predicted) == pytest.approx(reference.mean_absolute_error(y, predicted))
    assert metrics.rmse(y, predicted) == pytest.approx(reference.root_mean_squared_error(y, predicted))
    assert metrics.pearson_r(y, predicted) == pytest.approx(np.corrcoef(y, predicted)[0, 1], abs=1e-6)


def test_regression_auc_uses_the_threshold_inclusively() -> None:
    outcome = regression_outcome([94.0, 95.0, 99.0], [90.0, 93.0, 92.0], threshold=95.0)
    assert compute("auc", outcome) == 1.0
    assert compute("auc", regression_outcome([94.0, 95.0], [90.0, 93.0])) is None
    assert compute("auc", regression_outcome([96.0, 95.0], [90.0, 93.0], threshold=95.0)) is None


def test_repeats_are_averaged_and_fold_auc_pools_their_pairs() -> None:
    y = [1, 0, 1, 0]
    score = [[2, 1, 4, 3], [1, 2, 3, 4]]
    outcome = binary_outcome(y, score, fold=[[0, 0, 1, 1], [0, 0, 0, 1]])
    assert by_repeat("auc", outcome) == [0.75, 0.25]
    assert compute("auc", outcome) == 0.5
    # Repeat 0: 2 of 2 pairs. Repeat 1, fold 0: positives 1 and 3 against negative 2: 1 of 2; fold 1: none.
    assert compute("fold_auc", outcome) == pytest.approx(3 / 4)


def test_what_does_not_exist_is_none_and_never_nan() -> None:
    assert metrics.auc([1, 1], [0.1, 0.2]) is None
    assert metrics.fold_auc([1, 0], [0.1, 0.2], [0, 1]) is None
    assert metrics.sensitivity([0, 0], [0, 1]) is None
    assert metrics.specificity([1, 1], [0, 1]) is None
    assert metrics.f1([0, 0], [0, 0]) is None
    assert metrics.f1([1, 0], [0, 0]) == 0.0
    assert metrics.pearson_r([1.0, 2.0, 3.0], [96.7, 96.7, 96.7]) is None
    assert metrics.pearson_r([5.0, 5.0], [1.0, 2.0]) is None
    assert metrics.balanced_accuracy([2, 2], [2, 0]) is None


def test_bad_input_is_refused_with_a_reason() -> None:
    with pytest.raises(UsbenchError, match="not finite"):
        metrics.auc([1, 0], [np.nan, 0.0])
    with pytest.raises(UsbenchError, match="class numbers 0 to 1"):
        metrics.auc([1, 2], [0.3, 0.0])
    with pytest.raises(UsbenchError, match="do not fit"):
        metrics.auc([1, 0, 1], [0.3, 0.0])
    with pytest.raises(UsbenchError, match=r"Unknown metric 'acuracy'.*accuracy"):
        compute("acuracy", binary_outcome([1, 0], [1, 0]))
    with pytest.raises(UsbenchError, match="'mae' does not exist for a binary outcome"):
        compute("mae", binary_outcome([1, 0], [1, 0]))


def test_compute_all_gives_what_the_kind_has() -> None:
    found = compute_all(binary_outcome([1, 0, 1, 0], [1.0, -1.0, 2.0, 0.5]))
    assert set(found) == {m.name for m in METRICS.values() if "binary" in m.kinds}
    assert found["accuracy"] == 0.75
