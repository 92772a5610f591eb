"""Pictures of textures: the paper's Fig. 2 layout, and single channels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tusa.network import Tusa
from tusa.preprocessing import preprocess

# The paper's Fig. 2: the brightest texture yellow, then green, cyan, blue, and purple for the background.
PALETTE = ("#f6d743", "#44bf70", "#3ec6d8", "#3b6fd4", "#4a1a6b", "#d55e00", "#cc79a7", "#999999")


@torch.no_grad()
def texture_maps(model: Tusa, gray: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Segment one frame.

    Args:
        model: the network, in eval mode.
        gray: uint8 ``[H, W]``.

    Returns:
        Texture maps ``[K, S, S]`` in [0, 1], the most echogenic channel first, and the painted image
        ``[S, S]`` in [0, 1]; S is the network's image size.
    """
    device = next(model.parameters()).device
    output = model(preprocess(gray, model.config.image_size)[None].to(device))
    order = model.painter.brightness().argsort(descending=True).cpu()
    maps: NDArray[np.float32] = output.textures[0].float().cpu()[order].numpy()
    painted: NDArray[np.float32] = ((output.reconstruction[0, 0].float().cpu() + 1) / 2).numpy()
    return maps, painted


def colour_map(maps: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Blend one colour a channel, by the share of the channel at each pixel: uint8 RGB ``[H, W, 3]``."""
    from matplotlib.colors import to_rgb

    colours = np.array([to_rgb(PALETTE[channel % len(PALETTE)]) for channel in range(len(maps))])
    blended: NDArray[np.uint8] = np.round(np.tensordot(maps, colours, axes=(0, 0)) * 255).astype(np.uint8)
    return blended


def save_sheet(model: Tusa, images: Sequence[NDArray[np.uint8]], names: Sequence[str], path: Path) -> None:
    """Draw one row an image: B-mode, all textures in colour, each channel, reconstruction.

    The channels run from the most echoic on the left to the least, as in the paper's Fig. 2.

    Args:
        model: the network, in eval mode.
        images: uint8 frames ``[H, W]``.
        names: a label for each row, such as its organ.
        path: the PNG to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = ["B-mode", "textures", *(f"channel {k + 1}" for k in range(model.config.channels)), "painted"]
    figure = Figure(figsize=(1.35 * len(columns), 1.4 * len(images) + 0.4), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    grid: Any = figure.subplots(len(images), len(columns), squeeze=False)
    for row, (gray, name) in enumerate(zip(images, names, strict=True)):
        maps, painted = texture_maps(model, gray)
        seen = (preprocess(gray, model.config.image_size)[0].numpy() + 1) / 2
        for axis, picture in zip(grid[row], [seen, colour_map(maps), *maps, painted], strict=True):
            axis.imshow(picture, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
        grid[row, 0].set_ylabel(name, fontsize=8)
    for axis, title in zip(grid[0], columns, strict=True):
        axis.set_title(title, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def save_channels(model: Tusa, gray: NDArray[np.uint8], folder: Path) -> list[Path]:
    """Write each texture map as a grey PNG, ``channel-1.png`` being the most echoic.

    Args:
        model: the network, in eval mode.
        gray: uint8 frame ``[H, W]``.
        folder: made if need be.

    Returns:
        The files.
    """
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for number, texture in enumerate(texture_maps(model, gray)[0], start=1):
        files.append(folder / f"channel-{number}.png")
        Image.fromarray(np.round(texture * 255).astype(np.uint8)).save(files[-1])
    return files
