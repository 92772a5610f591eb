"""Heads of many folds and initialisations, their parameters stacked, and the frames that they are trained on."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from usbench.probes.attention.folds import FoldPlan, Frames
from usbench.statistics._types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Memory for frames that are standardised once for each fold, not each time they are taken.
_STANDARDISED_BYTES = 256 * 2**20


def init_head(width: int, hidden: int, seed: int) -> list[Tensor]:
    """Draw the parameters of one head, as `torch.nn.Linear` would: uniform within 1 / sqrt(inputs).

    Args:
        width: Number of features.
        hidden: Width of the layers.
        seed: Seed of this head.

    Returns:
        Weights (inputs first) and biases of the two frame layers, the key layer, the query, and the output layer.
    """
    import torch

    source = torch.Generator().manual_seed(seed)

    def uniform(inputs: int, *shape: int) -> Tensor:
        drawn: Tensor = 2 * torch.rand(shape, generator=source, dtype=torch.float64) - 1
        return drawn.div(float(np.sqrt(inputs)))

    return [
        uniform(width, width, hidden),
        uniform(width, hidden),
        uniform(hidden, hidden, hidden),
        uniform(hidden, hidden),
        uniform(hidden, hidden, hidden),
        uniform(hidden, hidden),
        uniform(hidden, hidden),
        uniform(hidden, hidden),
        uniform(hidden, 1),
    ]


class Store:
    """Frames and targets on the device, standardised for each fold: once where that fits, else as they are taken."""

    def __init__(
        self, frames: Frames, y: FloatArray, plans: list[FoldPlan], device: torch.device, dtype: torch.dtype
    ) -> None:
        import torch

        self.dtype = dtype
        self.device = device
        self.length, self.width = frames.values.shape[1:]
        self._values = torch.from_numpy(frames.values).to(device, dtype)
        self._present = torch.from_numpy(frames.present).to(device)
        self._mean = self.send(np.stack([plan.mean for plan in plans]))[:, None, None]
        self._scale = self.send(np.stack([plan.scale for plan in plans]))[:, None, None]
        target = [(y - plan.target_mean) / plan.target_scale for plan in plans]
        self._target = self.send(np.stack(target))
        self._standardised: Tensor | None = None
        used = [np.unique(np.concatenate([plan.train, plan.validation, plan.split.test])) for plan in plans]
        rows = pad(used)[0]
        if rows.size * self.length * self.width * self.dtype.itemsize <= _STANDARDISED_BYTES:
            places = np.zeros((len(plans), len(y)), dtype=np.int64)
            for place, units in zip(places, used, strict=True):
                place[units] = np.arange(len(units))
            self._standardised = self._standardise(torch.from_numpy(rows).to(device))
            self._place = torch.from_numpy(places).to(device)
            self._fold = torch.arange(len(plans), device=device)[:, None]

    def send(self, array: FloatArray) -> Tensor:
        """Copy an array to the device, in the precision of training."""
        import torch

        return torch.from_numpy(array).to(self.device, self.dtype)

    def take(self, units: IntArray) -> tuple[Tensor, Tensor]:
        """Frames [F, B, T, D] and their presence [F, B, T], of each fold's units [F, B]."""
        import torch

        index = torch.from_numpy(units).to(self.device)
        if self._standardised is None:
            return self._standardise(index), self._present[index]
        return self._standardised[self._fold, self._place.gather(1, index)], self._present[index]

    def only(self, keep: Tensor) -> Store:
        """Those of some folds, int64 [n]."""
        found = copy.copy(self)
        found._mean, found._scale, found._target = self._mean[keep], self._scale[keep], self._target[keep]
        if self._standardised is not None:
            found._standardised, found._place = self._standardised[keep], self._place[keep]
            found._fold = self._fold[: len(keep)]
        return found

    def _standardise(self, index: Tensor) -> Tensor:
        return (self._values[index] - self._mean) / self._scale

    def targets(self, units: IntArray) -> Tensor:
        """Standardised targets [F, B] of each fold's units [F, B]."""
        import torch

        return self._target.gather(1, torch.from_numpy(units).to(self.device))


class Heads:
    """Stacked heads of F folds by I initialisations.

    Args:
        parameters: Those of `init_head`, stacked: the first layer [F, D, I, H], so that a fold is one matrix product;
            the others [F * I, ...].
        shape: F, I and H.
    """

    def __init__(self, parameters: Sequence[Tensor], shape: tuple[int, int, int]) -> None:
        self.shape = shape
        self.parameters: list[Tensor] = [p.requires_grad_() for p in parameters]

    @classmethod
    def stack(
        cls, heads: list[list[Tensor]], folds: int, inits: int, device: torch.device, dtype: torch.dtype
    ) -> Heads:
        """Stack heads, those of a fold after each other."""
        import torch

        stacked = [torch.stack(p).to(device, dtype) for p in zip(*heads, strict=True)]
        hidden = stacked[0].shape[-1]
        wide = stacked[0].view(folds, inits, -1, hidden).transpose(1, 2).contiguous()
        return cls([wide, *stacked[1:]], (folds, inits, hidden))

    def only(self, keep: Tensor) -> Heads:
        """Copy the heads of some folds, int64 [n]."""
        import torch

        _, inits, hidden = self.shape
        heads = (keep[:, None] * inits + torch.arange(inits, device=keep.device)).flatten()
        first, *others = (p.detach() for p in self.parameters)
        return Heads([first[keep], *(p[heads] for p in others)], (len(keep), inits, hidden))

    def bytes_per_unit(self, store: Store) -> int:
        """Memory that the forward pass holds for one unit of every fold."""
        folds, inits, hidden = self.shape
        numbers = folds * store.length * (3 * store.width + 4 * inits * hidden)
        return int(numbers * store.dtype.itemsize)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Map frames [F, B, T, D] to standardised targets [F, I, B]."""
        import torch
        from torch.nn.functional import gelu

        folds, inits, hidden = self.shape
        w1, b1, w2, b2, wk, bk, query, wo, bo = self.parameters
        units, length = x.shape[1:3]
        first = torch.bmm(x.flatten(1, 2), w1.flatten(2)).view(folds, units * length, inits, hidden)
        frames = gelu(first.transpose(1, 2).reshape(folds * inits, units * length, hidden) + b1[:, None])
        frames = gelu(torch.baddbmm(b2[:, None], frames, w2))
        keys = torch.tanh(torch.baddbmm(bk[:, None], frames, wk))
        logits = torch.bmm(keys, query[:, :, None]).view(folds, inits, units, length)
        weight = logits.masked_fill(~present[:, None], float("-inf")).softmax(dim=3)
        mean = torch.matmul(weight.unsqueeze(3), frames.view(folds, inits, units, length, hidden)).squeeze(3)
        out = torch.bmm(mean.flatten(0, 1), wo[:, :, None]).squeeze(2) + bo
        return out.view(folds, inits, units)

    def take_over(self, other: Heads, which: Tensor, rows: Tensor) -> None:
        """Copy the heads in `which` [f, I] of another, whose folds stand in `rows` [f] of this one."""
        import torch

        fold, init = which.nonzero(as_tuple=True)
        inits = self.shape[1]
        with torch.no_grad():
            for k, (mine, theirs) in enumerate(zip(self.parameters, other.parameters, strict=True)):
                if k == 0:
                    mine[rows[fold], :, init] = theirs[fold, :, init]
                else:
                    mine[rows[fold] * inits + init] = theirs[fold * inits + init]


def pad(lists: Sequence[IntArray]) -> tuple[IntArray, FloatArray]:
    """Stack index lists of uneven length, repeating the first entry; the weights tell what is real."""
    longest = max(map(len, lists))
    units = np.stack([np.concatenate([row, np.full(longest - len(row), row[0])]) for row in lists])
    weight = np.stack([(np.arange(longest) < len(row)).astype(np.float64) for row in lists])
    return units, weight
