"""DICOM through pydicom: single and multi-frame, any photometric interpretation, native and compressed.

Grey values follow the display pipeline of DICOM PS3.3 C.11: modality rescale, then the first window or VOI
table; without one, the full range of the stored bits (never an image's own minimum and maximum, so that
frames of a loop stay comparable). MONOCHROME1 is inverted. Colour becomes the luma of the RGB picture.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usbench.errors import UsbenchError
from usbench.media.base import Media
from usbench.media.errors import COPY_AGAIN, MediaError, one_line
from usbench.media.grayscale import to_grey

if TYPE_CHECKING:
    import numpy.typing as npt

_ITEM, _END = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
_UNDEFINED = 0xFFFFFFFF
# MPEG-2, MPEG-4 AVC and HEVC: the pixel data are one film.
_FILM = tuple(f"1.2.840.10008.1.2.4.{number}" for number in range(100, 109))
_DEFLATED = "1.2.840.10008.1.2.1.99"


def open_dicom(path: Path) -> Media:
    """Open a DICOM file.

    Returns:
        A :class:`Dicom`, or the film inside it as a :class:`usbench.media.video.Video`.

    Raises:
        MediaError: It holds no pixels, is cut off, or is not DICOM.
    """
    header, fragments = _read_header(path)
    if header.file_meta.get("TransferSyntaxUID", "").startswith(_FILM):
        from usbench.media.video import Video

        with path.open("rb") as file:
            return Video(path, content=b"".join(_read_at(file, start, length) for start, length in fragments or ()))
    return Dicom(path, header)


class Dicom(Media):
    """Frames of a DICOM image or loop; see the module for how values become grey."""

    def __init__(self, path: Path, header: Any) -> None:
        super().__init__(path)
        self._header = header
        self._count = _frame_count(header, path)

    @property
    def n_frames(self) -> int:
        """NumberOfFrames, checked against the length of the pixel data."""
        return self._count

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        from pydicom.pixels import iter_pixels

        _register_plugins()
        try:
            # Named explicitly for files without a preamble, which cannot say.
            syntax = self._header.file_meta.TransferSyntaxUID
            for pixels in iter_pixels(self.path, indices=list(wanted), transfer_syntax_uid=syntax):
                yield self._grey(pixels)
        except UsbenchError as error:
            raise MediaError(self.path, str(error), "Export it from the viewer as PNG or video.") from None
        except (NotImplementedError, RuntimeError, AttributeError, ImportError) as error:
            raise MediaError(
                self.path,
                f"cannot be decoded ({syntax.name}: {one_line(error)})",
                "Export it uncompressed, or as PNG.",
            ) from None
        except Exception as error:  # every codec raises its own
            raise MediaError(self.path, f"damaged or cut off ({one_line(error)})", COPY_AGAIN) from None

    def _grey(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        photometric = str(self._header.PhotometricInterpretation)
        if photometric.startswith("MONOCHROME"):
            grey = _monochrome(pixels, self._header)
            return 255 - grey if photometric == "MONOCHROME1" else grey
        if photometric == "PALETTE COLOR":
            from pydicom.pixels import apply_color_lut

            return to_grey(apply_color_lut(pixels, self._header))
        return to_grey(_full_range(pixels, 0, (1 << int(self._header.BitsStored)) - 1))


def _monochrome(pixels: npt.NDArray[Any], header: Any) -> npt.NDArray[np.uint8]:
    """Return stored values of one frame as they would be displayed, before any inversion."""
    low, high = _stored_range(header)
    if header.get("ModalityLUTSequence"):
        from pydicom.pixels import apply_modality_lut

        values = apply_modality_lut(pixels, header)
        low, high = 0.0, float((1 << _table_bits(header.ModalityLUTSequence[0])) - 1)
    else:
        slope, intercept = float(header.get("RescaleSlope", 1)), float(header.get("RescaleIntercept", 0))
        values = pixels if (slope, intercept) == (1.0, 0.0) else pixels.astype(np.float64) * slope + intercept
        low, high = sorted((low * slope + intercept, high * slope + intercept))
    window = _first_window(header)
    if window is not None:
        return _windowed(values, *window)
    if header.get("VOILUTSequence"):
        from pydicom.pixels import apply_voi

        values = apply_voi(np.rint(values).astype(np.int64), header)
        low, high = 0.0, float((1 << _table_bits(header.VOILUTSequence[0])) - 1)
    return _full_range(values, low, high)


def _first_window(header: Any) -> tuple[float, float, str] | None:
    """Return centre, width and function; ``None`` if there is no window or a meaningless one of width 0."""
    centre, width = (_first(header.get(name)) for name in ("WindowCenter", "WindowWidth"))
    function = str(header.get("VOILUTFunction") or "LINEAR").strip().upper()
    if centre is None or width is None or width <= 0:
        return None
    return centre, width, function


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value[0] if hasattr(value, "__len__") else value)


def _windowed(values: npt.NDArray[Any], centre: float, width: float, function: str) -> npt.NDArray[np.uint8]:
    """Apply a window, PS3.3 C.11.2.1.2 and C.11.2.1.3, with output 0..255."""
    x = values.astype(np.float64)
    if function == "SIGMOID":
        unit = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - centre) / width, -700.0, 700.0)))
    elif function == "LINEAR_EXACT":
        unit = (x - centre) / width + 0.5
    elif width <= 1.0:  # LINEAR of width 1 is a threshold
        unit = (x > centre - 0.5).astype(np.float64)
    else:
        unit = (x - (centre - 0.5)) / (width - 1.0) + 0.5
    return np.rint(np.clip(unit, 0.0, 1.0) * 255.0).astype(np.uint8)


def _full_range(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.uint8]:
    if values.dtype == np.uint8 and (low, high) == (0, 255):
        return values
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(np.clip(scaled, 0.0, 255.0)).astype(np.uint8)


def _stored_range(header: Any) -> tuple[float, float]:
    bits = int(header.BitsStored)
    if int(header.get("PixelRepresentation", 0)):
        return -float(1 << (bits - 1)), float((1 << (bits - 1)) - 1)
    return 0.0, float((1 << bits) - 1)


def _table_bits(table: Any) -> int:
    return int(table.LUTDescriptor[2])


def _frame_count(header: Any, path: Path) -> int:
    for name in (
        "Rows",
        "Columns",
        "BitsStored",
        "BitsAllocated",
        "PhotometricInterpretation",
        "SamplesPerPixel",
    ):
        if header.get(name) in (None, "", 0):
            raise MediaError(path, f"DICOM without a usable {name}, so no image", "Take it out of the table.")
    count = int(header.get("NumberOfFrames") or 1) if header.get("NumberOfFrames") != 0 else 0
    if count < 1:
        raise MediaError(path, "DICOM of zero frames", "Take it out of the table.")
    return count


def _read_header(path: Path) -> tuple[Any, list[tuple[int, int]] | None]:
    """Read everything but the pixels, and check that those are all there.

    Returns:
        The dataset, and the place and length of each fragment if the pixel data are encapsulated.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError
    from pydicom.uid import UID

    with path.open("rb") as file:
        try:
            header = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        except (
            InvalidDicomError,
            EOFError,
            OSError,
            ValueError,
            KeyError,
            struct.error,
            NotImplementedError,
        ) as error:
            raise MediaError(path, f"damaged DICOM ({one_line(error)})", COPY_AGAIN) from None
        if "TransferSyntaxUID" not in header.file_meta:  # no preamble: one of the two native syntaxes
            implicit, _ = header.original_encoding
            header.file_meta.TransferSyntaxUID = UID("1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1")
        if header.file_meta.TransferSyntaxUID == _DEFLATED:
            return header, None
        return header, _check_pixel_data(path, file, header)


def _check_pixel_data(path: Path, file: Any, header: Any) -> list[tuple[int, int]] | None:
    """Compare the pixel data's announced length with the file's; ``file`` stands at the element."""
    size = path.stat().st_size
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    raw = file.read(8 if implicit else 12)
    if len(raw) < (8 if implicit else 12):
        raise MediaError(path, "DICOM without pixel data, or cut off before them", "Take it out of the table.")
    group, element = struct.unpack(order + "HH", raw[:4])
    if (group, element) != (0x7FE0, 0x0010):
        raise MediaError(path, "DICOM without integer pixel data", "Take it out of the table.")
    (length,) = struct.unpack(order + "I", raw[-4:])
    if length != _UNDEFINED:
        missing = file.tell() + max(length, _native_length(header)) - size
        if missing > 0:
            raise MediaError(path, f"cut off: {missing} bytes of pixel data are missing", COPY_AGAIN)
        return None
    fragments = _fragments(path, file, size)
    if len(fragments) < int(header.get("NumberOfFrames") or 1) and not str(
        header.file_meta.TransferSyntaxUID
    ).startswith(_FILM):
        raise MediaError(path, f"cut off: {header.NumberOfFrames} frames announced, {len(fragments)} found", COPY_AGAIN)
    return fragments


def _native_length(header: Any) -> int:
    """Return the bytes that uncompressed frames need, or 0 if the header is incomplete (reported later)."""
    try:
        samples = int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)
        per_pixel = 2 if "422" in header.PhotometricInterpretation else int(header.SamplesPerPixel)
        return (samples * per_pixel * int(header.BitsAllocated) + 7) // 8
    except (AttributeError, TypeError):
        return 0


def _fragments(path: Path, file: Any, size: int) -> list[tuple[int, int]]:
    """Walk the items of encapsulated pixel data; the first is the offset table and left out."""
    found: list[tuple[int, int]] = []
    while True:
        raw = file.read(8)
        if len(raw) == 8 and raw[:4] == _END:
            return found[1:]
        if len(raw) < 8 or raw[:4] != _ITEM:
            raise MediaError(path, f"cut off or damaged after {max(0, len(found) - 1)} frames", COPY_AGAIN)
        (length,) = struct.unpack("<I", raw[4:])
        start = file.tell()
        if start + length > size:
            raise MediaError(path, f"cut off in frame {max(0, len(found) - 1)}", COPY_AGAIN)
        found.append((start, length))
        file.seek(length, 1)


def _read_at(file: Any, start: int, length: int) -> bytes:
    file.seek(start)
    content: bytes = file.read(length)
    return content


@cache
def _register_plugins() -> None:
    """Let pydicom decode lossless JPEG and JPEG-LS, common on scanners, through imagecodecs (BSD licence)."""
    from pydicom.pixels import decoders

    for decoder in (
        decoders.JPEGLosslessDecoder,
        decoders.JPEGLosslessSV1Decoder,
        decoders.JPEGLSLosslessDecoder,
        decoders.JPEGLSNearLosslessDecoder,
    ):
        decoder.add_plugin("imagecodecs", ("usbench.media.dicom_codecs", "_decode_frame"))
