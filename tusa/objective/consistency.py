"""The same anatomy under other gain settings must be segmented alike."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def colour_consistency(first: Tensor, second: Tensor) -> Tensor:
    """Mean squared error between the logits of two colour augmentations of one spatial augmentation.

    Args:
        first: texture logits ``[B, K, H, W]``.
        second: logits of the same spatial views, coloured otherwise.

    Returns:
        A scalar, in squared logit units.

    Source:
        Paper, section II-A.1.
    """
    return functional.mse_loss(first.float(), second.float())
