"""TUSA's encoder alone: the Swin transformer of a SwinUNETR of the second version, without MONAI.

The parameters have the names, shapes, order and initialisation of MONAI's ``SwinTransformer``, which
:class:`tusa.network.Tusa` is built of, so that weights of either fit both and a seed gives the same network; a test
holds it to that. Importing MONAI takes longer than encoding the first images, and whoever only encodes needs nothing of
it.

Source:
    Liu et al., "Swin Transformer", 2021; He et al., "SwinUNETR-V2", 2023.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from tusa.network import TusaConfig
from tusa.swin import swin_states, window_masks

_SPREAD = 0.02
"""Standard deviation of the initial position biases."""


class _Attention(nn.Module):
    relative_position_index: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.num_heads, self.scale = heads, (dim // heads) ** -0.5
        # One bias for each offset of two positions, counted from the most negative on, row by row.
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        rows, columns = (at.flatten() for at in torch.meshgrid(*[torch.arange(window)] * 2, indexing="ij"))
        down, across = (at[:, None] - at[None, :] + window - 1 for at in (rows, columns))
        self.register_buffer("relative_position_index", down * (2 * window - 1) + across)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        _truncated_normal(self.relative_position_bias_table)


class _Perceptron(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(dim, 4 * dim)
        self.linear2 = nn.Linear(4 * dim, dim)


class _Block(nn.Module):
    def __init__(self, dim: int, heads: int, window: int, shift: int) -> None:
        super().__init__()
        self.window_size, self.shift_size = (window, window), (shift, shift)
        self.norm1 = nn.LayerNorm(dim)
        self.attn = _Attention(dim, heads, window)
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = _Perceptron(dim)


class _Merging(nn.Module):
    """Half the height and width, twice the channels."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=False)
        self.norm = nn.LayerNorm(4 * dim)

    def forward(self, x: Tensor) -> Tensor:
        """``[B, H, W, C]`` to ``[B, H/2, W/2, 2C]``, sides rounded up."""
        x = functional.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        parts = [x[:, row::2, column::2] for column in range(2) for row in range(2)]
        merged: Tensor = self.reduction(self.norm(torch.cat(parts, dim=-1)))
        return merged


class _Stage(nn.Module):
    def __init__(self, dim: int, depth: int, heads: int, window: int) -> None:
        super().__init__()
        shifts = [0 if number % 2 == 0 else window // 2 for number in range(depth)]
        self.blocks = nn.ModuleList(_Block(dim, heads, window, shift) for shift in shifts)
        self.downsample = _Merging(dim)


class _Residual(nn.Module):
    """Two convolutions; what they are joined by is in :mod:`tusa.swin` and :mod:`tusa.inference`."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = _convolution(dim), _convolution(dim)
        self.lrelu = nn.LeakyReLU(0.01)
        self.norm1, self.norm2 = nn.InstanceNorm2d(dim), nn.InstanceNorm2d(dim)


class _Convolutions(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layer = _Residual(dim)


class _Patches(nn.Module):
    """Two by two pixels become one position."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(1, dim, 2, stride=2)

    def forward(self, images: Tensor) -> Tensor:
        """``[B, 1, H, W]`` to ``[B, C, H/2, W/2]``, sides rounded up."""
        projected: Tensor = self.proj(functional.pad(images, (0, images.shape[3] % 2, 0, images.shape[2] % 2)))
        return projected


class SwinEncoder(nn.Module):
    """The encoder of :class:`tusa.Tusa`, with the parameters of its ``unet.swinViT``.

    Args:
        config: shape of the network; the paper's by default.
    """

    use_v2 = True

    def __init__(self, config: TusaConfig | None = None) -> None:
        super().__init__()
        self.config = config = config or TusaConfig()
        self.patch_embed = _Patches(config.feature_size)
        # Each stage draws its transformer before its convolutions, but the names of all transformers come first.
        stages = [
            (_Stage(dim, depth, heads, config.window_size), _Convolutions(dim))
            for dim, depth, heads in zip(
                [config.feature_size * 2**number for number in range(4)], config.depths, config.num_heads, strict=True
            )
        ]
        for which, suffix in enumerate(("", "c")):
            for number, stage in enumerate(stages, start=1):
                self.add_module(f"layers{number}{suffix}", nn.ModuleList([stage[which]]))

    def proj_out(self, x: Tensor, normalize: bool = False) -> Tensor:
        """Normalise ``[B, C, H, W]`` over its channels at every position, if asked to."""
        if not normalize:
            return x
        return functional.layer_norm(x.permute(0, 2, 3, 1), [x.shape[1]]).permute(0, 3, 1, 2)

    def forward(self, images: Tensor) -> list[Tensor]:
        """The five maps of ``[B, 1, H, W]`` in [-1, 1], as :meth:`tusa.Tusa.hidden_states` gives them."""
        masks = window_masks(self, (images.shape[2], images.shape[3]), images.device)
        return swin_states(self, images, masks)


def _convolution(dim: int) -> nn.Sequential:
    made = nn.Sequential()
    made.add_module("conv", nn.Conv2d(dim, dim, 3, padding=1, bias=False))
    return made


@torch.no_grad()
def _truncated_normal(table: Tensor) -> None:
    """Draw normal deviates by the inverse of their distribution; what lies beyond 2 (not 2 deviations) is cut off.

    Not by ``torch.nn.init.trunc_normal_``, whose numbers from one seed are others than MONAI's.
    """
    ends = [(1 + math.erf(end / _SPREAD / math.sqrt(2))) / 2 for end in (-2.0, 2.0)]
    table.uniform_(2 * ends[0] - 1, 2 * ends[1] - 1).erfinv_().mul_(_SPREAD * math.sqrt(2)).clamp_(-2.0, 2.0)
