"""PNG, JPEG, BMP, GIF, WebP, AVIF and PGM through Pillow; 12-bit JPEG and 16-bit colour PNG through imagecodecs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from usbench.errors import UsbenchError
from usbench.media import jpeg, orientation, png
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.grayscale import alpha_note, to_grey

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

# A PNG's chunk, and the keywords of its texts, in which Pillow looks for an orientation; they are never compressed.
_ORIENTED = (b"eXIf", b"exif\0", b"com.adobe.xmp\0")
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "AVIF", "PPM")


class Picture(Media):
    """One still picture, or the frames of an animated GIF, WebP or PNG, turned upright as its EXIF data say.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        content = path.read_bytes()
        # Pillow can be told by any other library, for the entire process, to fill up what is missing with
        # grey. The end markers do not depend on that switch.
        if not _reaches_its_end(content):
            raise MediaError(path, f"cut off after {len(content)} bytes: its end is missing", COPY_AGAIN)
        self._count, self._orientation = 1, 1
        if _unusual_jpeg(content) is not None:
            return  # read by another decoder, which looks at nothing but pixels
        with self._open() as image:
            try:
                self._count = int(getattr(image, "n_frames", 1)) if image.format not in ("JPEG", "MPO") else 1
                if _may_be_turned(content):
                    self._orientation = int(image.getexif().get(orientation.TAG, 1))
            except (*_DAMAGE, AttributeError, OverflowError) as error:
                if self._count == 1 and not getattr(image, "is_animated", False):
                    self._orientation = 1  # damaged EXIF data are no damage to the picture
                else:
                    raise MediaError(path, f"damaged between its frames ({error})", COPY_AGAIN) from None
        if self._count < 1:
            raise MediaError(path, "a picture of zero frames", COPY_AGAIN)
        if told := orientation.described(self._orientation):
            self.notes = (told,)

    @property
    def n_frames(self) -> int:
        """1, or the number of frames of an animation."""
        return self._count

    def _open(self) -> Image.Image:
        from PIL import Image

        try:
            return Image.open(self.path, formats=_FORMATS)
        except Image.DecompressionBombError as error:
            raise MediaError(self.path, f"too large ({error})", "Crop it or scale it down.") from None
        except _DAMAGE as error:
            raise MediaError(self.path, f"damaged header ({error})", COPY_AGAIN) from None

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        content = self.path.read_bytes()
        if content.startswith(b"\x89PNG"):
            complaint = png.damage(content)
        else:
            complaint = jpeg.damage(content) if content.startswith(b"\xff\xd8") else ""
        if complaint:
            raise MediaError(self.path, f"damaged: {complaint}", COPY_AGAIN)
        for pixels in self._stored(content, wanted):
            self.note(alpha_note(pixels))
            try:
                yield orientation.upright(to_grey(pixels), self._orientation)
            except UsbenchError as error:
                raise MediaError(self.path, f"pixels out of range: {error}", "Store it as an 8-bit PNG.") from None

    def _stored(self, content: bytes, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.generic]]:
        """Yield pixels in a form that :func:`to_grey` knows, of one frame after the other."""
        unusual = _unusual_jpeg(content)
        deep = png.read_header(content) if content.startswith(b"\x89PNG") else None
        try:
            if unusual is not None:
                yield _from_unusual_jpeg(content, unusual)
                return
            if deep is not None and deep.depth == 16 and deep.colour != 0:  # Pillow would cut it to 8 bits
                import imagecodecs

                yield imagecodecs.png_decode(content)
                return
            with self._open() as image:
                for index in wanted:
                    if self._count > 1:
                        image.seek(index)
                    image.load()
                    yield _pixels(image)
        except MediaError:
            raise
        except Exception as error:  # each decoder has errors of its own
            where = f" in frame {index}" if self._count > 1 else ""
            raise MediaError(self.path, f"damaged or cut off{where} ({error})", COPY_AGAIN) from None


def _pixels(image: Image.Image) -> npt.NDArray[np.generic]:
    """Return the pixels in a form :func:`to_grey` knows."""
    mode = image.mode
    if mode == "P" and isinstance(image.info.get("transparency"), bytes):
        image = image.convert("RGBA")
    elif mode in ("P", "PA", "CMYK", "YCbCr", "HSV", "LAB"):
        image = image.convert("RGBA" if mode == "PA" else "RGB")
    pixels: npt.NDArray[np.generic] = np.array(image)
    if mode.startswith("I;16") or (mode == "I" and pixels.min() >= 0 and pixels.max() <= 0xFFFF):
        pixels = pixels.astype(np.uint16)  # native byte order; older Pillow widens 16-bit PNG to 32 bits
    return pixels


def _may_be_turned(content: bytes) -> bool:
    """Say whether there can be EXIF data or XMP, for which Pillow decodes a PNG whole: they may follow the pixels."""
    return not content.startswith(b"\x89PNG") or any(mark in content for mark in _ORIENTED)


def _unusual_jpeg(content: bytes) -> jpeg.JpegHeader | None:
    """Return the header of a JPEG that Pillow cannot decode: of more than 8 bits, or lossless."""
    header = jpeg.read_header(content) if content.startswith(b"\xff\xd8") else None
    return header if header is not None and (header.precision != 8 or not header.is_lossy) else None


def _from_unusual_jpeg(content: bytes, header: jpeg.JpegHeader) -> npt.NDArray[np.generic]:
    import imagecodecs

    if header.is_lossy:
        stored = jpeg.planes(content, header)
    elif header.sof == 0xF7:
        stored = imagecodecs.jpegls_decode(content)
    else:
        try:
            stored = imagecodecs.ljpeg_decode(content)
        except imagecodecs.LjpegError:  # liblj92 knows grey only
            stored = imagecodecs.jpegsof3_decode(content)
    top = (1 << header.precision) - 1
    scaled = np.rint(stored.astype(np.float64) * (255.0 / top)).astype(np.uint8)
    ybr = scaled.ndim == 3 and header.is_lossy and jpeg.colour_space(header, stored, "YBR") == "YCBCR"
    return scaled[..., 0] if ybr else scaled


def _reaches_its_end(content: bytes) -> bool:
    if content.startswith(b"\x89PNG"):
        return _png_is_complete(content)
    if content.startswith(b"\xff\xd8"):
        return _jpeg_is_complete(content)
    if content.startswith(b"BM"):
        return _bmp_is_complete(content)
    if content.startswith(b"RIFF"):
        return len(content) + 1 >= 8 + struct.unpack_from("<I", content, 4)[0] if len(content) >= 8 else False
    if content.startswith(b"GIF8"):
        return _gif_is_complete(content)
    return True


def _png_is_complete(content: bytes) -> bool:
    """Walk the chunks to IEND. Bytes after it are allowed, as other readers do."""
    offset = 8
    while offset + 12 <= len(content):
        (length,) = struct.unpack_from(">I", content, offset)
        if content[offset + 4 : offset + 8] == b"IEND":
            return True
        offset += length + 12
    return False


def _gif_is_complete(content: bytes) -> bool:
    """Walk the blocks to the trailer."""
    if len(content) < 13:
        return False
    offset = 13 + (3 << (content[10] & 7) + 1 if content[10] & 0x80 else 0)
    while offset < len(content):
        if content[offset] == 0x3B:
            return True
        if content[offset] == 0x2C and offset + 10 < len(content):
            flags = content[offset + 9]
            offset += 11 + (3 << (flags & 7) + 1 if flags & 0x80 else 0)
        else:
            offset += 2
        while offset < len(content) and content[offset]:  # sub-blocks, each with its length before it
            offset += 1 + content[offset]
        offset += 1
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
