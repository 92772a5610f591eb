"""Whether a PNG is all there: every checksum right, and as many rows as its header announces."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column and row of each pass, and the steps between its columns and rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


@dataclass(frozen=True)
class PngHeader:
    """The image header: width and height in pixels, bits of a sample, colour type, whether interlaced."""

    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool

    def row_bytes(self, columns: int) -> int:
        """Bytes of a row of so many pixels, its filter included."""
        return 1 + (columns * self.depth * _CHANNELS.get(self.colour, 1) + 7) // 8

    def raw_bytes(self) -> int:
        """Bytes of all rows before compression."""
        if not self.interlaced:
            return self.height * self.row_bytes(self.width)
        total = 0
        for left, top, across, down in _PASSES:
            columns, rows = -(-(self.width - left) // across), -(-(self.height - top) // down)
            total += rows * self.row_bytes(columns) if columns > 0 and rows > 0 else 0
        return total


def read_header(content: bytes) -> PngHeader | None:
    """Return the image header, or ``None`` where it is not in its place."""
    if len(content) < 33 or content[12:16] != b"IHDR":
        return None
    width, height, depth, colour, _, _, interlace = struct.unpack_from(">IIBBBBB", content, 16)
    return PngHeader(width, height, depth, colour, bool(interlace))


def damage(content: bytes) -> str:
    """Return what is wrong inside a PNG that reaches its end, or an empty string."""
    header = read_header(content)
    if header is None:
        return "its header is not in its place"
    inflater, inflated = zlib.decompressobj(), 0
    wanted = header.raw_bytes()
    offset = 8
    while offset + 12 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, offset)
        body = content[offset + 8 : offset + 8 + length]
        if kind == b"IEND":
            break
        if kind[:1].isupper():  # what is not needed for the pixels may be damaged
            (checksum,) = struct.unpack_from(">I", content, offset + 8 + length)
            if zlib.crc32(body, zlib.crc32(kind)) != checksum:
                where = f"{_row(header, inflated)}, " if kind == b"IDAT" else ""
                return f"{where}the checksum of part {kind.decode('latin-1')} at byte {offset} is wrong"
        if kind == b"IDAT" and not inflater.eof:
            try:
                inflated += len(inflater.decompress(body, max(1, wanted + 1 - inflated)))
            except zlib.error as error:
                return f"{_row(header, inflated)}, pixel data at byte {offset} cannot be inflated ({error})"
        offset += length + 12
    if inflated < wanted:
        return f"it holds {_row(header, inflated)} only"
    return ""


def _row(header: PngHeader, inflated: int) -> str:
    if header.interlaced:
        return f"{inflated} of {header.raw_bytes()} bytes of its pixels"
    return f"{inflated // header.row_bytes(header.width)} of {header.height} rows"
