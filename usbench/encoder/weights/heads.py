"""The number of attention heads of a network, where its tensors tell it.

Projections of attention have one shape whatever the heads, so that a file of another number can load without complaint.
Tables of positions and norms of single heads do differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# Tensors with one entry per head, and the dimension that counts them.
_PER_HEAD = {
    "relative_position_bias_table": 1,
    "logit_scale": 0,
    "rel_pos.mlp.fc2.weight": 0,
    "cpb_mlp.2.weight": 0,
}
# Tensors as long as one head is wide, beside a projection ``qkv`` of the whole width.
_OF_ONE_HEAD = ("rel_pos_h", "rel_pos_w", "q_norm.weight", "k_norm.weight")


def told_heads(state: Mapping[str, torch.Tensor]) -> dict[str, int]:
    """Return the number of heads by the name of each tensor that tells it.

    Args:
        state: Tensors of a network.
    """
    found = {}
    for name, tensor in state.items():
        for end, dimension in _PER_HEAD.items():
            if name.endswith(f".{end}") and tensor.ndim > dimension:
                found[name] = int(tensor.shape[dimension])
        for end in _OF_ONE_HEAD:
            whole = state.get(f"{name.removesuffix(end)}qkv.weight")
            if name.endswith(f".{end}") and whole is not None and whole.ndim == 2 and tensor.ndim:
                found[name] = int(whole.shape[1] // max(tensor.shape[-1], 1))
    return found


def other_heads(given: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> tuple[int, int] | None:
    """Return the numbers of heads of a file and of a network where the two differ, ``None`` where none can be told.

    Args:
        given: Tensors of the file, in the network's spelling.
        expected: Tensors of the network.
    """
    file, network = told_heads(given), told_heads(expected)
    return next(((file[name], network[name]) for name in file if network.get(name, file[name]) != file[name]), None)
