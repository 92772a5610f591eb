"""From scatterers to the complex echo of every scan line: the core that all phantoms share.

Model
-----
Tissue is a cloud of point scatterers, many to a resolution cell. In complex baseband the echo at range *r* on
the scan line of angle *t* is the superposition of all of them,

    s(r, t) = sum_i  a_i  g(r_i, t_i)  h_ax(r - r_i)  h_lat(t - t_i; r)  exp(-2 j k r_i),    k = 2 pi f / c,

with a scatterer's amplitude *a_i*, a Gaussian two-way pulse *h_ax* and a two-way beam profile *h_lat* that is
narrowest at the focus. The carrier's phase does the rest: where many scatterers share a cell, their sum is
circular Gaussian and its magnitude Rayleigh distributed (fully developed speckle: mean over standard
deviation = 1.91); a dense row of scatterers is a smooth surface, which answers only where the beam meets it
at a right angle. The gain *g* is the attenuation on the way there and back, less what depth-gain compensation
(TGC) gives back; it makes shadows and enhancement. Electronic noise is constant before TGC and so grows with
depth after it.

Sources: Wagner et al. 1983, IEEE Trans. Sonics Ultrason. 30(3), for the statistics; Bamber and Dickinson 1980,
Phys. Med. Biol. 25(3), for the convolution model; Szabo, Diagnostic Ultrasound Imaging, 2nd ed., ch. 4, 6 and
8, for attenuation, beams and compensation. Left out: refraction, differing sound speeds, multiple scattering
(phantoms that need reverberation add it themselves), harmonics, side lobes, aberration, elevation (the plane
is thin).

Units: millimetres, megahertz, radians, decibels of amplitude (20 log10). Depth *z* points away from the probe.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

Floats = npt.NDArray[np.float32]
Complexes = npt.NDArray[np.complex64]

SPEED_OF_SOUND = 1.54
"""Millimetres a microsecond."""

_SIGMA_PER_FWHM = 1.0 / (2.0 * math.sqrt(2.0 * math.log(2.0)))


@dataclass(frozen=True)
class Probe:
    """A transducer and its beam.

    Attributes:
        frequency: Centre frequency, MHz.
        aperture: Width of the active aperture, mm.
        focus: Depth of the focus, mm.
        bandwidth: Two-way bandwidth between the -6 dB points, as a fraction of the centre frequency.
    """

    frequency: float
    aperture: float
    focus: float
    bandwidth: float = 0.6

    @property
    def wavelength(self) -> float:
        """Wavelength in soft tissue, mm."""
        return SPEED_OF_SOUND / self.frequency

    @property
    def axial_sigma(self) -> float:
        """Standard deviation of the Gaussian pulse envelope along the range, mm.

        A Gaussian amplitude spectrum of half-amplitude width ``bandwidth * frequency`` belongs to it; the
        range is half the way travelled.
        """
        spectrum = self.bandwidth * self.frequency * _SIGMA_PER_FWHM
        return SPEED_OF_SOUND / (2.0 * 2.0 * math.pi * spectrum)

    def lateral_sigma(self, depth: Floats) -> Floats:
        """Return the standard deviation of the two-way beam profile at each depth, mm.

        A Gaussian beam: at the focus a full width at half maximum of ``0.7 wavelength * focus / aperture``
        (transmit times receive), widening away from it as diffraction dictates.
        """
        waist = 0.7 * self.wavelength * self.focus / self.aperture * _SIGMA_PER_FWHM
        spread = self.wavelength / (4.0 * math.pi * waist)
        sigma: Floats = np.sqrt(waist**2 + (spread * (depth - self.focus)) ** 2).astype(np.float32)
        return sigma


@dataclass(frozen=True)
class Sector:
    """The fan of scan lines and how finely it is sampled.

    Attributes:
        radius: From the apex of the lines to the transducer's face, mm: 0 for a phased array, large for a
            linear one.
        half_angle: From the middle line to the outermost, radians.
        depth: Range shown, mm.
        lines: Number of scan lines.
        samples: Number of samples per line.
    """

    radius: float
    half_angle: float
    depth: float
    lines: int
    samples: int

    @property
    def step(self) -> float:
        """Distance between samples, mm."""
        return self.depth / self.samples

    @property
    def pitch(self) -> float:
        """Angle between lines, radians."""
        return 2.0 * self.half_angle / (self.lines - 1)

    @cached_property
    def ranges(self) -> Floats:
        """Range of each sample from the transducer's face, mm, ``[samples]``."""
        return ((np.arange(self.samples) + 0.5) * self.step).astype(np.float32)

    @cached_property
    def angles(self) -> Floats:
        """Angle of each line, radians, ``[lines]``; negative is left."""
        return np.linspace(-self.half_angle, self.half_angle, self.lines, dtype=np.float32)

    def margin(self, probe: Probe) -> int:
        """Lines to add on either side so that what lies beside the fan still leaks in as far as the beam is wide."""
        widest = float(np.max(probe.lateral_sigma(self.ranges) / (self.radius + self.ranges)))
        return int(np.ceil(3.0 * min(widest, self.half_angle / 2) / self.pitch)) + 1

    def widened(self, extra: int) -> Sector:
        """Return the same fan with ``extra`` lines more on either side."""
        return Sector(
            self.radius, self.half_angle + extra * self.pitch, self.depth, self.lines + 2 * extra, self.samples
        )

    def positions(self, every: int = 1) -> tuple[Floats, Floats]:
        """Return *x* and *z* of the samples, each ``[samples / every, lines]``, mm."""
        reach = (self.ranges[every // 2 :: every] + self.radius)[:, None]
        return reach * np.sin(self.angles), reach * np.cos(self.angles) - np.float32(self.radius)

    def to_polar(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Return range from the face and angle of points, for points in front of the apex."""
        ahead = z + np.float32(self.radius)
        return np.hypot(x, ahead) - np.float32(self.radius), np.arctan2(x, ahead)


@dataclass(frozen=True)
class Scatterers:
    """Points that echo.

    Attributes:
        x: Lateral position, mm, ``[N]``.
        z: Depth, mm, ``[N]``.
        amplitude: Signed reflectivity, ``[N]``. Diffuse tissue of 0 dB is made by :func:`scatter_uniformly`.
    """

    x: Floats
    z: Floats
    amplitude: Floats

    def __add__(self, other: Scatterers) -> Scatterers:
        return Scatterers(
            np.concatenate([self.x, other.x]),
            np.concatenate([self.z, other.z]),
            np.concatenate([self.amplitude, other.amplitude]),
        )


def scatter_uniformly(sector: Sector, probe: Probe, rng: np.random.Generator, per_cell: float = 8.0) -> Scatterers:
    """Fill a fan evenly with scatterers of random sign and size: tissue of 0 dB, whose speckle has unit mean power.

    Args:
        sector: The fan, filled a little beyond its edges.
        probe: Sets the size of a resolution cell (full widths at half maximum, at the focus).
        rng: Source of randomness.
        per_cell: Scatterers a resolution cell; 4 and more give fully developed speckle.

    Returns:
        The scatterers; multiply their amplitude by ``10 ** (dB / 20)`` to make tissue.
    """
    wide = sector.widened(sector.margin(probe))
    focal = float(probe.lateral_sigma(np.array([probe.focus], np.float32))[0])
    cell = probe.axial_sigma * focal / _SIGMA_PER_FWHM**2
    area = wide.half_angle * ((wide.radius + wide.depth) ** 2 - wide.radius**2)
    # One scatterer in each of many equal patches, not a Poisson number, whose fluctuation would add 1.8 / N to the
    # normalised second moment of the power; with uniform amplitudes it is 2 - 0.2 / N, next to Rayleigh's 2.
    rows = math.ceil(wide.depth * math.sqrt(per_cell) / (probe.axial_sigma / _SIGMA_PER_FWHM))
    columns = math.ceil(per_cell * area / cell / rows)
    count = rows * columns
    along = (np.repeat(np.arange(rows, dtype=np.float32), columns) + rng.random(count, dtype=np.float32)) / rows
    across = (np.tile(np.arange(columns, dtype=np.float32), rows) + rng.random(count, dtype=np.float32)) / columns
    inner, outer = np.float32(wide.radius**2), np.float32((wide.radius + wide.depth) ** 2)
    reach = np.sqrt(inner + (outer - inner) * along)
    angle = np.float32(wide.half_angle) * (2 * across - 1)
    amplitude = (2 * rng.random(count, dtype=np.float32) - 1) * np.float32(np.sqrt(3.0 * area / count))
    return Scatterers(reach * np.sin(angle), reach * np.cos(angle) - np.float32(wide.radius), amplitude)


def surface(
    x: Floats, z: Floats, strength: float, roughness: float, rng: np.random.Generator, wavelength: float
) -> Scatterers:
    """Return a reflecting surface in the plane as a dense row of scatterers.

    Args:
        x: Lateral position along the curve, mm, ``[N]``; any spacing.
        z: Depth along the curve, mm, ``[N]``.
        strength: Level in dB of the echo at right angles, relative to speckle of 0 dB, for a focal width of a
            few wavelengths (the exact level depends on beam and curvature).
        roughness: Standard deviation of the surface from its course, as a fraction of the wavelength. Above
            about 0.2 a surface scatters in all directions.
        rng: Source of randomness.
        wavelength: Wavelength, mm.
    """
    steps = np.hypot(np.diff(x), np.diff(z))
    along = np.concatenate([[0.0], np.cumsum(steps)])
    spacing = wavelength / 8.0
    count = max(2, int(along[-1] / spacing))
    at = np.linspace(0.0, along[-1], count)
    off = rng.normal(0.0, roughness * wavelength, count) if roughness else 0.0
    amplitude = np.full(count, 10 ** (strength / 20.0) * spacing / np.sqrt(wavelength), np.float32)
    return Scatterers(
        np.interp(at, along, x).astype(np.float32), (np.interp(at, along, z) + off).astype(np.float32), amplitude
    )


def path_gain(attenuation: Floats, sector: Sector, probe: Probe, compensated: float, every: int = 1) -> Floats:
    """Return the amplitude left after the way there and back, and after compensation.

    Args:
        attenuation: dB a cm a MHz at the samples of ``sector``, or at every ``every``-th, ``[samples / every,
            lines]``.
        sector: The fan of ``attenuation``.
        probe: Gives the frequency.
        compensated: What TGC assumes, dB a cm a MHz.
        every: Sub-sampling of ``attenuation`` along the range; the result is repeated to full rate.

    Returns:
        Factors, ``[samples, lines]``.
    """
    two_way = 2.0 * probe.frequency * sector.step * every / 10.0
    loss = np.cumsum(attenuation - np.float32(compensated), axis=0, dtype=np.float32) * np.float32(two_way)
    return np.repeat(np.power(np.float32(10), loss * np.float32(-0.05)), every, axis=0)[: sector.samples]


def receive(
    scatterers: Scatterers,
    probe: Probe,
    sector: Sector,
    gain: Floats | None = None,
) -> Complexes:
    """Return the complex baseband echo of each scan line, before noise.

    Args:
        scatterers: What echoes.
        probe: Pulse and beam.
        sector: The fan shown.
        gain: Factors from :func:`path_gain` on the *widened* fan, ``sector.widened(sector.margin(probe))``.

    Returns:
        ``[samples, lines]``, scaled so that speckle of 0 dB tissue has unit mean power at every depth.
    """
    extra = sector.margin(probe)
    wide = sector.widened(extra)
    echo = _on_grid(scatterers, probe, wide)
    if gain is not None:
        echo *= gain
    echo = _across_lines(echo, probe, wide)[:, extra : extra + sector.lines]
    return _along_range(echo, probe, sector)


def _on_grid(scatterers: Scatterers, probe: Probe, sector: Sector) -> Complexes:
    """Add every scatterer, with the phase of its exact range, to the nearest sample of the nearest line."""
    distance, angle = sector.to_polar(scatterers.x, scatterers.z)
    row = np.floor(distance / np.float32(sector.step)).astype(np.int32)
    column = np.rint((angle + np.float32(sector.half_angle)) / np.float32(sector.pitch)).astype(np.int32)
    inside = (row >= 0) & (row < sector.samples) & (column >= 0) & (column < sector.lines)
    cell = (row * sector.lines + column)[inside]
    # Double precision: the phase is thousands of radians.
    phase = (-4.0 * np.pi / probe.wavelength) * distance[inside].astype(np.float64)
    weight = scatterers.amplitude[inside]
    size = sector.samples * sector.lines
    grid = np.empty(size, np.complex64)
    grid.real = np.bincount(cell, weight * np.cos(phase), size)
    grid.imag = np.bincount(cell, weight * np.sin(phase), size)
    return grid.reshape(sector.samples, sector.lines)


def _across_lines(echo: Complexes, probe: Probe, sector: Sector) -> Complexes:
    """Apply the beam profile, of its own width at each depth, as a product in the frequency domain."""
    width = probe.lateral_sigma(sector.ranges)  # mm
    spacing = (np.float32(sector.radius) + sector.ranges) * np.float32(sector.pitch)
    size = scipy.fft.next_fast_len(sector.lines + sector.lines // 8)
    omega = (2 * np.pi * scipy.fft.fftfreq(size)).astype(np.float32)
    # A profile wider than the fan (within millimetres of a phased array's apex) would wrap around.
    relative = np.minimum(width / spacing, np.float32(sector.lines / 16))
    transfer = np.exp(np.float32(-0.5) * (relative[:, None] * omega[None, :]) ** 2)
    transfer *= _unit_power(relative * spacing, spacing)[:, None]
    spectrum = scipy.fft.fft(echo, size, axis=1)
    spectrum *= transfer
    shaped: Complexes = scipy.fft.ifft(spectrum, axis=1, overwrite_x=True)[:, : sector.lines]
    return shaped


def _along_range(echo: Complexes, probe: Probe, sector: Sector) -> Complexes:
    """Apply the pulse."""
    size = scipy.fft.next_fast_len(sector.samples + 16)
    sigma = probe.axial_sigma / sector.step
    omega = (2 * np.pi * scipy.fft.fftfreq(size)).astype(np.float32)
    transfer = np.exp(np.float32(-0.5 * sigma**2) * omega**2)
    transfer *= _unit_power(np.float32(probe.axial_sigma), np.float32(sector.step))
    spectrum = scipy.fft.fft(echo, size, axis=0)
    spectrum *= transfer[:, None]
    shaped: Complexes = scipy.fft.ifft(spectrum, axis=0, overwrite_x=True)[: sector.samples]
    return shaped


def _unit_power(sigma: Any, spacing: Any) -> Any:
    """Return the factor that gives a Gaussian kernel of unit sum, sampled at ``spacing``, unit energy a millimetre."""
    return np.sqrt(2.0 * np.sqrt(np.pi) * sigma).astype(np.float32) / spacing


def electronic_noise(
    sector: Sector, probe: Probe, level: float, compensated: float, rng: np.random.Generator
) -> Complexes:
    """Return receiver noise after TGC, ``[samples, lines]``.

    Args:
        sector: The fan.
        probe: Gives the frequency, and the band that the noise is filtered to.
        level: Level at the transducer's face, dB relative to speckle of 0 dB.
        compensated: What TGC assumes, dB a cm a MHz.
        rng: Source of randomness.
    """
    white = rng.standard_normal((sector.samples, sector.lines, 2), dtype=np.float32).view(np.complex64)[..., 0]
    white *= np.float32(np.sqrt(0.5 * sector.step))
    raised = level + 2.0 * compensated * probe.frequency * sector.ranges / 10.0
    filtered = _along_range(white, probe, sector)
    return filtered * (10.0 ** (raised / 20.0)).astype(np.float32)[:, None]
