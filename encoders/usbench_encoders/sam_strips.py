"""Segment Anything's blocks on a CPU, a strip of the map at a time.

The same function as :func:`usbench_encoders.sam_network.in_whole_layers`. Whole layers would each ask the system for 30
to 60 MB, fill them once and give them back, and a CPU then spends a third of its time on memory that is new to it. Here
a block works on strips of the map, in buffers that serve all blocks, and adds its answers to the states in place.
Blocks with windows do all their work in strips as high as a window; the others share only the attention between
strips. ``benchmarks/encode.py`` measures it.

Under autocast products are of bfloat16, with the states and the norms in float32, as autocast itself has it.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from usbench.encoder import int8
from usbench_encoders.sam_attention import relative

# Lines of the map a strip of a block without windows: half of the map, whose values within an MLP take 25 MB.
_LINES = 32
# Queries of one head that attend at a time: their scores take 4 MB in float32.
_QUERIES = 256


class _Buffers:
    """Memory that is asked for once and used again under the same name, and weights converted once, for a pass.

    Args:
        dtype: Of all products: float32 or bfloat16.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._kept: dict[str, Tensor] = {}
        self._converted: dict[Any, tuple[Tensor, Tensor]] = {}
        self._places: Tensor | None = None

    def take(self, name: str, *shape: int) -> Tensor:
        """Return memory of this shape, its content arbitrary; what had the name before is lost."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.numel() < size:
            kept = self._kept[name] = torch.empty(size, dtype=self.dtype)
        return kept[:size].view(shape)

    def places(self, size: int) -> Tensor:
        """Return where each position of a square lies, ``(2 * size, size * size)``: one at its row and its column."""
        if self._places is None or len(self._places) != 2 * size:
            eye = torch.eye(size, dtype=self.dtype)
            self._places = torch.cat([eye.repeat_interleave(size, 1), eye.repeat(1, size)])
        return self._places

    def weights(self, layer: Any) -> tuple[Tensor, Tensor]:
        """Return a linear layer's bias and its weights, ``(in, out)``, as products take them."""
        if layer not in self._converted:
            self._converted[layer] = (layer.bias.to(self.dtype), layer.weight.to(self.dtype).t())
        return self._converted[layer]


@torch.inference_mode()
def tokens(network: Any, images: Tensor, means: dict[int, Tensor] | None = None) -> Tensor:
    """Run the blocks, without the neck.

    Args:
        network: ``segment_anything``'s ``ImageEncoderViT`` in float32 on a CPU.
        images: float32 ``(B, 3, 1024, 1024)``.
        means: As for :func:`usbench_encoders.sam_network.tokens`.

    Returns:
        ``(B, 64, 64, 768)``.
    """
    # In one piece: the patches come channel by channel, and every strip would be gathered anew.
    states: Tensor = (network.patch_embed(images) + network.pos_embed).contiguous()
    in_bfloat16 = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    buffers = _Buffers(torch.bfloat16 if in_bfloat16 else torch.float32)
    with torch.autocast("cpu", enabled=False):
        _run_blocks(network, states, buffers, means)
    return states


def _run_blocks(network: Any, states: Tensor, buffers: _Buffers, means: dict[int, Tensor] | None) -> None:
    between: dict[int, list[Tensor]] = {position: [] for position in means or ()}
    for image in states:
        for position, block in enumerate(network.blocks):
            if block.window_size:
                _windowed(block, image, buffers)
            else:
                _global(block, image, buffers)
            if position in between:
                between[position].append(image.mean(dim=(0, 1)))
    if means is not None:
        means.update({position: torch.stack(rows) for position, rows in between.items()})


def _strips(grid: Tensor, lines: int) -> list[Tensor]:
    return [grid[first : first + lines] for first in range(0, len(grid), lines)]


def _windowed(block: Any, states: Tensor, buffers: _Buffers) -> None:
    """Apply a block with windows to ``(H, W, C)`` in place."""
    layer = block.attn
    for strip in _strips(states, block.window_size):
        packed = buffers.take("packed", *strip.shape[:2], layer.qkv.out_features)
        _linear(layer.qkv, block.norm1(strip), packed, buffers)
        _add_linear(layer.proj, _window_attention(layer, packed, block.window_size, buffers), strip, buffers)
        _add_mlp(block, strip, buffers)


def _global(block: Any, states: Tensor, buffers: _Buffers) -> None:
    """Apply a block without windows to ``(H, W, C)`` in place."""
    layer = block.attn
    packed = buffers.take("packed of all strips", *states.shape[:2], layer.qkv.out_features)
    for strip, part in zip(_strips(states, _LINES), _strips(packed, _LINES), strict=True):
        _linear(layer.qkv, block.norm1(strip), part, buffers)
    attended = _global_attention(layer, packed, buffers)
    for strip, part in zip(_strips(states, _LINES), _strips(attended, _LINES), strict=True):
        _add_linear(layer.proj, part, strip, buffers)
        _add_mlp(block, strip, buffers)


def _window_attention(layer: Any, packed: Tensor, size: int, buffers: _Buffers) -> Tensor:
    """Attend within the windows of one strip.

    Args:
        layer: An attention layer of ``segment_anything``.
        packed: Queries, keys and values, ``(up to size, W, 3C)``.
        size: Side of a window.
        buffers: Memory.

    Returns:
        ``(size, windows * size, C)`` cut to the strip, before the output projection.
    """
    height, width, channels = packed.shape
    heads, across, area = layer.num_heads, -(-width // size), size * size
    depth, count = channels // 3 // heads, across * heads
    # The projection of the zeros that the package pads with is the bias.
    padded = buffers.take("padded", size, across * size, channels)
    padded[:height, :width] = packed
    padded[height:] = layer.qkv.bias
    padded[:, width:] = layer.qkv.bias

    apart = buffers.take("apart", 3, across, heads, size, size, depth)
    apart.copy_(padded.view(size, across, size, 3, heads, depth).permute(3, 1, 4, 0, 2, 5))
    query, key, value = apart.view(3, count, area, depth)
    rows, columns = _position_bias(layer, query.view(count, size, size, depth))
    scores = buffers.take("scores", count, area, area)
    # The sum of a row's and a column's bias, as a product: lines of 14 values are too short to be added quickly.
    torch.mm(torch.cat([rows, columns], dim=1), buffers.places(size), out=scores.view(-1, area))
    scores.baddbmm_(query, key.transpose(1, 2), alpha=depth**-0.5)
    shares = torch.softmax(scores, -1, out=buffers.take("shares", count, area, area))
    mixed = torch.bmm(shares, value, out=buffers.take("mixed", count, area, depth))

    joined = buffers.take("padded", size, across, size, heads, depth)
    joined.copy_(mixed.view(across, heads, size, size, depth).permute(2, 0, 3, 1, 4))
    return joined.view(size, across * size, -1)[:height, :width]


def _global_attention(layer: Any, packed: Tensor, buffers: _Buffers) -> Tensor:
    """Attend over the whole map, a head and some queries at a time.

    Args:
        layer: An attention layer of ``segment_anything``.
        packed: Queries, keys and values, ``(H, W, 3C)``.
        buffers: Memory.

    Returns:
        ``(H, W, C)``, before the output projection.
    """
    height, width, channels = packed.shape
    heads, positions = layer.num_heads, height * width
    depth = channels // 3 // heads
    attended = buffers.take("attended", height, width, heads, depth)
    for head in range(heads):
        ours = packed.view(positions, 3, heads, depth)[:, :, head]
        query, key, value = buffers.take("head", 3, positions, depth).copy_(ours.transpose(0, 1))
        rows, columns = _position_bias(layer, query.view(1, height, width, depth))
        answers = attended.view(positions, heads, depth)[:, head]
        for first in range(0, positions, _QUERIES):
            some = slice(first, first + _QUERIES)
            row, column = rows[some], columns[some]
            bias = _sum(row, column, buffers.take("bias", len(row), positions))
            answers[some] = _attend(query[some], key, value, bias)
    return attended.view(height, width, -1)


def _attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Attend with one head; the bias is lost.

    In bfloat16 two products, with the softmax in place between them, take half as long as torch's fused attention.

    Args:
        query: ``(n, C)``.
        key: ``(positions, C)``.
        value: Like ``key``.
        bias: Of the scores, ``(n, positions)``.

    Returns:
        ``(n, C)``.
    """
    if query.dtype == torch.bfloat16:
        scores = torch.addmm(bias, query, key.t(), alpha=query.shape[-1] ** -0.5, out=bias)
        return torch.softmax(scores, -1, out=scores) @ value
    query, key, value = query[None, None], key[None, None], value[None, None]
    return functional.scaled_dot_product_attention(query, key, value, attn_mask=bias)[0, 0]


def _position_bias(layer: Any, query: Tensor) -> tuple[Tensor, Tensor]:
    """Return what a query adds to its score for a key's row, and for its column.

    Args:
        layer: An attention layer of ``segment_anything``.
        query: ``(N, H, W, C)``, not scaled.

    Returns:
        ``(N * H * W, H)`` and ``(N * H * W, W)``.
    """
    height, width = query.shape[1:3]
    rows = torch.einsum("nhwc,hkc->nhwk", query, relative(layer.rel_pos_h, height).to(query.dtype))
    columns = torch.einsum("nhwc,wkc->nhwk", query, relative(layer.rel_pos_w, width).to(query.dtype))
    return rows.reshape(-1, height), columns.reshape(-1, width)


def _sum(rows: Tensor, columns: Tensor, out: Tensor) -> Tensor:
    """Write into ``(..., H * W)`` the sums of ``(..., H)`` and ``(..., W)``."""
    grid = out.view(*out.shape[:-1], rows.shape[-1], columns.shape[-1])
    torch.add(rows[..., :, None], columns[..., None, :], out=grid)
    return out


def _linear(layer: Any, values: Tensor, out: Tensor, buffers: _Buffers) -> None:
    """Write a layer's answer to ``(..., C)`` into contiguous memory."""
    rows = values.reshape(-1, layer.in_features)
    if int8.active():
        out.view(-1, layer.out_features).copy_(functional.linear(rows, layer.weight, layer.bias))
        return
    bias, weight = buffers.weights(layer)
    if rows.dtype != buffers.dtype:
        rows = buffers.take("rows", *rows.shape).copy_(rows)
    torch.addmm(bias, rows, weight, out=out.view(-1, layer.out_features))


def _add_linear(layer: Any, values: Tensor, states: Tensor, buffers: _Buffers) -> None:
    """Add a layer's answer to ``(..., C)`` to contiguous float32 states in place."""
    flat = states.view(-1, layer.out_features)
    if buffers.dtype == flat.dtype and not int8.active():
        bias, weight = buffers.weights(layer)
        flat.addmm_(values.reshape(-1, layer.in_features), weight).add_(bias)
        return
    answer = buffers.take("answer", *flat.shape)
    _linear(layer, values, answer, buffers)
    flat.add_(answer)


def _add_mlp(block: Any, states: Tensor, buffers: _Buffers) -> None:
    hidden = buffers.take("hidden", *states.shape[:-1], block.mlp.lin1.out_features)
    _linear(block.mlp.lin1, block.norm2(states), hidden, buffers)
    torch.ops.aten.gelu_(hidden)
    _add_linear(block.mlp.lin2, hidden, states, buffers)
