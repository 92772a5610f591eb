"""Keep every texture channel in use."""

from __future__ import annotations

import math

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
    # A channel that no pixel uses has an infinite slope, which would poison the whole step.
    usage = usage.clamp(min=1e-6)
    negative_entropy: Tensor = (usage * usage.log()).sum()
    return negative_entropy / math.log(len(usage))
