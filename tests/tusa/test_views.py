"""Views: batched crops are what torch's resizing gives, and every view comes with its own teacher's vector."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tusa.errors import TusaError
from tusa.training.augment import colour_view, jittered_boxes, random_boxes, spatial_view
from tusa.training.config import AugmentConfig, ObjectiveConfig, Phase, TrainConfig
from tusa.training.teacher import TeacherBank
from tusa.training.views import make_views, split_views


@pytest.fixture
def images(image_files: list[Path]) -> torch.Tensor:
    squares = [np.asarray(Image.open(file).convert("L").resize((160, 160))) for file in image_files[:4]]
    return torch.from_numpy(np.stack(squares))


@pytest.mark.parametrize("size", [32, 64, 128])
def test_crops_are_those_of_torch(images: torch.Tensor, size: int) -> None:
    # Whole pixels, where torch can crop too; one smaller and one larger than the view, one whole image, one flipped.
    pixels = [(10, 20, 100, 90), (0, 0, 160, 160), (70, 60, 40, 50), (31, 5, 97, 120)]
    flips = torch.tensor([False, False, False, True])
    found = spatial_view(images, torch.tensor(pixels) / 160, flips, size)
    for view, image, (left, top, width, height), flip in zip(found, images, pixels, flips, strict=True):
        crop = image[top : top + height, left : left + width].float()[None, None] / 255
        wanted = torch.nn.functional.interpolate(crop, (size, size), mode="bilinear", antialias=True)[0]
        torch.testing.assert_close(view, wanted.flip(-1) if flip else wanted, atol=2e-4, rtol=0)


def test_boxes_lie_in_the_image_and_cover_what_they_should() -> None:
    torch.manual_seed(0)
    config = AugmentConfig(crop_ratio=(0.8, 1.25))
    boxes = random_boxes(2000, config, (0.1, 0.4))
    area = boxes[:, 2] * boxes[:, 3]
    assert (boxes >= 0).all()
    assert (boxes[:, :2] + boxes[:, 2:] <= 1 + 1e-6).all()
    assert 0.1 - 1e-6 <= area.min() < 0.11
    assert 0.39 < area.max() <= 0.4 + 1e-6
    moved = jittered_boxes(boxes, 0.1)
    assert (moved[:, :2] >= 0).all()
    assert (moved[:, :2] + moved[:, 2:] <= 1 + 1e-6).all()
    assert 0 < (moved[:, :2] - boxes[:, :2]).abs().max() <= 0.1
    assert torch.equal(jittered_boxes(boxes, 0.0)[:, :2], boxes[:, :2])


def test_colours_of_no_strength_change_nothing(images: torch.Tensor) -> None:
    still = AugmentConfig(brightness=0, contrast=0, gamma=0, blur_p=0, erase_p=0)
    views = images[:, None].float().clamp(min=1) / 255
    torch.testing.assert_close(colour_view(views, still), views, atol=1e-5, rtol=0)
    for change in ({"noise": 0.3}, {"depth_gain": 0.5}, {"gamma": 0.5}, {"blur_p": 1.0}, {"erase_p": 1.0}):
        changed = colour_view(views, replace(still, **change))
        assert (changed - views).abs().max() > 0.01, change
        assert changed.min() >= 0
        assert changed.max() <= 1


def bank_config(**objective: float) -> TrainConfig:
    return TrainConfig(
        augment=AugmentConfig(colours=1, local_crops=3, box_jitter=0.0, flip_p=0.0),
        data=replace(TrainConfig().data, bank="somewhere"),
        objective=ObjectiveConfig(**objective),
    )


def test_large_views_are_the_bank_s_boxes_and_bring_their_vectors(images: torch.Tensor) -> None:
    boxes = torch.rand(7, 5, 4) * 0.4 + 0.1
    # A vector that says which image and box it is of.
    vectors = torch.stack(torch.meshgrid(torch.arange(7.0), torch.arange(5.0), indexing="ij"), dim=-1)
    rows = torch.tensor([6, 2, 3, 0])
    phase = Phase(steps=1, size=64, images=4, decoded=2, local_size=32)
    views = make_views(
        images,
        torch.arange(4),
        phase,
        bank_config(teacher_prediction=1.0),
        bank=TeacherBank(boxes, vectors, {}),
        rows=rows,
    )
    assert views.targets[:, 0].tolist() == [6, 2, 3, 0] * 2
    crops = views.targets[:, 1].long()
    assert (crops[:4] != crops[4:]).all()
    wanted = spatial_view(images.repeat(2, 1, 1), boxes[rows.repeat(2), crops], torch.zeros(8, dtype=torch.bool), 64)
    torch.testing.assert_close(views.clean, wanted * 2 - 1)
    assert views.coloured.shape == (8, 1, 64, 64)
    assert views.local.shape == (12, 1, 32, 32)
    assert views.second.shape == (2, 1, 64, 64)


def test_without_the_teacher_s_terms_the_views_are_the_same_and_no_vector_is_there(images: torch.Tensor) -> None:
    bank = TeacherBank(torch.rand(4, 5, 4) * 0.4 + 0.1, torch.randn(4, 5, 8), {})
    phase, found = Phase(steps=1, size=64, images=4, decoded=0), []
    for objective in ({"teacher_relation": 1.0}, {}):
        torch.manual_seed(5)
        config = bank_config(**objective)
        found.append(make_views(images, torch.arange(4), phase, config, bank=bank, rows=torch.arange(4)))
    assert torch.equal(found[0].coloured, found[1].coloured)
    assert torch.equal(found[0].local, found[1].local)
    assert found[0].targets.shape == (8, 8)
    assert found[1].targets.shape == (8, 0)


def test_parts_hold_the_same_images_of_every_copy(images: torch.Tensor) -> None:
    phase = Phase(steps=1, size=64, images=4, decoded=2, accumulate=2)
    views = make_views(images, torch.arange(4), phase, bank_config())
    first, second = split_views(views, 2)
    assert torch.equal(first.coloured, views.coloured[[0, 1, 4, 5]])
    assert torch.equal(second.local, views.local[[2, 3, 6, 7, 10, 11]])
    assert second.subjects.tolist() == [2, 3]
    # The second colouring of what is decoded is of the first image of each part.
    for part in (first, second):
        assert part.second.shape == (1, 1, 64, 64)
        near = (part.second - part.clean[:2]).abs().mean(dim=(1, 2, 3))
        assert near[0] < near[1]


def test_settings_that_cannot_be() -> None:
    with pytest.raises(TusaError, match="colours"):
        AugmentConfig(colours=3)
    with pytest.raises(TusaError, match="local_scale"):
        AugmentConfig(local_scale=(0.5, 0.2))
    with pytest.raises(TusaError, match="tusa teacher"):
        TrainConfig(objective=ObjectiveConfig(teacher_matching=1.0))
