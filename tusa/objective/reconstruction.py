"""How far the painted image is from the true one: absolute and structural."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def absolute_error(painted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error between two images in [-1, 1]; in [0, 2]."""
    return functional.l1_loss(painted.float(), target.float())


def structural_dissimilarity(painted: Tensor, target: Tensor) -> Tensor:
    """One minus the structural similarity index, with the usual 11-pixel Gaussian window of sigma 1.5.

    Args:
        painted: ``[B, 1, H, W]`` in [-1, 1].
        target: the same shape and range.

    Returns:
        A scalar in [0, 2]; zero when the images are equal.

    Source:
        Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004; computed
        by MONAI's ``SSIMLoss``.
    """
    # Local variances are small differences of large sums: in half precision they turn negative, and the
    # gradient then divides by zero.
    with torch.autocast(painted.device.type, enabled=False):
        loss: Tensor = _ssim_loss()(painted.float(), target.float())
    return loss


@cache
def _ssim_loss() -> Any:
    from monai.losses import SSIMLoss

    return SSIMLoss(spatial_dims=2, data_range=2.0)
