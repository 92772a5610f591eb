"""Ocular B-scans with vitreous opacities of graded severity: one simulated picture.

Anatomy (adult averages, Bron et al., Wolff's Anatomy of the Eye, and Kendall et al., Ocular B-scan texts): a
globe of about 23.5 mm axial length behind the closed lid; cornea, iris and lens; a vitreous that is almost
free of echoes; the bright arc of retina, choroid and sclera; bright, uneven orbital fat with the dark band of
the optic nerve and the recti. Probes of 15 and 20 MHz on a mechanical sector.

What makes the label hard to guess from brightness: gain, dynamic range, probe, depth setting and the fat's
own brightness vary from picture to picture in all classes; healthy eyes may have a posterior vitreous
detachment (a thin bright membrane), asteroid hyalosis (bright dots), a few floaters of age, or a cataract.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from usbench_tasks.phantoms.display import Display
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

SIZE = 352
"""Height and width of the pictures."""

GRADES = 5
"""Severity runs from 0 (no hemorrhage) to 4 (the vitreous is full)."""

_TGC = 0.35  # dB/cm/MHz that the scanner assumes
_ANECHOIC = -62.0


@dataclass(frozen=True)
class Eye:
    """What belongs to an eye and stays from visit to visit, apart from the opacities.

    Attributes:
        axial: Axial length, mm.
        width: Greatest horizontal diameter, mm.
        nerve_side: -1 or 1: towards which side of the picture the nerve leaves; left and right eyes mirror.
        fat_level: Echo level of orbital fat, dB.
        cataract: Echo level inside the lens, dB; about -60 for a clear one.
        detachment: Distance of a detached posterior hyaloid from the retina, mm; 0 for none.
        asteroid: Number of asteroid bodies.
        floaters: Number of harmless floaters.
        seed: Seed of the eye's own texture and of the shape of its opacities.
    """

    axial: float = 23.5
    width: float = 24.0
    nerve_side: int = 1
    fat_level: float = 0.0
    cataract: float = -60.0
    detachment: float = 0.0
    asteroid: int = 0
    floaters: int = 0
    seed: int = 0


@dataclass(frozen=True)
class Scan:
    """How one picture was taken.

    Attributes:
        severity: Grade of the hemorrhage on that day, 0 to 4; grades between whole ones are allowed.
        frequency: Centre frequency of the probe, MHz.
        gain: dB.
        dynamic_range: dB.
        depth: Depth shown, mm.
        tilt: Turn of the eye against the probe, radians.
        shift: Sideways displacement of the eye, mm.
        lid: Distance from the probe's face to the cornea, mm.
        noise: Receiver noise at the face, dB.
    """

    severity: float = 0.0
    frequency: float = 15.0
    gain: float = 0.0
    dynamic_range: float = 60.0
    depth: float = 36.0
    tilt: float = 0.0
    shift: float = 0.0
    lid: float = 2.5
    noise: float = -66.0


@dataclass(frozen=True)
class _Frame:
    """Coordinates that move with the eye: *u* to the side and *w* along its axis, origin in the middle of the globe."""

    x: float
    z: float
    tilt: float

    def to_eye(self, x: Floats, z: Floats) -> tuple[Floats, Floats]:
        cos, sin = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        dx, dz = x - np.float32(self.x), z - np.float32(self.z)
        return cos * dx + sin * dz, cos * dz - sin * dx

    def to_probe(self, u: npt.NDArray[np.floating], w: npt.NDArray[np.floating]) -> tuple[Floats, Floats]:
        cos, sin = np.cos(self.tilt), np.sin(self.tilt)
        return (self.x + cos * u - sin * w).astype(np.float32), (self.z + cos * w + sin * u).astype(np.float32)


def simulate_eye(eye: Eye, scan: Scan, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Simulate one ocular B-scan.

    Args:
        eye: Anatomy.
        scan: Hemorrhage and settings.
        rng: Speckle, noise and what differs from picture to picture.

    Returns:
        Grey uint8 ``[352, 352]``, black outside the fan.
    """
    probe, sector = _instrument(scan.frequency, scan.depth)
    frame = _Frame(scan.shift, scan.lid + eye.axial / 2, scan.tilt)
    tissue = scatter_uniformly(sector, probe, rng, per_cell=4.0)
    u, w = frame.to_eye(tissue.x, tissue.z)
    level = _levels(eye, scan, tissue.x, tissue.z, u, w)
    echoes = Scatterers(tissue.x, tissue.z, tissue.amplitude * decibels(level))
    echoes += _surfaces(eye, frame, probe, rng)
    echoes += _dots(eye, scan, frame, rng)

    wide = sector.widened(sector.margin(probe))
    x, z = wide.positions(every=4)
    gain = path_gain(_attenuation(eye, scan, x, z, *frame.to_eye(x, z)), wide, probe, _TGC, every=4)
    echo = receive(echoes, probe, sector, gain)
    echo += electronic_noise(sector, probe, scan.noise, _TGC, rng)
    echo *= _main_bang(sector, probe, rng)[:, None]
    display = Display(SIZE, SIZE, scan.dynamic_range, scan.gain, white=21.0)
    return display.show(echo, sector)


def vitreous_mask(eye: Eye, scan: Scan) -> npt.NDArray[np.bool_]:
    """Return which pixels of :func:`simulate_eye` show the vitreous, ``[352, 352]``."""
    from usbench_tasks.phantoms.display import pixel_positions

    _, sector = _instrument(scan.frequency, scan.depth)
    x, z = pixel_positions(sector, SIZE, SIZE)
    _, angle = sector.to_polar(x, z)
    frame = _Frame(scan.shift, scan.lid + eye.axial / 2, scan.tilt)
    u, w = frame.to_eye(x, z)
    mask: npt.NDArray[np.bool_] = (_inside(eye, u, w) > 1.2) & (w > _lens_back(eye) + 0.8)
    return mask & (np.abs(angle) < sector.half_angle)


@lru_cache(maxsize=32)
def _instrument(frequency: float, depth: float) -> tuple[Probe, Sector]:
    probe = Probe(frequency=frequency, aperture=6.0, focus=21.0)
    return probe, Sector(radius=13.0, half_angle=0.48, depth=depth, lines=224, samples=1152)


def _inside(eye: Eye, u: Floats, w: Floats) -> Floats:
    """Return the depth below the inner face of the wall, about in mm; negative outside the globe."""
    radial = np.hypot(u / np.float32(eye.width / 2), w / np.float32(eye.axial / 2))
    inside: Floats = (1.0 - radial) * np.float32(eye.axial / 2)
    return inside


def _lens_back(eye: Eye) -> float:
    """*w* of the lens's posterior pole: 3.1 mm of anterior chamber and 4.2 mm of lens behind the cornea."""
    return -eye.axial / 2 + 7.3


def _levels(eye: Eye, scan: Scan, x: Floats, z: Floats, u: Floats, w: Floats) -> Floats:
    """Return the echo level of diffuse tissue at each point, dB."""
    own = np.random.default_rng(eye.seed)
    coarse, fine = Texture(own, 60.0, 2.2), Texture(own, 60.0, 0.5)
    inside = _inside(eye, u, w)
    level = eye.fat_level + 3.0 * coarse(u, w) + 3.5 * fine(u, w) - 0.25 * np.maximum(-inside - 4.0, 0.0)

    # Recti: dark bands that hug the globe on both sides; the nerve: a dark band from the disc into the orbit.
    behind = w - eye.axial / 2
    for side in (-1.0, 1.0):
        from_wall = -inside
        band = soft_step(1.6 - np.abs(from_wall - 3.2), 0.5) * soft_step(u * side - 6.5, 1.0) * soft_step(w - 1.0, 1.0)
        level -= 14.0 * band
    axis = eye.nerve_side * (3.2 + 0.35 * np.maximum(behind, 0.0) + 0.5 * np.sin(behind / 4.0))
    nerve = soft_step(1.9 - np.abs(u - axis), 0.5) * soft_step(behind + 0.6, 0.5)
    level -= 24.0 * nerve

    # Sclera, choroid, retina, from outside in.
    wall = np.where(inside > -1.0, 6.0, level)
    wall = np.where(inside > -0.45, 8.0 + 2.0 * fine(w, u), wall)
    level = np.where((inside > -1.0) & (w > -eye.axial / 2 + 3.0), np.where(nerve > 0.6, level + 6.0, wall), level)

    level = np.where(inside > 0.0, _ANECHOIC + _contents(eye, scan, u, w, inside), level)
    level = _front(eye, scan, level, u, w, inside)
    outside_front = (inside < 0.0) & (w < -eye.axial / 2 + 3.0)
    lid = np.where(z < scan.lid * 0.8, -4.0 + 3.0 * fine(x, z), -14.0)
    return np.where(outside_front, np.where(z < scan.lid + 2.5, lid, level - 6.0), level).astype(np.float32)


def _front(eye: Eye, scan: Scan, level: Floats, u: Floats, w: Floats, inside: Floats) -> Floats:
    """Add cornea, iris, ciliary body and lens."""
    cornea_apex = -eye.axial / 2
    ahead = w - cornea_apex
    level = np.where((inside > -0.1) & (inside < 0.55) & (ahead < 3.0), -8.0, level)
    iris = (np.abs(ahead - 3.1 - 0.02 * u**2) < 0.35) & (np.abs(u) > 1.9) & (np.abs(u) < 6.2)
    ciliary = (np.hypot(np.abs(u) - 6.4, (ahead - 3.9) * 1.2) < 1.1) & (inside > -0.3)
    level = np.where(iris, -2.0, np.where(ciliary, -3.0, level))
    lens = (u / 4.6) ** 2 + ((ahead - 5.2) / 2.1) ** 2 < 1.0
    levels: Floats = np.where(lens, eye.cataract, level)
    return levels


def _contents(eye: Eye, scan: Scan, u: Floats, w: Floats, inside: Floats) -> Floats:
    """Return how much the vitreous echoes above nothing, dB."""
    if scan.severity <= 0:
        return np.zeros_like(u)
    shape = np.random.default_rng([eye.seed, 1])
    clouds = Texture(shape, 60.0, (1.7, 1.3))(u, w)
    strands = np.abs(Texture(shape, 60.0, (2.6, 1.0))(u, w))
    grain = Texture(shape, 60.0, 0.35)(u, w)
    centre_u, centre_w = shape.uniform(-4.5, 4.5), shape.uniform(-1.0, 7.5)
    reach = (0.0, 2.6, 4.2, 6.6, 11.0)
    size = np.interp(scan.severity, range(GRADES), reach)
    away = np.hypot(u - centre_u, w - centre_w) / size
    # Blood settles: on a patient who sits or lies it layers in front of the retina.
    settled = np.exp(-np.maximum(inside - 0.4, 0.0) / 1.2) * soft_step(
        u * (1 if shape.random() < 0.5 else -1) - 1.0, 3.0
    )
    amount = (
        clouds + 1.3 - 1.5 * away**2 + 0.35 * scan.severity * settled + 0.9 * np.exp(-((strands / 0.12) ** 2)) - 0.6
    )
    density = soft_step(amount + 0.45 * grain, 1.8)
    top = np.interp(scan.severity, range(GRADES), (0.0, 28.0, 36.0, 44.0, 52.0))
    raised = density * top + 4.0 * grain * density
    return np.where((inside > 0.3) & (w > _lens_back(eye) + 0.5), raised, 0.0).astype(np.float32)


def _surfaces(eye: Eye, frame: _Frame, probe: Probe, rng: np.random.Generator) -> Scatterers:
    """Return the mirror-like faces: cornea, lens capsule, retina, and a detached hyaloid."""
    half = eye.axial / 2
    angle = np.linspace(-1.0, 1.0, 400)
    parts = []

    def add(u: npt.NDArray[np.floating], w: npt.NDArray[np.floating], level: float, rough: float) -> None:
        x, z = frame.to_probe(u, w)
        parts.append(surface(x, z, level, rough, rng, probe.wavelength))

    cornea = angle * 0.45
    for depth in (0.0, 0.55):
        add((eye.width / 2 - depth) * np.sin(cornea), -(half - depth) * np.cos(cornea), 12.0, 0.05)
    lens = angle * 0.9
    add(4.6 * np.sin(lens), -half + 5.2 - 2.1 * np.cos(lens), 6.0, 0.05)
    add(4.6 * np.sin(lens), -half + 5.2 + 2.1 * np.cos(lens), 8.0, 0.05)
    retina = angle * 1.9
    add(eye.width / 2 * np.sin(retina), half * np.cos(retina), 14.0, 0.12)
    if eye.detachment > 0:
        own = np.random.default_rng([eye.seed, 2])
        phase = own.uniform(0, 2 * np.pi)
        membrane = np.linspace(-1.15, 1.15, 400)
        lift = eye.detachment * np.cos(membrane * 0.9) ** 2 + 0.35 * np.sin(5 * membrane + phase)
        lift = np.maximum(lift, 0.15)
        add((eye.width / 2 - lift) * np.sin(membrane), (half - lift) * np.cos(membrane), -6.0, 0.10)
    total = parts[0]
    for part in parts[1:]:
        total += part
    return total


def _dots(eye: Eye, scan: Scan, frame: _Frame, rng: np.random.Generator) -> Scatterers:
    """Return point echoes inside the vitreous: asteroid bodies and floaters."""
    own = np.random.default_rng([eye.seed, 3])
    half = eye.axial / 2
    # Bodies drift a little between pictures, as the vitreous swings.
    u, w, amplitude = [], [], []
    for count, low, high in ((eye.asteroid, -16.0, -2.0), (eye.floaters, -34.0, -24.0)):
        radius = np.sqrt(own.random(count)) * half * 0.72
        turn = own.uniform(0, 2 * np.pi, count)
        u.append(radius * np.cos(turn) * 0.9 + rng.normal(0, 0.25, count))
        w.append(1.8 + radius * np.sin(turn) * 0.75 + rng.normal(0, 0.25, count))
        amplitude.append(decibels(own.uniform(low, high, count)))
    x, z = frame.to_probe(np.concatenate(u), np.concatenate(w))
    # A lone scatterer spreads over one resolution cell, of some 0.02 square millimetres.
    return Scatterers(x, z, (np.concatenate(amplitude) * np.sqrt(0.02)).astype(np.float32))


def _attenuation(eye: Eye, scan: Scan, x: Floats, z: Floats, u: Floats, w: Floats) -> Floats:
    """Return the attenuation, dB a cm a MHz: little in fluid, much in a dense lens, fat and blood clots."""
    inside = _inside(eye, u, w)
    ahead = w + eye.axial / 2
    value = np.where(inside > 0, 0.05, 0.7)
    lens = (u / 4.6) ** 2 + ((ahead - 5.2) / 2.1) ** 2 < 1.0
    value = np.where(lens, 0.9 + 0.03 * (eye.cataract + 60.0), value)
    iris = (np.abs(ahead - 3.4) < 0.5) & (np.abs(u) > 1.9) & (np.abs(u) < 7.0)
    value = np.where(iris, 3.0, value)
    value = np.where((inside < 0) & (inside > -1.0), 1.1, value)
    if scan.severity > 0:
        value = value + np.where(inside > 0.3, 0.004 * np.maximum(_contents(eye, scan, u, w, inside), 0.0), 0.0)
    return value.astype(np.float32)


def _main_bang(sector: Sector, probe: Probe, rng: np.random.Generator) -> Floats:
    """Return the ringing of the transducer as a factor: near the face everything is brighter."""
    factor: Floats = (1.0 + 6.0 * np.exp(-sector.ranges / (6.0 * probe.wavelength))).astype(np.float32)
    return factor
