"""Temporal-attention regression: all folds and initialisations trained together as one batched model.

The head maps the frames of a unit to its target: two linear layers with GELU on each frame, attention over the frames
with a learnt query (padding masked), and a linear layer on the attended mean. It treats frames as a set: they are drawn
at random from several videos, so their order carries nothing to learn from.

Parameters of all heads are stacked. Heads of one fold see the same mini-batches, so their first layers, where almost
all the arithmetic is, are one wide matrix product per fold; later layers are batched products over all heads. A
stopped head keeps its best parameters while the others go on; most stop long before the last one, and a fold without
any other leaves the batch. The optimiser works element by element, so nothing couples the heads: predictions
are those of training one by one (`benchmarks/heads_one_by_one.py`).

References:
    Bahdanau D, Cho K, Bengio Y. Neural machine translation by jointly learning to align and translate. ICLR 2015.
    Ilse M, Tomczak J, Welling M. Attention-based deep multiple instance learning. ICML 2018.
    Loshchilov I, Hutter F. Decoupled weight decay regularization. ICLR 2019.
"""

from __future__ import annotations

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
from usbench.probes.attention.stacked import Heads, Store, init_head, pad
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
# Heads that a core trains together: enough to hide the interpreter, few enough for its memory to be near.
_HEADS_AT_ONCE = 64
# Share of the folds that are still trained at which the others are taken out of the batch.
_SHRINK = 0.8


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

    store = Store(frames, y, plans, device, getattr(torch, dtype))
    heads = [init_head(store.width, settings.hidden, p.weight_seed(i)) for p in plans for i in range(n_initialisations)]
    model = Heads.stack(heads, len(plans), n_initialisations, device, store.dtype)
    optimiser = _optimiser(model, settings)
    steps = steps_per_epoch(plans, settings) if steps is None else steps
    best_loss = torch.full((len(plans), n_initialisations), float("inf"), device=device, dtype=store.dtype)
    best_epoch = torch.zeros(best_loss.shape, device=device, dtype=torch.int64)
    best = Heads([p.detach().clone() for p in model.parameters], model.shape)
    # What is trained, of all folds: positions, frames and model get fewer as folds come to their end.
    rows, seen = torch.arange(len(plans), device=device), store
    for epoch in range(settings.max_epochs):
        current = [plans[k] for k in rows.tolist()]
        dealt = [plan.batches(epoch, steps) for plan in current]
        for step in range(steps):
            units, weight = pad([batches[step] for batches in dealt])
            answer = model.forward(*seen.take(units))
            loss = _huber(answer, seen.targets(units), seen.send(weight)).sum()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        held_out, real = pad([plan.validation for plan in current])
        now = _huber(_apply(model, seen, held_out), seen.targets(held_out), seen.send(real))
        better = (now < best_loss[rows]) & (epoch - best_epoch[rows] <= settings.patience)
        best_loss[rows] = torch.where(better, now, best_loss[rows])
        best_epoch[rows] = torch.where(better, epoch, best_epoch[rows])
        best.take_over(model, better, rows)
        going = (epoch - best_epoch[rows] < settings.patience).any(dim=1)
        if not bool(going.any()):
            break
        if int(going.sum()) <= _SHRINK * len(rows):
            keep = going.nonzero()[:, 0]
            rows, seen = rows[keep], seen.only(keep)
            model, optimiser = _only(model, optimiser, keep, settings)
    predicted = _apply(best, store, pad([plan.split.test for plan in plans])[0]).double().cpu().numpy()
    in_units = [
        plan.target_mean + plan.target_scale * predicted[k, :, : len(plan.split.test)] for k, plan in enumerate(plans)
    ]
    return in_units, best_epoch.cpu().numpy(), best_loss.double().cpu().numpy()


def _optimiser(model: Heads, settings: HeadSettings) -> torch.optim.AdamW:
    import torch

    return torch.optim.AdamW(
        model.parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )


def _only(
    model: Heads, optimiser: torch.optim.AdamW, keep: Tensor, settings: HeadSettings
) -> tuple[Heads, torch.optim.AdamW]:
    """Model and optimiser of some of the folds, in the state they are in."""
    smaller = model.only(keep)
    found = _optimiser(smaller, settings)
    states = [optimiser.state[p] for p in model.parameters]
    for name in ("exp_avg", "exp_avg_sq"):
        moments = Heads([state[name] for state in states], model.shape).only(keep)
        for parameter, state, moment in zip(smaller.parameters, states, moments.parameters, strict=True):
            found.state[parameter] |= {"step": state["step"].clone(), name: moment.detach()}
    return smaller, found


def _huber(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean Huber loss of each head [F, I] from predictions [F, I, B], targets and weights [F, B]."""
    from torch.nn.functional import smooth_l1_loss

    loss = smooth_l1_loss(predicted, target[:, None].expand_as(predicted), reduction="none")
    return (loss * weight[:, None]).sum(dim=2) / weight.sum(dim=1)[:, None]


def _apply(model: Heads, store: Store, units: IntArray) -> Tensor:
    """Standardised predictions [F, I, B] of each fold's units [F, B], a bounded number of them at a time."""
    import torch

    at_once = max(1, _FORWARD_BYTES // model.bytes_per_unit(store))
    with torch.no_grad():
        parts = [
            model.forward(*store.take(units[:, start : start + at_once])) for start in range(0, units.shape[1], at_once)
        ]
        return torch.cat(parts, dim=2)


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
