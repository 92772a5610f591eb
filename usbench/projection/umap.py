"""UMAP maps of embeddings, and figures for what the eye sees in them.

A map shows two dimensions of hundreds and moves with its seed, so each figure is given for the embedding and for the
map, and the map's over several seeds. Neighbours of the same subject are left out of the vote: frames of one video are
near each other whatever the encoder has learnt about organs.

References:
    McInnes L, Healy J, Saul N, Grossberger L. UMAP: uniform manifold approximation and projection. Journal of Open
        Source Software 2018;3:861.
    Venna J, Kaski S. Neighborhood preservation in nonlinear projection methods: an experimental study. ICANN 2001
        (trustworthiness).
    Rousseeuw PJ. Silhouettes. Journal of Computational and Applied Mathematics 1987;20:53-65.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from usbench.core.types import Progress, silent
from usbench.errors import DataError
from usbench.statistics._types import FloatArray, IntArray
from usbench.statistics.splits import group_codes


@dataclass(frozen=True, eq=False)
class MapQuality:
    """How well classes and neighbourhoods show, in the embedding and in maps of it.

    Attributes:
        trustworthiness: For each seed, share of the map's neighbourhoods that exist in the embedding, 0 to 1.
        silhouette: Silhouette of the labels in the embedding, -1 to 1.
        map_silhouette: The same in the map of each seed.
        knn_accuracy: Balanced accuracy of the nearest neighbours' vote in the embedding, 0 to 1, other subjects only.
        map_knn_accuracy: The same in the map of each seed.
        seeds: Seeds of the maps.
        maps: The maps, float32 [n_seeds, n, 2].
    """

    trustworthiness: tuple[float, ...]
    silhouette: float
    map_silhouette: tuple[float, ...]
    knn_accuracy: float
    map_knn_accuracy: tuple[float, ...]
    seeds: tuple[int, ...]
    maps: NDArray[np.float32]


def standardised(embeddings: ArrayLike) -> NDArray[np.float32]:
    """Centre features and give them unit variance; constant features become zero.

    Args:
        embeddings: Vectors [n, D].

    Returns:
        Standardised vectors, float32 [n, D].
    """
    values = np.asarray(embeddings, dtype=np.float64)
    spread = values.std(axis=0)
    centred = values - values.mean(axis=0)
    varies = spread > 1e-9 * np.maximum(np.abs(values).max(axis=0), 1e-30)
    scaled = np.divide(centred, spread, out=np.zeros_like(centred), where=varies)
    return np.asarray(scaled, dtype=np.float32)


def umap_projection(
    embeddings: ArrayLike, seed: int = 0, n_neighbours: int = 15, min_dist: float = 0.1
) -> NDArray[np.float32]:
    """Project vectors to the plane with UMAP, on standardised features.

    Args:
        embeddings: Vectors [n, D], finite; at least 4.
        seed: Seed; the same seed gives the same map on the same machine.
        n_neighbours: Size of the neighbourhood, fewer where there are fewer vectors.
        min_dist: Least distance between points of the map.

    Returns:
        The map, float32 [n, 2].

    Raises:
        DataError: If there are fewer than 4 vectors or one is not finite.
    """
    values = np.asarray(embeddings)
    if values.ndim != 2 or len(values) < 4:
        raise DataError(f"Embeddings of shape {values.shape} cannot be mapped: at least 4 vectors are needed.")
    if not np.isfinite(values).all():
        raise DataError("An embedding is not finite (NaN or infinite): it cannot be mapped.")
    from usbench.projection.umap_import import one_thread, umap_class

    with one_thread(), warnings.catch_warnings():
        # UMAP warns that a seed makes it use one thread; that is what we want.
        warnings.simplefilter("ignore", UserWarning)
        # Spectral layouts need more points than coordinates plus one.
        start = "spectral" if len(values) > 10 else "random"
        reducer = umap_class()(
            n_neighbors=min(n_neighbours, len(values) - 1),
            min_dist=min_dist,
            random_state=seed,
            init=start,
            n_jobs=1,
        )
        return np.asarray(reducer.fit_transform(standardised(values)), dtype=np.float32)


def map_quality(
    embeddings: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike,
    seeds: Sequence[int] = (0, 1, 2),
    n_neighbours: int = 5,
    umap_neighbours: int = 15,
    min_dist: float = 0.1,
    progress: Progress = silent,
) -> MapQuality:
    """Map embeddings with several seeds and measure what the maps show.

    Args:
        embeddings: Vectors [n, D].
        labels: Class of each vector, such as the organ, [n]; at least two classes.
        groups: Subject of each vector, [n]; at least two.
        seeds: Seeds of the maps, at least one.
        n_neighbours: Neighbours that vote, and the neighbourhood of the trustworthiness.
        umap_neighbours: UMAP's own neighbourhood.
        min_dist: UMAP's least distance.
        progress: Told how many maps are drawn, and how many there are.

    Returns:
        The figures and the maps.

    Raises:
        DataError: If lengths disagree, there is one class or one subject, or too few vectors.
    """
    from sklearn.manifold import trustworthiness
    from sklearn.metrics import silhouette_score

    _, subject = group_codes(groups)
    classes, code = np.unique(np.asarray(labels), return_inverse=True)
    values = standardised(embeddings)
    if not len(values) == len(code) == len(subject):
        raise DataError(f"{len(values)} vectors, {len(code)} labels and {len(subject)} subjects: give one of each.")
    if not 2 <= len(classes) < len(values) or len(np.unique(subject)) < 2 or not seeds:
        raise DataError("A map is measured with at least two classes, two subjects and one seed.")
    maps = []
    for done, seed in enumerate(seeds):
        progress("maps", done, len(seeds))
        maps.append(umap_projection(embeddings, seed, umap_neighbours, min_dist))
    near = max(1, min(n_neighbours, (len(values) - 1) // 2))
    return MapQuality(
        tuple(float(trustworthiness(values, m, n_neighbors=near)) for m in maps),
        float(silhouette_score(values, code)),
        tuple(float(silhouette_score(m, code)) for m in maps),
        knn_accuracy(values, code, subject, n_neighbours),
        tuple(knn_accuracy(m, code, subject, n_neighbours) for m in maps),
        tuple(seeds),
        np.stack(maps),
    )


def knn_accuracy(vectors: ArrayLike, labels: ArrayLike, groups: ArrayLike, n_neighbours: int = 5) -> float:
    """Let the nearest vectors of other subjects vote for each vector's class.

    The vote is unweighted, a tie goes to the class of the nearest among the tied; the accuracy is the mean over the
    classes, so that chance is one over their number.

    Args:
        vectors: Vectors [n, d].
        labels: Class of each vector, [n].
        groups: Subject of each vector, [n]; at least two subjects.
        n_neighbours: Neighbours that vote.

    Returns:
        Balanced accuracy, 0 to 1.
    """
    values = np.asarray(vectors, dtype=np.float64)
    _, code = np.unique(np.asarray(labels), return_inverse=True)
    _, subject = group_codes(groups)
    n_classes = int(code.max()) + 1
    votes = np.zeros((len(values), n_classes))
    square = (values**2).sum(axis=1)
    # A slice of the distance matrix at a time: 10^5 vectors would otherwise need 80 GB.
    block = max(1, 4_000_000 // len(values))
    for start in range(0, len(values), block):
        rows = np.arange(start, min(start + block, len(values)))
        distance = square[rows][:, None] + square - 2 * values[rows] @ values.T
        distance[subject[rows][:, None] == subject] = np.inf
        votes[rows] = _votes(distance, code, n_classes, n_neighbours)
    right = votes.argmax(axis=1) == code
    return float(np.mean([right[code == k].mean() for k in range(n_classes)]))


def _votes(distance: FloatArray, code: IntArray, n_classes: int, n_neighbours: int) -> FloatArray:
    """Votes for each class [n_rows, n_classes] from distances [n_rows, n]; infinite ones have no vote."""
    k = min(n_neighbours, distance.shape[1])
    nearest = np.argpartition(distance, k - 1, axis=1)[:, :k]
    nearest = np.take_along_axis(nearest, np.take_along_axis(distance, nearest, 1).argsort(axis=1, kind="stable"), 1)
    valid = np.isfinite(np.take_along_axis(distance, nearest, axis=1))
    # The nearer of tied classes wins by a bonus too small to outvote anybody.
    weight = valid * (1 + 1e-3 * 2.0 ** -np.arange(k))
    votes = np.zeros((len(distance), n_classes))
    for j in range(k):
        votes[np.arange(len(distance)), code[nearest[:, j]]] += weight[:, j]
    return votes


# As many as UMAP takes for the neighbourhood that it tries to keep.
NEIGHBOURS = 15
