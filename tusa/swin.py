"""The encoder's forward pass for training: the same function as MONAI's module, in fewer and larger operations.

MONAI projects padding like an image and keeps the scores of every attention window, and its masks are computed anew in
every pass. Here the projection sees real positions only (padding is zero there, so that the projection's bias is all
that it gives), scores are left to torch's fused attention, and masks are computed once for each size. Nothing depends
on values, so that the whole pass compiles to one graph. Unlike :class:`tusa.inference.FastSwin` it has a gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


def window_masks(encoder: Any, size: tuple[int, int], device: torch.device) -> list[Tensor | None]:
    """What shifted windows must not attend to, for each of the four stages of transformer blocks.

    Args:
        encoder: ``Tusa().unet.swinViT``, or any two-dimensional MONAI ``SwinTransformer``.
        size: height and width of the images.
        device: of the masks.

    Returns:
        ``[windows, 1, n, n]`` of 0 and -100, or ``None`` where the windows of a stage are never shifted.
    """
    from monai.networks.nets.swin_unetr import compute_mask, get_window_size

    masks: list[Tensor | None] = []
    height, width = (side // 2 for side in size)
    for stage in range(1, 5):
        blocks = getattr(encoder, f"layers{stage}")[0].blocks
        mask = None
        for block in blocks:
            window, shift = get_window_size((height, width), block.window_size, block.shift_size)
            if any(shift):
                padded = [-(-side // length) * length for side, length in zip((height, width), window, strict=True)]
                mask = compute_mask(padded, window, shift, "cpu")[:, None].to(device)
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
        x = x + _attend(block, block.norm1(x), mask)
        x = x + block.mlp.linear2(functional.gelu(block.mlp.linear1(block.norm2(x))))
    if layer.downsample is not None:
        x = layer.downsample(x)
    return x.permute(0, 3, 1, 2)


def _attend(block: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    """Window attention of ``[B, H, W, C]``, of the same shape."""
    from monai.networks.nets.swin_unetr import get_window_size

    attention = block.attn
    count, height, width, c = x.shape
    heads = attention.num_heads
    window, shift = get_window_size((height, width), block.window_size, block.shift_size)
    n = window[0] * window[1]
    down, across = -(-height // window[0]), -(-width // window[1])
    full = (down * window[0], across * window[1])

    qkv = functional.linear(x, attention.qkv.weight)
    if full != (height, width):
        qkv = functional.pad(qkv, (0, 0, 0, full[1] - width, 0, full[0] - height))
    if any(shift):
        qkv = qkv.roll((-shift[0], -shift[1]), (1, 2))
    qkv = qkv.view(count, down, window[0], across, window[1], 3, heads, c // heads)
    qkv = qkv.permute(5, 0, 1, 3, 6, 2, 4, 7).reshape(3, count, down * across, heads, n, c // heads)
    if attention.qkv.bias is not None:
        qkv = qkv + attention.qkv.bias.to(qkv.dtype).view(3, 1, 1, heads, 1, c // heads)
    qkv = qkv.view(3, count, down * across * heads, n, c // heads)
    if x.device.type == "cuda" and (c // heads) % 8:
        qkv = functional.pad(qkv, (0, -(c // heads) % 8))  # fused attention wants rows of whole 16 bytes

    index = attention.relative_position_index[:n, :n].reshape(-1)
    bias = attention.relative_position_bias_table[index].view(n, n, heads).permute(2, 0, 1)[None]
    bias = bias + mask if any(shift) and mask is not None else bias.expand(down * across, -1, -1, -1)
    bias = bias.reshape(1, down * across * heads, n, n).to(qkv.dtype)
    mixed = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2], attn_mask=bias, scale=attention.scale)

    mixed = mixed[..., : c // heads].reshape(count, down, across, heads, *window, c // heads)
    mixed = mixed.permute(0, 1, 4, 2, 5, 3, 6).reshape(count, *full, c)
    if any(shift):
        mixed = mixed.roll(shift, (1, 2))
    projected: Tensor = attention.proj(mixed[:, :height, :width])
    return projected


def _convolve(block: Any, x: Tensor) -> Tensor:
    """MONAI's residual block of two convolutions whose input and output have equal channels."""
    hidden = functional.leaky_relu(_normalise(block.conv1(x), block.norm1), block.lrelu.negative_slope)
    return functional.leaky_relu(_normalise(block.conv2(hidden), block.norm2) + x, block.lrelu.negative_slope)


def _normalise(x: Tensor, norm: Any) -> Tensor:
    """Instance norm."""
    if x.device.type == "cpu":
        return functional.group_norm(x, x.shape[1], norm.weight, norm.bias, norm.eps)
    # Written out, so that a compiler fuses it with what stands before and after.
    wide = x.float()
    variance, mean = torch.var_mean(wide, dim=(2, 3), correction=0, keepdim=True)
    normal = (wide - mean) * torch.rsqrt(variance + norm.eps)
    if norm.weight is not None:
        normal = normal * norm.weight.view(-1, 1, 1) + norm.bias.view(-1, 1, 1)
    return normal.to(x.dtype)
