"""What a JPEG stream says of itself, whether it decodes without a complaint, and its planes before any conversion.

Used for ``.jpg`` files and for the frames of compressed DICOM alike. Decoders of the libjpeg family fill what they
cannot decode with grey and only *warn*; a picture with a hole must not pass for a picture.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from usbench.media.jpeg_scans import hole

if TYPE_CHECKING:
    import numpy.typing as npt

# Start-of-frame markers: 0xC0 to 0xCF without DHT (C4), JPG (C8) and DAC (CC); F7 is JPEG-LS.
_SOF = frozenset((*range(0xC0, 0xD0), 0xF7)) - {0xC4, 0xC8, 0xCC}
_DHT, _SOS, _APP0, _APP14 = 0xC4, 0xDA, 0xE0, 0xEE
_BASELINE_CODING = (0xC0, 0xC1, 0xC2)
_SEQUENTIAL = (0xC0, 0xC1)
_PROGRESSIVE = 0xC2

# Of libjpeg's warnings those that mean lost pixels; others concern unknown markers or versions.
_DAMAGE = re.compile(r"Corrupt JPEG data|[Pp]remature end|Inconsistent progression")
_EXTRANEOUS_AT_END = re.compile(r"extraneous bytes before marker 0xd9")

# A run of so many zero bytes inside coded data would be blocks of 40 and more equal coefficients: it occurs in no
# picture, unless the code of only zeros means "end of block".
_ZERO_RUN = bytes(24)


@dataclass(frozen=True)
class JpegHeader:
    """The frame header and colour marks of a JPEG or JPEG-LS stream.

    Attributes:
        sof: Second byte of the start-of-frame marker: 0xC0 baseline, 0xC2 progressive, 0xC3 lossless, 0xF7 JPEG-LS.
        precision: Bits of a sample.
        height: Rows.
        width: Columns.
        component_ids: Identifiers of the components.
        sampling: Horizontal and vertical sampling factor of each component.
        jfif: Whether there is a JFIF marker.
        adobe_transform: Colour transform of the Adobe marker, or ``None`` without one.
        zeros_are_valid: Whether a long run of zero bits can be a picture: every Huffman table for AC coefficients that
            the first scan uses codes "end of block" by zeros alone, or a component is coded by itself.
        scan: Offset of the first scan's marker.
    """

    sof: int
    precision: int
    height: int
    width: int
    component_ids: tuple[int, ...]
    sampling: tuple[tuple[int, int], ...]
    jfif: bool
    adobe_transform: int | None
    zeros_are_valid: bool
    scan: int

    @property
    def is_lossy(self) -> bool:
        """Whether it is coded by Huffman-coded cosine transform: baseline, extended or progressive."""
        return self.sof in _BASELINE_CODING


def read_header(content: bytes) -> JpegHeader | None:
    """Read the segments up to the first scan; ``None`` if this is no JPEG stream or it ends before."""
    if content[:2] != b"\xff\xd8":
        return None
    offset, sof, frame, scan, jfif, adobe = 2, 0, b"", b"", False, None
    zeros: dict[int, bool] = {}
    while offset + 4 <= len(content):
        if content[offset] != 0xFF:
            return None
        marker = content[offset + 1]
        if marker == 0xFF:
            offset += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            offset += 2
            continue
        (length,) = struct.unpack_from(">H", content, offset + 2)
        body = content[offset + 4 : offset + 2 + length]
        if marker == _SOS:
            scan = body
            break
        if marker in _SOF:
            sof, frame = marker, body
        elif marker == _APP0 and body.startswith(b"JFIF"):
            jfif = True
        elif marker == _APP14 and body.startswith(b"Adobe") and len(body) >= 12:
            adobe = body[11]
        elif marker == _DHT:
            zeros |= _ends_blocks_by_zeros(body)
        offset += 2 + length
    else:
        return None
    if len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        return None
    precision, height, width, count = struct.unpack_from(">BHHB", frame)
    used = [zeros.get(scan[2 + 2 * i] & 15, True) for i in range(min(scan[0] if scan else 0, (len(scan) - 1) // 2))]
    parts = [frame[6 + 3 * i : 9 + 3 * i] for i in range(count)]
    return JpegHeader(
        sof,
        precision,
        height,
        width,
        tuple(part[0] for part in parts),
        tuple((part[1] >> 4, part[1] & 15) for part in parts),
        jfif,
        adobe,
        all(used) or len(used) < count,
        offset,
    )


def damage(content: bytes) -> str:
    """Return what a strict decoder complains of, or an empty string.

    Lossless, arithmetic-coded and 12-bit streams are not looked at: their decoders raise of themselves.
    """
    import simplejpeg

    header = read_header(content)
    if header is None or not header.is_lossy or header.precision != 8:
        return ""
    if (
        header.sof in _SEQUENTIAL
        and not header.zeros_are_valid
        and (at := content.find(_ZERO_RUN, header.scan)) >= 0
        and content.find(b"\xff\xd9", at) >= 0
        and content[at : content.find(b"\xff\xd9", at)].strip(b"\0")
    ):
        return f"a hole of zero bytes at byte {at}"
    if header.sof == _PROGRESSIVE and (found := hole(content)) is not None:
        return f"a hole of zero bytes at byte {found}"
    try:
        # Scaled down as far as possible: every code is read, but hardly any pixel computed.
        simplejpeg.decode_jpeg(
            content, "CMYK" if len(header.component_ids) == 4 else "GRAY", min_height=1, min_width=1, min_factor=1
        )
    except ValueError as error:
        told = str(error)
        if not _DAMAGE.search(told):
            return ""
        if _EXTRANEOUS_AT_END.search(told) and _padded_at_end(content):
            return ""
        return told.removeprefix("Corrupt JPEG data: ")
    return ""


def planes(content: bytes, header: JpegHeader) -> npt.NDArray[Any]:
    """Decode to stored components, without any conversion of colours.

    Args:
        content: A lossy JPEG stream of 8 or 12 bits.
        header: Its header.

    Returns:
        uint8 or uint16, ``[H, W]`` or ``[H, W, C]``.
    """
    import imagecodecs

    count = len(header.component_ids)
    space = {1: "GRAYSCALE", 3: "YCBCR"}.get(count)
    pixels: npt.NDArray[Any] = imagecodecs.jpeg8_decode(content, colorspace=space, outcolorspace=space)
    return pixels


def colour_space(header: JpegHeader, stored: npt.NDArray[Any], label: str) -> Literal["RGB", "YCBCR"]:
    """Say what three stored components are: by the stream's own marks, then by content, then by a label.

    Args:
        header: Header of the stream.
        stored: The components, ``[H, W, 3]``.
        label: What the file around the stream calls it, such as ``YBR_FULL_422`` or ``RGB``.
    """
    if header.adobe_transform is not None:
        return "RGB" if header.adobe_transform == 0 else "YCBCR"
    if header.jfif:
        return "YCBCR"
    if bytes(header.component_ids).upper() == b"RGB":
        return "RGB"
    if len(set(header.sampling)) > 1:  # only chroma is ever stored at a lower resolution than the rest
        return "YCBCR"
    return space_by_content(stored, label)


def space_by_content(stored: npt.NDArray[Any], label: str, trust_label: bool = True) -> Literal["RGB", "YCBCR"]:
    """Guess whether three components are RGB or luma and chroma.

    Ultrasound is grey for the most part: then the three of RGB are equal, and chroma lies at the middle of its range.

    Args:
        stored: ``[..., 3]`` unsigned integers.
        label: What the file says; it stands unless the content speaks against it clearly.
        trust_label: Whether the label counts at all.
    """
    labelled: Literal["RGB", "YCBCR"] = "YCBCR" if label.upper().startswith("YBR") else "RGB"
    values = stored.reshape(-1, stored.shape[-1])[:, :3].astype(np.float64)
    middle = 128.0 if stored.dtype.itemsize == 1 else 128.0 * 257
    as_rgb = float(np.abs(values - values[:, :1]).mean())
    as_ybr = float(np.abs(values[:, 1:] - middle).mean())
    margin = 0.25 if trust_label else 1.0
    if as_ybr < margin * as_rgb:
        return "YCBCR"
    if as_rgb < margin * as_ybr:
        return "RGB"
    return labelled


def _ends_blocks_by_zeros(tables: bytes) -> dict[int, bool]:
    """Go through a DHT segment: for each AC table, whether its first symbol, the code of zeros alone, ends a block."""
    found, offset = {}, 0
    while offset + 17 < len(tables):
        kind, number = tables[offset] >> 4, tables[offset] & 15
        if kind == 1:
            found[number] = tables[offset + 17] & 15 == 0
        offset += 17 + sum(tables[offset + 1 : offset + 17])
    return found


def _padded_at_end(content: bytes) -> bool:
    """Whether zero or fill bytes stand before the end marker, as some recorders leave them."""
    end = content.rfind(b"\xff\xd9")
    return end > 2 and content[end - 2 : end] in (b"\0\0", b"\xff\xff")
