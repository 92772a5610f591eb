"""Video through PyAV (FFmpeg's libraries)."""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.core.limits import FRAME_PIXELS
from usbench.media import jpeg, orientation
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError, check_size
from usbench.media.grayscale import luma
from usbench.media.truncation import check_complete, frames_in_avi_index

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
# Formats whose first plane is luma of more than 8 bits: planar ones, and those that keep it in the high bits of 16.
_DEEP_LUMA = re.compile(r"(?:yuva?4\d\dp|gray)(9|10|12|14|16)(le|be)|p[024](10|12|16)(le|be)")
_PREDICTED = (2, 3)  # pictures that need others: AVPictureType P and B

# "Television" range puts black at 16 and white at 235.
_EXPAND = np.clip(np.rint((np.arange(256) - 16.0) * 255.0 / 219.0), 0, 255).astype(np.uint8)


class Video(Media):
    """The first video stream of a file; frames in the order of display.

    Frames are counted by reading packets to the end, as headers may lie. Grey is the ITU-R BT.601 luma of the
    picture shown: the stored luma plane itself where the stream uses that matrix, of 8 to 16 bits, expanded to 0..255
    with correct rounding, and the luma of the RGB picture otherwise. Frames that an edit list cuts away are not counted
    and not decoded, and a film that is stored on its side is turned; the shape of its pixels is left alone, and noted.

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

    def _open(self, options: dict[str, str] | None = None) -> Any:
        import av

        try:
            source = str(self.path) if self._content is None else io.BytesIO(self._content)
            return av.open(source, options=options or {})
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(self.path, f"not a readable video ({_reason(error)})", COPY_AGAIN) from None

    def _count_packets(self) -> int:
        with self._open() as container:
            stream = self._stream(container)
            if stream.codec_context is None:
                raise MediaError(
                    self.path, "no decoder knows its coding of pictures", "Convert it to MP4 with H.264, or to PNG."
                )
            count, total = self._walk(container, stream)
            # MP4 lists every frame in its index. AVI headers also count dropped frames, and are no evidence.
            if "mp4" in container.format.name and stream.frames > total:
                total = self._without_edit_list()
                if stream.frames > total:
                    raise MediaError(
                        self.path,
                        f"cut off: its index lists {stream.frames} frames, but it holds {total}",
                        COPY_AGAIN,
                    )
            if container.format.name == "avi" and self._content is None:
                listed = frames_in_avi_index(self.path, stream.index)
                if listed is not None and listed > total:
                    raise MediaError(
                        self.path, f"damaged: its index lists {listed} frames, but {total} can be found", COPY_AGAIN
                    )
            self._note_shape(stream)
        self._trimmed = count < total  # then the first picture shown may need others, which are not shown
        if count < total:
            self.notes = (*self.notes, "its edit list cuts frames away, which are not counted")
        if count == 0:
            raise MediaError(self.path, "a video of zero frames", COPY_AGAIN)
        return count

    def _walk(self, container: Any, stream: Any) -> tuple[int, int]:
        """Read packets to the end; return how many are shown, and how many there are."""
        import av

        count = total = 0
        try:
            for packet in container.demux(stream):
                if packet.size == 0:  # the final flush
                    continue
                if packet.is_corrupt:
                    raise MediaError(self.path, f"cut off or damaged at frame {total}", COPY_AGAIN)
                if total == 0 and not packet.is_keyframe and "avi" in container.format.name:
                    raise MediaError(self.path, "damaged: it does not begin with a key frame", COPY_AGAIN)
                total += 1
                count += not packet.is_discard
        except av.FFmpegError as error:
            raise MediaError(self.path, f"damaged after {total} frames ({_reason(error)})", COPY_AGAIN) from None
        return count, total

    def _without_edit_list(self) -> int:
        with self._open({"ignore_editlist": "1"}) as container:
            return self._walk(container, self._stream(container))[1]

    def _note_shape(self, stream: Any) -> None:
        ratio = stream.sample_aspect_ratio
        if ratio and ratio != 1:
            wide = float(ratio)
            self.notes = (*self.notes, f"its pixels are {wide:.3g} times as wide as high, and are read as stored")

    def _stream(self, container: Any) -> Any:
        if not container.streams.video:
            raise MediaError(self.path, "it holds no video stream", "Name a file with pictures in the table.")
        stream = container.streams.video[0]
        if stream.codec_context is not None:
            check_size(self.path, stream.codec_context.height, stream.codec_context.width)
            stream.codec_context.options = {"max_pixels": str(FRAME_PIXELS.most)}  # a later frame may be larger
        # Starting threads costs more than decoding a clip of this size.
        stream.thread_type = "NONE"
        return stream

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        import av

        remaining = iter(wanted)
        target = next(remaining)
        with self._open() as container:
            try:
                for index, frame in enumerate(self._frames(container)):
                    if index == 0 and not self._trimmed and int(frame.pict_type) in _PREDICTED:
                        raise MediaError(self.path, "damaged: its first key frame is missing", COPY_AGAIN)
                    if index < target:
                        continue
                    if frame.is_corrupt:
                        raise MediaError(self.path, f"frame {index} is damaged", COPY_AGAIN)
                    yield orientation.upright(grey_frame(frame), self._turned(frame))
                    following = next(remaining, None)
                    if following is None:
                        return
                    target = following
            except av.FFmpegError as error:
                raise MediaError(self.path, f"damaged before frame {target} ({_reason(error)})", COPY_AGAIN) from None

    def _frames(self, container: Any) -> Iterator[Any]:
        """Decode; pictures of Motion JPEG are looked at first, as their decoder fills holes without a word."""
        stream = self._stream(container)
        if stream.codec_context.name != "mjpeg":
            yield from container.decode(stream)
            return
        for number, packet in enumerate(container.demux(stream)):
            if packet.size and (complaint := jpeg.damage(bytes(packet))):
                raise MediaError(self.path, f"frame {number} is damaged: {complaint}", COPY_AGAIN)
            yield from packet.decode()

    def _turned(self, frame: Any) -> int:
        """Return the EXIF orientation in which a frame is to be shown."""
        matrix = frame.side_data.get("DISPLAYMATRIX")
        if matrix is None:
            return 1
        turned = orientation.orientation_of_matrix(struct.unpack("=9i", bytes(matrix)[:36]))
        told = "turned by an odd angle in players, but not here" if turned is None else orientation.described(turned)
        if told and told not in self.notes:
            self.notes = (*self.notes, told)
        return turned or 1


def grey_frame(frame: Any) -> npt.NDArray[np.uint8]:
    """Return a decoded PyAV frame as grey uint8 ``[H, W]``."""
    name = frame.format.name
    by_luma = int(frame.colorspace) in _BT601 or name.startswith("gray")
    deep = _DEEP_LUMA.fullmatch(name)
    if deep is not None and by_luma:
        return _deep_luma(frame, int(deep[1] or deep[3]), deep[2] or deep[4], in_high_bits=deep[3] is not None)
    if name not in _PLANAR_LUMA or not by_luma:
        return _luma_of_rgb(frame)
    plane = frame.planes[0]
    stored = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]
    span = int(frame.color_range)
    if span == _FULL or (span != _LIMITED and name in _FULL_BY_DEFINITION):
        return stored.copy()
    return np.take(_EXPAND, stored)


def _luma_of_rgb(frame: Any) -> npt.NDArray[np.uint8]:
    """Return the luma of the RGB picture, of 16 bits where the stream has more than 8."""
    if max((component.bits for component in frame.format.components), default=8) <= 8:
        return luma(frame.to_ndarray(format="rgb24"))
    rgb = frame.to_ndarray(format="rgb48le").astype(np.float64)
    weighted = 0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]
    grey: npt.NDArray[np.uint8] = np.rint(weighted / 257.0).astype(np.uint8)
    return grey


def _deep_luma(frame: Any, bits: int, order: str, in_high_bits: bool) -> npt.NDArray[np.uint8]:
    """Expand a luma plane of 9 to 16 bits to 0..255, exactly but for the final rounding."""
    plane = frame.planes[0]
    words = np.frombuffer(plane, "<u2" if order == "le" else ">u2")
    stored = words.reshape(-1, plane.line_size // 2)[: frame.height, : frame.width].astype(np.float64)
    if in_high_bits:
        stored = np.floor(stored / (1 << (16 - bits)))
    full = int(frame.color_range) == _FULL or (
        int(frame.color_range) != _LIMITED and frame.format.name.startswith("gray")
    )
    step = 1 << (bits - 8)
    low, span = (0, (1 << bits) - 1) if full else (16 * step, 219 * step)
    return np.rint(np.clip((stored - low) * (255.0 / span), 0, 255)).astype(np.uint8)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
