"""Where the beams of a picture run: down its columns, or out from the apex of a fan.

An acquisition shift follows the beams. A shadow lies behind its cause, gain changes with the distance travelled, and
the width of the beam smears across it. A picture does not say how it was acquired, so its shape has to: two straight
edges that lean towards each other are the sides of a fan, everything else is taken as a linear array.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from usbench.core.types import Frame

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

DARK = 4.0
"""Smoothed grey levels up to this one count as background."""

_ANGLES = np.deg2rad(np.arange(6.0, 76.0, 1.0))
_CONTACT = 0.25
"""An edge of a fan is straight over at least this share of the picture's height."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """Beam coordinates of every pixel.

    Attributes:
        kind: ``fan`` or ``linear``.
        depth: 0 at the transducer's face, 1 at the end of the field of view; float32 ``[H, W]``.
        beam: 0 at the first beam, 1 at the last; float32 ``[H, W]``.
        inside: Whether a pixel belongs to the field of view, bool ``[H, W]``.
        apex: Row and column of the point from which the beams of a fan diverge.
        span: Fan: least and greatest angle, and least and greatest distance from the apex, in radians and pixels.
            Linear: left, right, top and bottom of the field of view in pixels.
    """

    kind: Literal["fan", "linear"]
    depth: Floats
    beam: Floats
    inside: Bools
    apex: tuple[float, float]
    span: tuple[float, float, float, float]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the picture."""
        return self.depth.shape[0], self.depth.shape[1]

    def to_beams(self, image: Floats) -> Floats:
        """Resample a picture to beam coordinates, ``[depth, beam]`` in as many samples as it has rows and columns."""
        rows, columns = self.shape
        depth = np.linspace(0.0, 1.0, rows, dtype=np.float32)[:, None]
        beam = np.linspace(0.0, 1.0, columns, dtype=np.float32)[None, :]
        first, last, near, far = self.span
        across = first + beam * (last - first)
        along = near + depth * (far - near)
        if self.kind == "fan":
            places = np.stack([self.apex[0] + along * np.cos(across), self.apex[1] + along * np.sin(across)])
        else:
            places = np.stack(np.broadcast_arrays(along, across))
        sampled: Floats = ndimage.map_coordinates(image, places, order=1, mode="nearest")
        return sampled

    def from_beams(self, samples: Floats) -> Floats:
        """Sample an array ``[depth, beam]`` at every pixel, ``[H, W]``; beyond the field of view its border repeats."""
        rows, columns = samples.shape
        places = np.stack([self.depth * (rows - 1), self.beam * (columns - 1)])
        sampled: Floats = ndimage.map_coordinates(samples, places, order=1, mode="nearest")
        return sampled


def geometry_of(frame: Frame) -> Geometry:
    """Read the geometry off a picture.

    Args:
        frame: uint8 ``[H, W]``.

    Returns:
        A fan where two straight sides that meet above the picture are found (one of them may lie in shadow if the
        other, mirrored, bounds everything that is bright), else a linear array over the bright part.
    """
    return _geometry(np.ascontiguousarray(frame).tobytes(), frame.shape[0], frame.shape[1])


@lru_cache(maxsize=64)  # the shifts of one frame follow each other
def _geometry(content: bytes, height: int, width: int) -> Geometry:
    frame = np.frombuffer(content, np.uint8).reshape(height, width)
    support = _support(frame)
    if support is None:
        return _linear(height, width, (0, width - 1, 0, height - 1))
    fan = _fan(support)
    if fan is not None:
        return fan
    rows, columns = np.flatnonzero(support.any(axis=1)), np.flatnonzero(support.any(axis=0))
    return _linear(height, width, (int(columns[0]), int(columns[-1]), int(rows[0]), int(rows[-1])))


def _support(frame: Frame) -> Bools | None:
    """The largest bright region, without the specks and captions around it; None in a dark picture."""
    size = max(3, min(frame.shape) // 60)
    bright = ndimage.uniform_filter(frame.astype(np.float32), size) > DARK
    regions, count = ndimage.label(bright)
    if count == 0:
        return None
    areas = np.bincount(regions.ravel())[1:]
    if areas.max() < 0.02 * frame.size:
        return None
    support: Bools = regions == 1 + int(areas.argmax())
    return support


def _linear(height: int, width: int, box: tuple[int, int, int, int]) -> Geometry:
    left, right, top, bottom = box
    row = np.arange(height, dtype=np.float32)[:, None]
    column = np.arange(width, dtype=np.float32)[None, :]
    depth, beam = np.broadcast_arrays((row - top) / max(bottom - top, 1), (column - left) / max(right - left, 1))
    inside = (depth >= 0) & (depth <= 1) & (beam >= 0) & (beam <= 1)
    span = (float(left), float(right), float(top), float(bottom))
    return Geometry("linear", depth.astype(np.float32), beam.astype(np.float32), inside, (float("-inf"), 0.0), span)


def _fan(support: Bools) -> Geometry | None:
    height, width = support.shape
    edge = support & ~ndimage.binary_erosion(support, border_value=0)
    rows, columns = (axis.astype(np.float64) for axis in np.nonzero(edge))
    left = _side(rows, columns, height)
    mirrored = _side(rows, width - 1 - columns, height)
    right = None if mirrored is None else (mirrored[0], mirrored[1])
    # A side is (angle from the vertical, column at row 0), the right one seen in a mirror; one can stand for both.
    symmetric = left is None or right is None
    a, b = left or right, right or left
    if a is None or b is None:
        return None
    slope_left, slope_right = np.tan(a[0]), np.tan(b[0])
    start_left, start_right = a[1], width - 1 - b[1]
    apex_row = -(start_right - start_left) / (slope_left + slope_right)
    apex_column = start_left - slope_left * apex_row
    if apex_row > 0.5 * height or not -0.25 * width < apex_column < 1.25 * width:
        return None
    y = np.arange(height, dtype=np.float64)[:, None] - apex_row
    x = np.arange(width, dtype=np.float64)[None, :] - apex_column
    angle, distance = np.arctan2(x, y), np.hypot(x, y)
    first, last = -a[0], b[0]
    within = (angle >= first) & (angle <= last)
    if symmetric and (support & ~within).sum() > 0.03 * support.sum():
        return None
    seen = distance[support & within]
    if seen.size < 0.5 * support.sum():
        return None
    near, far = (float(q) for q in np.quantile(seen, (0.0005, 0.9995)))
    depth = (distance - near) / max(far - near, 1.0)
    beam = (angle - first) / (last - first)
    inside = within & (depth >= 0) & (depth <= 1)
    return Geometry(
        "fan",
        depth.astype(np.float32),
        beam.astype(np.float32),
        inside,
        (float(apex_row), float(apex_column)),
        (float(first), float(last), near, far),
    )


def _side(rows: npt.NDArray[np.float64], columns: npt.NDArray[np.float64], height: int) -> tuple[float, float] | None:
    """Find the straight left side of a fan: its angle from the vertical, and its column at row 0.

    For every angle, the line that touches the region from the upper left is slid along; where the region's edge is
    straight at that angle, many of its points lie on the line.
    """
    slack = max(1.5, height / 150)
    best = (0.0, 0.0, 0.0)
    for angle in _ANGLES:
        reach = columns * np.cos(angle) + rows * np.sin(angle)  # least on the line that touches
        # The outermost points are burrs of the smoothing; the line rests on the second percentile of the rim.
        touching = reach <= reach.min() + 2 * slack
        on_line = rows[touching]
        # Straight means touched all along, not at two far corners.
        cells = np.unique((on_line / (height / 40)).astype(int)).size
        contact = cells / 40
        # An upright edge, too, stays within the band for a while; a side of a fan leaves it only with its end.
        leans = contact * height * np.tan(angle) > 4 * slack
        if leans and contact > best[0]:
            best = (contact, float(angle), float((reach.min() + slack) / np.cos(angle)))
    return (best[1], best[2]) if best[0] >= _CONTACT else None
