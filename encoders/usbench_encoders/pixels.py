"""Pixels as networks of natural images take them: resized by Pillow, scaled, normalised, three equal channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from usbench.encoder import Frame

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
UNIT = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
STATISTICS = {"imagenet": IMAGENET, "openai": OPENAI, "half": HALF, "unit": UNIT}
FITS = {
    "squash": "the whole frame, aspect ignored",
    "crop": "shorter side to the input's, aspect kept, then the centre",
    "pad": "zeros added on both sides to a square, then the whole of it",
}
FILTERS = ("nearest", "bilinear", "bicubic")


def fitted(frame: Frame, size: tuple[int, int], resampling: str = "bilinear", fit: str = "squash") -> Image:
    """Bring a grey frame to the size of a network's input.

    Args:
        frame: uint8 ``(H, W)`` of any size; not changed.
        size: Height and width of the result in pixels; equal for the fit ``pad``.
        resampling: One of :data:`FILTERS`, with Pillow's antialiasing.
        fit: One of :data:`FITS`.

    Returns:
        A grey picture of ``size``.
    """
    from PIL import Image

    chosen = Image.Resampling[resampling.upper()]
    picture = Image.fromarray(frame)
    height, width = size
    if fit == "pad":
        picture = Image.fromarray(padded(frame))
    if fit == "crop":
        # As torchvision's Resize and CenterCrop: the shorter side exactly, the longer one cut to whole pixels.
        short, scale = min(picture.size), max(height, width)
        long_side = [max(scale, int(scale * side / short)) for side in picture.size]
        picture = picture.resize((long_side[0], long_side[1]), chosen)
        left, top = round((picture.width - width) / 2), round((picture.height - height) / 2)
        return picture.crop((left, top, left + width, top + height))
    return picture if picture.size == (width, height) else picture.resize((width, height), chosen)


def padded(frame: Frame) -> Frame:
    """Add zeros on both sides of the shorter axis, so that the frame becomes a square with the image in its middle."""
    import numpy as np

    side = max(frame.shape)
    before = [(side - edge) // 2 for edge in frame.shape]
    return np.pad(frame, [(b, side - edge - b) for b, edge in zip(before, frame.shape, strict=True)])


def normalised(
    picture: Image, statistics: tuple[Sequence[float], Sequence[float]] = IMAGENET, channels: int = 3
) -> torch.Tensor:
    """Scale a grey picture to 0-1, repeat it over the channels, subtract means and divide by deviations.

    Args:
        picture: Grey, 8 bits.
        statistics: Means and deviations of the channels, for values of 0 to 1.
        channels: Number of channels.

    Returns:
        float32 ``(channels, H, W)``.
    """
    import numpy as np
    import torch

    grey = torch.from_numpy(np.array(picture, dtype=np.float32)).expand(channels, -1, -1) / 255
    mean, deviation = (torch.tensor(values[:channels], dtype=torch.float32).reshape(-1, 1, 1) for values in statistics)
    return (grey - mean) / deviation
