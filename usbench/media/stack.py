"""Arrays of numbers as pictures, from whatever file they come."""

from __future__ import annotations

import abc
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError, check_size
from usbench.media.grayscale import alpha_note, are_whole, to_grey

if TYPE_CHECKING:
    import numpy.typing as npt

_COLOURS = (3, 4)
STORE_NUMBERS = "Store uint8 numbers of shape [H, W], [N, H, W] or [N, H, W, 3] with numpy.save."


class Stack(Media):
    """An array ``[H, W]``, ``[N, H, W]``, ``[H, W, C]`` or ``[N, H, W, C]``; C = 1, 3 or 4.

    Three axes are one picture if the last has 1, 3 or 4 entries, otherwise N grey frames. Depths follow
    :func:`usbench.media.to_grey`, with two exceptions that look at the whole file: 16-bit numbers none of which is
    above 255 are 8-bit values, and floats may be whole numbers in 0..255 where the format has no other type.
    """

    floats_may_be_whole = False

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        super().__init__(path)
        if dtype.hasobject:
            raise MediaError(path, "an array of Python objects, which only unpickling could read", STORE_NUMBERS)
        if not is_image_shape(shape):
            raise MediaError(path, f"shape {list(shape)} is no image or stack of images", STORE_NUMBERS)
        if 0 in shape:
            raise MediaError(path, f"zero frames or pixels, shape {list(shape)}", COPY_AGAIN)
        rows, columns = shape[-3:-1] if len(shape) > 2 and shape[-1] in (1, *_COLOURS) else shape[-2:]
        unfolded = math.prod(shape) * dtype.itemsize
        # What lies on disk as it is cannot be a bomb, however large.
        check_size(path, rows, columns, unfolded=unfolded if unfolded > 2 * path.stat().st_size else 0)
        self._single = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, *_COLOURS))
        self._count = 1 if self._single else shape[0]
        self._eight_bits: bool | None = None

    @property
    def n_frames(self) -> int:
        """Length of the first axis, or 1 for a single picture."""
        return self._count

    @abc.abstractmethod
    def _load(self) -> npt.NDArray[Any]:
        """Return the array, mapped or read.

        Raises:
            MediaError: It is damaged.
        """

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        stack = self._load()
        if self._single:
            stack = stack[np.newaxis]
        for index in wanted:
            try:
                frame = np.array(stack[index])
                self.note(alpha_note(frame))
                yield to_grey(frame.astype(np.uint8) if self._holds_eight_bits(stack) else frame)
            except UsbenchError as error:
                raise MediaError(self.path, f"frame {index}: {error}", STORE_NUMBERS) from None

    def _holds_eight_bits(self, stack: npt.NDArray[Any]) -> bool:
        if self._eight_bits is None:
            if stack.dtype.kind == "u" and stack.dtype.itemsize == 2:
                self._eight_bits = all(int(frame.max()) <= 255 for frame in stack)
                self.note("none of its 16-bit numbers is above 255, and they are read as 8 bits" * self._eight_bits)
            else:
                self._eight_bits = self.floats_may_be_whole and stack.dtype.kind == "f" and are_whole(list(stack))
                self.note("its floating-point numbers are whole, and are read as 0 to 255" * self._eight_bits)
        return self._eight_bits


def is_image_shape(shape: tuple[int, ...]) -> bool:
    """Say whether an array of this shape is a picture or a stack of pictures."""
    return len(shape) in (2, 3) or (len(shape) == 4 and shape[-1] in (1, *_COLOURS))
