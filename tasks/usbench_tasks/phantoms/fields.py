"""Smooth random textures and soft-edged shapes, for tissue that is never quite even."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from usbench_tasks.phantoms.physics import Floats


class Texture:
    """A stationary random field of zero mean and unit variance, smooth over ``grain`` millimetres.

    Args:
        rng: Source of randomness.
        width: Extent in *x* and in *z*, centred on the origin, mm. Outside it the field repeats.
        grain: Standard deviation of the smoothing, mm; one number, or those along *x* and *z*.
    """

    def __init__(self, rng: np.random.Generator, width: float, grain: float | tuple[float, float]) -> None:
        grain_x, grain_z = grain if isinstance(grain, tuple) else (grain, grain)
        self._step = min(grain_x, grain_z) / 3.0
        size = max(8, int(width / self._step))
        white = rng.standard_normal((size, size), dtype=np.float32)
        smooth = gaussian_filter(white, (grain_z / self._step, grain_x / self._step), mode="wrap")
        self._values: Floats = (smooth - smooth.mean()) / smooth.std()

    def __call__(self, x: Floats, z: Floats) -> Floats:
        """Return the field at points, in the shape of ``x``: the nearest of its samples, a third of a grain apart."""
        size = len(self._values)
        # Offset by many periods: the remainder of a positive number is cheap.
        middle = np.float32(size * 8 + size / 2)
        column = (x * np.float32(1.0 / self._step) + middle).astype(np.int32) % size
        row = (z * np.float32(1.0 / self._step) + middle).astype(np.int32) % size
        values: Floats = self._values.ravel()[row * size + column]
        return values


def soft_step(distance: npt.NDArray[np.floating], width: float) -> Floats:
    """Return 0 well below zero, 1 well above, and a smooth rise over about ``width`` in between."""
    step: Floats = 1.0 / (1.0 + np.exp(np.clip(distance * (-4.0 / width), -30.0, 30.0)))
    return step.astype(np.float32)


def decibels(level: npt.NDArray[np.floating] | float) -> Floats:
    """Return the amplitude factor of a level in dB."""
    factor: Floats = np.power(np.float32(10.0), np.asarray(level, np.float32) * np.float32(0.05))
    return factor
