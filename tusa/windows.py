"""Windows of attention on two-dimensional maps: their size, their order, and what a shift must keep apart.

The same conventions as MONAI's ``SwinTransformer``, whose import takes several times as long as a first image; a test
holds them to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

APART = -100.0
"""Added to the score of two positions that a shifted window joins although they are no neighbours."""


def fitted(sides: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> tuple[list[int], list[int]]:
    """Fit windows to a map: a window as long as the map, or longer, becomes the map and is not shifted.

    Args:
        sides: height and width of the map.
        window: sides of a window.
        shift: how far windows are shifted.

    Returns:
        Sides of the windows and their shift.
    """
    axes = [
        (side, 0) if side <= length else (length, by) for side, length, by in zip(sides, window, shift, strict=True)
    ]
    return [length for length, _ in axes], [by for _, by in axes]


def partitioned(maps: Tensor, window: Sequence[int]) -> Tensor:
    """Cut maps into windows.

    Args:
        maps: ``[B, H, W, C]``, sides being multiples of the window's.
        window: sides of a window.

    Returns:
        ``[B * windows, positions, C]``, windows row by row, positions likewise.
    """
    count, height, width, channels = maps.shape
    down, across = height // window[0], width // window[1]
    cut = maps.reshape(count, down, window[0], across, window[1], channels).transpose(2, 3)
    return cut.reshape(count * down * across, window[0] * window[1], channels)


def shift_mask(sides: Sequence[int], window: Sequence[int], shift: Sequence[int]) -> Tensor:
    """Say which positions of each window come from different edges of a map that was rolled by the shift.

    Args:
        sides: height and width of the map, multiples of the window's.
        window: sides of a window.
        shift: how far the map was rolled.

    Returns:
        float32 ``[windows, positions, positions]``, 0 or :data:`APART`.
    """
    strips = []
    for side, length, by in zip(sides, window, shift, strict=True):
        strip = torch.zeros(side)
        if by:
            strip[side - length :] = 1
            strip[side - by :] = 2
        strips.append(strip)
    regions = 3 * strips[0][:, None] + strips[1][None, :]
    inside = partitioned(regions[None, :, :, None], window)[..., 0]
    return (inside[:, :, None] != inside[:, None, :]).float() * APART
