"""Finding out, from a video container's own lengths, that its end is missing.

Demuxers are forgiving by design: many hand out what is left of a file without a word. Each of these formats
states how long its parts are, so a file that was cut off betrays itself in a few reads.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from usbench.media.errors import COPY_AGAIN, MediaError


def check_complete(path: Path) -> None:
    """Raise if an MP4/MOV, AVI or MKV file ends before the parts it announces.

    Args:
        path: The file.

    Raises:
        MediaError: It was cut off, or its recording was never finished.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(12)
        if head.startswith(b"RIFF"):
            missing = _riff_missing(file, size)
        elif head.startswith(b"\x1a\x45\xdf\xa3"):
            missing = _matroska_missing(file, size)
        else:
            missing = _quicktime_missing(file, size, path)
    if missing > 0:
        raise MediaError(path, f"cut off: {missing} of {size + missing} bytes are missing at its end", COPY_AGAIN)


def _quicktime_missing(file: BinaryIO, size: int, path: Path) -> int:
    """Walk the top-level atoms of MP4 or MOV."""
    offset, kinds = 0, set()
    while offset + 8 <= size:
        file.seek(offset)
        header = file.read(16)
        length, kind = struct.unpack(">I4s", header[:8])
        if length == 1 and len(header) == 16:
            (length,) = struct.unpack(">Q", header[8:])
        elif length == 0:
            length = size - offset  # to the end of the file
        if length < 8:
            raise MediaError(path, f"damaged: a part of length {length} at byte {offset}", COPY_AGAIN)
        kinds.add(kind)
        offset += length
    if offset > size:
        return offset - size
    if b"moov" not in kinds:
        raise MediaError(path, "cut off, or its recording was never finished: it has no index ('moov')", COPY_AGAIN)
    return 0


def _riff_missing(file: BinaryIO, size: int) -> int:
    """Walk the RIFF chunks of an AVI (several in files above 1 GB). A length of 0 is a live recording's."""
    offset = 0
    while offset + 12 <= size:
        file.seek(offset)
        kind, length = struct.unpack("<4sI", file.read(8))
        if kind != b"RIFF" or length in (0, 0xFFFFFFFF):
            return 0
        offset += 8 + length + (length & 1)
    # The padding byte after an odd length is often left out at the very end.
    return max(0, offset - size - 1)


def _matroska_missing(file: BinaryIO, size: int) -> int:
    """Read the length of the EBML header and of the segment behind it."""
    offset = 4
    for expected in (None, b"\x18\x53\x80\x67"):
        if expected is not None:
            file.seek(offset)
            if file.read(4) != expected:
                return 0
            offset += 4
        file.seek(offset)
        field = file.read(8)
        if not field or field[0] == 0:
            return 0
        width = 9 - field[0].bit_length()
        value = int.from_bytes(field[:width], "big") & ((1 << (7 * width)) - 1)
        if value == (1 << (7 * width)) - 1:
            return 0  # unknown length, as live recordings have
        offset += width + value
    return max(0, offset - size)
