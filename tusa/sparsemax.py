"""Sparsemax: the Euclidean projection onto the probability simplex."""

from __future__ import annotations

import torch
from torch import Tensor


def sparsemax(logits: Tensor, dim: int = -1) -> Tensor:
    """Project scores onto the probability simplex; unlike softmax, small scores become exactly zero.

    The projection is a threshold, ``max(z - tau, 0)``, whose ``tau`` is a mean over the scores that survive.
    Written with sorting and sums only, so that autograd gives the exact (sub)gradient: within the support,
    the incoming gradient less its mean; outside, zero.

    Args:
        logits: scores of any shape; half-precision input is computed in float32, where sums of scores are safe.
        dim: the axis along which the result is non-negative and sums to one.

    Returns:
        A tensor of the shape and dtype of ``logits``.

    Source:
        Martins and Astudillo, "From Softmax to Sparsemax", ICML 2016, algorithm 1 and proposition 2.
    """
    scores = logits.float() if logits.dtype in (torch.float16, torch.bfloat16) else logits
    with torch.no_grad():
        ordered = scores.sort(dim=dim, descending=True).values
        ranks = torch.arange(1, scores.shape[dim] + 1, device=scores.device, dtype=scores.dtype)
        ranks = ranks.view([-1 if axis == dim % scores.ndim else 1 for axis in range(scores.ndim)])
        survivors = (1 + ranks * ordered > ordered.cumsum(dim)).sum(dim, keepdim=True)
        threshold = (ordered.cumsum(dim).gather(dim, survivors - 1) - 1) / survivors
        support = (scores > threshold).to(scores.dtype)
    # The threshold again, now as a function of the scores, so that it carries its gradient.
    threshold = ((scores * support).sum(dim, keepdim=True) - 1) / support.sum(dim, keepdim=True)
    return ((scores - threshold) * support).to(logits.dtype)
