"""Finding out, from a video container's own lengths, that its end is missing.

Demuxers are forgiving by design: many hand out what is left of a file without a word. Each of these formats
states how long its parts are, so a file that was cut off betrays itself in a few reads.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.file_type import ASF as _ASF
from usbench.media.file_type import QUICKTIME_ATOMS as _QUICKTIME_ATOMS

_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")


def check_complete(path: Path) -> None:
    """Raise if an MP4/MOV, AVI, MKV or WMV file ends before the parts it announces.

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
        elif head.startswith(_ASF):
            missing = _asf_missing(file, size)
        elif head[4:8] in _QUICKTIME_ATOMS:
            missing = _quicktime_missing(file, size, path)
        elif head.startswith(b"\x47"):  # transport stream: packets of 188 bytes
            missing = -size % 188
        else:  # streams, which may end anywhere; their packets say whether they are whole
            missing = 0
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


def _asf_missing(file: BinaryIO, size: int) -> int:
    """Read the size of a WMV file from the file properties in its header; live recordings state none."""
    file.seek(0)
    header = file.read(8192)
    at = header.find(_FILE_PROPERTIES)
    if at < 0 or len(header) < at + 48:
        return 0
    stated, flags = struct.unpack_from("<Q", header, at + 40)[0], header[at + 88 : at + 89]
    broadcast = bool(flags and flags[0] & 1)
    return 0 if broadcast else max(0, stated - size)


def frames_in_avi_index(path: Path, stream: int) -> int | None:
    """Count the pictures that the index of an AVI lists, without the empty ones that stand for dropped frames.

    Args:
        path: The file.
        stream: Number of the video stream.

    Returns:
        The number, or ``None`` for files without such an index, or of several parts.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        file.seek(0)
        head = file.read(12)
        if len(head) < 12:
            return None
        end = min(size, 8 + struct.unpack("<I", head[4:8])[0])
        if end + 12 < size:  # a second part follows, and this index lists the first only
            return None
        offset = 12
        while offset + 8 <= end:
            file.seek(offset)
            kind, length = struct.unpack("<4sI", file.read(8))
            if kind == b"idx1":
                entries = file.read(length)
                wanted = (f"{stream:02d}dc".encode(), f"{stream:02d}db".encode())
                return sum(
                    entries[at : at + 4] in wanted and entries[at + 12 : at + 16] != b"\0\0\0\0"
                    for at in range(0, len(entries) - 15, 16)
                )
            offset += 8 + length + (length & 1)
    return None
