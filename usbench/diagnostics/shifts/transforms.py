"""What each shift does to the pixels, in decibels and along the beams.

Every function takes a frame, uint8 ``[H, W]``, its geometry, an amount and a source of chance, and returns a new frame.
Nothing outside the field of view changes, except for text.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from usbench.core.types import Frame
from usbench.diagnostics.shifts.geometry import Floats, Geometry

DISPLAY_RANGE = 60.0
"""Decibels from black to white assumed of every picture: a common setting, which the pixels do not tell."""

_TOE = 16.0  # grey levels over which echoes emerge from black
_GRAIN = (1.0, 1.8)  # standard deviation of the speckle's correlation along and across the beam, in samples

_WORDS = (
    "MI 1.2",
    "TIS 0.4",
    "FR 23Hz",
    "RES",
    "L 4.2cm",
    "12:40:07",
    "GEN",
    "D 10.0cm",
    "ABD",
    "2D 62%",
    "C 55",
    "SAG",
)


def gain(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Raise all echoes by ``amount`` dB; saturate at white."""
    toe = np.minimum(frame.astype(np.float32) / np.float32(_TOE), 1.0)
    return _grey(frame, geometry, _decibels(frame) + np.float32(amount) * toe)


def dynamic_range(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Show ``amount`` dB below white instead of the whole range."""
    below_white = _decibels(frame) - np.float32(DISPLAY_RANGE)
    return _grey(frame, geometry, below_white * np.float32(DISPLAY_RANGE / amount) + np.float32(DISPLAY_RANGE))


def depth_gain(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Lower the level linearly with depth, by ``amount`` dB at the far end."""
    return _grey(frame, geometry, _decibels(frame) - np.float32(amount) * np.clip(geometry.depth, 0.0, 1.0))


def speckle(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Replace ``amount`` percent of the fine texture by speckle of its own."""
    level = _decibels(frame)
    width = 3.0 * max(_GRAIN)
    smooth = ndimage.gaussian_filter(level, width)
    fine = level - smooth
    contrast = np.sqrt(ndimage.gaussian_filter(fine**2, width))
    share = np.float32(amount / 100.0)
    fresh = geometry.from_beams(_speckle_levels(geometry.shape, rng)) * contrast
    mixed = np.sqrt(np.float32(1.0) - share**2) * fine + share * fresh
    return _grey(frame, geometry, smooth + mixed)


def lateral_blur(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Smear intensity across the beams by a Gaussian of ``amount`` percent of their number."""
    level = _decibels(frame)
    beams = geometry.to_beams(level)
    intensity = np.power(np.float32(10.0), beams / np.float32(10.0))
    sigma = amount / 100.0 * (beams.shape[1] - 1)
    if sigma == 0:  # a single column has nothing to be smeared into
        return frame.copy()
    smeared = np.float32(10.0) * np.log10(ndimage.gaussian_filter1d(intensity, sigma, axis=1, mode="nearest"))
    # Only the change passes through beam coordinates: resampling the picture itself would blur it along them too.
    return _grey(frame, geometry, level + geometry.from_beams(smeared - beams))


def shadow(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Take ``amount`` dB from a band of beams, from some depth on."""
    middle, width, start = rng.uniform(0.2, 0.8), rng.uniform(0.08, 0.16), rng.uniform(0.05, 0.5)
    across = _soft((width / 2 - np.abs(geometry.beam - np.float32(middle))) / np.float32(0.02))
    along = _soft((geometry.depth - np.float32(start)) / np.float32(0.01))
    return _grey(frame, geometry, _decibels(frame) - np.float32(amount) * across * along)


def crop(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Blacken ``amount`` percent of the beams, half of it on either side."""
    margin = amount / 200.0
    kept = (geometry.beam >= margin) & (geometry.beam <= 1.0 - margin)
    return np.where(geometry.inside & ~kept, 0, frame).astype(np.uint8)


def text(frame: Frame, geometry: Geometry, amount: float, rng: np.random.Generator) -> Frame:
    """Write ``amount`` marks into the picture: words, calliper crosses, and ticks of a depth scale."""
    from PIL import Image, ImageDraw, ImageFont

    height, width = frame.shape
    scale = max(1, round(min(height, width) / 220))
    # Drawn on a small canvas and enlarged, as a bitmap font has one size.
    canvas = Image.new("L", (-(-width // scale), -(-height // scale)))
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default_imagefont()
    for number in range(round(amount)):
        x, y = rng.uniform(0.02, 0.80) * canvas.width, rng.uniform(0.02, 0.92) * canvas.height
        word = _WORDS[int(rng.integers(len(_WORDS)))]
        if number % 4 == 1:
            draw.line((x - 4, y, x + 4, y), fill=255)
            draw.line((x, y - 4, x, y + 4), fill=255)
        elif number % 4 == 3:
            for tick in range(0, canvas.height, max(6, canvas.height // 12)):
                draw.line((canvas.width - 5, tick, canvas.width - 1, tick), fill=255)
        else:
            draw.text((x, y), word, fill=255, font=font)
    drawn = np.asarray(canvas.resize((canvas.width * scale, canvas.height * scale), Image.Resampling.NEAREST))
    written: Frame = np.maximum(frame, drawn[:height, :width])
    return written


def _speckle_levels(shape: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Fully developed speckle in decibels, of zero mean and unit variance, ``[depth, beam]``."""
    real, imaginary = (
        ndimage.gaussian_filter(rng.standard_normal(shape, dtype=np.float32), _GRAIN, mode="wrap") for _ in range(2)
    )
    level = np.log10(real**2 + imaginary**2 + np.float32(1e-12))
    standard: Floats = (level - level.mean()) / max(float(level.std()), 1e-6)
    # Deep nulls would dominate where contrast is high; the display's floor cuts them off in any picture.
    return np.clip(standard, -4.0, 4.0)


def _soft(distance: Floats) -> Floats:
    """A smooth step: 0 well below zero, 1 well above."""
    step: Floats = np.float32(1.0) / (np.float32(1.0) + np.exp(np.clip(-distance, -30.0, 30.0)))
    return step


def _decibels(frame: Frame) -> Floats:
    level: Floats = frame.astype(np.float32) * np.float32(DISPLAY_RANGE / 255.0)
    return level


def _grey(frame: Frame, geometry: Geometry, level: Floats) -> Frame:
    grey = np.rint(np.clip(level * np.float32(255.0 / DISPLAY_RANGE), 0.0, 255.0)).astype(np.uint8)
    return np.where(geometry.inside, grey, frame)
