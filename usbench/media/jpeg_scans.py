"""Holes of zero bytes in progressive JPEG streams, which decode to something without a complaint."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

_SOI_LIKE = frozenset((0x01, *range(0xD0, 0xD9)))
_RESTARTS = frozenset(range(0xD0, 0xD8))
_DHT, _SOS, _EOI = 0xC4, 0xDA, 0xD9
# So many zero bytes are 200 and more equal symbols, one after the other.
_FIRST_PASS = bytes(24)
# A later pass may hold up to 1000 correction bits in a row, which encoders collect: 125 bytes.
_REFINEMENT = bytes(128)


@dataclass(frozen=True)
class Scan:
    """One pass over the coefficients.

    Attributes:
        refines: Whether it adds a bit to coefficients of an earlier one.
        first_symbols: What the code of zeros alone means, by component; ``None`` where no table was given.
        is_dc: Whether it holds the means of blocks.
        start: Offset of its coded data.
        end: Offset behind them.
    """

    refines: bool
    first_symbols: tuple[int | None, ...]
    is_dc: bool
    start: int
    end: int

    @property
    def zeros_are_no_picture(self) -> bool:
        """Whether a long run of zeros cannot come from a picture.

        It cannot where the code of zeros alone means a coefficient other than zero, or a step of the mean: the same
        one, block after block, until the range of values is left. It can where that code means "no more in this block".
        """
        if self.is_dc:
            return not self.refines and all(symbol not in (None, 0) for symbol in self.first_symbols)
        return all(symbol is not None and symbol & 15 for symbol in self.first_symbols)


def hole(content: bytes) -> int | None:
    """Return the offset of a run of zero bytes that is no picture; ``None`` without one.

    Args:
        content: A progressive JPEG stream.
    """
    for scan in scans(content):
        if scan.zeros_are_no_picture:
            at = content.find(_REFINEMENT if scan.refines else _FIRST_PASS, scan.start, scan.end)
            if at >= 0 and content[at : scan.end].strip(b"\0"):
                return at
    return None


def scans(content: bytes) -> Iterator[Scan]:
    """Yield the scans of a stream, as far as its segments can be followed."""
    offset, first_symbols = 2, dict[int, int]()
    while offset + 4 <= len(content) and content[offset] == 0xFF:
        marker = content[offset + 1]
        if marker == 0xFF:
            offset += 1
            continue
        if marker in _SOI_LIKE:
            offset += 2
            continue
        if marker == _EOI:
            return
        (length,) = struct.unpack_from(">H", content, offset + 2)
        body = content[offset + 4 : offset + 2 + length]
        offset += 2 + length
        if marker == _DHT:
            at = 0
            while at + 17 < len(body):
                first_symbols[body[at]] = body[at + 17]  # by class (1 for AC) and number
                at += 17 + sum(body[at + 1 : at + 17])
        elif marker == _SOS and body and len(body) >= 4 + 2 * body[0]:
            tables = [body[2 + 2 * component] for component in range(body[0])]
            spectral, approximation = body[1 + 2 * body[0]], body[3 + 2 * body[0]]
            numbers = [0x10 | (table & 15) if spectral else table >> 4 for table in tables]
            end = _end_of_coded_data(content, offset)
            symbols = tuple(first_symbols.get(number) for number in numbers)
            yield Scan(approximation >> 4 > 0, symbols, spectral == 0, offset, end)
            offset = end


def _end_of_coded_data(content: bytes, offset: int) -> int:
    """Return where the next marker stands that is no restart; 0xFF 0x00 is a coded byte."""
    while (offset := content.find(b"\xff", offset)) >= 0:
        following = content[offset + 1 : offset + 2]
        if following and following[0] and following[0] not in _RESTARTS:
            return offset
        offset += 2
    return len(content)
