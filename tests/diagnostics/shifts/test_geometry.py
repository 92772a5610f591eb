"""The beams of a picture are found where they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from usbench.diagnostics.shifts.geometry import geometry_of

from . import pictures


@pytest.mark.parametrize("seed", range(3))
def test_a_fan_is_found_with_its_apex_and_angles(seed: int) -> None:
    geometry = geometry_of(pictures.fan(seed=seed))
    assert geometry.kind == "fan"
    assert geometry.apex == pytest.approx(pictures.APEX, abs=12)
    first, last, near, _ = geometry.span
    assert (first, last) == pytest.approx((-pictures.HALF_ANGLE, pictures.HALF_ANGLE), abs=np.deg2rad(2))
    assert near - pictures.NEAR == pytest.approx(geometry.apex[0] * -1 - 120, abs=6)
    distance, angle = pictures.true_coordinates()
    inside = pictures.fan(seed=seed) > 0
    assert (geometry.inside & inside).sum() > 0.97 * inside.sum()
    truth = (distance - pictures.NEAR) / (pictures.FAR - pictures.NEAR)
    assert np.abs(geometry.depth - truth)[inside].mean() < 0.03
    assert np.abs(geometry.beam - (angle / pictures.HALF_ANGLE + 1) / 2)[inside].mean() < 0.03


def test_one_side_in_shadow_is_mirrored() -> None:
    picture = pictures.fan()
    picture[:, 230:] = 0
    geometry = geometry_of(picture)
    assert geometry.kind == "fan"
    assert geometry.apex == pytest.approx(pictures.APEX, abs=12)


def test_breast_images_are_linear(bus_bra_subset: Path) -> None:
    kinds = []
    for path in sorted((bus_bra_subset / "Images").glob("*.png"))[::12]:
        kinds.append(geometry_of(np.asarray(Image.open(path).convert("L"))).kind)
    assert kinds.count("linear") >= 0.95 * len(kinds)


def test_captions_do_not_widen_the_field_of_view() -> None:
    picture = np.zeros((200, 300), np.uint8)
    picture[20:180, 40:220] = 90
    picture[30:40, 250:290] = 255
    geometry = geometry_of(picture)
    assert geometry.kind == "linear"
    left, right, top, bottom = geometry.span
    assert (left, right, top, bottom) == pytest.approx((40, 219, 20, 179), abs=2)
    assert not geometry.inside[35, 270]


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (40, 3), (64, 64)])
@pytest.mark.parametrize("value", [0, 255])
def test_pictures_without_shape_are_linear_and_whole(shape: tuple[int, int], value: int) -> None:
    geometry = geometry_of(np.full(shape, value, np.uint8))
    assert geometry.kind == "linear"
    assert geometry.inside.all()


@pytest.mark.parametrize("make", [pictures.fan, lambda: np.full((120, 150), 80, np.uint8)])
def test_there_and_back_through_beam_coordinates(make: object) -> None:
    picture = make()  # type: ignore[operator]
    geometry = geometry_of(picture)
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    smooth = np.sin(x / 30) + np.cos(y / 40)
    back = geometry.from_beams(geometry.to_beams(smooth.astype(np.float32)))
    margin = geometry.inside & (x > 2) & (x < picture.shape[1] - 3) & (y > 2) & (y < picture.shape[0] - 3)
    assert np.abs(back - smooth)[margin].max() < 0.12
