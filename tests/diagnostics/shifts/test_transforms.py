"""Each shift does what it says, along the beams, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from scipy import ndimage, stats

from usbench.diagnostics.shifts import transforms
from usbench.diagnostics.shifts.catalogue import SHIFTS, shift_frame, shift_key
from usbench.diagnostics.shifts.geometry import geometry_of
from usbench.diagnostics.shifts.levels import LEVELS, NAMES, Level

from . import pictures

Frame = npt.NDArray[np.uint8]
RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def breast(bus_bra_subset: Path) -> Frame:
    path = sorted((bus_bra_subset / "Images").glob("*.png"))[40]
    return np.asarray(Image.open(path).convert("L"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("which", ["fan", "linear"])
def test_every_shift_is_a_graded_repeatable_change_within_the_field_of_view(
    name: str, which: str, breast: Frame
) -> None:
    frame = pictures.fan() if which == "fan" else breast
    before = frame.copy()
    shifted = [shift_frame(frame, Level(name, s)) for s in LEVELS]
    assert (frame == before).all()
    change = [float(np.abs(s.astype(int) - frame).mean()) for s in shifted]
    assert change[0] > 0
    assert change == sorted(change)
    assert len(set(change)) == len(change)
    for s in shifted:
        assert s.dtype == np.uint8
        assert s.shape == frame.shape
        if name != "text":
            outside = ~geometry_of(frame).inside
            assert (s[outside] == frame[outside]).all()
    assert (shift_frame(np.asfortranarray(frame.copy()), Level(name, 4)) == shifted[3]).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", [(1, 1), (2, 90), (90, 2), (31, 17)])
def test_odd_sizes_and_dark_pictures_survive(name: str, shape: tuple[int, int]) -> None:
    for value in (0, 130):
        frame = np.full(shape, value, np.uint8)
        assert shift_frame(frame, Level(name, 5)).shape == shape


def test_chance_depends_on_the_picture_and_not_on_severity(breast: Frame) -> None:
    def darkened(frame: Frame, severity: int) -> Any:
        return shift_frame(frame, Level("shadow", severity)) < frame

    weak, strong = darkened(breast, 2), darkened(breast, 5)
    assert (strong | ~weak).mean() > 0.999  # the stronger shadow covers the weaker one
    other = breast.copy()
    other[0, 0] ^= 1
    assert (darkened(other, 5) != strong).mean() > 0.01


def test_keys_tell_levels_and_versions_apart() -> None:
    keys = {shift_key(Level(name, s)) for name in NAMES for s in LEVELS}
    assert len(keys) == len(NAMES) * len(LEVELS)
    assert all(key.endswith(f"@{SHIFTS[key.split(':')[1]].version}") for key in keys)


def test_gain_adds_decibels_saturates_and_leaves_black() -> None:
    frame = np.tile(np.array([0, 100, 250], np.uint8), (90, 30))
    out = transforms.gain(frame, geometry_of(frame), 6.0, RNG)
    black, grey, white = np.unique(out).tolist()
    assert (black, white) == (0, 255)
    assert grey == pytest.approx(100 + 6 * 255 / 60, abs=0.51)


def test_dynamic_range_keeps_white_and_stretches_the_rest() -> None:
    frame = np.tile(np.array([255, 200, 40], np.uint8), (90, 30))
    out = transforms.dynamic_range(frame, geometry_of(frame), 40.0, RNG)
    # 40 of 255 lies 50.6 dB below white, out of a range of 40 dB; 200 lies 12.9 dB below.
    black, grey, white = np.unique(out).tolist()
    assert (black, white) == (0, 255)
    assert grey == pytest.approx(255 * (1 - 12.94 / 40), abs=0.51)


def test_depth_gain_follows_the_distance_travelled() -> None:
    frame = pictures.fan()
    flat = np.where(frame > 0, 200, 0).astype(np.uint8)
    out = transforms.depth_gain(flat, geometry_of(flat), 12.0, RNG).astype(float)
    distance, angle = pictures.true_coordinates()
    for target in (180.0, 260.0, 340.0):
        ring = (np.abs(distance - target) < 2) & (np.abs(angle) < 0.5) & (flat > 0)
        depth = (target - pictures.NEAR) / (pictures.FAR - pictures.NEAR)
        assert out[ring].mean() == pytest.approx(200 - 12 * depth * 255 / 60, abs=3)
        assert out[ring].std() < 2  # equal along the arc, not along the row


def test_speckle_keeps_local_mean_and_contrast_and_forgets_the_pattern(breast: Frame) -> None:
    out = transforms.speckle(breast, geometry_of(breast), 100.0, np.random.default_rng(1)).astype(float)
    inner = (slice(20, -20), slice(20, -20))

    def parts(image: Any) -> tuple[Any, Any]:
        smooth = ndimage.gaussian_filter(np.asarray(image, float), 5.4)
        return smooth[inner], (image - smooth)[inner]

    (mean_a, fine_a), (mean_b, fine_b) = parts(breast), parts(out)
    assert np.corrcoef(mean_a.ravel(), mean_b.ravel())[0, 1] > 0.95
    assert fine_b.std() == pytest.approx(fine_a.std(), rel=0.25)
    assert abs(np.corrcoef(fine_a.ravel(), fine_b.ravel())[0, 1]) < 0.25


def test_fresh_speckle_is_log_rayleigh_with_short_memory() -> None:
    level = transforms._speckle_levels((400, 400), np.random.default_rng(0))
    assert stats.skew(level.ravel()) == pytest.approx(-1.14, abs=0.15)  # of the logarithm of a Rayleigh variable
    down = np.corrcoef(level[:-6].ravel(), level[6:].ravel())[0, 1]
    across = np.corrcoef(level[:, :-2].ravel(), level[:, 2:].ravel())[0, 1]
    assert abs(down) < 0.02
    assert across > 0.2


def test_blur_smears_across_the_beams_and_not_along_them() -> None:
    flat = np.full((200, 160), 20, np.uint8)
    flat[:, 80] = 220
    out = transforms.lateral_blur(flat, geometry_of(flat), 2.0, RNG)
    assert out[100, 78] > 60
    assert (np.ptp(out, axis=0) <= 1).all()
    layered = np.full((160, 160), 20, np.uint8)
    layered[80] = 220
    assert (transforms.lateral_blur(layered, geometry_of(layered), 2.0, RNG) == layered).all()


def test_blur_of_a_fan_widens_with_depth() -> None:
    distance, angle = pictures.true_coordinates()
    frame = np.where(pictures.fan() > 0, 40, 0).astype(np.uint8)
    spot = (np.abs(angle * distance) < 1.5) & (frame > 0)
    frame[spot] = 240
    out = transforms.lateral_blur(frame, geometry_of(frame), 1.5, RNG)

    def width(radius: float) -> int:
        ring = (np.abs(distance - radius) < 1) & (frame > 0) & (np.abs(angle) < 0.4)
        return int((out[ring] > 90).sum())

    assert width(380) > 1.3 * width(180)


def test_shadow_follows_a_beam_from_some_depth_on() -> None:
    flat = np.where(pictures.fan() > 0, 220, 0).astype(np.uint8)
    geometry = geometry_of(flat)
    out = transforms.shadow(flat, geometry, 20.0, np.random.default_rng(3)).astype(float)
    loss = (flat - out) * 60 / 255
    assert 17.0 < loss.max() <= 20.2
    dark = loss > 10
    assert 0.05 < dark.sum() / (flat > 0).sum() < 0.25
    assert np.ptp(geometry.beam[dark]) < 0.2  # narrow in angle over its whole length
    assert geometry.depth[dark].max() > 0.97
    assert geometry.depth[dark].min() > 0.03


def test_crop_takes_beams_from_both_sides() -> None:
    flat = np.where(pictures.fan() > 0, 150, 0).astype(np.uint8)
    out = transforms.crop(flat, geometry_of(flat), 40.0, RNG)
    _, angle = pictures.true_coordinates()
    share = np.abs(angle) / pictures.HALF_ANGLE
    assert (out[(share > 0.68) & (flat > 0)] == 0).all()
    assert (out[(share < 0.52) & (flat > 0)] == 150).all()


def test_text_only_brightens_and_is_little(breast: Frame) -> None:
    changed = [(shift_frame(breast, Level("text", s)) != breast).mean() for s in LEVELS]
    assert all((shift_frame(breast, Level("text", s)) >= breast).all() for s in LEVELS)
    assert 0.0005 < changed[0] < changed[-1] < 0.1
