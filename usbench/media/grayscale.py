"""One rule from any pixel array to grey uint8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import numpy.typing as npt

# ITU-R BT.601 luma, 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point. The weights sum to exactly 65536, so
# that grey pictures stored as colour keep their values, and the result equals Pillow's ``convert("L")``.
_RED, _GREEN, _BLUE = 19595, 38470, 7471


def to_grey(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """Return an image as grey uint8.

    Depth first, then colour:

    ==================  ================================================================
    uint8               unchanged
    bool                0 or 255
    uint16              full range, ``round(x / 257)``: 65535 becomes 255
    floating            must lie in [0, 1]: ``round(255 x)``
    other integers      must lie in 0..255: unchanged (arithmetic on uint8 often widens)
    ==================  ================================================================

    Nothing is stretched to an image's own minimum and maximum: brightness is information, and frames of a
    clip must stay comparable.

    Args:
        array: ``[H, W]``, or ``[H, W, C]`` with C = 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha).
            Alpha is ignored, unless the picture lies in it: the colour is the same everywhere and alpha is not.

    Returns:
        C-contiguous uint8 ``[H, W]``; may share memory with ``array``.

    Raises:
        UsbenchError: The shape, dtype or range is none of these.
    """
    array = np.asarray(array)
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 2, 3, 4)):
        raise UsbenchError(f"an image has shape [H, W] or [H, W, C] with 1 to 4 channels, not {list(array.shape)}.")
    if 0 in array.shape:
        raise UsbenchError(f"an image of shape {list(array.shape)} has no pixels.")
    if array.ndim == 3 and array.shape[2] in (2, 4) and _is_in_alpha(array):
        array = array[..., -1]
    pixels = _to_uint8(array)
    if pixels.ndim == 2:
        return np.ascontiguousarray(pixels)
    if pixels.shape[2] < 3:
        return np.ascontiguousarray(pixels[..., 0])
    return luma(pixels)


def luma(rgb: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the ITU-R BT.601 luma of uint8 ``[..., C]`` with C >= 3 (red, green, blue first), rounded."""
    total = rgb[..., 0] * np.uint32(_RED)
    total += rgb[..., 1] * np.uint32(_GREEN)
    total += rgb[..., 2] * np.uint32(_BLUE)
    total += np.uint32(1 << 15)
    return (total >> np.uint32(16)).astype(np.uint8)


def are_whole(arrays: Sequence[npt.NDArray[Any]]) -> bool:
    """Say whether floats are 8-bit values stored as floats: whole numbers in 0..255, and not all of them 0 or 1.

    Args:
        arrays: All pictures of a file, as one dark picture proves nothing.
    """
    largest = 0.0
    for array in arrays:
        if not bool(((array >= 0) & (array <= 255) & (array == np.rint(array))).all()):
            return False
        largest = max(largest, float(array.max()))
    return largest > 1.0


def alpha_note(array: npt.NDArray[Any]) -> str:
    """Say what :func:`to_grey` does with transparency; empty where there is none.

    Args:
        array: As :func:`to_grey` takes it.
    """
    if array.ndim != 3 or array.shape[2] not in (2, 4):
        return ""
    if _is_in_alpha(array):
        return "its picture lies in the alpha channel, which is read"
    opaque = np.iinfo(array.dtype).max if np.issubdtype(array.dtype, np.integer) else 1
    return "its transparency is ignored" if bool((array[..., -1] != opaque).any()) else ""


def _is_in_alpha(array: npt.NDArray[Any]) -> bool:
    colour, alpha = array[..., :-1], array[..., -1]
    return bool((alpha != alpha[0, 0]).any() and (colour == colour[0, 0]).all())


def _to_uint8(array: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    kind = array.dtype
    if kind == np.uint8:
        return array
    if kind == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if kind == np.uint16:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if np.issubdtype(kind, np.floating):
        low, high = float(array.min()), float(array.max())
        if not (low >= 0.0 and high <= 1.0):  # NaN fails the comparison too
            raise UsbenchError(
                f"floating-point pixels must lie in [0, 1], these span {low:g} to {high:g}. "
                "Divide by the largest possible value (not by each image's own), or store uint8."
            )
        return np.rint(array.astype(np.float64) * 255.0).astype(np.uint8)
    if np.issubdtype(kind, np.integer):
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise UsbenchError(
                f"{kind} pixels must lie in 0..255, these span {low} to {high}. "
                "Store uint8, or uint16 over its full range."
            )
        return array.astype(np.uint8)
    raise UsbenchError(f"pixels of type {kind} are not supported. Store uint8, uint16, bool, or floats in [0, 1].")
