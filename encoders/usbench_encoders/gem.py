"""Generalised-mean pooling, as SSCD uses it."""

from __future__ import annotations

import torch


class GeneralisedMean(torch.nn.Module):
    """The ``p``-th root of the spatial mean of ``p``-th powers.

    Args:
        power: Exponent; 1 is the mean, and large values approach the maximum.
    """

    def __init__(self, power: float) -> None:
        super().__init__()
        self.power = power

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Pool ``(B, C, h, w)`` to ``(B, C, 1, 1)``; values below 1e-6 count as that, as in the authors' code."""
        powers = features.float().clamp_min(1e-6) ** self.power
        return powers.mean(dim=(2, 3), keepdim=True) ** (1 / self.power)
