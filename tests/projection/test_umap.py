from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

from usbench.errors import UsbenchError
from usbench.projection.umap import knn_accuracy, map_quality, standardised, umap_projection


def organs(spread: float, n: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three organs, two vectors a subject."""
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(n // 2) % 3, 2)
    subject = np.repeat(np.arange(n // 2), 2)
    vectors = 5 * np.eye(3, 10)[label] + spread * rng.normal(size=(n, 10))
    return vectors.astype(np.float32), np.array(["liver", "eye", "breast"])[label], subject


def test_a_seed_fixes_the_map() -> None:
    vectors, _, _ = organs(1.0)
    first = umap_projection(vectors, seed=1)
    assert first.shape == (60, 2)
    assert first.dtype == np.float32
    assert (first == umap_projection(vectors, seed=1)).all()
    assert not np.allclose(first, umap_projection(vectors, seed=2))


def test_quality_tells_clear_organs_from_noise() -> None:
    clear = map_quality(*organs(0.5), seeds=(0, 1))
    vectors, labels, subjects = organs(0.5)
    blurred = map_quality(np.random.default_rng(1).normal(size=vectors.shape), labels, subjects, seeds=(0, 1))
    assert clear.maps.shape == (2, 60, 2)
    assert clear.seeds == (0, 1)
    assert clear.knn_accuracy == 1.0
    assert min(clear.map_knn_accuracy) > 0.9
    assert min(clear.map_silhouette) > 0.4
    assert clear.silhouette > blurred.silhouette + 0.2
    assert min(clear.trustworthiness) > max(blurred.trustworthiness) - 0.1
    assert blurred.knn_accuracy < 0.65


def test_neighbours_of_the_same_subject_do_not_vote() -> None:
    """Every vector has a twin of its subject; without the twins the labels are noise."""
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2))
    vectors, subject = np.repeat(points, 2, axis=0), np.repeat(np.arange(60), 2)
    label = np.repeat(rng.permutation(np.arange(60) % 2), 2)
    assert knn_accuracy(vectors, label, np.arange(120), 1) == 1.0
    assert knn_accuracy(vectors, label, subject, 1) < 0.75


def test_votes_agree_with_scikit_learn_leaving_subjects_out() -> None:
    vectors, labels, subjects = organs(4.0)
    right = np.empty(60)
    for k in range(60):
        others = subjects != subjects[k]
        model = KNeighborsClassifier(1).fit(vectors[others].astype(float), labels[others])
        right[k] = model.predict(vectors[[k]].astype(float))[0] == labels[k]
    expected = np.mean([right[labels == organ].mean() for organ in np.unique(labels)])
    assert knn_accuracy(vectors, labels, subjects, 1) == pytest.approx(expected)


def test_a_tie_goes_to_the_nearest() -> None:
    vectors = np.array([[0.0], [1.0], [-2.0]])
    # The two others of vector 0 vote once each; the nearer has its label.
    assert knn_accuracy(vectors, [0, 0, 1], [0, 1, 2], 2) == pytest.approx(0.5)


def test_standardised_features_survive_constants() -> None:
    values = standardised([[1.0, 5.0], [3.0, 5.0]])
    assert values.tolist() == [[-1.0, 0.0], [1.0, 0.0]]


def test_what_cannot_be_mapped_is_refused() -> None:
    with pytest.raises(UsbenchError, match="at least 4 vectors"):
        umap_projection(np.ones((3, 5)))
    with pytest.raises(UsbenchError, match="not finite"):
        umap_projection(np.full((9, 5), np.nan))
    with pytest.raises(UsbenchError, match="two classes, two subjects"):
        map_quality(np.random.default_rng(0).normal(size=(9, 3)), ["eye"] * 9, np.arange(9))
    with pytest.raises(UsbenchError, match="9 vectors, 8 labels"):
        map_quality(np.ones((9, 3)), ["eye", "lung"] * 4, np.arange(9))
