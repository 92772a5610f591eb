"""The simulator's core against what is known of speckle, pulses, beams, geometry and attenuation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from usbench_tasks.phantoms.display import Display, pixel_positions
from usbench_tasks.phantoms.fields import Texture, decibels, soft_step
from usbench_tasks.phantoms.physics import (
    Probe,
    Scatterers,
    Sector,
    electronic_noise,
    path_gain,
    receive,
    scatter_uniformly,
    surface,
)

PROBE = Probe(frequency=3.5, aperture=18.0, focus=70.0)
SECTOR = Sector(radius=50.0, half_angle=0.4, depth=120.0, lines=128, samples=960)


@pytest.fixture(scope="module")
def speckle() -> np.ndarray:
    """Magnitude of the echo of even tissue, away from the face and the edges."""
    cloud = scatter_uniformly(SECTOR, PROBE, np.random.default_rng(3), per_cell=10.0)
    return np.abs(receive(cloud, PROBE, SECTOR))[200:-40, 8:-8]


def point(depth: float, angle: float = 0.0) -> Scatterers:
    reach = SECTOR.radius + depth
    return Scatterers(
        np.array([reach * math.sin(angle)], np.float32),
        np.array([reach * math.cos(angle) - SECTOR.radius], np.float32),
        np.ones(1, np.float32),
    )


def width_at_half(profile: np.ndarray) -> float:
    """Full width at half maximum in samples, to a fraction of one."""
    top = int(profile.argmax())
    half = profile[top] / 2
    right = top + int(np.argmax(profile[top:] < half))
    left = top - int(np.argmax(profile[top::-1] < half))
    right_cut = right - (half - profile[right]) / (profile[right - 1] - profile[right])
    left_cut = left + (half - profile[left]) / (profile[left + 1] - profile[left])
    return float(right_cut - left_cut)


def test_speckle_is_rayleigh_distributed(speckle: np.ndarray) -> None:
    # Wagner et al. 1983: mean over standard deviation of the envelope is sqrt(pi / (4 - pi)) = 1.913.
    assert speckle.mean() / speckle.std() == pytest.approx(math.sqrt(math.pi / (4 - math.pi)), abs=0.06)
    # All of the distribution, not only two moments: the power of circular Gaussian echoes is exponential.
    power = speckle.ravel() ** 2 / np.mean(speckle**2)
    for quantile in (0.1, 0.25, 0.5, 0.75, 0.9, 0.99):
        assert np.quantile(power, quantile) == pytest.approx(-math.log(1 - quantile), rel=0.12)


def test_few_scatterers_a_cell_are_not_fully_developed() -> None:
    sparse = scatter_uniformly(SECTOR, PROBE, np.random.default_rng(3), per_cell=0.3)
    echo = np.abs(receive(sparse, PROBE, SECTOR))[200:-40, 8:-8]
    assert echo.mean() / echo.std() < 1.6


def test_tissue_of_0_db_has_unit_power_at_every_depth(speckle: np.ndarray) -> None:
    by_depth = np.mean(speckle**2, axis=1).reshape(-1, 90).mean(axis=1)
    assert np.all(np.abs(10 * np.log10(by_depth)) < 1.0)


def test_the_levels_of_tissue_are_kept() -> None:
    cloud = scatter_uniformly(SECTOR, PROBE, np.random.default_rng(4))
    dim = Scatterers(cloud.x, cloud.z, cloud.amplitude * decibels(np.where(cloud.x > 0, -20.0, 0.0)))
    power = np.mean(np.abs(receive(dim, PROBE, SECTOR))[200:-40] ** 2, axis=0)
    assert 10 * math.log10(power[80:120].mean() / power[8:48].mean()) == pytest.approx(-20.0, abs=0.8)


@pytest.mark.parametrize("frequency", [2.5, 5.0])
@pytest.mark.parametrize("bandwidth", [0.4, 0.8])
def test_the_pulse_is_as_long_as_its_bandwidth_allows(frequency: float, bandwidth: float) -> None:
    probe = Probe(frequency, 18.0, 70.0, bandwidth)
    line = np.abs(receive(point(70.0), probe, SECTOR)).max(axis=1)
    # A Gaussian spectrum of half-amplitude width B has an envelope of 4 ln 2 / (pi B) in time; c/2 of it in range.
    expected = 1.54 / 2 * 4 * math.log(2) / (math.pi * bandwidth * frequency)
    assert width_at_half(line) * SECTOR.step == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("depth", [30.0, 70.0, 110.0])
def test_the_beam_is_narrowest_at_the_focus_and_as_wide_as_diffraction_says(depth: float) -> None:
    fine = Sector(SECTOR.radius, 0.2, SECTOR.depth, 301, SECTOR.samples)
    echo = np.abs(receive(point(depth), PROBE, fine))
    row = int(echo.max(axis=1).argmax())
    measured = width_at_half(echo[row]) * fine.pitch * (fine.radius + depth)
    waist = 0.7 * PROBE.wavelength * PROBE.focus / PROBE.aperture
    # A Gaussian beam: with waist w (FWHM) the spread over dz is dz * wavelength * 2 ln 2 / (pi w).
    spread = abs(depth - PROBE.focus) * PROBE.wavelength * 2 * math.log(2) / (math.pi * waist)
    assert measured == pytest.approx(math.hypot(waist, spread), rel=0.04)
    assert abs(row * fine.step - depth) < 2 * fine.step


def test_a_mirror_answers_where_the_beam_meets_it_at_a_right_angle() -> None:
    def strength(tilt: float) -> float:
        x = np.linspace(-25.0, 25.0, 400, dtype=np.float32)
        face = surface(x, 60.0 + x * np.float32(math.tan(tilt)), 0.0, 0.0, np.random.default_rng(0), PROBE.wavelength)
        flat = Sector(5000.0, 0.004, 120.0, 96, 960)  # nearly parallel lines
        return float(np.abs(receive(face, PROBE, flat))[:, 40:56].max())

    assert strength(0.0) > 10 * strength(0.25)


def test_attenuation_is_lost_twice_and_given_back_by_compensation() -> None:
    medium = np.full((SECTOR.samples, SECTOR.lines), 0.5, np.float32)
    assert np.allclose(path_gain(medium, SECTOR, PROBE, compensated=0.5), 1.0)
    gain = path_gain(medium, SECTOR, PROBE, compensated=0.0)
    # 0.5 dB/cm/MHz, 3.5 MHz, 12 cm there and back.
    assert 20 * math.log10(gain[-1, 0]) == pytest.approx(-0.5 * 3.5 * 24.0, rel=1e-3)
    coarse = path_gain(medium[::4], SECTOR, PROBE, compensated=0.0, every=4)
    assert coarse.shape == gain.shape
    assert np.allclose(np.log(coarse[3::4]), np.log(gain[3::4]), rtol=1e-3)


def test_noise_grows_with_the_compensation() -> None:
    noise = np.abs(electronic_noise(SECTOR, PROBE, -60.0, 0.5, np.random.default_rng(0)))
    near, far = (10 * math.log10(np.mean(noise[rows] ** 2)) for rows in (slice(20, 60), slice(-60, -20)))
    assert near == pytest.approx(-60.0 + 2 * 0.5 * 3.5 * SECTOR.ranges[40] / 10, abs=1.0)
    assert far - near == pytest.approx(2 * 0.5 * 3.5 * (SECTOR.ranges[-40] - SECTOR.ranges[40]) / 10, abs=1.0)


def test_range_and_angle_are_those_of_a_fan() -> None:
    x, z = SECTOR.positions()
    distance, angle = SECTOR.to_polar(x, z)
    assert np.allclose(distance, SECTOR.ranges[:, None], atol=1e-3)
    assert np.allclose(angle, SECTOR.angles[None], atol=1e-5)


@pytest.mark.parametrize(("depth", "angle"), [(40.0, 0.0), (80.0, 0.3), (100.0, -0.25)])
def test_a_point_is_shown_where_it_is(depth: float, angle: float) -> None:
    target = point(depth, angle)
    picture = Display(300, 300, dynamic_range=50.0, white=-10.0).show(receive(target, PROBE, SECTOR), SECTOR)
    x, z = pixel_positions(SECTOR, 300, 300)
    weight = (picture == picture.max()).astype(float)
    assert (x * weight).sum() / weight.sum() == pytest.approx(float(target.x[0]), abs=1.2)
    assert (z * weight).sum() / weight.sum() == pytest.approx(float(target.z[0]), abs=0.8)


def test_outside_the_fan_all_is_black() -> None:
    echo = np.full((SECTOR.samples, SECTOR.lines), 1e3, np.complex64)
    picture = Display(200, 260).show(echo, SECTOR)
    x, z = pixel_positions(SECTOR, 200, 260)
    distance, angle = SECTOR.to_polar(x, z)
    beyond = (np.abs(angle) > SECTOR.half_angle + 0.02) | (distance > SECTOR.depth + 1) | (distance < -1)
    within = (np.abs(angle) < SECTOR.half_angle - 0.02) & (distance < SECTOR.depth - 1) & (distance > 1)
    assert not picture[beyond].any()
    assert (picture[within] == 255).all()


def test_the_display_compresses_logarithmically() -> None:
    display = Display(10, 10, dynamic_range=60.0, gain=0.0, white=0.0)
    grey = display.grey(np.array([1.0, 0.1, 0.01, 1e-5], np.complex64))
    assert grey == pytest.approx([255.0, 170.0, 85.0, 0.0], abs=0.1)
    assert Display(10, 10, gain=6.0, white=0.0).grey(np.array([0.1], np.complex64))[0] > grey[1]


def test_textures_have_zero_mean_and_unit_variance_and_their_grain() -> None:
    texture = Texture(np.random.default_rng(0), 60.0, 1.5)
    z, x = np.mgrid[-30:30:0.25, -30:30:0.25].astype(np.float32)
    values = texture(x, z)
    assert abs(values.mean()) < 0.05
    assert values.std() == pytest.approx(1.0, abs=0.05)
    # Smoothing of deviation g gives a correlation of exp(-d^2 / 4 g^2).
    lag = int(2 * 1.5 / 0.25)
    correlation = np.mean(values[:, lag:] * values[:, :-lag])
    assert correlation == pytest.approx(math.exp(-1.0), abs=0.1)


def test_a_soft_step_rises_from_0_to_1() -> None:
    step = soft_step(np.array([-100.0, 0.0, 100.0]), 1.0)
    assert step.dtype == np.float32
    assert step == pytest.approx([0.0, 0.5, 1.0], abs=1e-6)
