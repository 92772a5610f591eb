"""NumPy arrays on disk, never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.stack import Stack

if TYPE_CHECKING:
    import numpy.typing as npt

_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, SyntaxError)


class ArrayFile(Stack):
    """A NumPy file; see :class:`usbench.media.stack.Stack` for shapes and depths.

    Args:
        path: A ``.npy`` file, or a ``.npz`` archive holding exactly one array.
        zipped: Whether it is a ``.npz``.
    """

    def __init__(self, path: Path, zipped: bool) -> None:
        self.path = path
        self._zipped = zipped
        self._member = self._only_member() if zipped else ""
        super().__init__(path, *self._header())
        if not zipped:
            self._load()  # maps the file without reading it: fails at once if it is cut off

    def _only_member(self) -> str:
        try:
            with zipfile.ZipFile(self.path) as archive:
                names = [name for name in archive.namelist() if name.endswith(".npy")]
        except _DAMAGE as error:
            raise MediaError(self.path, f"damaged or cut off ({error})", COPY_AGAIN) from None
        if len(names) != 1:
            listed = ", ".join(name.removesuffix(".npy") for name in names) or "none"
            raise MediaError(
                self.path,
                f"holds {len(names)} arrays ({listed}), not one",
                "Save the frames alone, as .npy or .npz.",
            )
        return names[0]

    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        try:
            if not self._zipped:
                with self.path.open("rb") as file:
                    return _read_header(file)
            with zipfile.ZipFile(self.path) as archive, archive.open(self._member) as member:
                return _read_header(member)
        except _DAMAGE as error:
            raise MediaError(self.path, f"damaged header ({error})", COPY_AGAIN) from None

    def _load(self) -> npt.NDArray[Any]:
        try:
            if not self._zipped:
                mapped: npt.NDArray[Any] = np.load(self.path, mmap_mode="r", allow_pickle=False)
                return mapped
            with np.load(self.path, allow_pickle=False) as archive:
                array: npt.NDArray[Any] = archive[self._member.removesuffix(".npy")]
                return array
        except _DAMAGE as error:
            raise MediaError(self.path, f"damaged or cut off ({error})", COPY_AGAIN) from None


def _read_header(file: BinaryIO | Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype
