"""Four views of an image: two spatial augmentations, each coloured twice."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from tusa.training.config import AugmentConfig
from tusa.training.ranks import ALONE, Ranks


def spatial_view(images: Tensor, size: int, config: AugmentConfig, ranks: Ranks = ALONE) -> Tensor:
    """Crop and flip every image at random, and resize the crops.

    Randomness comes from torch's default generator, whose state a checkpoint keeps.

    Args:
        images: uint8 ``[B, H, W]``.
        size: side of the views in pixels.
        config: ranges.
        ranks: the device that holds these images; random numbers are drawn for all devices.

    Returns:
        float32 ``[B, 1, size, size]`` in [0, 1].
    """
    height, width = images.shape[1:]
    views = []
    draws = ranks.share(torch.rand(len(images) * ranks.size, 5)).tolist()
    for image, (area, ratio, x, y, flip) in zip(images, draws, strict=True):
        scale = _between(*config.crop_scale, area)
        aspect = math.exp(_between(math.log(config.crop_ratio[0]), math.log(config.crop_ratio[1]), ratio))
        crop_height = min(height, max(8, round(height * math.sqrt(scale / aspect))))
        crop_width = min(width, max(8, round(width * math.sqrt(scale * aspect))))
        top, left = round(y * (height - crop_height)), round(x * (width - crop_width))
        crop = image[top : top + crop_height, left : left + crop_width].float()[None, None] / 255
        if flip < config.flip_p:
            crop = crop.flip(-1)
        views.append(functional.interpolate(crop, (size, size), mode="bilinear", antialias=True))
    return torch.cat(views)


def colour_view(views: Tensor, config: AugmentConfig, copies: int = 1, ranks: Ranks = ALONE) -> Tensor:
    """Change gain, dynamic range and sharpness, and erase a rectangle, at random for every image.

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
    whole = torch.rand(count * ranks.size, 10, device=views.device)
    # As wide as the widest blur of the step, on whatever device it is.
    reach = max(1, math.ceil(3 * float(whole[:, 3].max()) * config.blur_sigma * height))
    draws = ranks.share(whole, copies)
    gamma, contrast, brightness = (
        (2 * draws[:, column] - 1).view(-1, 1, 1, 1) * strength
        for column, strength in enumerate((config.gamma, config.contrast, config.brightness))
    )
    coloured = views.clamp(min=1e-4) ** (2**gamma)
    mean = coloured.mean(dim=(2, 3), keepdim=True)
    coloured = (mean + (coloured - mean) * (1 + contrast) + brightness).clamp(0, 1)
    blurred = _blur(coloured, draws[:, 3] * config.blur_sigma * height, reach)
    coloured = torch.where((draws[:, 4] < config.blur_p).view(-1, 1, 1, 1), blurred, coloured)
    return torch.where(_rectangles(draws[:, 5:9], height, width, config), draws[:, 9].view(-1, 1, 1, 1), coloured)


def _blur(images: Tensor, sigmas: Tensor, reach: int) -> Tensor:
    """Separable Gaussian blur with a width of its own for every image, cut off at ``reach`` pixels."""
    offsets = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernels = torch.exp(-(offsets**2) / (2 * sigmas.clamp(min=0.05)[:, None] ** 2))
    kernels = kernels / kernels.sum(dim=1, keepdim=True)
    stacked = functional.pad(images.transpose(0, 1), (reach, reach, reach, reach), mode="reflect")
    rows = functional.conv2d(stacked, kernels[:, None, None, :], groups=len(images))
    return functional.conv2d(rows, kernels[:, None, :, None], groups=len(images)).transpose(0, 1)


def _rectangles(draws: Tensor, height: int, width: int, config: AugmentConfig) -> Tensor:
    """Masks ``[B, 1, H, W]`` of one rectangle an image, empty for the images that keep everything."""
    chosen, area, x, y = draws.unbind(dim=1)
    side = torch.sqrt(area * config.erase_scale) * (chosen < config.erase_p)
    rows = torch.linspace(0, 1, height, device=draws.device)
    columns = torch.linspace(0, 1, width, device=draws.device)
    in_rows = (rows >= (y * (1 - side))[:, None]) & (rows < (y * (1 - side) + side)[:, None])
    in_columns = (columns >= (x * (1 - side))[:, None]) & (columns < (x * (1 - side) + side)[:, None])
    return (in_rows[:, :, None] & in_columns[:, None, :])[:, None]


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share
