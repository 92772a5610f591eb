"""From a grey frame to the network's input."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tusa.errors import TusaError


def preprocess(gray: NDArray[np.uint8], size: int = 128) -> Tensor:
    """Resize a grey frame to a square, ignoring its aspect, and scale it to [-1, 1].

    Args:
        gray: one frame, uint8, ``[H, W]``; colour frames are for the caller to reduce (ITU-R 601 luma).
        size: side of the square, in pixels.

    Returns:
        float32 tensor ``[1, size, size]`` in [-1, 1].

    Raises:
        TusaError: when the frame is not a two-dimensional uint8 array, or is empty.

    Source:
        Paper, section II-A.2: grey, resized to a uniform resolution of 128 by 128, cast to [-1, 1]. The
        interpolation is bilinear with antialias.
    """
    frame: NDArray[Any] = np.asarray(gray)
    if frame.ndim != 2 or frame.dtype != np.uint8 or frame.size == 0:
        raise TusaError(
            f"TUSA takes one grey frame, uint8 [H, W]; got {frame.dtype} {list(frame.shape)}. "
            "Reduce colour to luma and scale to 0-255 first."
        )
    pixels = torch.tensor(frame, dtype=torch.float32)[None, None] / 255
    if frame.shape != (size, size):
        pixels = torch.nn.functional.interpolate(pixels, (size, size), mode="bilinear", antialias=True)
    return (pixels[0] - 0.5) / 0.5
