"""NIfTI and MetaImage through SimpleITK, of the optional extra ``usbench[formats]``."""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.media.errors import COPY_AGAIN, MediaError, check_size
from usbench.media.formats_extra import require
from usbench.media.stack import Stack

if TYPE_CHECKING:
    import numpy.typing as npt


class Volume(Stack):
    """A picture, or a stack whose slowest axis counts frames; rows and columns as stored, not turned to patient axes.

    NIfTI's scale and offset are applied. See :class:`usbench.media.stack.Stack` for depths.
    """

    floats_may_be_whole = True

    def __init__(self, path: Path) -> None:
        self.path = path
        itk = self._itk = require("SimpleITK", path)
        itk.ProcessObject.SetGlobalWarningDisplay(False)
        reader = itk.ImageFileReader()
        reader.SetFileName(str(path))
        try:
            reader.ReadImageInformation()
            size, components = reader.GetSize(), reader.GetNumberOfComponents()
        except RuntimeError as error:
            raise MediaError(path, f"damaged header ({_reason(error)})", COPY_AGAIN) from None
        sizes = list(size)
        while len(sizes) > 3 and 1 in sizes[2:]:  # a fourth axis of length 1 is as good as none
            del sizes[2 + sizes[2:].index(1)]
        if len(sizes) == 3 and sizes[2] == 1:
            del sizes[2]
        self._shape = (*reversed(sizes), *((components,) if components > 1 else ()))
        # The type of the pixels is known for sure once they are read, as scaling may change it.
        super().__init__(path, self._shape, np.dtype(np.float64))
        if components == 1 and len(sizes) == 3:  # a last axis of 3 pixels is narrow, not coloured
            self._single, self._count = False, sizes[2]
        elif components == 1:
            self._single, self._count = True, 1

    def _load(self) -> npt.NDArray[Any]:
        itk = self._itk
        _check_nifti(self.path)  # its reader fills up what is missing, without a word
        try:
            array: npt.NDArray[Any] = itk.GetArrayFromImage(itk.ReadImage(str(self.path)))
        except RuntimeError as error:
            raise MediaError(self.path, f"damaged or cut off ({_reason(error)})", COPY_AGAIN) from None
        return array.reshape(self._shape)


def _check_nifti(path: Path) -> None:
    """Compare the length of a NIfTI-1 file, inflated if need be, with what its header announces.

    Raises:
        MediaError: It was cut off, or cannot be inflated.
    """
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as content:
            head = content.read(352)
            if head[344:348] != b"n+1\0":
                return
            order = "<" if struct.unpack_from("<i", head)[0] == 348 else ">"
            axes, *sizes = struct.unpack_from(f"{order}8h", head, 40)
            (bits,) = struct.unpack_from(f"{order}h", head, 72)
            (start,) = struct.unpack_from(f"{order}f", head, 108)
            values = 1
            for size in sizes[: max(0, min(axes, 7))]:
                values *= max(size, 1)
            length = len(head)
            while block := content.read(1 << 20):
                length += len(block)
                if zipped:
                    check_size(path, 0, 0, unfolded=length)
    except (EOFError, OSError, zlib.error, struct.error) as error:
        raise MediaError(path, f"damaged or cut off ({error})", COPY_AGAIN) from None
    missing = int(start) + values * bits // 8 - length
    if missing > 0:
        raise MediaError(path, f"cut off: {missing} bytes are missing at its end", COPY_AGAIN)


def _reason(error: RuntimeError) -> str:
    """Return the last line of ITK's account, which says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unreadable"
