"""DICOM through pydicom: single and multi-frame, any photometric interpretation, native and compressed.

Grey values follow the display pipeline of DICOM PS3.3 C.11: modality rescale, then the first window or VOI
table; without one, the full range of the stored bits (never an image's own minimum and maximum, so that
frames of a loop stay comparable). MONOCHROME1 is inverted. Colour becomes luma: the stored one where luma is stored,
that of the RGB picture otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from usbench.errors import UsbenchError
from usbench.media import jpeg
from usbench.media.base import Media
from usbench.media.dicom_display import apply_palette, display_of, full_range
from usbench.media.dicom_header import DicomFile, photometric, read_dicom, whole
from usbench.media.errors import COPY_AGAIN, MediaError, check_size, one_line
from usbench.media.grayscale import luma

if TYPE_CHECKING:
    import numpy.typing as npt

_RUN_LENGTH = "1.2.840.10008.1.2.5"


def open_dicom(path: Path) -> Media:
    """Open a DICOM file.

    Returns:
        A :class:`Dicom`, or the film inside it as a :class:`usbench.media.video.Video`.

    Raises:
        MediaError: It holds no pixels, is cut off, or is not DICOM.
    """
    found = read_dicom(path)
    if found.film:
        from usbench.media.video import Video

        with found.open() as file:
            return Video(path, content=found.read(file, 0))
    return Dicom(found)


class Dicom(Media):
    """Frames of a DICOM image or loop; see the module for how values become grey."""

    def __init__(self, found: DicomFile) -> None:
        super().__init__(found.path)
        self._found = found
        self._header = found.header
        self.notes = tuple(found.notes)

    @property
    def n_frames(self) -> int:
        """Frames that the pixel data hold; at least as many as NumberOfFrames."""
        return len(self._found.frames)

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        syntax = self._found.syntax
        check_size(self.path, int(self._header.Rows), int(self._header.Columns))
        try:
            with self._found.open() as file:
                for index in wanted:
                    yield np.ascontiguousarray(self._grey(file, index))
        except MediaError:
            raise
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

    def _grey(self, file: BinaryIO, index: int) -> npt.NDArray[np.uint8]:
        header, kind = self._header, photometric(self._header)
        if self._found.syntax.is_encapsulated:
            content = self._found.read(file, index)
            if complaint := jpeg.damage(content):
                raise MediaError(self.path, f"frame {index} is damaged: {complaint}", COPY_AGAIN)
            pixels, kind, bits = self._decompressed(content, kind)
        else:
            pixels, bits = self._native(file, index, kind), int(header.BitsStored)
            if kind.startswith("YBR") and pixels.ndim == 3 and self._found.full_chroma:
                by_content = jpeg.space_by_content(pixels, kind, trust_label=False)
                kind = "YBR_FULL" if by_content == "YCBCR" else "RGB"
        if pixels.ndim == 2 and kind == "PALETTE COLOR":
            return luma(apply_palette(pixels, header))
        signed = bool(whole(header, "PixelRepresentation", 0))
        low, high = (-float(1 << (bits - 1)), float((1 << (bits - 1)) - 1)) if signed else (0.0, float((1 << bits) - 1))
        if pixels.ndim == 2:
            notes: list[str] = []
            grey = display_of(header, index, notes).grey(pixels, low, high)
            self.notes = tuple(dict.fromkeys((*self.notes, *notes)))
            return 255 - grey if kind == "MONOCHROME1" else grey
        return _luma_of(full_range(pixels, low, high), kind)

    # Uncompressed ---------------------------------------------------------------------------------------------

    def _native(self, file: BinaryIO, index: int, kind: str) -> npt.NDArray[Any]:
        """Return the stored values of an uncompressed frame, ``[H, W]`` or ``[H, W, C]``."""
        header = self._header
        rows, columns, samples = int(header.Rows), int(header.Columns), int(header.SamplesPerPixel)
        bits = int(header.BitsAllocated)
        ((start, length),) = self._found.frames[index]
        little = bool(header.original_encoding[1])
        if bits == 8 and not little and self._found.word_vr == "OW":
            odd = (start - self._found.data_start) % 2  # bytes lie swapped in pairs
            file.seek(start - odd)
            pairs = file.read((odd + length + 1) // 2 * 2)
            raw = np.frombuffer(pairs, np.uint8).reshape(-1, 2)[:, ::-1].ravel()[odd : odd + length]
        else:
            file.seek(start)
            raw = np.frombuffer(file.read(length), np.uint8)
        if bits == 1:
            count = rows * columns * samples
            offset = index * count % 8
            stored = np.unpackbits(raw, bitorder="little")[offset : offset + count]
        else:
            stored = raw.view(np.dtype(f"u{bits // 8}").newbyteorder("<" if little else ">"))
            stored = self._without_spare_bits(stored.astype(stored.dtype.newbyteorder("=")))
        if samples == 1:
            return stored.reshape(rows, columns)
        if not self._found.full_chroma and "422" in kind:
            return _from_422(stored, rows, columns)
        if not self._found.full_chroma and "420" in kind:
            raise UsbenchError(f"uncompressed {kind} is not supported")
        if whole(header, "PlanarConfiguration", 0) == 1:
            return np.moveaxis(stored.reshape(samples, rows, columns), 0, -1)
        return stored.reshape(rows, columns, samples)

    def _without_spare_bits(self, container: npt.NDArray[Any], shift: int | None = None) -> npt.NDArray[Any]:
        """Cut the stored bits out of their container, and give them their sign.

        Args:
            container: Unsigned integers.
            shift: Position of the lowest stored bit; from HighBit by default.
        """
        header = self._header
        bits, width = int(header.BitsStored), 8 * container.dtype.itemsize
        if shift is None:
            shift = min(max(0, whole(header, "HighBit", bits - 1) + 1 - bits), max(0, width - bits))
        if shift:
            container = container >> container.dtype.type(shift)
        if bits < width:
            container = container & container.dtype.type((1 << bits) - 1)
        if not whole(header, "PixelRepresentation", 0):
            return container
        sign = 1 << (bits - 1)
        return (container.astype(np.int64) ^ sign) - sign

    # Compressed -----------------------------------------------------------------------------------------------

    def _decompressed(self, content: bytes, kind: str) -> tuple[npt.NDArray[Any], str, int]:
        """Return a compressed frame's values, what they are, and how many bits they use."""
        header = self._header
        stored = int(header.BitsStored)
        stream = jpeg.read_header(content)
        if stream is not None and stream.is_lossy and len(stream.component_ids) in (1, 3):
            pixels = jpeg.planes(content, stream)
            if pixels.ndim == 3:
                space = jpeg.colour_space(stream, pixels, kind)
                return pixels, "YBR_FULL" if space == "YCBCR" else "RGB", stream.precision
            pixels = self._without_spare_bits(pixels, max(0, stream.precision - stored) if stored > 8 else 0)
            return pixels, kind, min(stored, stream.precision)
        precision = _precision(content, stream)
        pixels, props = _through_pydicom(self._found, content, kind)
        kind = str(props["photometric_interpretation"]).upper()
        if stream is not None and pixels.ndim == 3 and bytes(stream.component_ids).upper() == b"RGB":
            kind = "RGB"
        if not np.issubdtype(pixels.dtype, np.unsignedinteger):
            if precision is None and str(self._found.syntax) == _RUN_LENGTH:
                pixels = self._without_spare_bits(pixels.view(f"u{pixels.dtype.itemsize}"))
            elif precision is not None and stream is not None and stream.sof != 0xF7:
                pixels = self._without_spare_bits(pixels.view(f"u{pixels.dtype.itemsize}"), 0)
            return pixels, kind, stored
        if precision is None or precision > stored:
            pixels = self._without_spare_bits(pixels)
        return pixels, kind, min(stored, precision or stored)


def _luma_of(pixels: npt.NDArray[np.uint8], kind: str) -> npt.NDArray[np.uint8]:
    """Return the luma of uint8 ``[H, W, C]``, which is stored where components are luma and chroma."""
    if kind.startswith("YBR_PARTIAL"):
        return full_range(np.clip(pixels[..., 0].astype(np.int16), 16, 235), 16, 235)
    return _luma_shown(pixels) if kind in ("YBR_FULL", "YBR_FULL_422") else luma(pixels)


def _luma_shown(ybr: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Return the luma of the RGB picture: the stored one, but where a colour lies outside of what can be shown."""
    y, cb, cr = (ybr[..., i].astype(np.float32) - (0.0, 128.0, 128.0)[i] for i in range(3))
    red, blue = y + 1.402 * cr, y + 1.772 * cb
    green = (y - 0.299 * red - 0.114 * blue) / 0.587
    shown = [np.clip(channel, 0.0, 255.0) for channel in (red, green, blue)]
    return np.rint(0.299 * shown[0] + 0.587 * shown[1] + 0.114 * shown[2]).astype(np.uint8)


def _from_422(stored: npt.NDArray[Any], rows: int, columns: int) -> npt.NDArray[Any]:
    """Unpack Y1 Y2 Cb Cr for every two pixels, PS3.3 C.7.6.3.1.2."""
    packed = stored.reshape(-1, 4)
    whole_chroma = np.empty((len(packed), 2, 3), stored.dtype)
    whole_chroma[..., 0] = packed[:, :2]
    whole_chroma[..., 1:] = packed[:, None, 2:]
    return whole_chroma.reshape(rows, columns, 3)


def _precision(content: bytes, stream: jpeg.JpegHeader | None) -> int | None:
    """Return the bits of a sample as the code stream states them; ``None`` if it states none."""
    if stream is not None:
        return stream.precision
    at = content.find(b"\xff\x4f\xff\x51", 0, 4096)  # JPEG 2000: start of code stream, image size
    if at < 0 or len(content) < at + 43:
        return None
    return (content[at + 42] & 0x7F) + 1


def _through_pydicom(found: DicomFile, content: bytes, kind: str) -> tuple[npt.NDArray[Any], dict[str, Any]]:
    """Decode one compressed frame with pydicom's decoders, values as stored."""
    from pydicom.encaps import encapsulate
    from pydicom.pixels import get_decoder

    _register_plugins()
    header = found.header
    samples = int(header.SamplesPerPixel)
    options: dict[str, Any] = {
        "transfer_syntax_uid": found.syntax,
        "rows": int(header.Rows),
        "columns": int(header.Columns),
        "samples_per_pixel": samples,
        "photometric_interpretation": kind,
        "number_of_frames": 1,
        "bits_allocated": int(header.BitsAllocated),
        "bits_stored": int(header.BitsStored),
        "pixel_representation": whole(header, "PixelRepresentation", 0),
        "pixel_keyword": "PixelData",
        "correct_unused_bits": False,
    }
    if samples > 1:
        options["planar_configuration"] = whole(header, "PlanarConfiguration", 0)
    array, props = get_decoder(found.syntax).as_array(encapsulate([content]), index=0, raw=True, **options)
    return array, props


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
