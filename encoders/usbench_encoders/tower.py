"""The image tower of a CLIP model: a network of timm and the projection into the space shared with text."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch


class Tower(torch.nn.Module):
    """A trunk without classifier and a linear projection, under OpenCLIP's names.

    Args:
        trunk: A model of timm with ``num_classes=0``.
        width: Values that it gives.
        projected: Values after the projection.
    """

    def __init__(self, trunk: Any, width: int, projected: int) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = torch.nn.Sequential(OrderedDict(proj=torch.nn.Linear(width, projected, bias=False)))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Project ``(B, 3, H, W)`` to ``(B, projected)``, not normalised."""
        vectors: torch.Tensor = self.head(self.trunk(images))
        return vectors
