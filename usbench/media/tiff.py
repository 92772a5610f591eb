"""TIFF through tifffile: every page of full size is a frame."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.grayscale import luma, to_grey

if TYPE_CHECKING:
    import numpy.typing as npt
    import tifffile

_MIN_IS_WHITE, _PALETTE, _CMYK = 0, 3, 5


class Tiff(Media):
    """Pages of a TIFF or BigTIFF: 1 to 16 bits, floats in [0, 1], palette, RGB; previews are skipped.

    Depths between 8 and 16 bits are scaled by their own full range.
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
        except BaseException:
            self.close()
            raise

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
                yield _grey_page(page, page.asarray())
            except UsbenchError as error:
                raise MediaError(
                    self.path, f"page {index}: {error}", "Store 8 or 16 bits, or floats in [0, 1]."
                ) from None
            except Exception as error:  # imagecodecs raises a class of its own for every codec
                raise MediaError(self.path, f"page {index} cannot be decoded ({error})", COPY_AGAIN) from None


def _grey_page(page: tifffile.TiffPage, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    if page.photometric == _CMYK:
        raise UsbenchError("CMYK ink values are not supported.")
    if pixels.ndim == 3 and int(page.planarconfig) == 2:
        pixels = np.moveaxis(pixels, 0, -1)
    bits = page.bitspersample
    if page.photometric == _PALETTE and page.colormap is not None:
        table = ((np.asarray(page.colormap).astype(np.uint32) + 128) // 257).astype(np.uint8)  # [3, 2**bits], 16 bits
        return luma(table.T[pixels])
    if pixels.dtype.kind == "u" and bits < 8 * pixels.dtype.itemsize:
        full = (1 << bits) - 1
        pixels = ((pixels.astype(np.uint32) * 255 + full // 2) // full).astype(np.uint8)
    grey = to_grey(pixels)
    return 255 - grey if page.photometric == _MIN_IS_WHITE else grey


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
