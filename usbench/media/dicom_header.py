"""Reading a DICOM header, and finding where each frame's bytes lie, without decoding any."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from usbench.core.limits import MEDIA_BYTES
from usbench.media.errors import COPY_AGAIN, MediaError, check_size, one_line

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_UNDEFINED = 0xFFFFFFFF
# MPEG-2, MPEG-4 AVC and HEVC: the pixel data are one film.
_FILM = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))
_DEFLATED = "1.2.840.10008.1.2.1.99"
_META_BYTES = 4096  # in which the transfer syntax stands
# How the frames of JPEG, JPEG-LS, JPEG 2000 and its boxed form begin.
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ")
_TAKE_OUT = "Take it out of the table."
_EXPORT = "Export it from the viewer as PNG or video."

# A part of the file: first byte and length.
Part = tuple[int, int]


@dataclass
class DicomFile:
    """A header and the places of the pixel data.

    Attributes:
        path: The file, for messages and for reading.
        header: pydicom dataset of everything but the pixels.
        frames: The parts that make up each frame; for uncompressed data of whole bytes one part a frame.
        film: Whether the pixel data are one film in :attr:`frames` ``[0]``.
        word_vr: VR of the pixel data element, as byte order can depend on it.
        full_chroma: Uncompressed data labelled ``YBR_FULL_422`` that hold three whole samples a pixel.
        notes: What was read otherwise than the header says.
        data_start: Where uncompressed pixel data begin.
        inflated: The whole file, if it was deflated.
    """

    path: Path
    header: Any
    frames: list[list[Part]] = field(default_factory=list)
    film: bool = False
    word_vr: str = "OW"
    full_chroma: bool = False
    notes: list[str] = field(default_factory=list)
    data_start: int = 0
    inflated: bytes | None = None

    @property
    def syntax(self) -> Any:
        """The transfer syntax."""
        return self.header.file_meta.TransferSyntaxUID

    def open(self) -> BinaryIO:
        """Open what the places refer to: the file, or its inflated content."""
        return io.BytesIO(self.inflated) if self.inflated is not None else self.path.open("rb")

    def read(self, file: BinaryIO, index: int) -> bytes:
        """Return the bytes of one frame."""
        parts = []
        for start, length in self.frames[index]:
            file.seek(start)
            parts.append(file.read(length))
        return b"".join(parts)


def read_dicom(path: Path) -> DicomFile:
    """Read everything but the pixels, and check that those are all there.

    Raises:
        MediaError: It is not DICOM, is damaged or cut off, or holds no image.
    """
    try:
        return _read(path)
    except MediaError:
        raise
    except RecursionError:
        raise MediaError(path, "damaged DICOM (sequences nested without end)", COPY_AGAIN) from None
    except Exception as error:  # values are parsed on access, and each kind fails in its own way
        raise MediaError(path, f"damaged DICOM ({one_line(error) or type(error).__name__})", COPY_AGAIN) from None


def photometric(header: Any) -> str:
    """Return the photometric interpretation in capitals, without blanks."""
    return str(header.PhotometricInterpretation).strip().strip("\0").upper()


def whole(header: Any, name: str, default: int) -> int:
    """Return an integer attribute, or a default where it is absent or empty."""
    value = header.get(name)
    return default if value in (None, "") else int(value)


def _read(path: Path) -> DicomFile:
    import pydicom
    from pydicom.uid import UID

    with path.open("rb") as file:
        content = _inflated(path, file) if _DEFLATED.encode() in file.read(_META_BYTES) else None
        file.seek(0)
        source: BinaryIO = file if content is None else io.BytesIO(content)
        header = pydicom.dcmread(source, stop_before_pixels=True, force=True)
        if "TransferSyntaxUID" not in header.file_meta:  # no preamble: one of the native syntaxes
            implicit, little = header.original_encoding
            native = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1" if little else "1.2.840.10008.1.2.2"
            header.file_meta.TransferSyntaxUID = UID(native)
        found = DicomFile(path, header, inflated=content)
        _find_pixel_data(found, source)
    return found


def _inflated(path: Path, file: BinaryIO) -> bytes | None:
    """Return a deflated file as if it had not been deflated; ``None`` if it is of another transfer syntax."""
    import pydicom

    file.seek(0)
    meta = pydicom.filereader.read_file_meta_info(path)
    if meta.TransferSyntaxUID != _DEFLATED:
        return None
    # The group length counts what follows its own element of 12 bytes, behind the preamble and 'DICM'.
    head = file.read(132 + 12 + int(meta.FileMetaInformationGroupLength))
    body = file.read()
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        content = inflater.decompress(body, MEDIA_BYTES.most)
    except zlib.error as error:
        raise MediaError(path, f"damaged: its deflated part cannot be inflated ({error})", COPY_AGAIN) from None
    if len(content) >= MEDIA_BYTES.most and not inflater.eof:
        check_size(path, 0, 0, unfolded=len(content) + 1)
    if not inflater.eof:
        raise MediaError(path, f"cut off: its deflated part ends after {len(body)} bytes, unfinished", COPY_AGAIN)
    return head.replace(_DEFLATED.encode(), b"1.2.840.10008.1.2.1\0\0\0") + content


def _find_pixel_data(found: DicomFile, file: BinaryIO) -> None:
    """Locate the frames; ``file`` stands at the pixel data element."""
    path, header = found.path, found.header
    size = path.stat().st_size if found.inflated is None else len(found.inflated)
    _require_image(header, path)
    order = "<" if header.original_encoding[1] else ">"
    raw = file.read(8)
    explicit = raw[4:6] in (b"OB", b"OW", b"UN")  # seen here, as some headers are encoded otherwise than they say
    raw += file.read(4) if explicit else b""
    if len(raw) < (12 if explicit else 8):
        raise MediaError(path, "DICOM without pixel data, or cut off before them", _TAKE_OUT)
    group, element = struct.unpack(order + "HH", raw[:4])
    if (group, element) != (0x7FE0, 0x0010):
        raise MediaError(path, "DICOM without integer pixel data", _TAKE_OUT)
    announced = _announced(found)
    if explicit:
        found.word_vr = raw[4:6].decode("ascii", "replace")
    (length,) = struct.unpack(order + "I", raw[-4:])
    if not found.syntax.is_encapsulated and length != _UNDEFINED:
        _native_frames(found, file.tell(), length, size, announced)
        return
    # Some writers give compressed data a length, which the standard forbids, and leave out the end mark.
    end = None if length == _UNDEFINED else file.tell() + length
    if end is not None and end > size:
        raise MediaError(path, f"cut off: {end - size} bytes of pixel data are missing", COPY_AGAIN)
    table, fragments = _fragments(path, file, size, end)
    if str(found.syntax).startswith(_FILM):
        found.film, found.frames = True, [fragments]
        return
    _grouped(found, file, table, fragments, announced)


def _require_image(header: Any, path: Path) -> None:
    for name in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation", "SamplesPerPixel"):
        if header.get(name) in (None, "", 0):
            raise MediaError(path, f"DICOM without a usable {name}, so no image", _TAKE_OUT)
    if header.get("BitsStored") in (None, "", 0):
        header.BitsStored = int(header.BitsAllocated)
    if int(header.BitsAllocated) not in (1, 8, 16, 32):
        raise MediaError(path, f"DICOM of {header.BitsAllocated} bits a sample, which is not supported", _EXPORT)
    if int(header.BitsStored) > int(header.BitsAllocated):
        header.BitsStored = int(header.BitsAllocated)


def _announced(found: DicomFile) -> int | None:
    """Return NumberOfFrames, or ``None`` where it is absent, empty or, with a note, not a number."""
    try:
        value = found.header.get("NumberOfFrames")
        if value is not None and not isinstance(value, str) and hasattr(value, "__len__"):
            value = value[0] if len(value) else None
        count = None if value is None or str(value).strip(" \0") == "" else int(value)
    except (ValueError, TypeError, OverflowError):
        found.notes.append("NumberOfFrames is not a whole number: the frames that the pixel data hold are read")
        return None
    if count is not None and count < 1:
        raise MediaError(found.path, "DICOM of zero frames", _TAKE_OUT)
    return count


def _native_frames(found: DicomFile, start: int, length: int, size: int, announced: int | None) -> None:
    header, path = found.header, found.path
    pixels = int(header.Rows) * int(header.Columns)
    samples, bits = int(header.SamplesPerPixel), int(header.BitsAllocated)
    kind = photometric(header)
    packed = 2 * pixels if "422" in kind and samples == 3 else pixels * samples
    packed = pixels * 3 // 2 if "420" in kind and samples == 3 else packed
    frame_bits, least = packed * bits, announced or 1
    missing = start + max(length, (frame_bits * least + 7) // 8) - size
    if missing > 0:
        raise MediaError(path, f"cut off: {missing} bytes of pixel data are missing", COPY_AGAIN)
    if length * 8 < frame_bits * least:
        raise MediaError(
            path,
            f"damaged: {length} bytes of pixel data, where the header asks for {(frame_bits * least + 7) // 8}",
            COPY_AGAIN,
        )
    full_bits = pixels * samples * bits
    if frame_bits != full_bits and length * 8 >= full_bits * least:
        found.full_chroma, frame_bits = True, full_bits
        found.notes.append(f"labelled {kind}, but holds {samples} whole samples a pixel, and is read so")
    count = least
    there = length * 8 // frame_bits
    spare = length * 8 - there * frame_bits
    if there > least and (announced is None or spare <= 8):
        count = there
        found.notes.append(
            f"holds {there} frames, its header {'tells no number' if announced is None else f'says {announced}'}"
        )
    found.data_start = start
    # Frames of single bits need not begin at a whole byte: the part of each is widened to whole bytes.
    found.frames = [[(start + i * frame_bits // 8, (i * frame_bits % 8 + frame_bits + 7) // 8)] for i in range(count)]


def _fragments(path: Path, file: BinaryIO, size: int, end: int | None) -> tuple[Part, list[Part]]:
    """Walk the items of encapsulated pixel data: the offset table, then the fragments."""
    found: list[Part] = []
    while end is None or file.tell() < end:
        raw = file.read(8)
        if len(raw) == 8 and raw[:4] == _END:
            break
        if len(raw) < 8 or raw[:4] != _ITEM:
            raise MediaError(path, f"cut off or damaged after {max(0, len(found) - 1)} frames", COPY_AGAIN)
        (length,) = struct.unpack("<I", raw[4:])
        start = file.tell()
        if start + length > size:
            raise MediaError(path, f"cut off in frame {max(0, len(found) - 1)}", COPY_AGAIN)
        found.append((start, length))
        file.seek(length, 1)
    if len(found) < 2:
        raise MediaError(path, "DICOM with compressed pixel data of zero frames", _TAKE_OUT)
    return found[0], found[1:]


def _grouped(found: DicomFile, file: BinaryIO, table: Part, fragments: list[Part], announced: int | None) -> None:
    """Put the fragments of each frame together: by an offset table, else by how frames begin."""
    starts = _offsets(found.header, file, table)
    first_item = table[0] + table[1]
    by_place = {place - 8 - first_item: i for i, (place, _) in enumerate(fragments)}
    if len(starts) > 1 and all(start in by_place for start in starts) and starts == sorted(set(starts)):
        begins = [by_place[start] for start in starts]
        if announced is not None and len(begins) < announced == len(fragments):
            begins = list(range(len(fragments)))  # an unfinished table
    elif announced == len(fragments) or not _is_jpeg_family(found.syntax):
        begins = list(range(len(fragments)))
    else:
        begins = []
        for i, (start, _) in enumerate(fragments):
            file.seek(start)
            if i == 0 or file.read(12).startswith(_STARTS):
                begins.append(i)
    ends = [*begins[1:], len(fragments)]
    found.frames = [fragments[a:b] for a, b in zip(begins, ends, strict=True)]
    count = len(found.frames)
    if announced is not None and count < announced:
        raise MediaError(found.path, f"cut off: {announced} frames announced, {count} found", COPY_AGAIN)
    if count > (announced or 1):
        said = "tells no number" if announced is None else f"says {announced}"
        found.notes.append(f"holds {count} frames, its header {said}")


def _offsets(header: Any, file: BinaryIO, table: Part) -> list[int]:
    extended = header.get("ExtendedOffsetTable")
    if extended:
        return [value for (value,) in struct.iter_unpack("<Q", bytes(extended)[: len(extended) // 8 * 8])]
    file.seek(table[0])
    raw = file.read(table[1] // 4 * 4)
    return [value for (value,) in struct.iter_unpack("<I", raw)]


def _is_jpeg_family(syntax: Any) -> bool:
    return str(syntax).startswith("1.2.840.10008.1.2.4.")
