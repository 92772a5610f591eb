"""How good a map is: figures for the embedding, and for its projections over several seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from usbench.core.types import Progress, silent
from usbench.projection.umap import NEIGHBOURS, knn_accuracy, map_quality, standardised

# Raised when the same embeddings would get another map or other figures.
MAP_VERSION = 1

_DIGITS = 6
# Digits of coordinates after the point; a map is about twenty units wide.
DECIMALS = 3


def map_figures(
    vectors: ArrayLike, labels: ArrayLike, subjects: ArrayLike, seeds: Sequence[int], progress: Progress = silent
) -> dict[str, Any]:
    """Project embeddings with several seeds and measure both sides.

    Args:
        vectors: One vector per unit, [n, D].
        labels: Class numbers from 0, [n].
        subjects: Subject of each unit, [n].
        seeds: Seeds of UMAP; the first gives the map that is shown.
        progress: Told how many maps are drawn, and how many there are.

    Returns:
        Plain values for a result: ``settings``, ``seeds``, ``x`` and ``y`` of the map shown, and ``quality`` with
        ``embedding`` (silhouette, knn_accuracy, and knn_accuracy_same_subject, in which images of the same subject
        may vote) and ``map`` (trustworthiness, silhouette, knn_accuracy; each with mean, sd and values by seed).
        Accuracies are balanced: the mean over the classes.

    Raises:
        DataError: There are too few units, one class or one subject.
    """
    y = np.asarray(labels, dtype=np.int64)
    quality = map_quality(vectors, y, subjects, seeds, n_neighbours=NEIGHBOURS, progress=progress)
    same_subject = knn_accuracy(standardised(vectors), y, np.arange(len(y)), NEIGHBOURS)
    shown = np.round(quality.maps[0].astype(np.float64), DECIMALS) + 0.0  # no minus zero
    return {
        "version": MAP_VERSION,
        "settings": {"method": "UMAP", "neighbours": NEIGHBOURS, "min_distance": 0.1, "features": "standardised"},
        "seeds": list(seeds),
        "quality": {
            "embedding": {
                "silhouette": _round(quality.silhouette),
                "knn_accuracy": _round(quality.knn_accuracy),
                "knn_accuracy_same_subject": _round(same_subject),
            },
            "map": {
                "trustworthiness": _spread(quality.trustworthiness),
                "silhouette": _spread(quality.map_silhouette),
                "knn_accuracy": _spread(quality.map_knn_accuracy),
            },
        },
        "x": shown[:, 0].tolist(),
        "y": shown[:, 1].tolist(),
    }


def shown_quality(
    x: Sequence[float], y: Sequence[float], labels: Sequence[str], subjects: Sequence[str]
) -> dict[str, float]:
    """Measure a map from its stored coordinates.

    Args:
        x: First coordinates.
        y: Second coordinates.
        labels: Class of each unit.
        subjects: Subject of each unit.

    Returns:
        ``silhouette`` and balanced ``knn_accuracy``.

    Raises:
        ValueError: Lengths disagree.
    """
    from sklearn.metrics import silhouette_score

    points = np.stack([np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)], axis=1)
    return {
        "silhouette": float(silhouette_score(points, np.asarray(labels))),
        "knn_accuracy": knn_accuracy(points, labels, subjects, NEIGHBOURS),
    }


def _spread(values: Sequence[float]) -> dict[str, Any]:
    return {
        "mean": _round(float(np.mean(values))),
        "sd": _round(float(np.std(values, ddof=1))) if len(values) > 1 else None,
        "values": [_round(value) for value in values],
    }


def _round(value: float) -> float:
    return round(value, _DIGITS)
