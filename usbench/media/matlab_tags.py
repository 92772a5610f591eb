"""A look at the tags of a MATLAB 5 file before SciPy reads it.

SciPy takes the type of an element as an index into a table without looking whether there is such a type, so that a
damaged or hostile file ends the whole process. A file consists of elements, each a tag (type, length) with its data,
and elements that are arrays consist of elements again.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from usbench.core.limits import MEDIA_BYTES
from usbench.media.errors import COPY_AGAIN, MediaError, check_size

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
# Integers and floats of every width, arrays, and text in UTF-8, 16 and 32; 8, 10, 11 and all others are of no type.
_TYPES = frozenset((1, 2, 3, 4, 5, 6, 7, 9, 12, 13, _MATRIX, 16, 17, 18))
_DEEPEST = 64


def check_tags(path: Path) -> None:
    """Refuse a file with an element of no known type, or one that is longer than what it lies in.

    Args:
        path: A MATLAB file of version 5 to 7, beginning with its header of 128 bytes.

    Raises:
        MediaError: There is such an element, or what is compressed cannot be inflated or is above the limit.
    """
    content = path.read_bytes()
    order = "<" if content[126:128] == b"IM" else ">"
    try:
        at = _HEADER
        while at + 8 <= len(content):
            kind, length = struct.unpack_from(f"{order}II", content, at)
            if kind not in (_MATRIX, _COMPRESSED) or at + 8 + length > len(content):
                raise _Odd(at)
            data = memoryview(content)[at + 8 : at + 8 + length]
            if kind == _COMPRESSED:
                data = memoryview(_inflated(path, data))
                inner, size = struct.unpack_from(f"{order}II", data)
                if inner != _MATRIX or size > len(data) - 8:
                    raise _Odd(at)
                data = data[8 : 8 + size]
            _check_array(data, order, at, 0)
            at += 8 + length
    except _Odd as odd:
        raise MediaError(path, f"damaged near byte {odd}: an element of no known type or length", COPY_AGAIN) from None
    except (struct.error, zlib.error) as error:
        raise MediaError(path, f"damaged or cut off ({error})", COPY_AGAIN) from None


class _Odd(Exception):
    """An element that no program writes; holds where in the file it was found."""


def _inflated(path: Path, data: memoryview) -> bytes:
    inflater = zlib.decompressobj()
    content = inflater.decompress(data, MEDIA_BYTES.most + 1)
    check_size(path, 0, 0, unfolded=len(content))
    return content


def _check_array(data: memoryview, order: str, place: int, depth: int) -> None:
    """Walk through the elements of an array."""
    if depth > _DEEPEST:
        raise _Odd(place)
    at = 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from(f"{order}II", data, at)
        # Up to four bytes may stand in the tag itself: then the length is in the upper half of the type.
        small = kind >> 16
        if small:
            kind, step = kind & 0xFFFF, 8
            fits = small <= 4
        else:
            step = 8 + length + -length % 8
            fits = at + 8 + length <= len(data)
        first = at == 0  # the flags, which readers take for 8 bytes whatever the tag says
        if kind not in _TYPES or not fits or (first and (small or length != 8)):
            raise _Odd(place)
        if kind == _MATRIX and length:
            if small:
                raise _Odd(place)
            _check_array(data[at + 8 : at + 8 + length], order, place, depth + 1)
        at += step
