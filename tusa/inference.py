"""The encoder's forward pass for inference: the same function as MONAI's module, with less work.

MONAI pads every stage to whole attention windows and sends the padding through the projections: at 128 pixels the last
stage has 16 positions and computes 49. Padding is zero after the norm, so that its query, key and value are the
projection's bias: here only real positions are projected, and the padding is filled in. Padding, shifting and cutting
into windows are one gathering of rows, whose numbers, like the position bias and the mask of shifted windows, depend on
the shape alone and are computed once; softmax and the products around it run as one fused attention. Answers differ
from MONAI's by rounding only, and a test holds them to that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

STAGES = 5


@dataclass(frozen=True)
class _Windows:
    """How the positions of a batch of maps lie in attention windows.

    Attributes:
        size: Positions a window.
        rows: For each position of each window, the row of the flattened maps that it takes.
        padding: Those positions of windows that lie outside the map.
        back: For each row of the flattened maps, where its answer stands among the windows.
        bias: Added to the scores, ``[1 or B * windows, heads, size, size]``.
    """

    size: int
    rows: Tensor
    padding: Tensor
    back: Tensor
    bias: Tensor


class FastSwin:
    """The five maps of a SwinUNETR's encoder, for a frozen encoder in eval mode, without gradients.

    Safe to call from several threads at once.

    Args:
        encoder: ``Tusa().unet.swinViT``, or any two-dimensional MONAI ``SwinTransformer``. Its weights must not change
            afterwards.
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self._windows: dict[tuple[Any, ...], _Windows] = {}

    @torch.inference_mode()
    def __call__(self, images: Tensor, stages: Collection[int] = range(STAGES)) -> dict[int, Tensor]:
        """Return those maps of ``encoder(images, normalize=True)`` that are asked for.

        Args:
            images: ``[B, 1, H, W]`` in [-1, 1].
            stages: Which of the five, 0 to 4.

        Returns:
            Stage to its map, ``[B, C * 2**stage, H / 2**(stage+1), W / 2**(stage+1)]``.
        """
        net = self.encoder
        x = net.patch_embed(images)
        states = {0: net.proj_out(x, True)} if 0 in stages else {}
        for stage in range(1, max(stages) + 1):
            if net.use_v2:
                x = getattr(net, f"layers{stage}c")[0](x.contiguous())
            x = self._stage(getattr(net, f"layers{stage}")[0], x)
            if stage in stages:
                states[stage] = net.proj_out(x, True)
        return states

    def _stage(self, layer: Any, x: Tensor) -> Tensor:
        x = x.permute(0, 2, 3, 1).contiguous()
        for block in layer.blocks:
            x = x + self._attend(block, block.norm1(x))
            x = x + block.mlp(block.norm2(x))
        if layer.downsample is not None:
            x = layer.downsample(x)
        return x.permute(0, 3, 1, 2)

    def _attend(self, block: Any, x: Tensor) -> Tensor:
        """Window attention of ``[B, H, W, C]``, of the same shape."""
        attention = block.attn
        c, heads = x.shape[-1], attention.num_heads
        qkv = attention.qkv(x).view(-1, 3 * c)
        windows = self._windows_of(block, x.shape, qkv)
        gathered = qkv.index_select(0, windows.rows)
        if len(windows.padding):
            gathered[windows.padding] = 0 if attention.qkv.bias is None else attention.qkv.bias.to(qkv.dtype)
        q, k, v = gathered.view(-1, windows.size, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=windows.bias, scale=attention.scale)
        answer: Tensor = attention.proj(mixed.transpose(1, 2).reshape(-1, c).index_select(0, windows.back))
        return answer.view(x.shape)

    def _windows_of(self, block: Any, shape: torch.Size, like: Tensor) -> _Windows:
        key = (id(block), *shape[:3], like.device, like.dtype)
        found = self._windows.get(key)
        if found is None:
            found = self._windows[key] = _lay_out(block, shape[0], (shape[1], shape[2]), like)
        return found


def _lay_out(block: Any, images: int, size: tuple[int, int], like: Tensor) -> _Windows:
    from monai.networks.nets.swin_unetr import compute_mask, get_window_size, window_partition

    attention = block.attn
    # A window larger than the map becomes the map, and is then not shifted.
    window, shift = get_window_size(size, block.window_size, block.shift_size)
    padded = [-(-side // length) * length for side, length in zip(size, window, strict=True)]
    n = window[0] * window[1]
    # The number of each position of each image, -1 outside, on the same way as MONAI's features.
    numbers = torch.full((images, *padded, 1), -1)
    numbers[:, : size[0], : size[1], 0] = torch.arange(images * size[0] * size[1]).view(images, *size)
    if any(shift):
        numbers = numbers.roll((-shift[0], -shift[1]), (1, 2))
    rows = window_partition(numbers, window).flatten()
    back = torch.empty(images * size[0] * size[1], dtype=torch.long)
    real = rows >= 0
    back[rows[real]] = torch.arange(len(rows))[real]
    index = attention.relative_position_index[:n, :n].reshape(-1)
    bias = attention.relative_position_bias_table[index].reshape(n, n, -1).permute(2, 0, 1)[None]
    if any(shift):
        mask = compute_mask(padded, window, shift, bias.device)[:, None]
        bias = (bias + mask).repeat(images, 1, 1, 1)
    return _Windows(
        n,
        rows.clamp(min=0).to(like.device),
        (~real).nonzero().flatten().to(like.device),
        back.to(like.device),
        bias.to(like.dtype).contiguous(),
    )
