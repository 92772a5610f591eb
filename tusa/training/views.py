"""The views that a step learns from: two large ones of every image, coloured, and small ones."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from tusa.training.augment import colour_view, jittered_boxes, random_boxes, random_flips, spatial_view
from tusa.training.config import Phase, TrainConfig
from tusa.training.ranks import ALONE, Ranks
from tusa.training.teacher import TeacherBank


class Views(NamedTuple):
    """Views of each of B images, at the size of a phase.

    Attributes:
        clean: ``[2B, 1, S, S]`` in [-1, 1]: first spatial view of every image, then the second.
        coloured: ``[C * 2B, 1, S, S]``: ``clean`` coloured once and, with two colours, again.
        second: ``[decoded, 1, S, S]``: with one colour, the first views of what is decoded, coloured again; of each
            part of the step one after the other.
        local: ``[L * B, 1, s, s]``: L small views of every image.
        detailed: ``[2B, 1, S', S']``: ``clean`` at the backbone's size; empty where nothing is distilled.
        targets: ``[2B, D]``: a teacher's vectors of ``clean``; empty without one.
        subjects: integer ``[B]``.
    """

    clean: Tensor
    coloured: Tensor
    second: Tensor
    local: Tensor
    detailed: Tensor
    targets: Tensor
    subjects: Tensor


def make_views(
    images: Tensor,
    subjects: Tensor,
    phase: Phase,
    config: TrainConfig,
    ranks: Ranks = ALONE,
    bank: TeacherBank | None = None,
    rows: Tensor | None = None,
) -> Views:
    """Augment uint8 ``[B, H, W]`` images: twice in space, each once or twice in colour, and small views beside.

    Args:
        images: of this device.
        subjects: integer ``[B]``.
        phase: sizes, and how many images are decoded.
        config: the run.
        ranks: this device among all; random numbers are drawn for all of them.
        bank: with a bank, the two large views are two different boxes of each image, and its vectors come with them.
        rows: integer ``[B]`` on the CPU: which rows of the bank the images are.
    """
    augment, count, size, device = config.augment, len(images), phase.size, images.device
    detail = config.objective.backbone_size if config.objective.distillation else 0
    boxes, targets = _large_boxes(count, config, ranks, bank, rows)
    flips = [random_flips(count, augment, ranks) for _ in range(2)]
    largest = max(size, detail)
    crops = torch.cat(
        [spatial_view(images, box.to(device), flip.to(device), largest) for box, flip in zip(boxes, flips, strict=True)]
    )
    clean = crops if largest == size else _resized(crops, size)
    detailed = (crops if largest == detail else _resized(crops, detail)) if detail else crops[:0]
    coloured = torch.cat([colour_view(clean, augment, 2, ranks) for _ in range(augment.colours)])
    second = clean[:0]
    if phase.decoded and augment.colours == 1:
        parts, each = phase.accumulate, phase.decoded // phase.accumulate
        second = colour_view(torch.unflatten(clean[:count], 0, (parts, -1))[:, :each].flatten(0, 1), augment, 1, ranks)
    local = []
    for _ in range(augment.local_crops):
        box = random_boxes(count, augment, augment.local_scale, ranks).to(device)
        flip = random_flips(count, augment, ranks).to(device)
        local.append(colour_view(spatial_view(images, box, flip, phase.local_size), augment, 1, ranks))
    small = torch.cat(local) if local else clean[:0]
    clean, coloured, second, small, detailed = (part * 2 - 1 for part in (clean, coloured, second, small, detailed))
    return Views(clean, coloured, second, small, detailed, targets.to(device), subjects)


def _large_boxes(
    count: int, config: TrainConfig, ranks: Ranks, bank: TeacherBank | None, rows: Tensor | None
) -> tuple[list[Tensor], Tensor]:
    augment = config.augment
    if bank is None or rows is None:
        boxes = [random_boxes(count, augment, augment.crop_scale, ranks) for _ in range(2)]
        return boxes, boxes[0].new_zeros(2 * count, 0)
    crops = bank.boxes.shape[1]
    draws = ranks.share(torch.rand(count * ranks.size, 2))
    first = (draws[:, 0] * crops).long().clamp(max=crops - 1)
    second = (first + 1 + (draws[:, 1] * (crops - 1)).long().clamp(max=max(0, crops - 2))) % crops
    boxes = [jittered_boxes(bank.boxes[rows, pick], augment.box_jitter, ranks) for pick in (first, second)]
    if not config.objective.taught:
        return boxes, boxes[0].new_zeros(2 * count, 0)
    device = bank.vectors.device
    return boxes, torch.cat([bank.vectors[rows.to(device), pick.to(device)] for pick in (first, second)])


def _resized(views: Tensor, size: int) -> Tensor:
    return functional.interpolate(views, (size, size), mode="bilinear", antialias=True)


def split_views(views: Views, parts: int) -> list[Views]:
    """Cut a step's views into parts of whole images, for gradient accumulation."""
    if parts == 1:
        return [views]
    count = len(views.subjects)

    def cut(tensor: Tensor) -> list[Tensor]:
        # Copies come one after the other, so a part takes the same images of every copy.
        rows = torch.unflatten(tensor, 0, (-1, count) if len(tensor) else (0, 1))
        return [part.flatten(0, 1) for part in torch.tensor_split(rows, parts, dim=1)]

    fields = {name: cut(getattr(views, name)) for name in ("clean", "coloured", "local", "detailed", "targets")}
    fields["second"] = list(views.second.tensor_split(parts))
    fields["subjects"] = list(views.subjects.chunk(parts))
    return [Views(**{name: cuts[part] for name, cuts in fields.items()}) for part in range(parts)]
