"""The moving average of a network's weights."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import Tensor, nn

from tusa.network import Tusa


class Average(nn.Module):
    """An exponential moving average, kept in step without ever waiting for the device.

    Its state has the names of ``torch.optim.swa_utils.AveragedModel``.

    Args:
        network: what is averaged; its present weights are where the average starts.
        decay: share of the average that a step leaves.
    """

    n_averaged: Tensor

    def __init__(self, network: Tusa, decay: float) -> None:
        super().__init__()
        self.module: Tusa = deepcopy(network).requires_grad_(False)
        self.decay = decay
        self.register_buffer("n_averaged", torch.tensor(0))
        self._started = False

    @torch.no_grad()
    def update(self, network: Tusa) -> None:
        """Move towards the network by what the decay leaves; the first step is taken whole."""
        averaged = [p.detach() for p in self.module.parameters()]
        given = [p.detach() for p in network.parameters()]
        torch._foreach_lerp_(averaged, given, 1 - self.decay if self._started else 1.0)
        self._started = True
        self.n_averaged += 1

    def load_state_dict(self, state: dict[str, Tensor], *args: object, **kwargs: object) -> object:  # type: ignore[override]
        """Continue an average."""
        self._started = int(state["n_averaged"]) > 0
        return super().load_state_dict(state)
