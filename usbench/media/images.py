"""PNG, JPEG and BMP through Pillow."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from usbench.errors import UsbenchError
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.grayscale import to_grey

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

# What Pillow's readers let through on damaged files, besides OSError.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    IndexError,
    KeyError,
    TypeError,
    zlib.error,
)


class Picture(Media):
    """One still picture. Pixels keep their stored orientation: an EXIF rotation is not applied."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        content = path.read_bytes()
        # Pillow can be told by any other library, for the entire process, to fill up what is missing with
        # grey. The end markers do not depend on that switch.
        if not _reaches_its_end(content):
            raise MediaError(path, f"cut off after {len(content)} bytes: its end is missing", COPY_AGAIN)
        self._open().close()

    @property
    def n_frames(self) -> int:
        """Always 1."""
        return 1

    def _open(self) -> Image.Image:
        from PIL import Image

        try:
            return Image.open(self.path, formats=("PNG", "JPEG", "BMP"))
        except Image.DecompressionBombError as error:
            raise MediaError(self.path, f"too large ({error})", "Crop it or scale it down.") from None
        except _DAMAGE as error:
            raise MediaError(self.path, f"damaged header ({error})", COPY_AGAIN) from None

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        with self._open() as image:
            try:
                image.load()
                pixels = _pixels(image)
            except _DAMAGE as error:
                raise MediaError(self.path, f"damaged or cut off ({error})", COPY_AGAIN) from None
            try:
                yield to_grey(pixels)
            except UsbenchError as error:
                raise MediaError(self.path, f"pixels out of range: {error}", "Store it as an 8-bit PNG.") from None


def _pixels(image: Image.Image) -> npt.NDArray[np.generic]:
    """Return the pixels in a form :func:`to_grey` knows."""
    mode = image.mode
    if mode in ("P", "PA", "CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("RGB")
    pixels: npt.NDArray[np.generic] = np.array(image)
    if mode.startswith("I;16") or (mode == "I" and pixels.min() >= 0 and pixels.max() <= 0xFFFF):
        pixels = pixels.astype(np.uint16)  # native byte order; older Pillow widens 16-bit PNG to 32 bits
    return pixels


def _reaches_its_end(content: bytes) -> bool:
    if content.startswith(b"\x89PNG"):
        return _png_is_complete(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_is_complete(content)
    return _bmp_is_complete(content)


def _png_is_complete(content: bytes) -> bool:
    """Walk the chunks to IEND. Bytes after it are allowed, as other readers do."""
    offset = 8
    while offset + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, offset)
        if content[offset + 4 : offset + 8] == b"IEND":
            return True
        offset += length + 12
    return False


def _bmp_is_complete(content: bytes) -> bool:
    """Compare the length with what the header asks for; run-length coded pixels are left to the decoder."""
    if len(content) < 26:
        return False
    (start, header) = struct.unpack_from("<II", content, 10)
    if header == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", content, 18)
        coding = 0
    elif len(content) < 34:
        return False
    else:
        width, height, _, depth, coding = struct.unpack_from("<iiHHI", content, 18)
    if coding not in (0, 3):
        return True
    row = (abs(width) * depth + 31) // 32 * 4
    return bool(len(content) >= start + row * abs(height))


def _jpeg_is_complete(content: bytes) -> bool:
    """Walk the segments to the first scan, then look for the end-of-image marker.

    Embedded thumbnails end in the same marker, but lie inside a segment that the walk steps over.
    Entropy-coded data never contain the marker, as every 0xFF in them is followed by 0x00 or a restart
    marker.
    """
    offset = 2
    while offset + 4 <= len(content):
        if content[offset] != 0xFF:
            return False
        marker = content[offset + 1]
        if marker == 0xFF:  # fill byte
            offset += 1
            continue
        if marker == 0xDA:
            return content.find(b"\xff\xd9", offset) >= 0
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:  # markers without a length
            offset += 2
            continue
        (length,) = struct.unpack_from(">H", content, offset + 2)
        offset += 2 + length
    return False
