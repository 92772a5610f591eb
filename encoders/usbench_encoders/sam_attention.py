"""Segment Anything's relative positions, shared by both ways of running its blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def relative(table: torch.Tensor, size: int) -> torch.Tensor:
    """Look up the table of relative positions for every pair of positions, ``(size, size, C)``."""
    import torch

    positions = torch.arange(size, device=table.device)
    return table[positions[:, None] - positions[None, :] + size - 1]
