"""TIFF through tifffile: every page of full size is a frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError
from usbench.media import orientation
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError, check_size
from usbench.media.grayscale import are_whole, luma, to_grey

if TYPE_CHECKING:
    import numpy.typing as npt
    import tifffile

_MIN_IS_WHITE, _PALETTE, _CMYK, _YCBCR, _CIELAB = 0, 3, 5, 6, 8
_JPEG = (6, 7)
_LARGEST_VALUE = 281  # tag MaxSampleValue


class Tiff(Media):
    """Pages of a TIFF or BigTIFF: 1 to 16 bits, floats, palette, RGB, CMYK; previews are skipped.

    Depths between 8 and 16 bits are scaled by their own full range, also where only the tag MaxSampleValue tells it.
    Floats lie in [0, 1], or are whole numbers in 0..255 on every page. Pages are turned as their orientation says.
    """

    def __init__(self, path: Path) -> None:
        import tifffile

        super().__init__(path)
        _check_chain(path)
        try:
            self._file = tifffile.TiffFile(path)
        except (tifffile.TiffFileError, OSError, ValueError, struct.error) as error:
            raise MediaError(path, f"damaged TIFF ({error})", COPY_AGAIN) from None
        try:
            self._pages = self._full_size_pages()
            for page in self._pages:
                check_size(path, page.imagelength, page.imagewidth)
        except BaseException:
            self.close()
            raise
        self._whole_floats: bool | None = None
        told = [orientation.described(_orientation(page)) for page in self._pages]
        self.notes = tuple(dict.fromkeys(text for text in told if text))

    @property
    def n_frames(self) -> int:
        """Number of pages of full size."""
        return len(self._pages)

    def close(self) -> None:
        """Release the file."""
        self._file.close()

    def _full_size_pages(self) -> list[tifffile.TiffPage]:
        import tifffile

        size = self.path.stat().st_size
        try:
            self._file.pages.useframes = False
            pages = [page for page in self._file.pages if not page.is_reduced]
        except (tifffile.TiffFileError, OSError, ValueError, struct.error, IndexError) as error:
            raise MediaError(self.path, f"damaged TIFF page ({error})", COPY_AGAIN) from None
        if not pages:
            raise MediaError(self.path, "a TIFF without pages", COPY_AGAIN)
        for number, page in enumerate(pages):
            ends = [start + count for start, count in zip(page.dataoffsets, page.databytecounts, strict=False)]
            if not ends or max(ends) > size:
                raise MediaError(self.path, f"cut off: page {number} continues beyond its {size} bytes", COPY_AGAIN)
        return pages

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        for index in wanted:
            page = self._pages[index]
            try:
                grey = _grey_page(page, self._integers(page.asarray()), self._pages[0])
                yield orientation.upright(grey, _orientation(page))
            except UsbenchError as error:
                raise MediaError(
                    self.path, f"page {index}: {error}", "Store 8 or 16 bits, or floats in [0, 1]."
                ) from None
            except Exception as error:  # imagecodecs raises a class of its own for every codec
                raise MediaError(self.path, f"page {index} cannot be decoded ({error})", COPY_AGAIN) from None

    def _integers(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return floats that are 8-bit values in every page of the file as such."""
        if pixels.dtype.kind != "f":
            return pixels
        if self._whole_floats is None:
            self._whole_floats = are_whole([page.asarray() for page in self._pages])
            self.note("its floating-point numbers are whole, and are read as 0 to 255" * self._whole_floats)
        return pixels.astype(np.uint8) if self._whole_floats else pixels


def _orientation(page: tifffile.TiffPage) -> int:
    tag = page.tags.get(orientation.TAG)
    return int(tag.value) if tag is not None and isinstance(tag.value, int) else 1


def _grey_page(page: tifffile.TiffPage, pixels: npt.NDArray[Any], first: tifffile.TiffPage) -> npt.NDArray[np.uint8]:
    if page.photometric == _CIELAB:
        raise UsbenchError("CIELAB colours are not supported.")
    if pixels.ndim == 3 and int(page.planarconfig) == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    if not pixels.dtype.isnative:
        pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    bits = page.bitspersample
    if page.photometric == _PALETTE and page.colormap is not None:
        table = ((np.asarray(page.colormap).astype(np.uint32) + 128) // 257).astype(np.uint8)  # [3, 2**bits], 16 bits
        return luma(table.T[pixels])
    if pixels.dtype == np.uint16 and bits == 16:
        bits = _bits_used(page, first, pixels)
    if pixels.dtype.kind == "u" and bits < 8 * pixels.dtype.itemsize:
        full = (1 << bits) - 1
        pixels = ((pixels.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    if page.photometric == _CMYK:
        return _grey_of_inks(pixels)
    if page.photometric == _YCBCR and int(page.compression) not in _JPEG and pixels.ndim == 3:
        pixels = pixels[..., 0]
    grey = to_grey(pixels)
    return 255 - grey if page.photometric == _MIN_IS_WHITE else grey


def _bits_used(page: tifffile.TiffPage, first: tifffile.TiffPage, pixels: npt.NDArray[Any]) -> int:
    """Return how many of 16 bits are used, where MaxSampleValue of this page, or of the first, says 8 to 15."""
    tag = page.tags.get(_LARGEST_VALUE) or first.tags.get(_LARGEST_VALUE)
    largest = tag.value if tag is not None else None
    if isinstance(largest, tuple):
        largest = max(largest, default=0)
    used = {(1 << bits) - 1: bits for bits in range(8, 16)}
    return used[largest] if largest in used and int(pixels.max()) <= largest else 16


def _grey_of_inks(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    from PIL import Image

    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] < 4:
        raise UsbenchError(f"CMYK of type {pixels.dtype} and shape {list(pixels.shape)} is not supported.")
    inks = np.ascontiguousarray(pixels[..., :4])
    picture = Image.frombytes("CMYK", (inks.shape[1], inks.shape[0]), inks.tobytes())
    return to_grey(np.asarray(picture.convert("RGB")))


def _check_chain(path: Path) -> None:
    """Follow the linked list of pages; tifffile stops silently where it is cut.

    Raises:
        MediaError: A page's directory lies beyond the end of the file, or the list runs in a circle.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(16)
        order = "<" if head[:2] == b"II" else ">"
        big = head[2:4] in (b"+\0", b"\0+")
        number, entry, count_format = ("Q", 20, "Q") if big else ("I", 12, "H")
        width = struct.calcsize(number)
        seen: set[int] = set()
        field = head[8:16] if big else head[4:8]
        while True:
            if len(field) < width:
                raise MediaError(path, f"cut off in the directory of page {len(seen)}", COPY_AGAIN)
            (offset,) = struct.unpack(order + number, field)
            if offset == 0:
                return
            if offset >= size or offset in seen:
                raise MediaError(path, f"cut off or damaged: page {len(seen)} lies beyond its {size} bytes", COPY_AGAIN)
            seen.add(offset)
            file.seek(offset)
            raw = file.read(struct.calcsize(count_format))
            if len(raw) < struct.calcsize(count_format):
                raise MediaError(path, f"cut off in the directory of page {len(seen) - 1}", COPY_AGAIN)
            (entries,) = struct.unpack(order + count_format, raw)
            file.seek(entries * entry, 1)
            field = file.read(width)
