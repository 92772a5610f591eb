"""Keep every texture channel in use."""

from __future__ import annotations

import torch
from torch import Tensor


def negative_channel_entropy(textures: Tensor) -> Tensor:
    """Minus the entropy of how a batch spreads over the channels, as a share of the largest possible.

    Args:
        textures: maps ``[B, K, H, W]`` that sum to one over K.

    Returns:
        A scalar from -1 (all channels used alike) to 0 (one channel takes everything).

    Source:
        Paper, section II-A.1, last penalty. Dividing by log K makes its weight independent of K.
    """
    usage = textures.float().mean(dim=(0, 2, 3))
    entropy = torch.special.entr(usage).sum()
    return -entropy / torch.log(torch.tensor(float(len(usage)), device=usage.device))
