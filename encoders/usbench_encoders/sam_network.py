"""The image encoder of Segment Anything, ViT-B, as MedSAM and UltraSam use it.

Layers and their names are those of the ``segment_anything`` package; the forward pass is written anew
around torch's fused attention. It gives the same numbers in a fraction of time and memory, because the
package builds 4096 x 4096 attention matrices for twelve heads at once, several times over, and projects
the padding of windows. A CPU takes the blocks in strips (``sam_strips``). ``benchmarks/encode.py`` measures it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from usbench_encoders.sam_attention import relative

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

IMAGE_SIZE = 1024
PATCH_SIZE = 16
PARAMETERS = 89_670_912
GFLOPS = 972.1
# Blocks that attend over the whole image.
GLOBAL_BLOCKS = (2, 5, 8, 11)

POOLINGS = {
    "mean": "tokens after the last block, before the neck, averaged over space: 768 values",
    "neck": "output of the neck averaged over space: 256 values",
    "stages": "tokens averaged over space after each of the four blocks that attend over the whole image, one "
    "after the other: 3072 values",
}


def build() -> torch.nn.Module:
    """Build the network with the library's own initialisation."""
    from segment_anything.modeling import ImageEncoderViT
    from torch import nn

    network: nn.Module = ImageEncoderViT(
        img_size=IMAGE_SIZE,
        patch_size=PATCH_SIZE,
        embed_dim=768,
        depth=12,
        num_heads=12,
        mlp_ratio=4,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),
        qkv_bias=True,
        use_rel_pos=True,
        global_attn_indexes=GLOBAL_BLOCKS,
        window_size=14,
        out_chans=256,
    )
    return network


def tokens(network: Any, images: torch.Tensor, means: dict[int, torch.Tensor] | None = None) -> torch.Tensor:
    """Run the blocks, without the neck.

    Args:
        network: What :func:`build` returns.
        images: ``(B, 3, 1024, 1024)``.
        means: Gets, under the positions of blocks that it holds, the tokens after that block averaged over space,
            float32 ``(B, 768)``.

    Returns:
        ``(B, 64, 64, 768)``.
    """
    if images.device.type == "cpu":
        from usbench_encoders import sam_strips

        return sam_strips.tokens(network, images, means)
    return in_whole_layers(network, images, means)


def in_whole_layers(network: Any, images: torch.Tensor, means: dict[int, torch.Tensor] | None = None) -> torch.Tensor:
    """Run the blocks layer by layer, as a GPU wants it.

    Args and returns as :func:`tokens`, whose answers these are but for rounding.
    """
    states: torch.Tensor = network.patch_embed(images) + network.pos_embed
    for position, block in enumerate(network.blocks):
        states = states + attended(block, block.norm1(states))
        states = states + block.mlp(block.norm2(states))
        if means is not None and position in means:
            means[position] = states.float().mean(dim=(1, 2))
    return states


def pooled(
    network: Any, images: torch.Tensor, poolings: Sequence[str], share: torch.Tensor | None = None
) -> dict[str, torch.Tensor]:
    """Encode images and average over space.

    Args:
        network: What :func:`build` returns.
        images: ``(B, 3, 1024, 1024)``.
        poolings: Keys of :data:`POOLINGS`; also ``unpadded``, the mean of tokens by their share of the image.
        share: That share, float32 ``(B, 64, 64)``, for ``unpadded``.

    Returns:
        ``(B, 768)``, ``(B, 256)`` or ``(B, 3072)`` by pooling.
    """
    import torch

    means = dict.fromkeys(GLOBAL_BLOCKS, images) if "stages" in poolings else None
    states = tokens(network, images, means)
    vectors = {}
    for name in poolings:
        if name == "neck":
            vectors[name] = network.neck(states.permute(0, 3, 1, 2)).float().mean(dim=(2, 3))
        elif name == "stages":
            assert means is not None
            vectors[name] = torch.cat([means[position] for position in GLOBAL_BLOCKS], dim=1)
        elif name == "unpadded":
            assert share is not None
            weight = share[..., None]
            vectors[name] = (states.float() * weight).sum(dim=(1, 2)) / weight.sum(dim=(1, 2))
        else:
            vectors[name] = states.float().mean(dim=(1, 2))
    return vectors


def attended(block: Any, states: torch.Tensor) -> torch.Tensor:
    """Attention within windows, or over the whole image where the block has none.

    Windows of 14 do not divide 64 positions, so the package pads with zeros before it projects to queries, keys and
    values; the projection of a zero is its bias. Here only real positions are projected, before and after attention,
    and the padding is filled with the bias: the same numbers for a sixth less work.
    """
    import torch

    layer, size = block.attn, block.window_size
    packed = layer.qkv(states)
    if size == 0:
        result: torch.Tensor = layer.proj(_attention(layer, packed))
        return result
    batch, height, width, channels = packed.shape
    down, across = -(-height // size), -(-width // size)
    if (down * size, across * size) != (height, width):
        padding = torch.zeros_like(packed[0, 0, 0]) if layer.qkv.bias is None else layer.qkv.bias.to(packed.dtype)
        whole = padding.expand(batch, down * size, across * size, channels).clone()
        whole[:, :height, :width] = packed
        packed = whole
    windows = packed.reshape(batch, down, size, across, size, channels).transpose(2, 3)
    attended = _attention(layer, windows.reshape(-1, size, size, channels))
    joined = attended.reshape(batch, down, across, size, size, -1).transpose(2, 3)
    joined = joined.reshape(batch, down * size, across * size, -1)[:, :height, :width]
    # In one piece: of rows that are apart torch would make a product each, with a copy of the weights for each.
    result = layer.proj(joined.contiguous())
    return result


def _attention(layer: Any, packed: torch.Tensor) -> torch.Tensor:
    """Multi-head attention with the relative positions of rows and columns added to the scores.

    Args:
        layer: An attention layer of ``segment_anything``.
        packed: Queries, keys and values, ``(B, H, W, 3C)``.

    Returns:
        ``(B, H, W, C)``, before the output projection.
    """
    import torch

    batch, height, width, channels = packed.shape
    heads, positions = layer.num_heads, height * width
    parts = packed.reshape(batch, positions, 3, heads, channels // 3 // heads).permute(2, 0, 3, 1, 4)
    query, key, value = parts.unbind(0)
    grid = query.reshape(batch, heads, height, width, -1)
    rows = torch.einsum("bnhwc,hkc->bnhwk", grid, relative(layer.rel_pos_h, height).to(grid.dtype))
    columns = torch.einsum("bnhwc,wkc->bnhwk", grid, relative(layer.rel_pos_w, width).to(grid.dtype))

    if query.dtype == torch.bfloat16 and not packed.is_cuda:
        return _folded(query, key, value, rows, columns).reshape(batch, height, width, -1)

    attended = packed.new_empty(batch, positions, heads, channels // 3 // heads)
    # Two heads of 4096 positions at a time bound the memory of the bias; all windows fit at once.
    step = heads if positions <= 1024 else 2
    for head in range(0, heads, step):
        chosen = slice(head, head + step)
        bias = rows[:, chosen, :, :, :, None] + columns[:, chosen, :, :, None, :]
        attended[:, :, chosen] = torch.nn.functional.scaled_dot_product_attention(
            query[:, chosen],
            key[:, chosen],
            value[:, chosen],
            attn_mask=bias.reshape(batch, -1, positions, positions),
        ).transpose(1, 2)
    return attended.reshape(batch, height, width, -1)


def _folded(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, rows: torch.Tensor, columns: torch.Tensor
) -> torch.Tensor:
    """Attention whose bias is a part of the product of queries and keys.

    The bias of a pair is one entry of the query's ``rows`` plus one of its ``columns``: an inner product with a key
    that is one at its own row and column and zero elsewhere. A CPU that multiplies bfloat16 matrices does this
    faster than it adds a bias, and torch's fused attention on it is slower than two products.

    Args:
        query: ``(B, heads, positions, C)``.
        key: Like ``query``.
        value: Like ``query``.
        rows: ``(B, heads, H, W, H)``.
        columns: ``(B, heads, H, W, W)``.

    Returns:
        ``(B, positions, heads, C)``.
    """
    import torch

    batch, heads, positions, channels = query.shape
    height, width = rows.shape[-1], columns.shape[-1]
    own_row = torch.eye(height, dtype=key.dtype).repeat_interleave(width, 0)
    own_column = torch.eye(width, dtype=key.dtype).repeat(height, 1)
    places = torch.cat([own_row, own_column], dim=1).expand(batch, heads, -1, -1)
    wide_query = torch.cat([query * channels**-0.5, rows.flatten(2, 3), columns.flatten(2, 3)], dim=-1).flatten(0, 1)
    wide_key = torch.cat([key, places], dim=-1).flatten(0, 1).transpose(1, 2)
    values = value.flatten(0, 1)
    attended = torch.bmm(torch.bmm(wide_query, wide_key).softmax(-1), values)
    return attended.view(batch, heads, positions, channels).transpose(1, 2)
