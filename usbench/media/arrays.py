"""NumPy arrays on disk, never unpickled."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from usbench.errors import UsbenchError
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.grayscale import to_grey

if TYPE_CHECKING:
    import numpy.typing as npt

_DAMAGE = (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error, SyntaxError)
_COLOURS = (3, 4)


class ArrayFile(Media):
    """An array ``[H, W]``, ``[N, H, W]``, ``[H, W, C]`` or ``[N, H, W, C]``; C = 3 or 4 (or 1 in four axes).

    Three axes are one colour picture if the last has 3 or 4 entries, otherwise N grey frames. Depths follow
    :func:`usbench.media.to_grey`.

    Args:
        path: A ``.npy`` file, or a ``.npz`` archive holding exactly one array.
        zipped: Whether it is a ``.npz``.
    """

    def __init__(self, path: Path, zipped: bool) -> None:
        super().__init__(path)
        self._zipped = zipped
        self._member = self._only_member() if zipped else ""
        shape, dtype = self._header()
        if dtype.hasobject:
            raise MediaError(path, "an array of Python objects, which only unpickling could read", _STORE_NUMBERS)
        if not _is_image_shape(shape):
            raise MediaError(path, f"shape {list(shape)} is no image or stack of images", _STORE_NUMBERS)
        if 0 in shape:
            raise MediaError(path, f"zero frames or pixels, shape {list(shape)}", COPY_AGAIN)
        self._single = len(shape) == 2 or (len(shape) == 3 and shape[-1] in _COLOURS)
        self._count = 1 if self._single else shape[0]
        if not zipped:
            self._load()  # maps the file without reading it: fails at once if it is cut off

    @property
    def n_frames(self) -> int:
        """Length of the first axis, or 1 for a single picture."""
        return self._count

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

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        stack = self._load()
        if self._single:
            stack = stack[np.newaxis]
        for index in wanted:
            try:
                yield to_grey(np.array(stack[index]))
            except UsbenchError as error:
                raise MediaError(self.path, f"frame {index}: {error}", _STORE_NUMBERS) from None


_STORE_NUMBERS = "Store uint8 numbers of shape [H, W], [N, H, W] or [N, H, W, 3] with numpy.save."


def _is_image_shape(shape: tuple[int, ...]) -> bool:
    return len(shape) in (2, 3) or (len(shape) == 4 and shape[-1] in (1, *_COLOURS))


def _read_header(file: BinaryIO | Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype
