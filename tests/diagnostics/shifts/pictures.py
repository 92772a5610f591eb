"""Pictures whose geometry is known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

APEX = (-120.0, 170.0)
HALF_ANGLE = np.deg2rad(35.0)
NEAR, FAR = 130.0, 430.0


def fan(level: float = 110.0, seed: int = 0, height: int = 320, width: int = 340) -> npt.NDArray[np.uint8]:
    """A curved array's fan of speckle, cut off by the sides of the picture as clinical exports often are."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(float)
    distance = np.hypot(x - APEX[1], y - APEX[0])
    angle = np.arctan2(x - APEX[1], y - APEX[0])
    inside = (np.abs(angle) <= HALF_ANGLE) & (distance >= NEAR) & (distance <= FAR)
    speckle = level + 25.0 * np.log(rng.rayleigh(size=inside.shape) + 0.05)
    return np.where(inside, np.clip(speckle, 12, 255), 0).astype(np.uint8)


def true_coordinates(height: int = 320, width: int = 340) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distance from the apex and angle of every pixel of :func:`fan`."""
    y, x = np.mgrid[:height, :width].astype(float)
    return np.hypot(x - APEX[1], y - APEX[0]), np.arctan2(x - APEX[1], y - APEX[0])
