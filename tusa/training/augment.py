"""Views of an image: crops, and what a knob or a poor contact does to them.

Everything is done for a whole batch at once, as products with small matrices: cropping, flipping and resizing are one
matrix from the left and one from the right, and so is blurring. Random numbers are drawn on the CPU, so that every
machine sees the same views.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from tusa.training.config import AugmentConfig
from tusa.training.ranks import ALONE, Ranks


def random_boxes(count: int, config: AugmentConfig, scale: tuple[float, float], ranks: Ranks = ALONE) -> Tensor:
    """Boxes ``[count, 4]``: left, top, width and height, as shares of the image's side.

    Randomness comes from torch's default generator, whose state a checkpoint keeps.

    Args:
        count: of boxes on this device.
        config: range of the ratio of width over height.
        scale: range of the share of the area.
        ranks: this device among all; random numbers are drawn for all of them.
    """
    area, ratio, x, y = ranks.share(torch.rand(count * ranks.size, 4)).unbind(dim=1)
    low, high = (math.log(value) for value in config.crop_ratio)
    area = scale[0] + (scale[1] - scale[0]) * area
    aspect = torch.exp(low + (high - low) * ratio)
    width, height = (area * aspect).sqrt().clamp(max=1), (area / aspect).sqrt().clamp(max=1)
    return torch.stack([x * (1 - width), y * (1 - height), width, height], dim=1)


def jittered_boxes(boxes: Tensor, jitter: float, ranks: Ranks = ALONE) -> Tensor:
    """Move every edge of ``[count, 4]`` boxes at random, by up to ``jitter`` of the box's side, inside the image."""
    draws = jitter * (2 * ranks.share(torch.rand(len(boxes) * ranks.size, 4)) - 1)
    first, side = boxes[:, :2], boxes[:, 2:]
    low = (first + draws[:, :2] * side).clamp(0, 1)
    high = (first + side + draws[:, 2:] * side).clamp(0, 1)
    return torch.cat([low, (high - low).clamp(min=0.02)], dim=1)


def random_flips(count: int, config: AugmentConfig, ranks: Ranks = ALONE) -> Tensor:
    """Which of ``count`` views are flipped from left to right: bool ``[count]``."""
    return ranks.share(torch.rand(count * ranks.size)) < config.flip_p


def spatial_view(images: Tensor, boxes: Tensor, flips: Tensor, size: int) -> Tensor:
    """Cut a box out of every image, flip it where told, and resize it: bilinear with antialias.

    Args:
        images: uint8 ``[B, H, W]``.
        boxes: ``[B, 4]`` as in :func:`random_boxes`.
        flips: bool ``[B]``.
        size: side of the views in pixels.

    Returns:
        float32 ``[B, 1, size, size]`` in [0, 1].
    """
    height, width = images.shape[1:]
    across = resize_matrices(boxes[:, 0], boxes[:, 2], width, size)
    across = torch.where(flips[:, None, None], across.flip(1), across)
    down = resize_matrices(boxes[:, 1], boxes[:, 3], height, size)
    with torch.autocast(images.device.type, enabled=False):
        return (down @ (images.float() / 255) @ across.mT)[:, None]


def resize_matrices(first: Tensor, length: Tensor, before: int, after: int) -> Tensor:
    """Matrices that resize one axis of a crop, ``[B, after, before]``, with rows that sum to one.

    The weights are those of ``interpolate(mode="bilinear", antialias=True)``: a triangle around the place of each new
    pixel, as wide as the new pixel where the crop is made smaller. Pixels outside the crop have no weight.

    Args:
        first: ``[B]``: where each crop begins, as a share of the axis.
        length: ``[B]``: how long it is.
        before: pixels of the whole axis.
        after: pixels of the view.
    """
    low, pixels = (first * before)[:, None, None], (length * before)[:, None, None]
    stride = pixels / after
    places = low + (torch.arange(after, device=first.device) + 0.5)[None, :, None] * stride
    old = (torch.arange(before, device=first.device) + 0.5)[None, None, :]
    weights = (1 - (old - places).abs() / stride.clamp(min=1)).clamp(min=0)
    inside = (old > low - 0.5) & (old < low + pixels + 0.5)
    weights = weights * inside
    return weights / weights.sum(dim=2, keepdim=True).clamp(min=1e-6)


def colour_view(views: Tensor, config: AugmentConfig, copies: int = 1, ranks: Ranks = ALONE) -> Tensor:
    """Change gain, dynamic range and sharpness, add noise, and erase a rectangle, at random for every image.

    These are what a knob or a poor contact does to an image without changing the tissue.

    Args:
        views: ``[B, 1, H, W]`` in [0, 1].
        config: strengths.
        copies: how many views of each image there are, one copy of the batch after the other.
        ranks: the device that holds these images; random numbers are drawn for all devices.

    Returns:
        The same shape and range.
    """
    count, _, height, width = views.shape
    draws = ranks.share(torch.rand(count * ranks.size, 12), copies).to(views.device)
    gamma, contrast, brightness, depth = (
        (2 * draws[:, column] - 1).view(-1, 1, 1, 1) * strength
        for column, strength in zip(
            (0, 1, 2, 10), (config.gamma, config.contrast, config.brightness, config.depth_gain), strict=True
        )
    )
    coloured = views.clamp(min=1e-4) ** (2**gamma)
    mean = coloured.mean(dim=(2, 3), keepdim=True)
    coloured = mean + (coloured - mean) * (1 + contrast) + brightness
    if config.depth_gain:
        coloured = coloured * (1 + depth * torch.linspace(-1, 1, height, device=views.device)[:, None])
    coloured = coloured.clamp(0, 1)
    sigmas = draws[:, 3] * config.blur_sigma * height * (draws[:, 4] < config.blur_p)
    with torch.autocast(views.device.type, enabled=False):
        coloured = (_blurring(sigmas, height)[:, None] @ coloured) @ _blurring(sigmas, width).mT[:, None]
    if config.noise:
        grain = ranks.share(torch.randn(count * ranks.size, 1, height, width, device=views.device), copies)
        coloured = (coloured * (1 + draws[:, 11].view(-1, 1, 1, 1) * config.noise * grain)).clamp(0, 1)
    return torch.where(_rectangles(draws[:, 5:9], height, width, config), draws[:, 9].view(-1, 1, 1, 1), coloured)


def _blurring(sigmas: Tensor, side: int) -> Tensor:
    """Matrices ``[B, side, side]`` of a Gaussian blur along one axis; at the border the weights that are left count."""
    places = torch.arange(side, device=sigmas.device)
    distances = (places[:, None] - places[None, :]).square()
    weights = torch.exp(-distances / (2 * sigmas.clamp(min=0.05)[:, None, None] ** 2))
    return weights / weights.sum(dim=2, keepdim=True)


def _rectangles(draws: Tensor, height: int, width: int, config: AugmentConfig) -> Tensor:
    """Masks ``[B, 1, H, W]`` of one rectangle an image, empty for the images that keep everything."""
    chosen, area, x, y = draws.unbind(dim=1)
    side = torch.sqrt(area * config.erase_scale) * (chosen < config.erase_p)
    rows = torch.linspace(0, 1, height, device=draws.device)
    columns = torch.linspace(0, 1, width, device=draws.device)
    in_rows = (rows >= (y * (1 - side))[:, None]) & (rows < (y * (1 - side) + side)[:, None])
    in_columns = (columns >= (x * (1 - side))[:, None]) & (columns < (x * (1 - side) + side)[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]
