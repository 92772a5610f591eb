"""The temporal-attention head trained one at a time: the plain statement of what the batched trainer does.

It exists to be read, and to be compared with: same plan, same seeds, same predictions, several times slower.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from usbench.probes.attention.folds import FoldPlan, Frames, HeadSettings, steps_per_epoch
from usbench.probes.attention.head import Dtype
from usbench.probes.attention.stacked import init_head
from usbench.statistics._types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn


def train_heads_one_by_one(
    frames: Frames,
    y: FloatArray,
    plans: list[FoldPlan],
    settings: HeadSettings,
    n_initialisations: int,
    device: torch.device,
    dtype: Dtype,
) -> tuple[list[FloatArray], IntArray, FloatArray]:
    """Train each head by itself; arguments and results are those of `usbench.probes.attention.head.train_heads`."""
    import torch

    kind: torch.dtype = getattr(torch, dtype)
    steps = steps_per_epoch(plans, settings)
    predicted = [np.empty((n_initialisations, len(plan.split.test))) for plan in plans]
    best_epoch = np.zeros((len(plans), n_initialisations), dtype=np.int64)
    best_loss = np.zeros((len(plans), n_initialisations))
    present = torch.from_numpy(frames.present).to(device)
    for k, plan in enumerate(plans):
        scaled = (frames.values - plan.mean) / plan.scale
        x = torch.from_numpy(scaled).to(device, kind)
        target = torch.from_numpy((y - plan.target_mean) / plan.target_scale).to(device, kind)
        for i in range(n_initialisations):
            head = _head(frames.values.shape[2], settings.hidden, plan.weight_seed(i)).to(device, kind)
            best_epoch[k, i], best_loss[k, i] = _train(head, x, present, target, plan, settings, steps)
            with torch.no_grad():
                test = torch.from_numpy(plan.split.test).to(device)
                answer = head(x[test], present[test]).double().cpu().numpy()
            predicted[k][i] = plan.target_mean + plan.target_scale * answer
    return predicted, best_epoch, best_loss


def _train(
    head: nn.Module, x: Tensor, present: Tensor, target: Tensor, plan: FoldPlan, settings: HeadSettings, steps: int
) -> tuple[int, float]:
    """Train one head and leave it with its best parameters; returns the best pass and its validation loss."""
    import torch
    from torch.nn.functional import smooth_l1_loss

    optimiser = torch.optim.AdamW(head.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay)
    held_out = torch.from_numpy(plan.validation).to(x.device)
    best, best_epoch, best_state = float("inf"), 0, copy.deepcopy(head.state_dict())
    for epoch in range(settings.max_epochs):
        for batch in plan.batches(epoch, steps):
            units = torch.from_numpy(batch).to(x.device)
            loss = smooth_l1_loss(head(x[units], present[units]), target[units])
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        with torch.no_grad():
            current = float(smooth_l1_loss(head(x[held_out], present[held_out]), target[held_out]))
        if current < best:
            best, best_epoch, best_state = current, epoch, copy.deepcopy(head.state_dict())
        elif epoch - best_epoch >= settings.patience:
            break
    head.load_state_dict(best_state)
    return best_epoch, best


def _head(width: int, hidden: int, seed: int) -> nn.Module:
    """Build one head as an ordinary module with the parameters of `init_head`."""
    import torch
    from torch import nn
    from torch.nn.functional import gelu

    class Head(nn.Module):
        """Two linear layers on each frame, attention over frames, one linear layer."""

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Linear(width, hidden)
            self.second = nn.Linear(hidden, hidden)
            self.key = nn.Linear(hidden, hidden)
            self.query = nn.Linear(hidden, 1, bias=False)
            self.out = nn.Linear(hidden, 1)

        def forward(self, x: Tensor, present: Tensor) -> Tensor:
            """Map frames [B, T, D] to standardised targets [B]."""
            frames = gelu(self.second(gelu(self.first(x))))
            logits = self.query(torch.tanh(self.key(frames))).squeeze(2)
            weight = logits.masked_fill(~present, float("-inf")).softmax(dim=1)
            mean = (weight[:, :, None] * frames).sum(dim=1)
            answer: Tensor = self.out(mean).squeeze(1)
            return answer

    head = Head()
    w1, b1, w2, b2, wk, bk, query, wo, bo = init_head(width, hidden, seed)
    linear = ((head.first, w1, b1), (head.second, w2, b2), (head.key, wk, bk), (head.out, wo[:, None], bo))
    with torch.no_grad():
        for layer, weight, bias in linear:
            layer.weight.copy_(weight.T)
            layer.bias.copy_(bias)
        head.query.weight.copy_(query[None])
    return head
