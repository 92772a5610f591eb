"""Temporal-attention regression: all folds and initialisations trained together as one batched model.

The head maps the frames of a unit to its target: two linear layers with GELU on each frame, attention over the frames
with a learnt query (padding masked), and a linear layer on the attended mean. It treats frames as a set: they are drawn
at random from several videos, so their order carries nothing to learn from.

Parameters of all heads are stacked. Heads of one fold see the same mini-batches, so their first layers, where almost
all the arithmetic is, are one wide matrix product per fold; later layers are batched products over all heads. A
stopped head keeps its best parameters while the others go on, which is why a CPU trains a few folds at a time: most
heads stop long before the last one. The optimiser works element by element, so nothing couples the heads: predictions
are those of training one by one (`benchmarks/heads_one_by_one.py`).

References:
    Bahdanau D, Cho K, Bengio Y. Neural machine translation by jointly learning to align and translate. ICLR 2015.
    Ilse M, Tomczak J, Welling M. Attention-based deep multiple instance learning. ICML 2018.
    Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Literal

import numpy as np

from usbench.errors import UsbenchError
from usbench.probes.attention.folds import (
    FoldPlan,
    Frames,
    HeadSettings,
    arrange_frames,
    plan_folds,
    steps_per_epoch,
)
from usbench.probes.data import FoldChoice
from usbench.probes.problem import Answer, Problem
from usbench.probes.threads import torch_threads
from usbench.statistics._types import FloatArray, IntArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Dtype = Literal["float32", "float64"]

# Memory that one forward pass may hold when nothing is learnt from it.
_FORWARD_BYTES = 256 * 2**20
# Memory for frames that are standardised once for each fold, not each time they are taken.
_STANDARDISED_BYTES = 256 * 2**20
# Heads that a core trains together: enough to hide the interpreter, few enough to stop early.
_HEADS_AT_ONCE = 32


def attention_paper(
    problem: Problem,
    n_initialisations: int = 10,
    hidden: int = 32,
    learning_rate: float = 1e-3,
    weight_decay: float = 1e-2,
    max_epochs: int = 100,
    patience: int = 10,
    validation_share: float = 0.2,
    batch_units: int = 8,
    device: str = "cpu",
    dtype: Dtype = "float32",
) -> Answer:
    """Regress the target on the frames of a unit, from several random initialisations.

    Features and target are standardised on the training units; early stopping looks at whole subjects set aside from
    the training side, never at the test fold; the loss is Huber's, in standard deviations of the target.

    Args:
        problem: A regression problem.
        n_initialisations: Heads per fold, each from its own random weights.
        hidden: Width of the layers.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        max_epochs: Most passes over the training units.
        patience: Passes without a better validation loss before a head stops.
        validation_share: Share of the training subjects set aside for early stopping.
        batch_units: Units in a mini-batch.
        device: "cpu", "cuda" or "cuda:N".
        dtype: Precision of training.

    Returns:
        Predictions, one repeat for each initialisation of each repeat of the splits (repeat number = split repeat *
        `n_initialisations` + initialisation), and the pass at which each head was best.

    Raises:
        DataError: If a fold has too few subjects to set some aside, or a constant target.
        UsbenchError: If an option is out of range, or the device does not exist.
    """
    settings = HeadSettings(hidden, learning_rate, weight_decay, max_epochs, patience, validation_share, batch_units)
    _check(settings, n_initialisations)
    frames = arrange_frames(problem.data)
    plans = plan_folds(problem, frames, settings)
    predicted, best_epoch, best_loss = train_in_threads(
        frames, problem.y, plans, settings, n_initialisations, _device(device), dtype, problem.n_jobs
    )
    answers, choices = [], []
    for i in range(n_initialisations):
        for k, plan in enumerate(plans):
            repeat = plan.repeat * n_initialisations + i
            score = predicted[k][i]
            answers.append((repeat, plan.fold, plan.split, score, score))
            parameters = {"initialisation": float(i), "epoch": float(best_epoch[k, i])}
            choices.append(FoldChoice(repeat, plan.fold, plan.split.fold, parameters, float(best_loss[k, i])))
    return problem.gather(answers), tuple(choices)


def train_in_threads(
    frames: Frames,
    y: FloatArray,
    plans: list[FoldPlan],
    settings: HeadSettings,
    n_initialisations: int,
    device: torch.device,
    dtype: Dtype,
    n_jobs: int,
) -> tuple[list[FloatArray], IntArray, FloatArray]:
    """Share the folds out among threads, each training a few of them at a time as one batched model on one core.

    Threads of their own need not meet at every matrix product, as torch's threads do; on a busy machine those spend
    most of their time waiting for each other. On a GPU all folds are one batch.

    Args:
        frames: Frames by unit.
        y: Target of each unit, float64 [n_units].
        plans: What to train on, a plan per fold.
        settings: Size and training of the head.
        n_initialisations: Heads per fold.
        device: Where to train.
        dtype: Precision of training.
        n_jobs: Number of threads; -1 for as many as there are cores.

    Returns:
        As `train_heads`.
    """
    from joblib import Parallel, cpu_count, delayed  # type: ignore[import-untyped]

    on_cpu = device.type == "cpu"
    threads = 1 if not on_cpu else n_jobs if n_jobs > 0 else cpu_count()
    at_once = max(1, _HEADS_AT_ONCE // n_initialisations) if on_cpu else len(plans)
    shares = [plans[k : k + at_once] for k in range(0, len(plans), at_once)]
    steps = steps_per_epoch(plans, settings)
    with torch_threads(1):
        parts = Parallel(n_jobs=min(threads, len(shares)), prefer="threads")(
            delayed(train_heads)(frames, y, share, settings, n_initialisations, device, dtype, steps)
            for share in shares
        )
    predicted = [fold for part in parts for fold in part[0]]
    return predicted, np.concatenate([part[1] for part in parts]), np.concatenate([part[2] for part in parts])


def train_heads(
    frames: Frames,
    y: FloatArray,
    plans: list[FoldPlan],
    settings: HeadSettings,
    n_initialisations: int,
    device: torch.device,
    dtype: Dtype,
    steps: int | None = None,
) -> tuple[list[FloatArray], IntArray, FloatArray]:
    """Train all heads of all folds together.

    Args:
        frames: Frames by unit.
        y: Target of each unit, float64 [n_units].
        plans: What to train on, a plan per fold.
        settings: Size and training of the head.
        n_initialisations: Heads per fold.
        device: Where to train.
        dtype: Precision of training.
        steps: Mini-batches in a pass; None for `steps_per_epoch` of these folds.

    Returns:
        For each fold the test predictions in the target's unit, float64 [n_initialisations, n_test]; the best pass of
        each head, int64 [n_folds, n_initialisations]; its validation loss in the same shape.
    """
    import torch

    store = _Store(frames, y, plans, device, getattr(torch, dtype))
    heads = [init_head(store.width, settings.hidden, p.weight_seed(i)) for p in plans for i in range(n_initialisations)]
    model = _Heads(heads, len(plans), n_initialisations, settings.hidden, device, store.dtype)
    optimiser = torch.optim.AdamW(
        model.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    steps = steps_per_epoch(plans, settings) if steps is None else steps
    held_out, real = _pad([plan.validation for plan in plans])
    held_target, held_weight = store.targets(held_out), store.send(real)
    best_loss = torch.full((len(plans), n_initialisations), float("inf"), device=device, dtype=store.dtype)
    best_epoch = torch.zeros(best_loss.shape, device=device, dtype=torch.int64)
    best = [p.detach().clone() for p in model.parameters]
    for epoch in range(settings.max_epochs):
        dealt = [plan.batches(epoch, steps) for plan in plans]
        for step in range(steps):
            units, weight = _pad([batches[step] for batches in dealt])
            answer = model.forward(*store.take(units))
            loss = _huber(answer, store.targets(units), store.send(weight)).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        current = _huber(_apply(model, store, held_out), held_target, held_weight)
        better = (current < best_loss) & (epoch - best_epoch <= settings.patience)
        best_loss = torch.where(better, current, best_loss)
        best_epoch = torch.where(better, epoch, best_epoch)
        model.keep(better, best)
        if bool((epoch - best_epoch >= settings.patience).all()):
            break
    model.restore(best)
    predicted = _apply(model, store, _pad([plan.split.test for plan in plans])[0]).double().cpu().numpy()
    in_units = [
        plan.target_mean + plan.target_scale * predicted[k, :, : len(plan.split.test)] for k, plan in enumerate(plans)
    ]
    return in_units, best_epoch.cpu().numpy(), best_loss.double().cpu().numpy()


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


class _Store:
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
        rows = _pad(used)[0]
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

    def _standardise(self, index: Tensor) -> Tensor:
        return (self._values[index] - self._mean) / self._scale

    def targets(self, units: IntArray) -> Tensor:
        """Standardised targets [F, B] of each fold's units [F, B]."""
        import torch

        return self._target.gather(1, torch.from_numpy(units).to(self.device))


class _Heads:
    """Stacked heads of F folds by I initialisations."""

    def __init__(
        self, heads: list[list[Tensor]], folds: int, inits: int, hidden: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        import torch

        self._shape = (folds, inits, hidden)
        stacked = [torch.stack(p).to(device, dtype) for p in zip(*heads, strict=True)]
        # First layer: the initialisations of a fold side by side, so that a fold is one matrix product.
        wide = stacked[0].view(folds, inits, -1, hidden).transpose(1, 2).contiguous()
        self.parameters: list[Tensor] = [p.requires_grad_() for p in (wide, *stacked[1:])]

    def bytes_per_unit(self, store: _Store) -> int:
        """Memory that the forward pass holds for one unit of every fold."""
        folds, inits, hidden = self._shape
        numbers = folds * store.length * (3 * store.width + 4 * inits * hidden)
        return int(numbers * store.dtype.itemsize)

    def forward(self, x: Tensor, present: Tensor) -> Tensor:
        """Map frames [F, B, T, D] to standardised targets [F, I, B]."""
        import torch
        from torch.nn.functional import gelu

        folds, inits, hidden = self._shape
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

    def keep(self, which: Tensor, best: list[Tensor]) -> None:
        """Copy the parameters of the heads in `which` [F, I] to the best ones so far."""
        import torch

        with torch.no_grad():
            for k, (now, kept) in enumerate(zip(self.parameters, best, strict=True)):
                shape = (*which.shape[:1], 1, which.shape[1], 1) if k == 0 else (-1, *[1] * (now.ndim - 1))
                torch.where(which.reshape(shape), now, kept, out=kept)

    def restore(self, best: list[Tensor]) -> None:
        """Take the kept parameters back."""
        import torch

        with torch.no_grad():
            for now, kept in zip(self.parameters, best, strict=True):
                now.copy_(kept)


def _huber(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean Huber loss of each head [F, I] from predictions [F, I, B], targets and weights [F, B]."""
    from torch.nn.functional import smooth_l1_loss

    loss = smooth_l1_loss(predicted, target[:, None].expand_as(predicted), reduction="none")
    return (loss * weight[:, None]).sum(dim=2) / weight.sum(dim=1)[:, None]


def _apply(model: _Heads, store: _Store, units: IntArray) -> Tensor:
    """Standardised predictions [F, I, B] of each fold's units [F, B], a bounded number of them at a time."""
    import torch

    at_once = max(1, _FORWARD_BYTES // model.bytes_per_unit(store))
    with torch.no_grad():
        parts = [
            model.forward(*store.take(units[:, start : start + at_once])) for start in range(0, units.shape[1], at_once)
        ]
        return torch.cat(parts, dim=2)


def _pad(lists: Sequence[IntArray]) -> tuple[IntArray, FloatArray]:
    """Stack index lists of uneven length, repeating the first entry; the weights tell what is real."""
    longest = max(map(len, lists))
    units = np.stack([np.concatenate([row, np.full(longest - len(row), row[0])]) for row in lists])
    weight = np.stack([(np.arange(longest) < len(row)).astype(np.float64) for row in lists])
    return units, weight


def _check(settings: HeadSettings, n_initialisations: int) -> None:
    if not 0 < settings.validation_share < 1:
        raise UsbenchError(f"A validation share of {settings.validation_share} makes no sense: give one such as 0.2.")
    for field in fields(settings):
        value = getattr(settings, field.name)
        if value < 0 or (value == 0 and field.name != "weight_decay"):
            raise UsbenchError(f"The attention head's {field.name} is {value}: it must be positive.")
    if n_initialisations < 1:
        raise UsbenchError(f"{n_initialisations} initialisations train nothing: ask for at least 1.")


def _device(name: str) -> torch.device:
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsbenchError(f"Unknown device {name!r}: use cpu, cuda or cuda:N.") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsbenchError("This machine has no CUDA device: use device='cpu'.")
    return device
