"""Lung through an intercostal space, with A-lines or B-lines: one simulated video.

Chest wall, two ribs with their shadows and the pleural line between them are scatterers like any tissue. Air below
reflects nearly all sound, so nothing under the pleura is anatomy (Lichtenstein 2014, Chest 147; Soldati, Demi et
al. 2016, J. Ultrasound Med. 35):

- *A-lines*: sound that runs between probe and pleura again and again. The echo of the pleura returns at two, three
  and four times its depth, weaker each time; here it is a surface of scatterers at each of these depths.
- *B-lines*: sound caught in fluid between air-filled alveoli, which leaks out for a long time. Here a trap is a column
  of scatterers of random phase from the pleura to the foot of the picture, many to a pulse, so that its ring-down is
  speckle of its own; it moves with the lung as it slides, and A-lines fade under it. With severity traps grow in
  number and width until they merge; at the worst grade the pleura is broken by small consolidations.

Left out: true multiple scattering, the mirror image of the chest wall, pleural effusion, the frequency that a trap
rings at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from usbench_tasks.phantoms.display import Display
from usbench_tasks.phantoms.fields import Texture, decibels, soft_step
from usbench_tasks.phantoms.physics import (
    Complexes,
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

SIZE = 224
"""Height and width of the frames."""

GRADES = 4
"""Severity of a place runs from 0 (A-lines) to 3 (white lung)."""

_TGC = 0.5  # dB/cm/MHz that the scanner assumes
_AIR = -58.0


@dataclass(frozen=True)
class Lung:
    """A place on the chest.

    Attributes:
        severity: Grade, 0 to 3.
        b_lines: Number of B-lines.
        width: Their width where they begin, mm.
        pleura: Depth of the pleura, mm.
        a_line: Level of the first A-line below the pleura, dB.
        space: Distance between the ribs, mm.
        seed: Seed of texture and places.
    """

    severity: int = 0
    b_lines: int = 0
    width: float = 1.2
    pleura: float = 24.0
    a_line: float = -10.0
    space: float = 34.0
    seed: int = 0


@dataclass(frozen=True)
class View:
    """How a video was taken.

    Attributes:
        frames: Number of frames.
        fps: Frames per second.
        frequency: Centre frequency, MHz.
        depth: Depth shown, mm.
        gain: dB.
        dynamic_range: dB.
        noise: Receiver noise at the face, dB.
        shift: Sideways displacement of the ribs, mm.
        slide: Sliding of the lung to either side, mm.
        start: Phase of the breath at the first frame, radians.
    """

    frames: int = 5
    fps: float = 10.0
    frequency: float = 3.5
    depth: float = 120.0
    gain: float = 0.0
    dynamic_range: float = 60.0
    noise: float = -66.0
    shift: float = 0.0
    slide: float = 4.0
    start: float = 0.0

    def offsets(self) -> npt.NDArray[np.float64]:
        """Return how far the lung has slid in every frame, mm, for a breath of four seconds."""
        time = np.arange(self.frames) / self.fps
        return np.asarray(self.slide * np.sin(2 * math.pi * time / 4.0 + self.start))


def simulate_lung(lung: Lung, view: View, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Simulate one video.

    Args:
        lung: Anatomy and disease.
        view: Acquisition.
        rng: Speckle and noise.

    Returns:
        Grey uint8 ``[frames, 224, 224]``, black outside the fan.
    """
    probe, sector = _instrument(view.frequency, view.depth)
    wall = _chest_wall(lung, view, probe, sector, rng)
    shadow = _rib_shadow(lung, view, sector, probe)
    display = Display(SIZE, SIZE, view.dynamic_range, view.gain, white=18.0)
    pictures = np.empty((view.frames, SIZE, SIZE), np.uint8)
    for number, offset in enumerate(view.offsets()):
        echoes = wall
        echoes += _pleura(lung, view, float(offset), probe)
        air, ringing = _below(lung, view, float(offset), probe, sector)
        echo: Complexes = receive(echoes + air + ringing, probe, sector, shadow)
        echo += electronic_noise(sector, probe, view.noise, _TGC, rng)
        pictures[number] = display.show(echo, sector)
    return pictures


def b_line_places(lung: Lung) -> npt.NDArray[np.float64]:
    """Return where on the pleura the B-lines begin, mm from the middle at rest, ``[b_lines]``."""
    own = np.random.default_rng([lung.seed, 1])
    room = lung.space - 8.0
    patches = (np.arange(lung.b_lines) + 0.5 + own.uniform(-0.3, 0.3, lung.b_lines)) / max(lung.b_lines, 1)
    return np.asarray((patches - 0.5) * room)


@lru_cache(maxsize=16)
def _instrument(frequency: float, depth: float) -> tuple[Probe, Sector]:
    probe = Probe(frequency=frequency, aperture=16.0, focus=70.0)
    return probe, Sector(radius=45.0, half_angle=0.50, depth=depth, lines=112, samples=560)


def _course(lung: Lung, x: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return the depth of the pleura at places across, mm: it bends away a little."""
    return np.asarray(lung.pleura + 0.0016 * x**2)


def _chest_wall(lung: Lung, view: View, probe: Probe, sector: Sector, rng: np.random.Generator) -> Scatterers:
    """Return skin, fat, muscle and ribs; nothing diffuse below the pleura."""
    cloud = scatter_uniformly(sector, probe, rng, per_cell=4.0)
    above = cloud.z < _course(lung, cloud.x) - 0.4
    x, z = cloud.x[above], cloud.z[above]
    own = np.random.default_rng([lung.seed, 2])
    coarse, fine = Texture(own, 320.0, (9.0, 1.4)), Texture(own, 320.0, 2.0)
    # Muscle and fat lie in layers along the skin.
    level = -6.0 + 4.0 * coarse(x, z) + 1.5 * fine(x, z)
    level = np.where(z < 3.0, 3.0, level)
    tissue = Scatterers(x, z, cloud.amplitude[above] * decibels(level))
    for side in (-1.0, 1.0):
        middle = view.shift + side * (lung.space / 2 + 7.0)
        turn = np.linspace(-1.1, 1.1, 120)
        face = surface(
            (middle + 7.0 * np.sin(turn)).astype(np.float32),
            (lung.pleura - 6.0 + 4.0 * (np.cos(turn) - 1.0)).astype(np.float32),
            10.0,
            0.2,
            rng,
            probe.wavelength,
        )
        tissue += face
    return tissue


def _rib_shadow(lung: Lung, view: View, sector: Sector, probe: Probe) -> Floats:
    """Return the factors of attenuation and of the ribs' shadows on the widened fan."""
    wide = sector.widened(sector.margin(probe))
    x, z = wide.positions(every=4)
    bone = np.zeros(x.shape, np.float32)
    for side in (-1.0, 1.0):
        middle = view.shift + side * (lung.space / 2 + 7.0)
        inside = soft_step(7.0 - np.abs(x - middle), 1.0) * soft_step(z - (lung.pleura - 5.5), 0.5)
        bone += inside * soft_step(lung.pleura + 4.0 - z, 0.5)
    return path_gain((0.5 + 9.0 * bone).astype(np.float32), wide, probe, _TGC, every=4)


def _pleura(lung: Lung, view: View, offset: float, probe: Probe) -> Scatterers:
    """Return the pleural line: smooth in health, rough and broken when severe. Its grain slides with the lung."""
    own = np.random.default_rng([lung.seed, 3])
    x = np.linspace(-75.0, 75.0, 1200)
    level = 16.0 - 1.5 * lung.severity
    rough = 0.06 + 0.07 * lung.severity
    line = surface(x.astype(np.float32), np.zeros_like(x, np.float32), level, 0.0, own, probe.wavelength)
    uneven = own.normal(0.0, rough * probe.wavelength, len(line.x)) + 0.25 * lung.severity * Texture(own, 240.0, 3.0)(
        line.x, np.zeros_like(line.x)
    )
    z = (_course(lung, line.x + offset) + uneven).astype(np.float32)
    grain = (1.0 + (0.35 + 0.1 * lung.severity) * own.standard_normal(len(line.x))).astype(np.float32)
    return Scatterers((line.x + np.float32(offset)).astype(np.float32), z, line.amplitude * grain)


def _below(lung: Lung, view: View, offset: float, probe: Probe, sector: Sector) -> tuple[Scatterers, Scatterers]:
    """Return what is shown below the pleura: A-lines with faint haze, and B-lines."""
    own = np.random.default_rng([lung.seed, 4])
    places = b_line_places(lung) + offset
    haze = scatter_uniformly(sector, probe, own, per_cell=2.0)
    under = haze.z > _course(lung, haze.x) + 0.4
    x, z, amplitude = haze.x[under], haze.z[under], haze.amplitude[under]

    # Ring-down: along a scan line from the trap to the foot, wider with depth as the beam is.
    _, angle = sector.to_polar(x, z)
    lit = np.zeros(len(x), np.float32)
    strengths = own.uniform(-3.0, 3.0, lung.b_lines)
    cores = lung.width * own.uniform(0.7, 1.5, lung.b_lines)
    for place, strength, core in zip(places, strengths, cores, strict=True):
        trap = math.atan2(float(place), sector.radius + float(_course(lung, np.array([place]))[0]))
        away = (angle - np.float32(trap)) * (np.float32(sector.radius) + z)
        spread = core * (1.0 + 0.006 * (z - lung.pleura))
        lit += decibels(strength) * np.exp(np.float32(-0.5) * (away / spread) ** 2)
    fade = decibels(-0.06 * (z - lung.pleura))
    strips = 0.75 + 0.25 * np.sin(2 * math.pi * (z - lung.pleura) / 3.1)  # the ladder of a ringing trap
    level = decibels(_AIR) + decibels(2.0) * lit * fade * strips
    ringing = Scatterers(x, z, amplitude * np.asarray(level, np.float32))

    across = np.linspace(-70.0, 70.0, 500)
    lines = Scatterers(*(np.zeros(0, np.float32) for _ in range(3)))
    for number in range(2, 6):
        depth = number * _course(lung, across)
        if float(depth.min()) > view.depth:
            break
        face = surface(
            across.astype(np.float32),
            depth.astype(np.float32),
            16.0 + lung.a_line - 6.0 * (number - 2),
            0.10,
            own,
            probe.wavelength,
        )
        # Where sound is trapped it does not return to the probe for another round.
        _, angle = sector.to_polar(face.x, face.z)
        taken = np.zeros(len(face.x), np.float32)
        for place, core in zip(places, cores, strict=True):
            trap = math.atan2(float(place), sector.radius + lung.pleura)
            away = (angle - np.float32(trap)) * (np.float32(sector.radius) + face.z)
            taken += np.exp(np.float32(-0.5) * (away / (1.6 * core + 0.8)) ** 2)
        keep = np.exp(-2.5 * taken) * (1.0 - 0.22 * lung.severity)
        lines += Scatterers(face.x, face.z, (face.amplitude * keep).astype(np.float32))
    return lines, ringing
