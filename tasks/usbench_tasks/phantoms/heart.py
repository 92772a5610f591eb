"""A beating left ventricle of known volume, apical four-chamber view: one simulated video.

Geometry. The cavity is half a prolate spheroid, whose volume is 2/3 pi a b L for in-plane radius *a*,
out-of-plane radius *b* and long axis *L* (the bullet of Lang et al. 2015, J. Am. Soc. Echocardiogr. 28, on which
disc summation rests too). Volumes follow the textbook curve of a beat: ejection over about 0.38 of the cycle,
early filling, diastasis, atrial kick. The long axis shortens with the ejection fraction (mitral annular
excursion, about 15 mm in health), and the radii follow from volume and length.

Motion. Scatterers are material points. Myocardium is incompressible (King and colleagues, among others, measured a
few per cent): a ring that lay at radius *rho* around the axis moves so that the volume between it and the cavity
stays, which makes the wall thicken in systole as walls do. So speckle moves with the tissue, and decorrelates
where tissue deforms. Blood is stirred: its scatterers are drawn anew for every frame.

Left out: twist, regional abnormalities, papillary muscles, foreshortening, out-of-plane motion, reverberation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from usbench_tasks.phantoms.display import Display, pixel_positions
from usbench_tasks.phantoms.fields import Texture, decibels, soft_step
from usbench_tasks.phantoms.physics import (
    Floats,
    Probe,
    Scatterers,
    Sector,
    electronic_noise,
    path_gain,
    receive,
    scatter_uniformly,
    surface,
)

SIZE = 112
"""Height and width of the frames, as in EchoNet-Dynamic."""

SYSTOLE = 0.38
"""Share of the cycle from end-diastole to end-systole."""

_TGC = 0.5  # dB/cm/MHz that the scanner assumes
_BLOOD = -38.0


@dataclass(frozen=True)
class Heart:
    """A left ventricle and what surrounds it.

    Attributes:
        edv: End-diastolic volume, mL.
        ef: Ejection fraction, %.
        sphericity: Diameter over length at end-diastole, about 0.5 in health and more when dilated.
        ellipticity: Out-of-plane over in-plane radius.
        wall: Thickness of the wall at end-diastole, mm.
        level: Echo level of the myocardium, dB.
        seed: Seed of its texture.
    """

    edv: float = 120.0
    ef: float = 60.0
    sphericity: float = 0.52
    ellipticity: float = 1.0
    wall: float = 9.0
    level: float = 0.0
    seed: int = 0

    def volume(self, phase: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the volume of the cavity in mL.

        Args:
            phase: Time since end-diastole as a share of the cycle; any shape, repeats with period 1.
        """
        t = np.mod(np.asarray(phase, np.float64), 1.0)
        ejected = np.interp(t, [0.0, SYSTOLE], [0.0, 1.0])
        ejected = np.sin(ejected * math.pi / 2) ** 2
        filling = (t - SYSTOLE) / (1.0 - SYSTOLE)
        early = np.sin(np.clip(filling / 0.45, 0.0, 1.0) * math.pi / 2) ** 2
        late = np.sin(np.clip((filling - 0.72) / 0.28, 0.0, 1.0) * math.pi / 2) ** 2
        out = np.where(t <= SYSTOLE, ejected, 1.0 - 0.72 * early - 0.28 * late)
        return np.asarray(self.edv * (1.0 - self.ef / 100.0 * out))

    def shape(self, phase: float) -> tuple[float, float]:
        """Return in-plane radius at the base and length of the cavity in mm, at a phase."""
        full = self.edv * 1000.0  # cubic mm
        # V = 2/3 pi a b L with a = sphericity L / 2 and b = ellipticity a.
        longest = (full / (2 / 3 * math.pi * self.ellipticity * (self.sphericity / 2) ** 2)) ** (1 / 3)
        now = float(self.volume(phase))
        ejected = 1.0 - now / self.edv
        length = longest * (1.0 - 0.28 * ejected)
        radius = math.sqrt(now * 1000.0 / (2 / 3 * math.pi * self.ellipticity * length))
        return radius, length


@dataclass(frozen=True)
class View:
    """How a video was taken.

    Attributes:
        frames: Number of frames.
        fps: Frames per second.
        rate: Heart rate, beats a minute.
        start: Phase of the first frame, see :meth:`Heart.volume`.
        frequency: Centre frequency, MHz.
        depth: Depth shown, mm.
        apex: Depth of the cavity's apex at end-diastole, mm.
        tilt: Turn of the long axis against the beam, radians.
        shift: Sideways displacement, mm.
        gain: dB.
        dynamic_range: dB.
        noise: Receiver noise at the face, dB.
        dropout: Loss behind a rib at one side of the fan, dB.
    """

    frames: int = 30
    fps: float = 25.0
    rate: float = 70.0
    start: float = 0.9
    frequency: float = 2.5
    depth: float = 160.0
    apex: float = 24.0
    tilt: float = 0.0
    shift: float = 0.0
    gain: float = 0.0
    dynamic_range: float = 55.0
    noise: float = -62.0
    dropout: float = 0.0

    @property
    def phases(self) -> npt.NDArray[np.float64]:
        """Phase of every frame, growing; whole numbers are end-diastoles."""
        return np.asarray(self.start + np.arange(self.frames) / self.fps * self.rate / 60.0)

    def marks(self, heart: Heart) -> tuple[int, int]:
        """Return the frames of the first end-diastole and of the end-systole that follows it.

        Raises:
            ValueError: The video holds no such pair.
        """
        volumes = heart.volume(self.phases)
        first = np.flatnonzero(np.abs(self.phases - np.ceil(self.start)) <= 0.5 * self.rate / 60.0 / self.fps + 1e-9)
        if not len(first):
            raise ValueError("no end-diastole in the video")
        diastole = int(first[0])
        beat = round(self.fps * 60.0 / self.rate * 0.6)
        if diastole + round(self.fps * 60.0 / self.rate * SYSTOLE) >= self.frames:
            raise ValueError("no end-systole in the video")
        return diastole, diastole + int(np.argmin(volumes[diastole : diastole + beat]))


@dataclass(frozen=True)
class _Axis:
    """Coordinates of the ventricle: *across* and *along*, the latter from the apex (0) to the base."""

    x: float
    z: float
    tilt: float

    def to_heart(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        cos, sin = np.float32(math.cos(self.tilt)), np.float32(math.sin(self.tilt))
        dx, dz = x - np.float32(self.x), z - np.float32(self.z)
        return cos * dx - sin * dz, sin * dx + cos * dz

    def to_probe(self, across: npt.NDArray[np.floating], along: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        x, z = self.x + cos * across + sin * along, self.z - sin * across + cos * along
        return x.astype(np.float32), z.astype(np.float32)


def simulate_heart(heart: Heart, view: View, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Simulate one video.

    Args:
        heart: Anatomy and function.
        view: Acquisition.
        rng: Speckle and noise.

    Returns:
        Grey uint8 ``[frames, 112, 112]``, black outside the fan.
    """
    probe, sector = _instrument(view.frequency, view.depth)
    axis = _axis(view)
    tissue = scatter_uniformly(sector, probe, rng, per_cell=4.0)
    across, along = axis.to_heart(tissue.x, tissue.z)
    solid = ~_in_fluid(heart, across, along)
    level = _levels(heart, across[solid], along[solid])
    tissue = Scatterers(tissue.x[solid], tissue.z[solid], tissue.amplitude[solid] * decibels(level))
    across, along = across[solid], along[solid]
    loss = view.dropout * soft_step(np.abs(sector.angles - np.float32(sector.half_angle * 0.85)) * -1 + 0.18, 0.1)
    shadow = decibels(-loss)[None, :]
    haze = _haze(sector, rng)
    display = Display(SIZE, SIZE, view.dynamic_range, view.gain, white=21.0)
    pictures = np.empty((view.frames, SIZE, SIZE), np.uint8)
    for number, phase in enumerate(view.phases):
        moved = axis.to_probe(*_deform(heart, across, along, float(phase)))
        echoes = Scatterers(*moved, tissue.amplitude)
        echoes += _blood(heart, axis, sector, probe, float(phase), rng)
        echoes += _surfaces(heart, axis, float(phase), probe, np.random.default_rng(heart.seed))
        echo = receive(echoes, probe, sector, _gain(sector, probe))
        echo = echo * shadow + haze + electronic_noise(sector, probe, view.noise, _TGC, rng)
        pictures[number] = display.show(echo, sector)
    return pictures


def cavity_mask(heart: Heart, view: View, frame: int) -> npt.NDArray[np.bool_]:
    """Return which pixels of one frame show the cavity of the left ventricle, ``[112, 112]``."""
    _, sector = _instrument(view.frequency, view.depth)
    across, along = _axis(view).to_heart(*pixel_positions(sector, SIZE, SIZE))
    return _in_cavity(heart, across, along, float(view.phases[frame]))


def tracing(heart: Heart, view: View, frame: int, chords: int = 20) -> list[tuple[float, float, float, float]]:
    """Return the lines that an expert would trace, in pixels: x1, y1, x2, y2.

    Args:
        heart: Anatomy and function.
        view: Acquisition.
        frame: Which frame.
        chords: Number of chords across, evenly spaced along the axis.

    Returns:
        The long axis, then the chords from the apex to the base.
    """
    _, sector = _instrument(view.frequency, view.depth)
    radius, length = heart.shape(float(view.phases[frame]))
    along = (np.arange(chords) + 0.5) / chords
    half = radius * np.sqrt(1.0 - (1.0 - along) ** 2)
    start = np.concatenate([[0.0], -half])
    end = np.concatenate([[0.0], half])
    first = np.concatenate([[0.0], along * length])
    last = np.concatenate([[length], along * length])
    axis = _axis(view)
    top = sector.radius * (math.cos(sector.half_angle) - 1.0)
    scale = (sector.depth - top) / SIZE
    x1, y1 = axis.to_probe(start, first)
    x2, y2 = axis.to_probe(end, last)
    columns = (x1 / scale + SIZE / 2, (y1 - top) / scale, x2 / scale + SIZE / 2, (y2 - top) / scale)
    return [(float(a), float(b), float(c), float(d)) for a, b, c, d in zip(*columns, strict=True)]


def pixel_size(view: View) -> float:
    """Return the side of a pixel, mm."""
    _, sector = _instrument(view.frequency, view.depth)
    return (sector.depth - sector.radius * (math.cos(sector.half_angle) - 1.0)) / SIZE


@lru_cache(maxsize=16)
def _instrument(frequency: float, depth: float) -> tuple[Probe, Sector]:
    probe = Probe(frequency=frequency, aperture=20.0, focus=80.0)
    return probe, Sector(radius=4.0, half_angle=0.66, depth=depth, lines=88, samples=420)


@lru_cache(maxsize=16)
def _gain(sector: Sector, probe: Probe) -> Floats:
    """Return what is left after attenuation: tissue takes a little more than TGC gives back."""
    wide = sector.widened(sector.margin(probe))
    medium = np.full((wide.samples, wide.lines), 0.53, np.float32)
    return path_gain(medium, wide, probe, _TGC)


def _axis(view: View) -> _Axis:
    return _Axis(view.shift - view.apex * math.tan(view.tilt) * 0.5, view.apex, view.tilt)


def _profile(part: npt.NDArray[np.floating]) -> Floats:
    """Return the radius of the cavity as a share of that at the base, for a place along the axis of 0 to 1."""
    inside = np.clip(part, 0.0, 1.0)
    share: Floats = np.sqrt(np.maximum(1.0 - (1.0 - inside) ** 2, 0.0)).astype(np.float32)
    return share


def _in_cavity(heart: Heart, across: Floats, along: Floats, phase: float) -> npt.NDArray[np.bool_]:
    radius, length = heart.shape(phase)
    inside: npt.NDArray[np.bool_] = (
        (along > 0) & (along < length) & (np.abs(across) < radius * _profile(along / np.float32(length)))
    )
    return inside


def _deform(heart: Heart, across: Floats, along: Floats, phase: float) -> tuple[Floats, Floats]:
    """Move material points from where they lie at end-diastole to where they lie at ``phase``."""
    radius0, length0 = heart.shape(0.0)
    radius, length = heart.shape(phase)
    stretch = length / length0
    # The base comes down; what lies beyond it follows, less and less.
    beyond = np.maximum(along - np.float32(length0), 0.0)
    moved = np.where(
        along <= length0,
        np.maximum(along, 0.0) * np.float32(stretch) + np.minimum(along, 0.0),
        along + np.float32(length - length0) * np.exp(-beyond / np.float32(30.0)),
    )
    profile = _profile(along / np.float32(length0))
    fade = np.exp(-beyond / np.float32(8.0)) * (along > 0)
    here = np.abs(across)
    cavity0, cavity = radius0 * profile, radius * profile
    # Volume between cavity and ring stays: (rho^2 - cavity^2) * length is constant.
    ring = np.sqrt(np.maximum(here**2 - cavity0**2, 0.0) / np.float32(stretch) + cavity**2)
    outside = np.maximum(here - cavity0 - np.float32(heart.wall), 0.0)
    moved_across = here + (ring - here) * fade * np.exp(-outside / np.float32(12.0))
    return (np.sign(across) * moved_across).astype(np.float32), moved.astype(np.float32)


def _chambers(heart: Heart) -> tuple[tuple[float, float, float, float], ...]:
    """Return the ellipses of left atrium, right atrium and right ventricle at end-diastole.

    Each is centre across and along, and half axes across and along, mm.
    """
    radius, length = heart.shape(0.0)
    septum = radius + heart.wall
    return (
        (0.0, length + 22.0, radius * 0.85, 19.0),
        (-2.0 * radius - heart.wall, length + 20.0, radius * 0.8, 18.0),
        (-septum - 15.0, length * 0.60, 15.0, length * 0.42),
    )


def _in_fluid(heart: Heart, across: Floats, along: Floats) -> npt.NDArray[np.bool_]:
    """Notify which points hold blood at end-diastole."""
    inside = _in_cavity(heart, across, along, 0.0)
    for centre, middle, half, reach in _chambers(heart):
        inside |= ((across - centre) / half) ** 2 + ((along - middle) / reach) ** 2 < 1.0
    return inside


def _levels(heart: Heart, across: Floats, along: Floats) -> Floats:
    """Return the echo level of solid tissue, dB."""
    radius, length = heart.shape(0.0)
    own = np.random.default_rng([heart.seed, 1])
    coarse, fine = Texture(own, 240.0, 9.0), Texture(own, 240.0, 3.0)
    uneven = 2.0 * coarse(across, along) + 1.5 * fine(across, along)
    cavity = radius * _profile(along / np.float32(length))
    depth = np.abs(across) - cavity
    level = np.where(depth < heart.wall + 1.0, heart.level + uneven, -7.0 + 1.5 * uneven)
    # Epicardium and pericardium; lung and fat beside them.
    bright = np.exp(-(((depth - heart.wall - 1.5) / 1.6) ** 2)) * (along > -2) * (along < length + 8)
    level = level + 9.0 * bright * (across > 0) + 3.0 * bright * (across < 0)
    crux = np.exp(-((along - length) ** 2 / 30.0)) * (np.abs(across) < 2.2 * radius)
    return np.asarray(level + 5.0 * crux, np.float32)


def _blood(
    heart: Heart, axis: _Axis, sector: Sector, probe: Probe, phase: float, rng: np.random.Generator
) -> Scatterers:
    """Return new scatterers of the blood in the cavity."""
    cloud = scatter_uniformly(sector, probe, rng, per_cell=2.0)
    inside = _in_cavity(heart, *axis.to_heart(cloud.x, cloud.z), phase)
    return Scatterers(cloud.x[inside], cloud.z[inside], cloud.amplitude[inside] * decibels(_BLOOD))


def _surfaces(heart: Heart, axis: _Axis, phase: float, probe: Probe, rng: np.random.Generator) -> Scatterers:
    """Return the faces that move: endocardium and the two mitral leaflets."""
    radius, length = heart.shape(phase)
    turn = np.linspace(-math.pi / 2, math.pi / 2, 160)
    x, z = axis.to_probe(radius * np.sin(turn), length * (1.0 - np.cos(turn)))
    faces = surface(x, z, -14.0, 0.2, rng, probe.wavelength)
    t = phase % 1.0
    filling = (t - SYSTOLE) / (1.0 - SYSTOLE)
    opening = max(math.exp(-(((filling - 0.22) / 0.16) ** 2)), 0.8 * math.exp(-(((filling - 0.86) / 0.09) ** 2)))
    opening = opening if t > SYSTOLE else 0.0
    for side, leaflet in ((-1.0, 0.95), (1.0, 0.65)):
        # Closed, a leaflet reaches from the annulus towards the middle; open, it points to the apex.
        angle = math.radians(12.0 + 62.0 * opening)
        reach = np.linspace(0.0, leaflet * radius, 40)
        x, z = axis.to_probe(side * (radius * 0.97 - reach * math.cos(angle)), length - reach * math.sin(angle))
        faces += surface(x, z, -2.0, 0.2, rng, probe.wavelength)
    return faces


def _haze(sector: Sector, rng: np.random.Generator) -> npt.NDArray[np.complex64]:
    """Return clutter that stands still in the near field, ``[samples, lines]``."""
    from scipy.ndimage import gaussian_filter

    white = rng.standard_normal((2, sector.samples, sector.lines), dtype=np.float32)
    smooth = gaussian_filter(white, (0, 2.5, 3.0))
    smooth /= smooth.std()
    fade = decibels(-14.0 - 18.0 * sector.ranges / 30.0)[:, None]
    clutter: npt.NDArray[np.complex64] = ((smooth[0] + 1j * smooth[1]) * fade).astype(np.complex64)
    return clutter
