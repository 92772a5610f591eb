"""From a grey frame to the tensor a network takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from usbench.core.types import Frame


def grey_to_tensor(
    frame: Frame,
    size: tuple[int, int],
    *,
    channels: int = 1,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
    interpolation: str = "bilinear",
) -> torch.Tensor:
    """Resize a grey frame with antialiasing, scale to 0-1, repeat channels and normalise.

    Args:
        frame: uint8 ``(H, W)``; not changed.
        size: Height and width of the result; the aspect ratio is not kept.
        channels: How often the grey plane is repeated.
        mean: Subtracted after scaling to 0-1; one value or one a channel.
        std: Divisor after that; one value or one a channel.
        interpolation: ``bilinear`` or ``bicubic``.

    Returns:
        float32 tensor ``(channels, *size)``.
    """
    import numpy as np
    import torch
    import torch.nn.functional as functional

    pixels = torch.from_numpy(frame.astype(np.float32))[None, None] / 255.0
    if pixels.shape[-2:] != size:
        pixels = functional.interpolate(pixels, size=size, mode=interpolation, antialias=True, align_corners=False)
        pixels = pixels.clamp_(0.0, 1.0)  # bicubic overshoots
    offset = torch.as_tensor(mean, dtype=torch.float32).reshape(-1, 1, 1)
    scale = torch.as_tensor(std, dtype=torch.float32).reshape(-1, 1, 1)
    return (pixels[0].expand(channels, -1, -1) - offset) / scale
