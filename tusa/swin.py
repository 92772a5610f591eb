"""The encoder's forward pass for training: the same function as MONAI's module, with less that goes through memory.

On a GPU these layers wait for memory, not for arithmetic. MONAI keeps the scores of every attention window, computes
its masks anew in every pass and, under autocast, norms in 32 bits on both sides. Here scores are left to torch's fused
attention, which wants rows of whole 16 bytes and gets them from a projection that is padded with zeros instead of its
result; masks are computed once for each size; and norms read and write what the layers around them do, with sums in 32
bits as ever. Nothing depends on values, so that the whole pass can be compiled to one graph too. Unlike
:class:`tusa.inference.FastSwin` it has a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from tusa.windows import fitted, shift_mask


def window_masks(encoder: Any, size: tuple[int, int], device: torch.device) -> list[Tensor | None]:
    """What shifted windows must not attend to, for each of the four stages of transformer blocks.

    Args:
        encoder: :class:`tusa.encoder.SwinEncoder`, ``Tusa().unet.swinViT``, or any two-dimensional MONAI
            ``SwinTransformer``.
        size: height and width of the images.
        device: of the masks.

    Returns:
        ``[windows, 1, n, n]`` of 0 and -100, or ``None`` where the windows of a stage are never shifted.
    """
    masks: list[Tensor | None] = []
    height, width = (-(-side // 2) for side in size)
    for stage in range(1, 5):
        blocks = getattr(encoder, f"layers{stage}")[0].blocks
        mask = None
        for block in blocks:
            window, shift = fitted((height, width), block.window_size, block.shift_size)
            if any(shift):
                padded = [-(-side // length) * length for side, length in zip((height, width), window, strict=True)]
                mask = shift_mask(padded, window, shift)[:, None].to(device)
                break
        masks.append(mask)
        height, width = -(-height // 2), -(-width // 2)
    return masks


def swin_states(
    encoder: Any, images: Tensor, masks: Sequence[Tensor | None], rows: Sequence[tuple[int, int]] | None = None
) -> list[Tensor]:
    """The five maps of ``encoder(images, normalize=True)``, with gradient.

    Args:
        encoder: as for :func:`window_masks`; without dropout.
        images: ``[B, 1, H, W]`` in [-1, 1].
        masks: what :func:`window_masks` gave for this size.
        rows: ranges of images of which the four shallower maps are wanted, joined; all by default.

    Returns:
        Maps as :meth:`tusa.Tusa.hidden_states` gives them, the last one of all images; without the shallower maps
        where ``rows`` is empty.
    """
    x = encoder.patch_embed(images)
    states = _kept(encoder, x, rows)
    for stage in range(1, 5):
        if encoder.use_v2:
            x = _convolve(getattr(encoder, f"layers{stage}c")[0].layer, x)
        x = _stage(getattr(encoder, f"layers{stage}")[0], x, masks[stage - 1])
        states += _kept(encoder, x, rows) if stage < 4 else [encoder.proj_out(x, True)]
    return states


def _kept(encoder: Any, x: Tensor, rows: Sequence[tuple[int, int]] | None) -> list[Tensor]:
    if rows is None:
        return [encoder.proj_out(x, True)]
    return [encoder.proj_out(torch.cat([x[first:last] for first, last in rows]), True)] if rows else []


def _stage(layer: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    x = x.permute(0, 2, 3, 1).contiguous()
    for block in layer.blocks:
        x = x + _attend(block, _layer_norm(x, block.norm1), mask)
        x = x + block.mlp.linear2(functional.gelu(block.mlp.linear1(_layer_norm(x, block.norm2))))
    if layer.downsample is not None:
        x = layer.downsample(x)
    return x.permute(0, 3, 1, 2)


def _attend(block: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """Window attention of ``[B, H, W, C]``, of the same shape."""
    attention = block.attn
    count, height, width, c = x.shape
    heads = attention.num_heads
    window, shift = fitted((height, width), block.window_size, block.shift_size)
    n, each = window[0] * window[1], c // heads
    down, across = -(-height // window[0]), -(-width // window[1])
    full = (down * window[0], across * window[1])

    if full != (height, width):
        x = functional.pad(x, (0, 0, 0, full[1] - width, 0, full[0] - height))
    if any(shift):
        x = x.roll((-shift[0], -shift[1]), (1, 2))
    x = x.view(count, down, window[0], across, window[1], c).transpose(2, 3).reshape(count, down * across, n, c)
    wide = each + (-each % 8 if x.device.type == "cuda" else 0)
    qkv = functional.linear(x, *_widened(attention.qkv, heads, each, wide))
    qkv = qkv.view(count, down * across, n, 3, heads, wide).permute(3, 0, 1, 4, 2, 5)
    qkv = qkv.reshape(3, count, down * across * heads, n, wide)

    index = attention.relative_position_index[:n, :n].reshape(-1)
    bias = attention.relative_position_bias_table[index].view(n, n, heads).permute(2, 0, 1)[None]
    bias = bias + mask if any(shift) and mask is not None else bias.expand(down * across, -1, -1, -1)
    # Fused attention takes a bias only where its last axis is the one that lies side by side in memory.
    bias = bias.to(qkv.dtype).contiguous().view(1, down * across * heads, n, n)
    mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=bias, scale=attention.scale)

    mixed = mixed[..., :each].reshape(count, down, across, heads, *window, each)
    mixed = mixed.permute(0, 1, 4, 2, 5, 3, 6).reshape(count, *full, c)
    if any(shift):
        mixed = mixed.roll(shift, (1, 2))
    # In one piece: of rows that are apart torch would make a product each, with a copy of the weights for each.
    projected: Tensor = attention.proj(mixed[:, :height, :width].contiguous())
    return projected


def _widened(projection: Any, heads: int, each: int, wide: int) -> tuple[Tensor, Tensor | None]:
    """Weight and bias of a projection to queries, keys and values, with zeros after those of each head."""
    weight, bias = projection.weight, projection.bias
    if wide == each:
        return weight, bias
    weight = functional.pad(weight.view(3 * heads, each, -1), (0, 0, 0, wide - each)).flatten(0, 1)
    if bias is not None:
        bias = functional.pad(bias.view(3 * heads, each), (0, wide - each)).flatten()
    return weight, bias


def _convolve(block: Any, x: Tensor) -> Tensor:
    """MONAI's residual block of two convolutions whose input and output have equal channels."""
    slope = block.lrelu.negative_slope
    hidden = functional.leaky_relu(_instance_norm(block.conv1(x), block.norm1), slope)
    return functional.leaky_relu(_instance_norm(block.conv2(hidden), block.norm2) + x, slope)


def _without_autocast(device: str) -> AbstractContextManager[object]:
    # The meta device, on which operations are counted, knows no autocast.
    return nullcontext() if device == "meta" else torch.autocast(device, enabled=False)


def _layer_norm(x: Tensor, norm: Any) -> Tensor:
    with _without_autocast(x.device.type):
        return functional.layer_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)


def _instance_norm(x: Tensor, norm: Any) -> Tensor:
    """Groups of one channel, which torch normalises several times as fast as by its instance norm."""
    weight, bias = (None if norm.weight is None else value.to(x.dtype) for value in (norm.weight, norm.bias))
    with _without_autocast(x.device.type):
        return functional.group_norm(x, x.shape[1], weight, bias, norm.eps)
