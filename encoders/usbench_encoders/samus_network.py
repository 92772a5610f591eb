"""SAMUS's image encoder: Segment Anything's ViT-B on a grid of 32 x 32, beside a branch of convolutions.

Tokens of the two branches meet in the four blocks that attend over the whole image. Layers bear the names under which
the authors' program saves them; those that are Segment Anything's are that library's, run as in
:mod:`usbench_encoders.sam_network`.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import Block, PatchEmbed
from torch import Tensor, nn
from torch.nn import functional

from usbench_encoders.sam_network import GLOBAL_BLOCKS, attended

SIDE = 256
WIDTH, DEPTH, HEADS, GRID = 768, 12, 12, 32
# Patches of 16 px that overlap by half, from an image that is enlarged by half a patch.
PATCH, STRIDE, ENLARGED = 16, 8, 264
# Share of the bottleneck in a block's sum, and of the convolutions in the last tokens.
SHARE = 0.5


def _convolved(inside: int, outside: int, pool: bool, name: str) -> nn.Module:
    """A convolution over 3 x 3, a norm over channels and GELU, after halving the size where asked."""
    layers: list[nn.Module] = [nn.MaxPool2d(2)] if pool else []
    layers += [nn.Conv2d(inside, outside, 3, padding=1, bias=False), LayerNorm2d(outside), nn.GELU()]
    return nn.Sequential(OrderedDict([(name, nn.Sequential(*layers))]))


class _Bottleneck(nn.Module):
    """Two linear layers over a quarter of the width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.D_fc1 = nn.Linear(width, width // 4)
        self.D_fc2 = nn.Linear(width // 4, width)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.D_fc2(functional.gelu(self.D_fc1(tokens)))
        return found


class _Across(nn.Module):
    """Attention in which the tokens of the transformer ask those of the convolutions."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.proj = (nn.Linear(width, width) for _ in range(4))

    def forward(self, asking: Tensor, asked: Tensor) -> Tensor:
        batch, height, width, channels = asking.shape

        def split(tokens: Tensor) -> Tensor:
            return tokens.reshape(batch, height * width, self.heads, -1).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(
            split(self.q(asking)), split(self.k(asked)), split(self.v(asked))
        )
        found: Tensor = self.proj(mixed.transpose(1, 2).reshape(batch, height, width, channels))
        return found


class _Meeting(Block):  # type: ignore[misc]  # the library has no types
    """A block without windows, in which both branches meet."""

    def __init__(self, width: int, **settings: Any) -> None:
        super().__init__(width, **settings)
        self.MLP_Adapter = _Bottleneck(width)
        self.Space_Adapter = _Across(width, settings["num_heads"])
        self.refine_Adapter = _convolved(width, width, False, "conv")


class _Steps(nn.Module):
    """The branch of convolutions: full size, then halved three times."""

    def __init__(self) -> None:
        super().__init__()
        widths = (64, 128, 256, WIDTH)
        self.inc = _convolved(3, widths[0], False, "conv")
        self.downs = nn.ModuleList(
            _convolved(inside, outside, True, "maxpool_conv") for inside, outside in pairwise(widths)
        )

    def forward(self, images: Tensor) -> Tensor:
        maps = self.inc(images)
        for down in self.downs:
            maps = down(maps)
        return maps.permute(0, 2, 3, 1)  # type: ignore[no-any-return]


class _Halved(nn.Module):
    """The positions of Segment Anything on its grid of 64 x 64, brought to 32 x 32."""

    def __init__(self) -> None:
        super().__init__()
        self.downs = nn.ModuleList([_convolved(WIDTH, WIDTH, True, "maxpool_conv")])

    def forward(self, positions: Tensor) -> Tensor:
        return self.downs[0](positions.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)  # type: ignore[no-any-return]


class SamusNetwork(nn.Module):
    """The encoder, for ``(B, 3, 256, 256)`` in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.cnn_embed = _Steps()
        self.patch_embed = PatchEmbed((PATCH, PATCH), (STRIDE, STRIDE), in_chans=3, embed_dim=WIDTH)
        self.pos_embed = nn.Parameter(torch.zeros(1, 2 * GRID, 2 * GRID, WIDTH))
        self.post_pos_embed = _Halved()
        settings: dict[str, Any] = {"num_heads": HEADS, "norm_layer": norm, "use_rel_pos": True}
        settings["input_size"] = (GRID, GRID)
        self.blocks = nn.ModuleList(
            _Meeting(WIDTH, **settings) if number in GLOBAL_BLOCKS else Block(WIDTH, window_size=14, **settings)
            for number in range(DEPTH)
        )
        self.neck = nn.Sequential(
            nn.Conv2d(WIDTH, 256, 1, bias=False),
            LayerNorm2d(256),
            nn.Conv2d(256, 256, 3, padding=1, bias=False),
            LayerNorm2d(256),
        )
        self.input_Adapter = _Bottleneck(WIDTH)

    def tokens(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Run both branches.

        Args:
            images: ``(B, 3, 256, 256)`` in [0, 1].

        Returns:
            The tokens before the neck, ``(B, 32, 32, 768)``, and the transformer's after each block where the branches
            meet, alike.
        """
        beside = self.cnn_embed(images)
        enlarged = functional.interpolate(images, (ENLARGED, ENLARGED), mode="bilinear", align_corners=False)
        states: Tensor = self.patch_embed(enlarged)
        states = states + self.input_Adapter(states) + self.post_pos_embed(self.pos_embed)
        between = []
        block: Any
        for block in self.blocks:
            normed = block.norm1(states)
            meeting = isinstance(block, _Meeting)
            if meeting:
                normed = normed + block.Space_Adapter(normed, beside)
                beside = block.refine_Adapter(beside.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
            states = states + attended(block, normed)
            normed = block.norm2(states)
            states = states + block.mlp(normed)
            if meeting:
                states = states + SHARE * block.MLP_Adapter(normed)
                between.append(states)
        return states + SHARE * beside, between

    def forward(self, images: Tensor) -> Tensor:
        """Return the neck's map, ``(B, 256, 32, 32)``, which the authors' mask decoder takes."""
        found: Tensor = self.neck(self.tokens(images)[0].permute(0, 3, 1, 2))
        return found
