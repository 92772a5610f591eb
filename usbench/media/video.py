"""Video through PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.grayscale import luma
from usbench.media.truncation import check_complete

if TYPE_CHECKING:
    import numpy.typing as npt

_YUVJ = tuple(f"yuvj{kind}p" for kind in ("411", "420", "422", "440", "444"))
_YUV = tuple(f"yuv{kind}p" for kind in ("410", "411", "420", "422", "440", "444"))
# Formats whose first plane is 8-bit luma, and those of them that use all of 0..255 unless the stream says
# otherwise.
_PLANAR_LUMA = frozenset((*_YUV, *_YUVJ, "yuva420p", "yuva422p", "yuva444p", "nv12", "nv21", "nv16", "gray"))
_FULL_BY_DEFINITION = frozenset((*_YUVJ, "gray"))
# AVColorSpace: unspecified, FCC, BT.470BG and SMPTE 170M are all the BT.601 matrix or next to it.
_BT601 = frozenset((2, 4, 5, 6))
_LIMITED, _FULL = 1, 2  # AVColorRange

# "Television" range puts black at 16 and white at 235.
_EXPAND = np.clip(np.rint((np.arange(256) - 16.0) * 255.0 / 219.0), 0, 255).astype(np.uint8)


class Video(Media):
    """The first video stream of a file; frames in the order of display.

    Frames are counted by reading packets to the end, as headers may lie. Grey is the ITU-R BT.601 luma of the
    picture shown: the stored luma plane itself where the stream uses that matrix, expanded to 0..255 with
    correct rounding, and the luma of the RGB picture otherwise.

    Args:
        path: The file, for messages and for reading.
        content: The container's bytes, if they lie inside another file.
    """

    def __init__(self, path: Path, content: bytes | None = None) -> None:
        super().__init__(path)
        self._content = content
        if content is None:
            check_complete(path)
        self._count = self._count_packets()

    @property
    def n_frames(self) -> int:
        """Number of packets that carry a picture."""
        return self._count

    def _open(self) -> Any:
        import av

        try:
            return av.open(str(self.path) if self._content is None else io.BytesIO(self._content))
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(self.path, f"not a readable video ({_reason(error)})", COPY_AGAIN) from None

    def _count_packets(self) -> int:
        import av

        with self._open() as container:
            stream = self._stream(container)
            count = total = 0
            try:
                for packet in container.demux(stream):
                    if packet.size == 0:  # the final flush
                        continue
                    if packet.is_corrupt:
                        raise MediaError(self.path, f"cut off or damaged at frame {total}", COPY_AGAIN)
                    total += 1
                    count += not packet.is_discard
            except av.FFmpegError as error:
                raise MediaError(self.path, f"damaged after {total} frames ({_reason(error)})", COPY_AGAIN) from None
            # MP4 lists every frame in its index. AVI headers also count dropped frames, and are no evidence.
            if "mp4" in container.format.name and stream.frames > total:
                raise MediaError(
                    self.path,
                    f"cut off: its index lists {stream.frames} frames, but it holds {total}",
                    COPY_AGAIN,
                )
        if count == 0:
            raise MediaError(self.path, "a video of zero frames", COPY_AGAIN)
        return count

    def _stream(self, container: Any) -> Any:
        if not container.streams.video:
            raise MediaError(self.path, "it holds no video stream", "Name a file with pictures in the table.")
        stream = container.streams.video[0]
        # Starting threads costs more than decoding a clip of this size.
        stream.thread_type = "NONE"
        return stream

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        import av

        remaining = iter(wanted)
        target = next(remaining)
        with self._open() as container:
            try:
                for index, frame in enumerate(container.decode(self._stream(container))):
                    if index < target:
                        continue
                    if frame.is_corrupt:
                        raise MediaError(self.path, f"frame {index} is damaged", COPY_AGAIN)
                    yield grey_frame(frame)
                    following = next(remaining, None)
                    if following is None:
                        return
                    target = following
            except av.FFmpegError as error:
                raise MediaError(self.path, f"damaged before frame {target} ({_reason(error)})", COPY_AGAIN) from None


def grey_frame(frame: Any) -> npt.NDArray[np.uint8]:
    """Return a decoded PyAV frame as grey uint8 ``[H, W]``."""
    name = frame.format.name
    if name not in _PLANAR_LUMA or not (int(frame.colorspace) in _BT601 or name == "gray"):
        return luma(frame.to_ndarray(format="rgb24"))
    plane = frame.planes[0]
    stored = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    span = int(frame.color_range)
    if span == _FULL or (span != _LIMITED and name in _FULL_BY_DEFINITION):
        return stored.copy()
    return np.take(_EXPAND, stored)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
