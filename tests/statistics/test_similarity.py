"""How alike encoders are: against the definitions, written out, and on cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.statistics.similarity import linear_cka, mutual_neighbours

RNG = np.random.default_rng(0)


def unbiased_hsic(k: np.ndarray, m: np.ndarray) -> float:
    """The estimator of Song et al. 2012, term by term."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    ones = np.ones(n)
    terms = np.trace(k @ m) + (ones @ k @ ones) * (ones @ m @ ones) / ((n - 1) * (n - 2))
    return float((terms - 2 / (n - 2) * (ones @ k @ m @ ones)) / (n * (n - 3)))


def test_cka_is_its_definition() -> None:
    one, other = RNG.normal(size=(30, 7)), RNG.normal(size=(30, 5))
    other[:, 0] += one[:, 1]
    kernels = one @ one.T, other @ other.T
    expected = unbiased_hsic(*kernels) / np.sqrt(
        unbiased_hsic(kernels[0], kernels[0]) * unbiased_hsic(kernels[1], kernels[1])
    )
    assert linear_cka(one, other) == pytest.approx(expected, abs=1e-9)


def test_cka_ignores_rotation_shift_and_scale() -> None:
    one = RNG.normal(size=(50, 8))
    rotation = np.linalg.qr(RNG.normal(size=(8, 8)))[0]
    assert linear_cka(one, 3 * one @ rotation + 5) == pytest.approx(1)


def test_unrelated_vectors_longer_than_the_sample_are_not_alike() -> None:
    """The plain estimate says 0.9 here."""
    values = [linear_cka(RNG.normal(size=(40, 400)), RNG.normal(size=(40, 400))) for _ in range(20)]
    assert abs(np.mean(values)) < 0.05
    shares = [mutual_neighbours(RNG.normal(size=(101, 50)), RNG.normal(size=(101, 50))) for _ in range(20)]
    assert np.mean(shares) == pytest.approx(0.1, abs=0.02)


def test_mutual_neighbours_are_counted_one_by_one() -> None:
    one, other = RNG.normal(size=(25, 6)), RNG.normal(size=(25, 4))

    def near(vectors: np.ndarray, frame: int) -> set[int]:
        cosine = [
            -np.inf if i == frame else v @ vectors[frame] / np.linalg.norm(v) / np.linalg.norm(vectors[frame])
            for i, v in enumerate(vectors)
        ]
        return set(np.argsort(cosine)[-3:])

    common = np.mean([len(near(one, i) & near(other, i)) / 3 for i in range(25)])
    assert mutual_neighbours(one, other, 3) == pytest.approx(common)
    assert mutual_neighbours(one, 2 * one, 3) == 1


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="vectors of 5 and of 6 frames"):
        linear_cka(np.ones((5, 2)), np.ones((6, 2)))
    with pytest.raises(ValueError, match="10 frames are too few; at least 11"):
        mutual_neighbours(np.ones((10, 2)), np.ones((10, 2)))
    assert np.isnan(linear_cka(np.ones((5, 2)), RNG.normal(size=(5, 2))))
