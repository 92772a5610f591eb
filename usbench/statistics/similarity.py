"""How alike two sets of vectors of the same frames are: whether a second encoder can add what the first lacks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.floating]


def linear_cka(one: Vectors, other: Vectors) -> float:
    """Return the linear centred kernel alignment of two encoders, with the bias of small samples removed.

    Source: Kornblith et al., Similarity of neural network representations revisited, ICML 2019; the unbiased estimate
    of Song et al., Feature selection via dependence maximization, JMLR 13, 2012. The plain value grows with the length
    of the vectors and nears one for unrelated vectors longer than the sample; this one is zero for those on average.

    Args:
        one: ``(n, D)``, vectors of ``n`` frames.
        other: ``(n, E)``, vectors of the same frames in the same order.

    Returns:
        1 for vectors that are equal but for rotation, shift and scale; about 0 for unrelated ones, of either sign; NaN
        where an encoder gives all frames one vector.

    Raises:
        ValueError: The numbers of frames differ, or there are fewer than four.
    """
    _checked(one, other, least=4)
    first, second = (_centred_kernel(vectors) for vectors in (one, other))
    norms = np.sum(first * first) * np.sum(second * second)
    return float(np.sum(first * second) / np.sqrt(norms)) if norms > 0 else float("nan")


def mutual_neighbours(one: Vectors, other: Vectors, neighbours: int = 10) -> float:
    """Return the share of nearest neighbours that two encoders have in common, by cosine similarity.

    Source: Huh et al., The platonic representation hypothesis, ICML 2024.

    Args:
        one: ``(n, D)``, vectors of ``n`` frames.
        other: ``(n, E)``, vectors of the same frames in the same order.
        neighbours: How many of each frame are compared, the frame itself left out.

    Returns:
        Between 0 and 1; unrelated vectors have ``neighbours / (n - 1)`` on average.

    Raises:
        ValueError: The numbers of frames differ, or there are not more frames than neighbours.
    """
    _checked(one, other, least=neighbours + 1)
    near = [_nearest(vectors, neighbours) for vectors in (one, other)]
    common = sum(len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(*near, strict=True))
    return common / (neighbours * len(one))


def pairwise(
    vectors: Sequence[Vectors], neighbours: int = 10
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return both measures for every pair of encoders.

    Args:
        vectors: ``(n, D)`` for each encoder, of the same frames in the same order.
        neighbours: As for :func:`mutual_neighbours`.

    Returns:
        Linear CKA and mutual nearest neighbours, ``(encoders, encoders)`` each, symmetric; CKA is NaN where an encoder
        gives all frames one vector.

    Raises:
        ValueError: As for the two functions.
    """
    for each in vectors:
        _checked(vectors[0], each, least=max(4, neighbours + 1))
    kernels = []
    for each in vectors:
        kernel = _centred_kernel(each)
        size = float(np.sqrt(np.sum(kernel * kernel)))
        kernels.append(kernel / size if size > 0 else np.full_like(kernel, np.nan))
    nearest = [np.sort(_nearest(each, neighbours), axis=1) for each in vectors]
    count, frames = len(vectors), len(vectors[0]) if vectors else 0
    alignment, shared = np.eye(count), np.eye(count)
    for i in range(count):
        alignment[i, i] = 1.0 if np.isfinite(kernels[i]).all() else np.nan
        for j in range(i):
            alignment[i, j] = alignment[j, i] = np.sum(kernels[i] * kernels[j])
            common = sum(
                len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(nearest[i], nearest[j], strict=True)
            )
            shared[i, j] = shared[j, i] = common / (neighbours * frames)
    return alignment, shared


def _checked(one: Vectors, other: Vectors, least: int) -> None:
    if len(one) != len(other):
        raise ValueError(f"vectors of {len(one)} and of {len(other)} frames; they must be of the same frames")
    if len(one) < least:
        raise ValueError(f"{len(one)} frames are too few; at least {least} are needed")


def _centred_kernel(vectors: Vectors) -> npt.NDArray[np.float64]:
    """Inner products, their diagonal set to zero, centred so that their products estimate without bias."""
    values = np.asarray(vectors, np.float64)
    values = values - values.mean(axis=0)  # changes no answer and keeps the numbers small
    kernel: npt.NDArray[np.float64] = values @ values.T
    count = len(kernel)
    np.fill_diagonal(kernel, 0)
    means = kernel.sum(axis=0) / (count - 2)
    kernel = kernel - means[:, None] - means[None, :] + kernel.sum() / ((count - 1) * (count - 2))
    np.fill_diagonal(kernel, 0)
    return kernel


def _nearest(vectors: Vectors, neighbours: int) -> npt.NDArray[np.intp]:
    values = np.asarray(vectors, np.float64)
    values = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    similarity = values @ values.T
    np.fill_diagonal(similarity, -np.inf)
    # Sorted, not partitioned: ties go to the earlier frame on every machine.
    nearest: npt.NDArray[np.intp] = np.argsort(-similarity, axis=1, kind="stable")[:, :neighbours]
    return nearest
