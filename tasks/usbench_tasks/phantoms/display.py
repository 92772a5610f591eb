"""From echoes to the grey picture on the screen: detection, log compression, scan conversion."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from usbench_tasks.phantoms.physics import Complexes, Floats, Sector


@dataclass(frozen=True)
class Display:
    """How a scanner shows its echoes.

    Attributes:
        height: Rows of the picture.
        width: Columns of the picture.
        dynamic_range: Span of levels from black to white, dB.
        gain: Added to every level, dB.
        white: Level shown as white at 0 dB gain, relative to mean speckle of 0 dB tissue, dB.
    """

    height: int
    width: int
    dynamic_range: float = 60.0
    gain: float = 0.0
    white: float = 18.0

    def grey(self, echo: Complexes) -> Floats:
        """Return grey levels 0..255 (not rounded) of complex echoes, of the same shape."""
        level = 20.0 * np.log10(np.maximum(np.abs(echo), np.float32(1e-9)))
        unit = (level + np.float32(self.gain - self.white)) / np.float32(self.dynamic_range) + np.float32(1.0)
        return (np.clip(unit, 0.0, 1.0) * np.float32(255.0)).astype(np.float32, copy=False)

    def show(self, echo: Complexes, sector: Sector) -> npt.NDArray[np.uint8]:
        """Return the picture of a fan, ``[height, width]``, black outside the fan.

        The fan touches top and bottom, and is centred; pixels are square.

        Args:
            echo: Complex echoes, ``[samples, lines]``.
            sector: The fan.
        """
        grey = self.grey(echo).ravel()
        index, weight, inside = _conversion(sector, self.height, self.width)
        picture = np.zeros(self.height * self.width, np.float32)
        picture[inside] = np.einsum("kn,kn->n", grey[index], weight)
        return np.rint(picture).astype(np.uint8).reshape(self.height, self.width)


def pixel_positions(sector: Sector, height: int, width: int) -> tuple[Floats, Floats]:
    """Return *x* and *z* of pixel centres in mm, each ``[height, width]``, as :meth:`Display.show` lays them out."""
    top = sector.radius * (np.cos(sector.half_angle) - 1.0)  # corners of a curved face lie above its middle
    scale = (sector.depth - top) / height
    z = top + (np.arange(height, dtype=np.float32) + 0.5) * scale
    x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2) * scale
    grid_z, grid_x = np.meshgrid(z.astype(np.float32), x.astype(np.float32), indexing="ij")
    return grid_x, grid_z


@lru_cache(maxsize=16)
def _conversion(sector: Sector, height: int, width: int) -> tuple[npt.NDArray[np.int32], Floats, npt.NDArray[np.bool_]]:
    """Return the four neighbours of each pixel inside the fan and their bilinear weights, ``[4, n]``."""
    x, z = pixel_positions(sector, height, width)
    distance, angle = sector.to_polar(x, z)
    row = distance / sector.step - 0.5
    column = (angle + sector.half_angle) / sector.pitch
    inside = (row >= 0) & (row <= sector.samples - 1) & (column >= 0) & (column <= sector.lines - 1)
    row, column = row[inside], column[inside]
    top = np.minimum(row.astype(np.int32), sector.samples - 2)
    left = np.minimum(column.astype(np.int32), sector.lines - 2)
    down, right = row - top, column - left
    first = top * sector.lines + left
    index = np.stack([first, first + 1, first + sector.lines, first + sector.lines + 1])
    weight = np.stack([(1 - down) * (1 - right), (1 - down) * right, down * (1 - right), down * right])
    return index, weight.astype(np.float32), inside.ravel()
