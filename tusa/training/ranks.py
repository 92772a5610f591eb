"""Several devices as one: who has which images of a step, and tensors of all of them joined.

A step is drawn once for all devices, and every device takes its share: image ``rank``, ``rank + size``, and so on. So
are the random numbers of its augmentations, from generators that are in the same state everywhere. What depends on the
whole batch (contrast, batch norm, use of the channels) is computed on the joined batch. Therefore two devices give the
loss and the gradient of one that holds both their shares, to rounding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


class Ranks:
    """One device among all. Not a dataclass: Fabric copies those on their way into a module.

    Args:
        rank: its number, from 0.
        size: how many there are.
        stack: puts the tensors of all devices one after the other along a new first dimension, with gradient.
    """

    def __init__(self, rank: int = 0, size: int = 1, stack: Callable[[Tensor], Tensor] | None = None) -> None:
        if size > 1 and stack is None:
            raise ValueError("several devices need a way to stack their tensors")
        self.rank, self.size, self._stack = rank, size, stack

    def share(self, whole: Tensor, copies: int = 1) -> Tensor:
        """This device's rows of a batch drawn for all.

        Args:
            whole: ``[copies * size * n, ...]``: one copy of the batch after the other.
            copies: how many.

        Returns:
            ``[copies * n, ...]``.
        """
        if self.size == 1:
            return whole
        return whole.view(copies, -1, *whole.shape[1:])[:, self.rank :: self.size].flatten(0, 1)

    def join(self, part: Tensor) -> Tensor:
        """The rows of all devices, one device after the other, with gradient: ``[size * n, ...]`` of ``[n, ...]``."""
        return part if self._stack is None or self.size == 1 else self._stack(part).flatten(0, 1)

    def own(self, joined: Tensor) -> Tensor:
        """This device's rows of what :meth:`join` gave."""
        return joined if self.size == 1 else torch.chunk(joined, self.size)[self.rank]


ALONE = Ranks()
