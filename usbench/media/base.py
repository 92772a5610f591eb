"""What every opened file offers: a frame count, and frames in the order asked for."""

from __future__ import annotations

import abc
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from usbench.errors import UsbenchError
from usbench.media.errors import COPY_AGAIN, MediaError, unexpected

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Media(abc.ABC):
    """One opened picture, clip or array; made by :func:`usbench.media.open_media`.

    Use it as a context manager, or call :meth:`close`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # What was read otherwise than the file says, or done to its picture: phrases, for a report on the data.
        self.notes: tuple[str, ...] = ()

    @property
    @abc.abstractmethod
    def n_frames(self) -> int:
        """Number of frames, at least 1, known without decoding pixels."""

    @abc.abstractmethod
    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yield the frames ``wanted`` (strictly ascending, in range) as grey uint8 ``[H, W]``, in order."""

    def note(self, told: str) -> None:
        """Add to the notes what is not among them yet; nothing where nothing is told."""
        if told and told not in self.notes:
            self.notes = (*self.notes, told)

    def frames(self, indices: Sequence[int] | None = None) -> list[npt.NDArray[np.uint8]]:
        """Decode frames in one sequential pass, no further than the last one wanted.

        Args:
            indices: Frame numbers from 0, in any order, repeats allowed (a repeated index gives the same
                array object). ``None`` for all.

        Returns:
            One C-contiguous uint8 array ``[H, W]`` an index, in the order asked for. Frames of one file have
            the same size, except pages of a TIFF.

        Raises:
            MediaError: An index is out of range, or the file proves damaged.
        """
        asked = range(self.n_frames) if indices is None else [_as_index(i) for i in indices]
        for index in asked:
            self._check_range(index)
        wanted = sorted(set(asked))
        decoded = dict(zip(wanted, self._guarded(wanted), strict=False)) if wanted else {}
        if len(decoded) < len(wanted):
            raise self._missing(wanted[len(decoded)])
        return [decoded[index] for index in asked]

    def stream(self, indices: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode frames in one sequential pass and hand each over at once, so that memory holds one.

        Args:
            indices: Frame numbers from 0, ascending; repeats allowed.

        Yields:
            One C-contiguous uint8 array ``[H, W]`` an index.

        Raises:
            MediaError: An index is out of range, or the file proves damaged.
        """
        asked = [_as_index(i) for i in indices]
        if asked != sorted(asked):
            raise ValueError("stream() goes through a file once: give ascending frame numbers.")
        for index in asked[:1] + asked[-1:]:
            self._check_range(index)
        wanted = Counter(asked)
        decoded = self._guarded(list(wanted)) if wanted else iter(())
        for index, times in wanted.items():
            frame = next(decoded, None)
            if frame is None:
                raise self._missing(index)
            yield from [frame] * times

    def _guarded(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        """Decode, and turn what decoders raise on damaged files beyond what is known of them into one message."""
        try:
            yield from self._decode(wanted)
        except UsbenchError:
            raise
        except Exception as error:
            raise unexpected(self.path, error) from None

    def _check_range(self, index: int) -> None:
        if not 0 <= index < self.n_frames:
            raise MediaError(
                self.path,
                f"frame {index} does not exist, the file has {self.n_frames}",
                f"Ask for frames 0 to {self.n_frames - 1}.",
            )

    def _missing(self, index: int) -> MediaError:
        return MediaError(self.path, f"damaged: of {self.n_frames} frames, frame {index} cannot be decoded", COPY_AGAIN)

    def close(self) -> None:  # noqa: B027 - most kinds hold nothing open between calls
        """Release the file."""

    def __enter__(self) -> Media:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.path)!r}, n_frames={self.n_frames})"


def _as_index(value: int) -> int:
    """Accept any integer type, NumPy's included, but no float or bool that happens to be whole."""
    if isinstance(value, bool):
        raise TypeError("a frame index must be an integer, not a bool")
    return operator.index(value)
