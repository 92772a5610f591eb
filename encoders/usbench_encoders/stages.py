"""What a network computes on its way: tokens and maps between its first layer and its vector, from one forward pass."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import torch

# How cards speak of the pooling "stages".
OF_BLOCKS = "patch tokens averaged after each quarter of the blocks, one after the other"
OF_MAPS = "spatial means of the maps of all stages, one after the other"


@contextlib.contextmanager
def outputs_of(network: Any, names: Sequence[str]) -> Iterator[dict[str, torch.Tensor]]:
    """Collect what modules of a network give while it runs in this thread.

    Args:
        network: The network.
        names: Names of modules, as ``named_modules`` spells them.

    Yields:
        Outputs by name, in the order of ``names`` once the network has run.
    """
    ours, found = threading.get_ident(), dict.fromkeys(names)

    def keeper(name: str) -> Any:
        def keep(module: Any, inputs: Any, output: Any) -> None:
            if threading.get_ident() == ours:
                found[name] = output

        return keep

    hooks = [network.get_submodule(name).register_forward_hook(keeper(name)) for name in names]
    try:
        yield found  # type: ignore[misc]  # filled by the time that anybody reads it
    finally:
        for hook in hooks:
            hook.remove()


def quarters(depth: int) -> tuple[int, ...]:
    """Return the positions of the blocks with which the quarters of a stack end, ``(2, 5, 8, 11)`` of twelve."""
    return tuple(sorted({max(depth * part // 4 - 1, 0) for part in (1, 2, 3, 4)}))


def blocks_of(network: Any, stack: str = "blocks") -> list[str]:
    """Return the names of the blocks with which the quarters of a transformer end.

    Args:
        network: The network.
        stack: Name of the module that holds the blocks.
    """
    return [f"{stack}.{position}" for position in quarters(len(network.get_submodule(stack)))]


def joined_means(maps: Sequence[torch.Tensor]) -> torch.Tensor:
    """Average maps ``(B, C, h, w)`` over space and put the means one after the other, float32 ``(B, sum of C)``."""
    import torch

    return torch.cat([each.float().mean(dim=(2, 3)) for each in maps], dim=1)


def joined_tokens(tokens: Sequence[torch.Tensor], prefix: int) -> torch.Tensor:
    """Average patch tokens and put the means one after the other.

    Args:
        tokens: ``(B, N, D)`` each.
        prefix: How many of the first tokens are no patches.

    Returns:
        float32 ``(B, sum of D)``.
    """
    import torch

    return torch.cat([each[:, prefix:].float().mean(dim=1) for each in tokens], dim=1)


def of_timm(label: str, network: Any) -> list[str]:
    """Return the modules of a network of timm with which its stages end, or the quarters of its blocks.

    Args:
        label: Name of the encoder, for the message.
        network: The network.

    Raises:
        UsbenchError: The network does not say which stages it has.
    """
    named = [entry["module"] for entry in getattr(network, "feature_info", ())]
    if not named:
        raise UsbenchError(f"{label}: timm names no stages of this network; use pooling 'model' or 'mean'.")
    repeated = all(name.rpartition(".")[0] == "blocks" for name in named) and len(named) == len(network.blocks)
    return [named[position] for position in quarters(len(named))] if repeated else named
