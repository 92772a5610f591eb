"""Arrays that lie under a name in a file of several: MATLAB of every version, and HDF5.

A path is written ``file.mat::key``; without a key the file must hold one array of pictures only. MATLAB up to version
7 is read by SciPy, which runs no code of the file; version 7.3 is HDF5 and needs ``usbench[formats]``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.formats_extra import require
from usbench.media.matlab_tags import check_tags
from usbench.media.stack import Stack, is_image_shape

if TYPE_CHECKING:
    import numpy.typing as npt

_MATLAB_TYPES = {
    "double": "f8", "single": "f4", "logical": "b1",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "int64": "i8",
    "uint64": "u8",
}  # fmt: skip


class MatlabFile(Stack):
    """An array of a MATLAB file up to version 7; see :func:`frames_first` for which axis counts frames."""

    floats_may_be_whole = True  # MATLAB's numbers are doubles unless told otherwise

    def __init__(self, path: Path, key: str | None) -> None:
        from scipy.io import whosmat
        from scipy.io.matlab import MatReadError

        self.path = path
        try:
            listed = {name: (shape, _MATLAB_TYPES.get(kind)) for name, shape, kind in whosmat(path)}
        except (
            MatReadError,
            OSError,
            ValueError,
            TypeError,
            KeyError,
            IndexError,
            EOFError,
            NotImplementedError,
        ) as error:
            raise MediaError(path, f"damaged MATLAB file ({error})", COPY_AGAIN) from None
        numeric = {name: shape for name, (shape, kind) in listed.items() if kind}
        self._key = chosen(path, key, numeric)
        shape, kind = listed[self._key]
        self._order = frames_first(shape)
        super().__init__(path, tuple(shape[axis] for axis in self._order), np.dtype(kind))
        self.notes = told_order(shape, self._order)

    def _load(self) -> npt.NDArray[Any]:
        from scipy.io import loadmat

        check_tags(self.path)
        try:
            array: npt.NDArray[Any] = loadmat(self.path, variable_names=[self._key])[self._key]
            return array.transpose(self._order)
        except Exception as error:  # SciPy's reader fails in many ways on damaged data
            raise MediaError(self.path, f"damaged or cut off ({error})", COPY_AGAIN) from None


class Hdf5File(Stack):
    """A dataset of an HDF5 file, or an array of a MATLAB file of version 7.3."""

    floats_may_be_whole = True

    def __init__(self, path: Path, key: str | None) -> None:
        self.path = path
        h5py = require("h5py", path)
        try:
            with h5py.File(path, "r") as file:
                matlab = _is_matlab(path)
                found: dict[str, tuple[int, ...]] = {}

                def note(name: str, item: Any) -> None:
                    if isinstance(item, h5py.Dataset) and item.dtype.kind in "buif":
                        found[name] = item.shape[::-1] if matlab else item.shape

                file.visititems(note)
                self._key = chosen(path, key, found)
                data = file[self._key]
                dtype = data.dtype
                if data.external or data.is_virtual:  # which could be any file, or one that never ends
                    raise MediaError(path, f"{self._key!r} lies in other files", "Copy the array into one file.")
        except MediaError:
            raise
        except Exception as error:  # the library reports damage by errors of many kinds
            raise MediaError(path, f"damaged HDF5 data ({error})", COPY_AGAIN) from None
        shape = found[self._key]
        # MATLAB stores columns first, and HDF5 rows: the axes of the one are those of the other backwards.
        self._backwards = matlab
        self._order = frames_first(shape) if matlab else tuple(range(len(shape)))
        super().__init__(path, tuple(shape[axis] for axis in self._order), dtype)
        self.notes = told_order(shape, self._order)

    def _load(self) -> npt.NDArray[Any]:
        h5py = require("h5py", self.path)
        try:
            with h5py.File(self.path, "r") as file:
                array: npt.NDArray[Any] = file[self._key][()]
        except Exception as error:
            raise MediaError(self.path, f"damaged or cut off ({error})", COPY_AGAIN) from None
        return (array.T if self._backwards else array).transpose(self._order)


def frames_first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order of a MATLAB array's axes in which frames come first.

    MATLAB keeps films as ``[H, W, N]`` or ``[H, W, 3, N]``; many files hold ``[N, H, W]`` all the same. Of three axes
    the last counts frames when it is shorter than the first, and is neither 3 nor 4 long (a colour picture); of four
    the last does when the third is 1, 3 or 4 long and the last is not.
    """
    if len(shape) == 3 and shape[2] < shape[0] and shape[2] not in (1, 3, 4):
        return (2, 0, 1)
    if len(shape) == 4 and shape[2] in (1, 3, 4) and shape[3] not in (1, 3, 4):
        return (3, 0, 1, 2)
    return tuple(range(len(shape)))


def told_order(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[str, ...]:
    """Say which axis counts frames, where it is not the first."""
    return (f"its last axis, of {shape[-1]}, counts frames",) if order[0] != 0 else ()


def chosen(path: Path, key: str | None, arrays: dict[str, tuple[int, ...]]) -> str:
    """Return the name of the array that is meant.

    Raises:
        MediaError: There is none of this name, or none is named and several could be meant.
    """
    told = ", ".join(f"{name} {list(shape)}" for name, shape in list(arrays.items())[:8]) or "none"
    if key is not None:
        key = key.strip("/")
        if key not in arrays:
            raise MediaError(path, f"no array {key!r} in it; arrays of numbers: {told}", "Name one after '::'.")
        return key
    pictures = [name for name, shape in arrays.items() if is_image_shape(shape) and min(shape, default=0) > 0]
    large = [name for name in pictures if sorted(arrays[name])[-2] > 1]
    if len(large) != 1:
        raise MediaError(
            path,
            f"{len(large)} arrays in it could be pictures; arrays of numbers: {told}",
            f"Write which one: {path.name}::KEY.",
        )
    return large[0]


def _is_matlab(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(19) == b"MATLAB 7.3 MAT-file"
