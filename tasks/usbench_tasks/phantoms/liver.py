"""Liver beside kidney with a known share of fat: one simulated picture.

What fat does (all with the scatter between patients that makes the task hard): the liver echoes more than the cortex
of the kidney, which fat leaves alone (hepatorenal index: Webb et al. 2009, AJR 192); it attenuates more, from
about 0.5 dB/cm/MHz in health to about 0.9 when severe (attenuation imaging, Bae et al. 2019, Radiol. 292), so that
depth fades and the diaphragm is lost; and vessel walls drown in bright tissue.

What it must not be read from: gain, dynamic range, TGC, depth, frequency and the fat under the skin vary alike in all
patients.
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

HEIGHT, WIDTH = 288, 384
"""Size of the pictures."""

_BLOOD = -34.0
_CORTEX = -3.0


def fat_level(fat: float) -> float:
    """Return how much a liver echoes above the renal cortex, dB, for ``fat`` in % of hepatocytes."""
    return 0.5 + 10.5 * (1.0 - math.exp(-fat / 30.0))


def fat_attenuation(fat: float) -> float:
    """Return the attenuation of a liver, dB/cm/MHz, for ``fat`` in % of hepatocytes."""
    return 0.50 + 0.42 * (1.0 - math.exp(-fat / 40.0))


@dataclass(frozen=True)
class Liver:
    """A patient.

    Attributes:
        fat: Share of hepatocytes with fat, %.
        offset: The patient's own departure from :func:`fat_level`, dB.
        extra: The patient's own departure from :func:`fat_attenuation`, dB/cm/MHz.
        skin: Thickness of skin and subcutaneous fat, mm.
        kidney: Depth of the middle of the kidney, mm.
        kidney_x: Its lateral position, mm.
        kidney_turn: Its turn, radians.
        seed: Seed of texture and vessels.
    """

    fat: float = 0.0
    offset: float = 0.0
    extra: float = 0.0
    skin: float = 14.0
    kidney: float = 88.0
    kidney_x: float = 28.0
    kidney_turn: float = 0.45
    seed: int = 0

    @property
    def level(self) -> float:
        """Echo level of the liver, dB."""
        return _CORTEX + fat_level(self.fat) + self.offset

    @property
    def attenuation(self) -> float:
        """Attenuation of the liver, dB/cm/MHz."""
        return fat_attenuation(self.fat) + self.extra


@dataclass(frozen=True)
class Scan:
    """How one picture was taken.

    Attributes:
        frequency: Centre frequency, MHz.
        depth: Depth shown, mm.
        focus: Depth of the focus, mm.
        tgc: What the scanner compensates, dB/cm/MHz.
        gain: dB.
        dynamic_range: dB.
        noise: Receiver noise at the face, dB.
        breath: Slide of the organs under the probe, mm.
    """

    frequency: float = 3.0
    depth: float = 140.0
    focus: float = 70.0
    tgc: float = 0.55
    gain: float = 0.0
    dynamic_range: float = 60.0
    noise: float = -72.0
    breath: float = 0.0


def simulate_liver(liver: Liver, scan: Scan, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Simulate one picture.

    Args:
        liver: Patient.
        scan: Acquisition.
        rng: Speckle and noise.

    Returns:
        Grey uint8 ``[288, 384]``, black outside the fan.
    """
    probe, sector = _instrument(scan.frequency, scan.depth, scan.focus)
    anatomy = _Anatomy(liver, scan)
    cloud = scatter_uniformly(sector, probe, rng, per_cell=4.0)
    echoes = Scatterers(cloud.x, cloud.z, cloud.amplitude * decibels(anatomy.levels(cloud.x, cloud.z)))
    echoes += anatomy.surfaces(probe, rng)
    wide = sector.widened(sector.margin(probe))
    gain = path_gain(anatomy.attenuation(*wide.positions(every=4)), wide, probe, scan.tgc, every=4)
    echo = receive(echoes, probe, sector, gain)
    echo += electronic_noise(sector, probe, scan.noise, scan.tgc, rng)
    return Display(HEIGHT, WIDTH, scan.dynamic_range, scan.gain, white=20.0).show(echo, sector)


def masks(liver: Liver, scan: Scan) -> dict[str, npt.NDArray[np.bool_]]:
    """Return which pixels show ``liver``, free of vessels, and ``cortex`` of the kidney, each ``[288, 384]``."""
    _, sector = _instrument(scan.frequency, scan.depth, scan.focus)
    x, z = pixel_positions(sector, HEIGHT, WIDTH)
    distance, angle = sector.to_polar(x, z)
    fan = (np.abs(angle) < sector.half_angle * 0.97) & (distance > 1) & (distance < sector.depth - 1)
    anatomy = _Anatomy(liver, scan)
    return {"liver": fan & (anatomy.tissue(x, z) == _LIVER), "cortex": fan & (anatomy.tissue(x, z) == _KIDNEY)}


_SKIN, _LIVER, _KIDNEY, _SINUS, _VESSEL, _BEYOND, _RIM = range(7)


class _Anatomy:
    """Where the parts lie in one picture; deterministic, so that masks and pixels agree."""

    def __init__(self, liver: Liver, scan: Scan) -> None:
        self.liver, self.scan = liver, scan
        own = np.random.default_rng([liver.seed, 1])
        self.coarse, self.fine = Texture(own, 320.0, 11.0), Texture(own, 320.0, 2.2)
        count = int(own.integers(5, 9))
        self.vessels = [
            (
                float(own.uniform(-60, 45)),
                float(own.uniform(liver.skin + 22, 105)),
                float(own.uniform(1.6, 4.5)),
                float(own.uniform(-1.2, 1.2)),
                float(own.uniform(6.0, 24.0)),
                bool(own.random() < 0.45),
            )
            for _ in range(count)
        ]
        self.diaphragm = float(own.uniform(112.0, 128.0))
        self.half = (float(own.uniform(20.0, 24.0)), float(own.uniform(44.0, 54.0)))

    def _kidney(self, x: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """Return radius (1 at the capsule) and coordinates of the kidney's own short and long axes."""
        liver, slide = self.liver, np.float32(self.scan.breath)
        cos, sin = np.float32(math.cos(liver.kidney_turn)), np.float32(math.sin(liver.kidney_turn))
        dx, dz = x - np.float32(liver.kidney_x) - slide, z - np.float32(liver.kidney)
        long, short = cos * dx + sin * dz, cos * dz - sin * dx
        return np.hypot(short / np.float32(self.half[0]), long / np.float32(self.half[1])), short, long

    def _vessel(self, x: Floats, z: Floats) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Return lumens, and the bright walls of the portal ones."""
        lumen, wall = np.zeros(x.shape, bool), np.zeros(x.shape, bool)
        for middle, depth, radius, turn, reach, portal in self.vessels:
            dx, dz = x - np.float32(middle + self.scan.breath), z - np.float32(depth)
            along, across = dx * math.cos(turn) + dz * math.sin(turn), dz * math.cos(turn) - dx * math.sin(turn)
            away = np.hypot(np.maximum(np.abs(along) - reach, 0.0), across)
            lumen |= away < radius
            if portal:
                wall |= (away >= radius) & (away < radius + 1.1)
        return lumen, wall

    def tissue(self, x: Floats, z: Floats) -> npt.NDArray[np.int8]:
        """Return the kind of tissue at points."""
        radius, short, long = self._kidney(x, z)
        lumen, wall = self._vessel(x, z)
        kind = np.full(x.shape, _LIVER, np.int8)
        kind[wall] = _RIM
        kind[lumen] = _VESSEL
        floor = self.diaphragm - 0.0022 * (x + 20.0) ** 2
        kind[z > floor] = _BEYOND
        kind[radius < 1.10] = _RIM
        kind[radius < 1.0] = _KIDNEY
        # Pyramids: dark wedges around the sinus.
        turn = np.arctan2(short * 2.0, long)
        kind[(radius < 0.74) & (radius > 0.42) & (np.cos(turn * 7.0) > 0.35)] = _VESSEL
        kind[radius < 0.42] = _SINUS
        kind[z < self.liver.skin] = _SKIN
        return kind

    def levels(self, x: Floats, z: Floats) -> Floats:
        """Return the echo level of diffuse tissue, dB."""
        kind = self.tissue(x, z)
        radius, _, _ = self._kidney(x, z)
        uneven = 0.9 * self.coarse(x, z) + 0.8 * self.fine(x, z)
        liver = self.liver.level
        layers = -3.0 + 7.0 * np.sin(z * 1.5 + 0.8 * self.coarse(x, z)) ** 8 + 2.0 * self.fine(x, z)
        per_kind = np.array([0.0, liver, _CORTEX, 7.0, _BLOOD, -14.0, max(6.0, liver)], np.float32)
        level = per_kind[kind] + np.where(kind == _VESSEL, 0.0, uneven)
        level = np.where((kind == _VESSEL) & (radius < 1.0), _CORTEX - 7.0 + uneven, level)  # a pyramid, not blood
        return np.asarray(np.where(kind == _SKIN, layers, level), np.float32)

    def attenuation(self, x: Floats, z: Floats) -> Floats:
        """Return the attenuation, dB a cm a MHz."""
        kind = self.tissue(x, z)
        per_kind = np.array([0.75, self.liver.attenuation, 0.6, 0.8, 0.15, 0.6, 0.7], np.float32)
        values: Floats = per_kind[kind]
        return values

    def surfaces(self, probe: Probe, rng: np.random.Generator) -> Scatterers:
        """Return the faces: capsule of the liver, diaphragm."""
        x = np.linspace(-90.0, 90.0, 300).astype(np.float32)
        bumps = self.coarse(x, np.zeros_like(x))
        capsule = surface(x, (self.liver.skin + 0.4 * bumps).astype(np.float32), 6.0, 0.1, rng, probe.wavelength)
        floor = (self.diaphragm - 0.0022 * (x + 20.0) ** 2).astype(np.float32)
        radius, _, _ = self._kidney(x, floor)
        keep = soft_step(radius - 1.15, 0.05) > 0.5
        edges = np.flatnonzero(np.diff(np.concatenate([[False], keep, [False]]).astype(np.int8)))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first > 2:
                capsule += surface(x[first:last], floor[first:last], 10.0, 0.25, rng, probe.wavelength)
        return capsule


@lru_cache(maxsize=32)
def _instrument(frequency: float, depth: float, focus: float) -> tuple[Probe, Sector]:
    probe = Probe(frequency=frequency, aperture=20.0, focus=focus)
    return probe, Sector(radius=55.0, half_angle=0.52, depth=depth, lines=160, samples=768)
