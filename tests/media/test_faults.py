"""Kinds of files that were once read wrongly, each with the right value."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar

import av
import imagecodecs
import numpy as np
import pytest
from helpers import compress, ramp, write_dicom, write_video
from PIL import Image
from PIL.PngImagePlugin import PngImageFile
from pydicom.dataset import Dataset
from pydicom.pixels import convert_color_space
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian

from usbench.media import MediaError, open_media, to_grey

GREY = ramp()


def _frames(path: Path) -> list[np.ndarray]:
    with open_media(path) as media:
        return media.frames()


def _notes(path: Path) -> str:
    with open_media(path) as media:
        media.frames()
        return "; ".join(media.notes)


def _sequence(**tags: Any) -> list[Dataset]:
    item = Dataset()
    for name, value in tags.items():
        setattr(item, name, value)
    return [item]


class TestDicomBeyondTheHeader:
    def test_preamble_of_a_tiff(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", GREY, "MONOCHROME2")
        for preamble in (b"II*\0\x08\0\0\0", b"BM", b"\x89PNG\r\n\x1a\n", b"RIFF\0\0\0\0AVI "):
            path.write_bytes(preamble.ljust(128, b"\0") + path.read_bytes()[128:])
            assert np.array_equal(_frames(path)[0], GREY)

    def test_window_and_rescale_of_functional_groups(self, tmp_path: Path) -> None:
        stack = np.stack([GREY, GREY]).astype("<u2")
        window = _sequence(WindowCenter="128", WindowWidth="256")
        shared = _sequence(FrameVOILUTSequence=window)
        path = write_dicom(tmp_path / "a.dcm", stack, "MONOCHROME2", SharedFunctionalGroupsSequence=shared)
        assert np.array_equal(np.stack(_frames(path)), stack)
        per_frame = [
            *_sequence(FrameVOILUTSequence=window),
            *_sequence(
                FrameVOILUTSequence=_sequence(WindowCenter="256", WindowWidth="511", VOILUTFunction="LINEAR_EXACT"),
                PixelValueTransformationSequence=_sequence(RescaleSlope="2", RescaleIntercept="0.5"),
            ),
        ]
        path = write_dicom(
            tmp_path / "b.dcm", stack, "MONOCHROME2",
            SharedFunctionalGroupsSequence=_sequence(FrameVOILUTSequence=_sequence(WindowCenter="9", WindowWidth="3")),
            PerFrameFunctionalGroupsSequence=per_frame, WindowCenter="5", WindowWidth="2",
        )  # fmt: skip
        assert np.array_equal(np.stack(_frames(path)), stack)

    @pytest.mark.parametrize("bits", [8, 10, 12, 16])
    def test_palette_by_the_bits_of_its_descriptor(self, tmp_path: Path, bits: int) -> None:
        table = np.rint((255 - np.arange(256)) * (((1 << bits) - 1) / 255)).astype("<u2")
        tags = {}
        for colour in ("Red", "Green", "Blue"):
            tags[f"{colour}PaletteColorLookupTableDescriptor"] = [256, 0, bits]
            tags[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
        assert np.array_equal(_frames(write_dicom(tmp_path / "a.dcm", GREY, "PALETTE COLOR", **tags))[0], 255 - GREY)

    def test_palette_of_packed_bytes_beyond_its_ends(self, tmp_path: Path) -> None:
        table = np.arange(100, 200, dtype=np.uint8)
        tags = {}
        for colour in ("Red", "Green", "Blue"):
            tags[f"{colour}PaletteColorLookupTableDescriptor"] = [100, 50, 8]
            tags[f"{colour}PaletteColorLookupTableData"] = table.tobytes()
        path = write_dicom(tmp_path / "a.dcm", GREY, "palette color", **tags)
        assert np.array_equal(_frames(path)[0], np.clip(GREY.astype(int) + 50, 100, 199))

    @pytest.mark.parametrize("stored", ["YBR", "RGB"])
    @pytest.mark.parametrize("planar", [0, 1])
    def test_label_of_half_chroma_on_whole_samples(self, tmp_path: Path, stored: str, planar: int) -> None:
        rgb = np.stack([GREY, np.roll(GREY, 2, 1), np.roll(GREY, 1, 0)], -1)
        pixels = convert_color_space(rgb, "RGB", "YBR_FULL") if stored == "YBR" else rgb
        pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 0)) if planar else pixels
        path = write_dicom(tmp_path / "a.dcm", pixels, "YBR_FULL_422", SamplesPerPixel=3, PlanarConfiguration=planar)
        assert np.abs(_frames(path)[0].astype(int) - to_grey(rgb)).max() <= 2
        assert "whole samples" in _notes(path)

    @pytest.mark.parametrize("label", ["RGB", "YBR_FULL_422"])
    @pytest.mark.parametrize("subsampling", [0, 2])
    def test_label_of_a_code_stream_without_marks(self, tmp_path: Path, label: str, subsampling: int) -> None:
        grey_in_colour = np.repeat(np.where(GREY > 40, GREY, 0)[..., None], 3, -1)
        buffer = io.BytesIO()
        Image.fromarray(grey_in_colour).save(buffer, "JPEG", quality=97, subsampling=subsampling)
        stream = buffer.getvalue()
        without_jfif = stream[:2] + stream[4 + struct.unpack_from(">H", stream, 4)[0] :]
        path = write_dicom(tmp_path / "a.dcm", grey_in_colour, label, SamplesPerPixel=3)
        compress(path, "1.2.840.10008.1.2.4.50", [without_jfif])
        assert np.abs(_frames(path)[0].astype(int) - grey_in_colour[..., 0]).mean() < 1

    def test_frames_that_the_header_does_not_count(self, tmp_path: Path) -> None:
        stack = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
        path = write_dicom(tmp_path / "a.dcm", stack.tobytes(), "MONOCHROME2", Rows=48, Columns=64)
        assert np.array_equal(np.stack(_frames(path)), stack)
        assert "tells no number" in _notes(path)
        path = write_dicom(tmp_path / "b.dcm", stack, "MONOCHROME2", NumberOfFrames=2)
        assert np.array_equal(np.stack(_frames(path)), stack)
        assert "says 2" in _notes(path)

    def test_compressed_frames_that_the_header_does_not_count(self, tmp_path: Path) -> None:
        import imagecodecs

        stack = np.stack([GREY, GREY[::-1], GREY[:, ::-1]])
        path = write_dicom(tmp_path / "a.dcm", stack, "MONOCHROME2", NumberOfFrames=1)
        compress(path, "1.2.840.10008.1.2.4.80", [imagecodecs.jpegls_encode(frame) for frame in stack])
        assert np.array_equal(np.stack(_frames(path)), stack)

    @pytest.mark.parametrize("text", [b"1A", b"x ", b"--"])
    def test_number_of_frames_that_is_none(self, tmp_path: Path, text: bytes) -> None:
        path = write_dicom(tmp_path / "a.dcm", GREY[None], "MONOCHROME2")
        content = path.read_bytes()
        at = content.index(b"\x28\x00\x08\x00IS") + 8
        path.write_bytes(content[:at] + text + content[at + 2 :])
        assert np.array_equal(np.stack(_frames(path)), GREY[None])
        assert "NumberOfFrames is not a whole number" in _notes(path)

    @pytest.mark.parametrize("high", [11, 12, 15])
    @pytest.mark.parametrize("signed", [False, True])
    def test_stored_bits_end_at_the_high_bit(self, tmp_path: Path, high: int, signed: bool) -> None:
        values = (GREY.astype(np.int32) * 4095 + 127) // 255 - (2048 if signed else 0)
        noise = np.random.default_rng(0).integers(0, 1 << 16, GREY.shape)  # as overlays lie there
        shift, mask = high - 11, 4095 << (high - 11)
        container = ((values << shift) & mask | noise & ~mask).astype("<u2")
        path = write_dicom(
            tmp_path / "a.dcm", container, "MONOCHROME2", BitsStored=12, HighBit=high, PixelRepresentation=int(signed)
        )
        assert np.array_equal(_frames(path)[0], GREY)

    def test_deflated(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", np.stack([GREY, GREY[::-1]]), "MONOCHROME2",
                           syntax=DeflatedExplicitVRLittleEndian)  # fmt: skip
        assert np.array_equal(np.stack(_frames(path)), np.stack([GREY, GREY[::-1]]))
        whole = path.read_bytes()
        for cut in (len(whole) - 1, len(whole) - 60, len(whole) // 2, 400):
            path.write_bytes(whole[:cut])
            with pytest.raises(MediaError):
                open_media(path)

    def test_nested_sequences_and_cut_files_end_in_one_line(self, tmp_path: Path) -> None:
        nested = _sequence(PatientID="1")
        for _ in range(30):
            nested = _sequence(ReferencedImageSequence=nested)
        whole = write_dicom(tmp_path / "a.dcm", GREY, "MONOCHROME2", ReferencedImageSequence=nested).read_bytes()
        path = tmp_path / "short.dcm"
        for cut in range(128, len(whole) - 1, max(1, len(whole) // 60)):
            path.write_bytes(whole[:cut])
            with pytest.raises(MediaError) as error:
                open_media(path).frames()
            assert "\n" not in str(error.value)

    def test_unusual_but_valid(self, tmp_path: Path) -> None:
        assert np.array_equal(_frames(write_dicom(tmp_path / "a.dcm", GREY, "monochrome2 "))[0], GREY)
        assert np.array_equal(_frames(write_dicom(tmp_path / "b.dcm", GREY, "MONOCHROME2", RescaleSlope=0))[0], GREY)
        table = _sequence(LUTDescriptor=[256, 0, 8], LUTData=bytes(range(255, -1, -1)))
        table[0]["LUTData"].VR = "OW"
        path = write_dicom(tmp_path / "c.dcm", GREY, "MONOCHROME2", VOILUTSequence=table)
        assert np.array_equal(_frames(path)[0], 255 - GREY)


class TestOrientation:
    # Where a viewer shows the stored top-left corner, and what lies to its right: EXIF 2.32, table of tag 274.
    SHOWN: ClassVar[dict[int, Callable[[np.ndarray], np.ndarray]]] = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: np.transpose,
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.rot90(a, 2).T,
        8: lambda a: np.rot90(a, 1),
    }

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
    def test_all_eight(self, tmp_path: Path, orientation: int, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        if suffix == ".tif":
            Image.fromarray(GREY).save(path, tiffinfo={274: orientation})
        else:
            exif = Image.Exif()
            exif[274] = orientation
            Image.fromarray(GREY).save(path, exif=exif.tobytes(), lossless=True, quality=99)
        (frame,) = _frames(path)
        shown = self.SHOWN[orientation](GREY)
        assert frame.shape == shown.shape
        assert np.abs(frame.astype(int) - shown).mean() < (1 if suffix == ".jpg" else 0.01)
        assert (orientation == 1) == (_notes(path) == "")

    @pytest.mark.parametrize("kind", ["eXIf", "tEXt", "zTXt", "XMP"])
    def test_of_a_png_behind_its_pixels(self, tmp_path: Path, kind: str) -> None:
        exif = Image.Exif()
        exif[274] = 6
        lines = f"\nexif\n{len(exif.tobytes())}\n{exif.tobytes().hex()}".encode()
        xmp = b'<rdf:Description tiff:Orientation="6"/>'
        name, data = {
            "eXIf": (b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")),
            "tEXt": (b"tEXt", b"Raw profile type exif\0" + lines),
            "zTXt": (b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(lines)),
            "XMP": (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        }[kind]
        path = tmp_path / "a.png"
        Image.fromarray(GREY).save(path)
        content = path.read_bytes()
        path.write_bytes(content[:-12] + _chunk(name, data) + content[-12:])
        assert np.array_equal(_frames(path)[0], self.SHOWN[6](GREY))

    def test_no_pixel_of_a_png_without_one_is_decoded_to_open_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Image.fromarray(GREY).save(tmp_path / "a.png")
        decoded = []
        load = PngImageFile.load
        monkeypatch.setattr(PngImageFile, "load", lambda image: (decoded.append(image), load(image))[1])
        with open_media(tmp_path / "a.png") as media:
            assert media.n_frames == 1
            assert decoded == []
            assert np.array_equal(media.frames()[0], GREY)
            assert decoded

    @pytest.mark.parametrize(
        ("matrix", "orientation"),
        [
            ((1, 0, 0, 1), 1), ((-1, 0, 0, 1), 2), ((-1, 0, 0, -1), 3), ((1, 0, 0, -1), 4),
            ((0, 1, 1, 0), 5), ((0, 1, -1, 0), 6), ((0, -1, -1, 0), 7), ((0, -1, 1, 0), 8),
        ],
    )  # fmt: skip
    def test_matrix_of_a_film(self, tmp_path: Path, matrix: tuple[int, ...], orientation: int) -> None:
        films = [ramp(48, 64, shift=9 * i) for i in range(4)]
        path = write_video(tmp_path / "a.mp4", films)
        plain = _frames(path)
        content = bytearray(path.read_bytes())
        a, b, c, d = (65536 * value for value in matrix)
        struct.pack_into(">9i", content, content.index(b"tkhd") + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
        path.write_bytes(content)
        assert np.array_equal(np.stack(_frames(path)), np.stack([self.SHOWN[orientation](f) for f in plain]))

    def test_edit_list_cuts_frames_away(self, tmp_path: Path) -> None:
        films = [np.roll(GREY, i, 1) for i in range(50)]
        path = write_video(tmp_path / "a.mp4", films, codec_options={"g": "10", "bf": "0", "crf": "6"})
        plain = _frames(path)
        content = bytearray(path.read_bytes())
        struct.pack_into(">Ii", content, content.index(b"elst") + 12, 1480, 13 * 512)
        path.write_bytes(content)
        assert np.array_equal(np.stack(_frames(path)), np.stack(plain[13:]))
        assert "edit list" in _notes(path)

    def test_shape_of_pixels_is_noted(self, tmp_path: Path) -> None:
        with av.open(str(tmp_path / "a.mp4"), "w") as container:
            stream = container.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(GREY, format="gray")))
            container.mux(stream.encode())
        assert "1.33 times as wide" in _notes(tmp_path / "a.mp4")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


class TestDamageInTheMiddle:
    @pytest.mark.parametrize("rows", [0, 1, 30, 47])
    def test_png_with_missing_rows(self, tmp_path: Path, rows: int) -> None:
        raw = b"".join(b"\0" + row.tobytes() for row in GREY[:rows])
        header = _chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 48, 8, 0, 0, 0, 0))
        content = b"\x89PNG\r\n\x1a\n" + header + _chunk(b"IDAT", zlib.compress(raw)) + _chunk(b"IEND", b"")
        (tmp_path / "a.png").write_bytes(content)
        with pytest.raises(MediaError, match=f"{rows} of 48 rows"):
            _frames(tmp_path / "a.png")

    def test_png_with_a_flipped_bit(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(GREY).save(path)
        content = bytearray(path.read_bytes())
        content[content.index(b"IDAT") + 40] ^= 4
        path.write_bytes(content)
        with pytest.raises(MediaError, match="damaged"):
            _frames(path)

    @pytest.mark.parametrize("mode", ["L", "RGB"])
    @pytest.mark.parametrize("where", [0.35, 0.5, 0.7])
    def test_jpeg_with_a_hole(self, tmp_path: Path, mode: str, where: float) -> None:
        buffer = io.BytesIO()
        Image.fromarray(GREY).convert(mode).save(buffer, "JPEG", quality=95)
        content = bytearray(buffer.getvalue())
        start = max(int(len(content) * where), content.rindex(b"\xff\xda") + 20)
        content[start : start + 60] = bytes(60)
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(MediaError, match="damaged"):
            _frames(tmp_path / "a.jpg")

    def test_motion_jpeg_with_a_hole_and_with_lost_frames(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.avi", [ramp(shift=9 * i) for i in range(12)], "mjpeg", pix_fmt="yuvj420p")
        whole = path.read_bytes()
        places = [i for i in range(len(whole) - 3) if whole[i : i + 3] == b"\xff\xd8\xff"]
        hole = bytearray(whole)
        hole[places[6] - 80 : places[6] - 20] = bytes(60)
        path.write_bytes(hole)
        with pytest.raises(MediaError, match="frame 5"):
            _frames(path)
        lost = bytearray(whole)
        lost[places[4] - 8 : places[7] - 8] = bytes(places[7] - places[4])
        path.write_bytes(lost)
        with pytest.raises(MediaError, match="damaged"):
            _frames(path)

    def test_avi_without_its_first_key_frame(self, tmp_path: Path) -> None:
        path = write_video(tmp_path / "a.avi", [ramp(shift=9 * i) for i in range(12)], "mpeg4")
        content = bytearray(path.read_bytes())
        first = content.index(b"00dc", content.index(b"movi"))
        index = content.index(b"idx1")
        content[first : first + 4] = b"JUNK"
        content[index + 8 : index + 12] = b"JUNK"
        path.write_bytes(content)
        with pytest.raises(MediaError, match="key frame"):
            _frames(path)


class TestUnusualButValid:
    def test_twelve_bit_jpeg(self, tmp_path: Path) -> None:
        values = (GREY.astype(np.uint32) * 4095 // 255).astype(np.uint16)
        (tmp_path / "a.jpg").write_bytes(imagecodecs.jpeg8_encode(values, bitspersample=12, level=100))
        assert np.abs(_frames(tmp_path / "a.jpg")[0].astype(int) - GREY).max() <= 1

    def test_jpeg_with_padding_before_its_end_and_bytes_after(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        Image.fromarray(GREY).save(buffer, "JPEG", quality=95)
        content = buffer.getvalue()
        (tmp_path / "a.jpg").write_bytes(content[:-2] + bytes(40) + content[-2:] + b"trailer")
        assert np.abs(_frames(tmp_path / "a.jpg")[0].astype(int) - GREY).mean() < 1

    def test_black_borders_of_optimised_jpeg(self, tmp_path: Path) -> None:
        """Long runs of zero bytes that are a picture: black blocks, in a table made for them."""
        picture = np.zeros((480, 640), np.uint8)
        picture[200:248, 300:364] = GREY
        Image.fromarray(picture).save(tmp_path / "a.jpg", quality=95, optimize=True)
        assert np.abs(_frames(tmp_path / "a.jpg")[0].astype(int) - picture).mean() < 1

    def test_picture_in_the_alpha_channel(self, tmp_path: Path) -> None:
        for channels in (2, 4):
            pixels = np.full((*GREY.shape, channels), 255, np.uint8)
            pixels[..., -1] = GREY
            Image.fromarray(pixels).save(tmp_path / "a.png")
            assert np.array_equal(_frames(tmp_path / "a.png")[0], GREY)
        visible = np.dstack([np.repeat(GREY[..., None], 3, -1), np.full(GREY.shape, 9, np.uint8)])
        Image.fromarray(visible).save(tmp_path / "b.png")
        assert np.array_equal(_frames(tmp_path / "b.png")[0], GREY)

    def test_deep_colour_png(self, tmp_path: Path) -> None:
        deep = np.repeat((GREY.astype(np.uint16) * 257)[..., None], 3, -1) - np.uint16(100) * (GREY[..., None] > 0)
        (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(deep))
        assert np.array_equal(_frames(tmp_path / "a.png")[0], GREY)

    @pytest.mark.parametrize("pix_fmt", ["yuv420p10le", "yuv444p12le", "gray10le", "gray16le", "gbrp10le"])
    def test_deep_video(self, tmp_path: Path, pix_fmt: str) -> None:
        path = write_video(tmp_path / "a.mkv", [GREY], "ffv1", pix_fmt=pix_fmt)
        (frame,) = _frames(path)
        if not pix_fmt.startswith("yuv"):
            assert np.abs(frame.astype(int) - GREY).max() <= (0 if pix_fmt.startswith("gray") else 1)
            return
        with av.open(str(path)) as container:
            plane = next(container.decode(video=0)).planes[0]
            stored = np.frombuffer(plane, "<u2").reshape(-1, plane.line_size // 2)[:48, :64]
        step = 1 << (int(pix_fmt[-4:-2]) - 8)
        exact = [float(Fraction(int(v) - 16 * step) * 255 / (219 * step)) for v in stored.ravel()]
        assert np.abs(frame.ravel() - np.clip(exact, 0, 255)).max() <= 0.5


def test_transfer_syntax_is_named_where_nothing_decodes_it(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "a.dcm", GREY, "MONOCHROME2")
    compress(path, UID("1.2.840.10008.1.2.4.201"), [b"\xff\x4f\xff\x51" + bytes(60)])
    with pytest.raises(MediaError) as error:
        _frames(path)
    assert "\n" not in str(error.value)
