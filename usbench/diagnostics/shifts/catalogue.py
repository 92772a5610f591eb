"""The shifts: what each stands for, how strong each severity is, and where the stand-in ends."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from usbench.core.types import Frame
from usbench.diagnostics.shifts import transforms
from usbench.diagnostics.shifts.geometry import Geometry, geometry_of
from usbench.diagnostics.shifts.levels import Level

Transform = Callable[[Frame, Geometry, float, np.random.Generator], Frame]


@dataclass(frozen=True)
class Shift:
    """One acquisition shift.

    Attributes:
        name: As in ``--shift``.
        title: As printed.
        physics: What it stands for, and how the picture is changed.
        limits: Where the picture falls short of the physics.
        amounts: Strength at severities 1 to 5.
        unit: What an amount is measured in, with ``{}`` for the number.
        apply: From frame, geometry, amount and a generator to the shifted frame.
        version: Raised when the same amount would give other pixels; part of every key in the store.
    """

    name: str
    title: str
    physics: str
    limits: str
    amounts: tuple[float, float, float, float, float]
    unit: str
    apply: Transform
    version: int = 1

    def amount(self, severity: int) -> str:
        """Return the strength of a severity in words, such as ``+6 dB``."""
        return self.unit.format(f"{self.amounts[severity - 1]:g}")


_ALL = (
    Shift(
        "gain",
        "Gain turned up",
        "More overall gain raises every echo by the same number of decibels; what passes white saturates. A grey level "
        "counts as 60 dB / 255, the dynamic range assumed of every picture.",
        "Echoes under the black level are not in the picture: black stays black instead of showing noise, rising to "
        "the full effect over the first 16 grey levels.",
        (2, 4, 6, 9, 12),
        "+{} dB",
        transforms.gain,
    ),
    Shift(
        "dynamic_range",
        "Smaller dynamic range",
        "The display spans fewer decibels from black to white, counted from white: contrast rises and weak echoes turn "
        "black.",
        "The range of the original is assumed to be 60 dB, and its grey map to be linear in decibels.",
        (56, 52, 48, 44, 40),
        "{} dB",
        transforms.dynamic_range,
    ),
    Shift(
        "tgc",
        "Depth gain too flat",
        "Time-gain compensation that falls short of the attenuation: the level falls linearly with depth along the "
        "beam, by this much at the far end.",
        "Echoes that sink below black are lost as on a scanner, but noise does not come up with depth.",
        (4, 8, 12, 16, 20),
        "-{} dB at full depth",
        transforms.depth_gain,
    ),
    Shift(
        "speckle",
        "Speckle drawn anew",
        "Another arrangement of the scatterers between the same structures: the fine part of the picture is replaced, "
        "by this share of its amplitude, by fully developed speckle (log-Rayleigh) of the same local contrast, "
        "correlated along and across the beam.",
        "What counts as fine is decided by a filter, so thin structures are partly taken for speckle. The speckle size "
        "is fixed in pixels and not measured.",
        (20, 40, 60, 80, 100),
        "{} %",
        transforms.speckle,
    ),
    Shift(
        "blur",
        "Wider beam",
        "A wider beam, as of a smaller aperture: intensity is smeared across the beams by a Gaussian of this standard "
        "deviation, in a fan over an angle, so that it widens with depth.",
        "The beam is smeared incoherently, after detection; its speckle is averaged out where real speckle would grow "
        "wider. There is no focus.",
        (0.3, 0.6, 1.0, 1.5, 2.2),
        "{} % of the beams",
        transforms.lateral_blur,
    ),
    Shift(
        "shadow",
        "Acoustic shadow",
        "Behind something that reflects or absorbs, or without contact, the beams carry less: from a random depth in "
        "the shallow half on, a band of beams with soft edges loses up to this much. It is 8 to 16 % of the field of "
        "view wide.",
        "Its cause is not drawn, and nothing reverberates in it. It may fall on the finding: then the answer should "
        "change.",
        (6, 12, 18, 24, 30),
        "-{} dB",
        transforms.shadow,
    ),
    Shift(
        "crop",
        "Narrower sector",
        "Fewer beams: this share of the field of view, half on either side, turns black.",
        "The scanner would scan the rest more densely and often enlarge it. What lies at the side is lost, which may "
        "be the finding.",
        (10, 20, 30, 40, 50),
        "{} % of the beams",
        transforms.crop,
    ),
    Shift(
        "text",
        "Burned-in text",
        "Annotations, calliper crosses and depth marks written into the pixels, in white, at random places.",
        "One bitmap font and invented words, in no scanner's layout.",
        (1, 2, 4, 6, 8),
        "{} marks",
        transforms.text,
    ),
)

SHIFTS: dict[str, Shift] = {shift.name: shift for shift in _ALL}
"""Every shift by name, in the order of :data:`usbench.diagnostics.shifts.levels.NAMES`."""


def shift_key(level: Level) -> str:
    """Return what a level adds to the key of a frame in the store: its name, severity and version."""
    return f"shift:{level.shift}:{level.severity}@{SHIFTS[level.shift].version}"


def shift_frame(frame: Frame, level: Level) -> Frame:
    """Apply one level of a shift to a frame.

    Whatever is drawn by chance (where a shadow falls, what is written) is seeded by the pixels of the frame and the
    name of the shift, not by its severity: equal frames get equal shifts wherever they are stored, and the five
    severities of one frame are grades of one and the same disturbance.

    Args:
        frame: uint8 ``[H, W]``; not changed.
        level: Shift and severity.

    Returns:
        uint8 ``[H, W]``.
    """
    shift = SHIFTS[level.shift]
    content = np.ascontiguousarray(frame)
    digest = hashlib.sha256(f"{shift.name}@{shift.version}|{frame.shape}|".encode())
    digest.update(content.data)
    rng = np.random.default_rng(int.from_bytes(digest.digest()[:16], "little"))
    return shift.apply(content, geometry_of(content), shift.amounts[level.severity - 1], rng)
