"""Sparsemax is the projection onto the simplex: checked against a root finder that knows nothing of sorting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq

from tusa.sparsemax import sparsemax


def projected(row: np.ndarray) -> np.ndarray:
    """The threshold at which what is left above it sums to one, by bisection."""
    threshold = brentq(lambda t: np.maximum(row - t, 0).sum() - 1, row.min() - 1, row.max(), xtol=1e-14)
    return np.maximum(row - threshold, 0)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_equals_the_euclidean_projection(scale: float) -> None:
    logits = np.random.default_rng(0).normal(size=(200, 5)) * scale
    expected = np.stack([projected(row) for row in logits])
    assert torch.allclose(sparsemax(torch.tensor(logits)), torch.tensor(expected), atol=1e-9)


def test_is_a_distribution_over_the_chosen_axis_and_sparse() -> None:
    logits = torch.randn(2, 5, 8, 8, generator=torch.Generator().manual_seed(0)) * 4
    maps = sparsemax(logits, dim=1)
    assert maps.shape == logits.shape
    assert maps.min() >= 0
    assert torch.allclose(maps.sum(dim=1), torch.ones(2, 8, 8), atol=1e-6)
    assert (maps == 0).float().mean() > 0.5  # which softmax never is
    assert torch.allclose(maps, sparsemax(logits + 7.0, dim=1), atol=1e-5)


def test_ties_share_alike() -> None:
    assert torch.equal(sparsemax(torch.zeros(1, 4)), torch.full((1, 4), 0.25))
    assert torch.allclose(sparsemax(torch.tensor([[3.0, 3.0, 0.0]])), torch.tensor([[0.5, 0.5, 0.0]]))
    assert torch.equal(sparsemax(torch.tensor([[9.0, 0.0]])), torch.tensor([[1.0, 0.0]]))


def test_gradient_against_finite_differences() -> None:
    logits = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda z: sparsemax(z, dim=1), (logits,))


def test_gradient_is_zero_off_the_support() -> None:
    logits = torch.tensor([[2.0, 1.8, -3.0]], requires_grad=True)
    (sparsemax(logits) * torch.tensor([[1.0, 5.0, 9.0]])).sum().backward()
    # Jacobian on the support: identity minus the mean (Martins and Astudillo 2016, eq. 13).
    assert torch.allclose(logits.grad, torch.tensor([[-2.0, 2.0, 0.0]]))
