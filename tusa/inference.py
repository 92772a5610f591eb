"""The encoder's forward pass for inference: the same function as MONAI's module, with less work.

MONAI pads every stage to whole attention windows and computes the padding like an image: at 128 pixels the last stage
has 64 positions and attends from 196. Padding is zero after the norm, so its query, key and value are the projection's
bias. Nobody reads what it answers, and all padding of a window is one and the same key and value, which a query meets
with different position biases: in the softmax they add up to one key whose bias is the logarithm of the sum of their
exponentials. So here only real positions are projected and ask, and a window has one key for all its padding.

Shifting and cutting into windows is one gathering of rows, whose numbers, like the biases, depend on the shape alone
and are computed once; windows that are padded and masked alike go through one fused attention. Answers differ from
MONAI's by rounding only, and a test holds them to that.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tusa.windows import fitted, partitioned, shift_mask

STAGES = 5


@dataclass(frozen=True)
class _Alike:
    """Windows that are padded and masked alike.

    Attributes:
        rows: Which row of the flattened maps stands at each key of each window; 0 for padding.
        places: Which row stands at each position that asks: the keys without padding.
        bias: Added to the scores, ``[1, heads, positions, keys]``. Keys are the positions of a window that lie inside
            the map and, where some do not, one that stands for all of those.
    """

    rows: Tensor
    places: Tensor
    bias: Tensor


class FastSwin:
    """The five maps of a SwinUNETR's encoder, for a frozen encoder in eval mode, without gradients.

    Safe to call from several threads at once.

    Args:
        encoder: :class:`tusa.encoder.SwinEncoder`, ``Tusa().unet.swinViT``, or any two-dimensional MONAI
            ``SwinTransformer``. Its weights must not change afterwards.
    """

    def __init__(self, encoder: Any) -> None:
        self.encoder = encoder
        self._layouts: dict[tuple[Any, ...], tuple[_Alike, ...]] = {}

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
                x = _convolve(getattr(net, f"layers{stage}c")[0].layer, x.contiguous())
            x = self._stage(getattr(net, f"layers{stage}")[0], x)
            if stage in stages:
                states[stage] = net.proj_out(x, True)
        return states

    def _stage(self, layer: Any, x: Tensor) -> Tensor:
        # In float32 also under autocast: sums over many blocks are what bfloat16 rounds worst.
        x = x.permute(0, 2, 3, 1).float().contiguous()
        for block in layer.blocks:
            x += self._attend(block, block.norm1(x))
            hidden = block.mlp.linear1(block.norm2(x))
            x += block.mlp.linear2(torch.ops.aten.gelu_(hidden))
        if layer.downsample is not None:
            x = layer.downsample(x)
        return x.permute(0, 3, 1, 2)

    def _attend(self, block: Any, x: Tensor) -> Tensor:
        """Window attention of ``[B, H, W, C]``, of the same shape."""
        attention = block.attn
        c, heads = x.shape[-1], attention.num_heads
        qkv = attention.qkv(x).view(-1, 3 * c)
        answers = qkv.new_empty(len(qkv), c)
        for group in self._layout_of(block, x.shape, qkv):
            positions, keys = group.bias.shape[-2:]
            asked = qkv.index_select(0, group.rows).view(-1, keys, 3 * c)
            if keys > positions:
                asked[:, -1] = 0 if attention.qkv.bias is None else attention.qkv.bias
            q, k, v = asked.view(-1, keys, 3, heads, c // heads).permute(2, 0, 3, 1, 4)
            mixed = functional.scaled_dot_product_attention(
                q[:, :, :positions], k, v, attn_mask=group.bias, scale=attention.scale
            )
            answers.index_copy_(0, group.places, mixed.transpose(1, 2).reshape(-1, c))
        projected: Tensor = attention.proj(answers)
        return projected.view(x.shape)

    def _layout_of(self, block: Any, shape: torch.Size, like: Tensor) -> tuple[_Alike, ...]:
        key = (block, *shape[:3], like.device, like.dtype)
        found = self._layouts.get(key)
        if found is None:
            found = self._layouts[key] = tuple(_lay_out(block, shape[0], (shape[1], shape[2]), like))
        return found


def _lay_out(block: Any, images: int, size: tuple[int, int], like: Tensor) -> list[_Alike]:
    """Sort the windows of a batch of maps of one size by what is padded and masked in them."""
    attention = block.attn
    # A window larger than the map becomes the map, and is then not shifted.
    window, shift = fitted(size, block.window_size, block.shift_size)
    padded = [-(-side // length) * length for side, length in zip(size, window, strict=True)]
    n, area = window[0] * window[1], size[0] * size[1]
    # The number of each position of one image, -1 outside, on the same way as the features.
    numbers = torch.full((1, *padded, 1), -1)
    numbers[:, : size[0], : size[1], 0] = torch.arange(area).view(1, *size)
    masks = torch.zeros(numbers.numel() // n, n, n)
    if any(shift):
        numbers = numbers.roll((-shift[0], -shift[1]), (1, 2))
        masks = shift_mask(padded, window, shift)
    numbers = partitioned(numbers, window).view(-1, n)
    index = attention.relative_position_index[:n, :n].reshape(-1)
    table = attention.relative_position_bias_table[index].reshape(n, n, -1).permute(2, 0, 1).float().cpu()

    alike: dict[bytes, list[int]] = {}
    for number, (inside, mask) in enumerate(zip(numbers >= 0, masks, strict=True)):
        if inside.any():
            alike.setdefault(inside.numpy().tobytes() + mask.numpy().tobytes(), []).append(number)
    groups = []
    firsts = torch.arange(images)[:, None, None] * area
    for members in alike.values():
        inside = numbers[members[0]] >= 0
        rows = places = firsts + numbers[members][:, inside]
        bias = (table + masks[members[0]])[:, inside]
        bias, padding = bias[:, :, inside], bias[:, :, ~inside]
        if padding.shape[-1]:
            bias = torch.cat([bias, padding.logsumexp(-1, keepdim=True)], dim=-1)
            rows = functional.pad(rows, (0, 1))
        groups.append(
            _Alike(
                rows.flatten().to(like.device),
                places.flatten().to(like.device),
                bias[None].to(like.device, like.dtype).contiguous(),
            )
        )
    return groups


def _convolve(block: Any, x: Tensor) -> Tensor:
    """MONAI's residual block of two convolutions whose input and output have equal channels."""
    hidden = functional.leaky_relu_(_normalise(block.conv1(x), block.norm1), block.lrelu.negative_slope)
    return functional.leaky_relu_(_normalise(block.conv2(hidden), block.norm2) + x, block.lrelu.negative_slope)


def _normalise(x: Tensor, norm: Any) -> Tensor:
    """Instance norm: groups of one channel, which torch normalises several times as fast."""
    return functional.group_norm(x, x.shape[1], norm.weight, norm.bias, norm.eps)
