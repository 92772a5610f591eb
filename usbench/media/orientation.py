"""Turning and mirroring pixels as a viewer does: EXIF and TIFF orientation, and the matrix of a film."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

TAG = 274
"""Number of the tag in EXIF and TIFF."""


def upright(grey: npt.NDArray[np.uint8], orientation: int) -> npt.NDArray[np.uint8]:
    """Apply an EXIF or TIFF orientation.

    Args:
        grey: Stored pixels, ``[H, W]``.
        orientation: 1 to 8; 1 and unknown values change nothing.

    Returns:
        C-contiguous, ``[H, W]`` or, for 5 to 8, ``[W, H]``.
    """
    if 5 <= orientation <= 8:
        grey = grey.T
    # Stored top-left is shown at: 1 and 5 top left, 2 and 6 top right, 3 and 7 bottom right, 4 and 8 bottom left.
    if orientation in (2, 3, 6, 7):
        grey = grey[:, ::-1]
    if orientation in (3, 4, 7, 8):
        grey = grey[::-1]
    return np.ascontiguousarray(grey)


def described(orientation: int) -> str:
    """Return what was done, as a phrase for a report; empty for orientations that change nothing."""
    told = {
        2: "mirrored",
        3: "turned by 180 degrees",
        4: "mirrored upside down",
        5: "transposed",
        6: "turned by 90 degrees clockwise",
        7: "transposed along the other diagonal",
        8: "turned by 90 degrees anticlockwise",
    }.get(orientation)
    return f"{told}, as its orientation mark says" if told else ""


def orientation_of_matrix(matrix: tuple[int, ...]) -> int | None:
    """Return the EXIF orientation equal to a display matrix of MP4 or MOV.

    Args:
        matrix: Nine fixed-point numbers, row by row; a point ``(x, y)`` is shown at ``(a x + c y, b x + d y)``.

    Returns:
        1 to 8, or ``None`` for an angle that is not a multiple of 90 degrees.
    """
    a, b, _, c, d, *_ = matrix
    if b == c == 0 and a and d:
        return {(True, True): 1, (False, True): 2, (False, False): 3, (True, False): 4}[(a > 0, d > 0)]
    if a == d == 0 and b and c:
        return {(True, True): 5, (False, True): 6, (False, False): 7, (True, False): 8}[(c > 0, b > 0)]
    return None
