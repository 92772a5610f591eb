from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from usbench.errors import UsbenchError
from usbench.statistics import (
    Predictions,
    compute,
)


def of_classes(name: str, y: object, predicted: object) -> float | None:
    """A metric of class numbers."""
    answers = np.asarray(predicted)
    if name in ("f1", "sensitivity", "specificity"):
        return compute(name, Predictions.binary(y, np.zeros(answers.shape), answers))
    n_classes = int(max(np.max(y), answers.max(), 1)) + 1
    return compute(name, Predictions.multiclass(y, np.eye(n_classes)[answers], answers))


def of_scores(name: str, y: object, score: object, fold: object = None) -> float | None:
    """A metric of decision values for two classes."""
    return compute(name, Predictions.binary(y, score, fold=fold))


def of_values(name: str, y: object, predicted: object) -> float | None:
    """A metric of predicted values."""
    return compute(name, Predictions.regression(y, predicted))


def paper_confusion() -> tuple[np.ndarray, np.ndarray]:
    """COVID-BLUES row of the paper's Table III: 23 of 33 positive and 21 of 30 negative patients recognised."""
    y = np.repeat([1, 0], [33, 30])
    predicted = np.concatenate([np.repeat([1, 0], [23, 10]), np.repeat([1, 0], [9, 21])])
    return y, predicted


def test_the_papers_confusion_matrix_gives_the_papers_figures() -> None:
    y, predicted = paper_confusion()
    percent = {
        name: round(100 * of_classes(name, y, predicted), 1)
        for name in ("accuracy", "specificity", "sensitivity", "f1")
    }
    assert percent == {"accuracy": 69.8, "specificity": 70.0, "sensitivity": 69.7, "f1": 70.8}


def test_auc_by_hand_with_a_tie() -> None:
    # Pairs (positive, negative): (3, 1) wins, (3, 2) wins, (2, 1) wins, (2, 2) ties: 3.5 of 4.
    assert of_scores("auc", [1, 1, 0, 0], [3, 2, 1, 2]) == pytest.approx(3.5 / 4)


def test_fold_auc_by_hand() -> None:
    # Fold 0: positive 5 against negatives 1 and 9: 1 of 2. Fold 1: positive 0 against -1: 1 of 1. Fold 2: no
    # pair.
    y, score, fold = [1, 0, 0, 1, 0, 1], [5, 1, 9, 0, -1, 4], [0, 0, 0, 1, 1, 2]
    assert of_scores("fold_auc", y, score, fold) == pytest.approx(2 / 3)


def test_fold_auc_does_not_see_offsets_between_folds() -> None:
    rng = np.random.default_rng(0)
    y, fold = rng.integers(0, 2, 60), np.repeat(np.arange(5), 12)
    score = rng.normal(size=60) + y
    shifted = score + 100.0 * rng.normal(size=5)[fold]
    assert of_scores("fold_auc", y, shifted, fold) == pytest.approx(of_scores("fold_auc", y, score, fold))
    assert of_scores("auc", y, shifted) != pytest.approx(of_scores("auc", y, score))


labels = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed))


@given(labels, st.integers(5, 60))
@settings(deadline=None, max_examples=40)
def test_binary_metrics_agree_with_scikit_learn(rng, n) -> None:
    y = rng.permutation(np.arange(n) % 2)
    score = np.round(rng.normal(size=n), 1)
    predicted = (score > 0).astype(int)
    assert of_classes("accuracy", y, predicted) == pytest.approx(reference.accuracy_score(y, predicted))
    assert of_classes("balanced_accuracy", y, predicted) == pytest.approx(
        reference.balanced_accuracy_score(y, predicted)
    )
    assert of_classes("f1", y, predicted) == pytest.approx(reference.f1_score(y, predicted))
    assert of_classes("sensitivity", y, predicted) == pytest.approx(reference.recall_score(y, predicted))
    assert of_classes("specificity", y, predicted) == pytest.approx(reference.recall_score(y, predicted, pos_label=0))
    assert of_scores("auc", y, score) == pytest.approx(reference.roc_auc_score(y, score))


@given(labels, st.integers(12, 60))
@settings(deadline=None, max_examples=30)
def test_multiclass_metrics_agree_with_scikit_learn(rng, n) -> None:
    y = rng.permutation(np.arange(n) % 4)
    raw = rng.random((n, 4)) + 0.1
    score = raw / raw.sum(axis=1, keepdims=True)
    outcome = Predictions.multiclass(y, score)
    answer = score.argmax(axis=1)
    assert compute("auc", outcome) == pytest.approx(reference.roc_auc_score(y, score, multi_class="ovr"))
    assert compute("macro_f1", outcome) == pytest.approx(reference.f1_score(y, answer, average="macro"))
    assert compute("balanced_accuracy", outcome) == pytest.approx(reference.balanced_accuracy_score(y, answer))
    assert compute("accuracy", outcome) == pytest.approx(reference.accuracy_score(y, answer))
    assert of_classes("macro_f1", y, answer) == pytest.approx(compute("macro_f1", outcome))


@given(labels, st.integers(4, 60), st.floats(-1e4, 1e4))
@settings(deadline=None, max_examples=30)
def test_regression_metrics_agree_with_scikit_learn(rng, n, shift) -> None:
    y = rng.normal(size=n) + shift
    predicted = y + rng.normal(size=n)
    assert of_values("mae", y, predicted) == pytest.approx(reference.mean_absolute_error(y, predicted))
    assert of_values("rmse", y, predicted) == pytest.approx(reference.root_mean_squared_error(y, predicted))
    assert of_values("pearson_r", y, predicted) == pytest.approx(np.corrcoef(y, predicted)[0, 1], abs=1e-6)


def test_regression_auc_uses_the_threshold_inclusively() -> None:
    outcome = Predictions.regression([94.0, 95.0, 99.0], [90.0, 93.0, 92.0], threshold=95.0)
    assert compute("auc", outcome) == 1.0
    assert compute("auc", Predictions.regression([94.0, 95.0], [90.0, 93.0])) is None
    assert compute("auc", Predictions.regression([96.0, 95.0], [90.0, 93.0], threshold=95.0)) is None


def test_repeats_are_averaged_and_fold_auc_pools_their_pairs() -> None:
    y = [1, 0, 1, 0]
    score = [[2, 1, 4, 3], [1, 2, 3, 4]]
    outcome = Predictions.binary(y, score, fold=[[0, 0, 1, 1], [0, 0, 0, 1]])
    assert [compute("auc", outcome.repeats(r, r + 1)) for r in range(2)] == [0.75, 0.25]
    assert compute("auc", outcome) == 0.5
    # Repeat 0: 2 of 2 pairs. Repeat 1, fold 0: positives 1 and 3 against negative 2: 1 of 2; fold 1: none.
    assert compute("fold_auc", outcome) == pytest.approx(3 / 4)


def test_what_does_not_exist_is_none_and_never_nan() -> None:
    assert of_scores("auc", [1, 1], [0.1, 0.2]) is None
    assert of_scores("fold_auc", [1, 0], [0.1, 0.2], [0, 1]) is None
    assert of_classes("sensitivity", [0, 0], [0, 1]) is None
    assert of_classes("specificity", [1, 1], [0, 1]) is None
    assert of_classes("f1", [0, 0], [0, 0]) is None
    assert of_classes("f1", [1, 0], [0, 0]) == 0.0
    assert of_values("pearson_r", [1.0, 2.0, 3.0], [96.7, 96.7, 96.7]) is None
    assert of_values("pearson_r", [5.0, 5.0], [1.0, 2.0]) is None
    assert of_classes("balanced_accuracy", [2, 2], [2, 0]) is None


def test_bad_input_is_refused_with_a_reason() -> None:
    with pytest.raises(UsbenchError, match="not finite"):
        of_scores("auc", [1, 0], [np.nan, 0.0])
    with pytest.raises(UsbenchError, match="class numbers 0 to 1"):
        of_scores("auc", [1, 2], [0.3, 0.0])
    with pytest.raises(UsbenchError, match="do not fit"):
        of_scores("auc", [1, 0, 1], [0.3, 0.0])
    with pytest.raises(UsbenchError, match=r"Unknown metric 'acuracy'.*accuracy"):
        compute("acuracy", Predictions.binary([1, 0], [1, 0]))
    with pytest.raises(UsbenchError, match="'mae' does not exist for a binary outcome"):
        compute("mae", Predictions.binary([1, 0], [1, 0]))
