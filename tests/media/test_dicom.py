from __future__ import annotations

import io
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from helpers import colours, compress, ramp, write_dicom, write_video
from PIL import Image
from pydicom.pixels import convert_color_space
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from usbench.media import MediaError, open_media, to_grey


def _first(path: Path) -> np.ndarray:
    with open_media(path) as media:
        return media.frames()[0]


class TestPhotometric:
    def test_monochrome2_and_1(self, tmp_path: Path) -> None:
        assert np.array_equal(_first(write_dicom(tmp_path / "2.dcm", ramp(), "MONOCHROME2")), ramp())
        assert np.array_equal(_first(write_dicom(tmp_path / "1.dcm", ramp(), "MONOCHROME1")), 255 - ramp())

    @pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
    def test_other_native_encodings(self, tmp_path: Path, syntax: str) -> None:
        order = ">u2" if syntax == ExplicitVRBigEndian else "<u2"
        path = write_dicom(
            tmp_path / "a.dcm", (ramp().astype(np.uint16) * 257).astype(order), "MONOCHROME2", syntax=syntax
        )
        assert np.array_equal(_first(path), ramp())

    def test_without_preamble_and_without_suffix(self, tmp_path: Path) -> None:
        data = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2"))
        buffer = io.BytesIO()
        del data.file_meta
        data.preamble = None
        data.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=False)
        path = tmp_path / "IM0001"
        path.write_bytes(buffer.getvalue())
        assert np.array_equal(_first(path), ramp())

    @pytest.mark.parametrize("planar", [0, 1])
    def test_rgb(self, tmp_path: Path, planar: int) -> None:
        stored = colours() if planar == 0 else np.ascontiguousarray(np.moveaxis(colours(), -1, 0))
        path = write_dicom(tmp_path / "a.dcm", stored, "RGB", SamplesPerPixel=3, PlanarConfiguration=planar)
        assert np.array_equal(_first(path), to_grey(colours()))

    @pytest.mark.parametrize("planar", [0, 1])
    def test_ybr_full(self, tmp_path: Path, planar: int) -> None:
        ybr = convert_color_space(colours(), "RGB", "YBR_FULL")
        stored = ybr if planar == 0 else np.ascontiguousarray(np.moveaxis(ybr, -1, 0))
        path = write_dicom(tmp_path / "a.dcm", stored, "YBR_FULL", SamplesPerPixel=3, PlanarConfiguration=planar)
        assert np.abs(_first(path).astype(int) - to_grey(colours())).max() <= 2

    def test_ybr_full_422(self, tmp_path: Path) -> None:
        grey_in_colour = np.repeat(ramp()[..., None], 3, -1)
        ybr = convert_color_space(grey_in_colour, "RGB", "YBR_FULL")
        # Y1 Y2 Cb Cr for every two pixels of a row, PS3.3 C.7.6.3.1.2
        packed = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], -1)
        path = write_dicom(
            tmp_path / "a.dcm",
            packed.tobytes(),
            "YBR_FULL_422",
            SamplesPerPixel=3,
            Rows=48,
            Columns=64,
            PlanarConfiguration=0,
        )
        assert np.abs(_first(path).astype(int) - ramp()).max() <= 1

    def test_palette(self, tmp_path: Path) -> None:
        table = np.random.default_rng(0).integers(0, 256, (256, 3)).astype(np.uint16)
        tags = {}
        for channel, name in enumerate(("Red", "Green", "Blue")):
            tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
            tags[f"{name}PaletteColorLookupTableData"] = (table[:, channel] * 257).astype("<u2").tobytes()
        path = write_dicom(tmp_path / "a.dcm", ramp(), "PALETTE COLOR", **tags)
        assert np.abs(_first(path).astype(int) - to_grey(table[ramp()].astype(np.uint8))).max() <= 1


class TestDepth:
    @pytest.mark.parametrize("bits", [10, 12, 16])
    def test_full_range_of_stored_bits(self, tmp_path: Path, bits: int) -> None:
        values = (ramp().astype(np.uint32) * ((1 << bits) - 1) // 255).astype(np.uint16)
        path = write_dicom(tmp_path / "a.dcm", values, "MONOCHROME2", BitsStored=bits)
        assert np.abs(_first(path).astype(int) - ramp()).max() <= 1

    def test_signed_with_rescale_and_window(self, tmp_path: Path) -> None:
        values = (ramp().astype(np.int16) - 128) * 4
        path = write_dicom(
            tmp_path / "a.dcm", values, "MONOCHROME2", RescaleSlope=0.5, RescaleIntercept=10,
            WindowCenter=10.5, WindowWidth=256, VOILUTFunction="LINEAR",
        )  # fmt: skip
        x = values * 0.5 + 10
        expected = np.clip(((x - 10.0) / 255 + 0.5) * 255, 0, 255)
        assert np.abs(_first(path) - expected).max() <= 0.5 + 1e-6

    def test_usual_eight_bit_window_changes_nothing(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2", WindowCenter=[128, 40], WindowWidth=[256, 80])
        assert np.array_equal(_first(path), ramp())

    def test_window_of_width_one_is_a_threshold(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2", WindowCenter=100, WindowWidth=1)
        assert np.array_equal(_first(path), np.where(ramp() >= 100, 255, 0))

    def test_sigmoid_and_exact(self, tmp_path: Path) -> None:
        for function, expected in (
            ("SIGMOID", 255 / (1 + np.exp(-4 * (ramp().astype(float) - 100) / 50))),
            ("LINEAR_EXACT", np.clip((ramp().astype(float) - 100) / 50 + 0.5, 0, 1) * 255),
        ):
            path = write_dicom(
                tmp_path / "a.dcm", ramp(), "MONOCHROME2", WindowCenter=100, WindowWidth=50, VOILUTFunction=function
            )
            assert np.abs(_first(path) - expected).max() <= 0.5 + 1e-6

    def test_voi_table(self, tmp_path: Path) -> None:
        item = pydicom.Dataset()
        table = np.arange(256, dtype="<u2")[::-1] * 16
        item.LUTDescriptor = [256, 0, 12]
        item.LUTData = table.tobytes()
        item["LUTData"].VR = "OW"
        path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2", VOILUTSequence=[item])
        assert np.abs(_first(path).astype(int) - (255 - ramp())).max() <= 1


class TestFrames:
    def test_multi_frame(self, tmp_path: Path) -> None:
        stack = np.stack([ramp(shift=20 * i) for i in range(6)])
        path = write_dicom(tmp_path / "a.dcm", stack, "MONOCHROME2")
        with open_media(path) as media:
            assert media.n_frames == 6
            assert np.array_equal(np.stack(media.frames([4, 1, 4])), stack[[4, 1, 4]])
            assert np.array_equal(np.stack(media.frames()), stack)

    def test_multi_frame_colour(self, tmp_path: Path) -> None:
        stack = np.stack([colours(), colours()[::-1]])
        path = write_dicom(tmp_path / "a.dcm", stack, "RGB", SamplesPerPixel=3)
        with open_media(path) as media:
            assert np.array_equal(media.frames([1])[0], to_grey(colours()[::-1]))

    def test_film(self, tmp_path: Path) -> None:
        frames = [ramp(64, 80, shift=9 * i) for i in range(10)]
        film = write_video(tmp_path / "a.mp4", frames)
        path = write_dicom(tmp_path / "a.dcm", np.stack(frames), "MONOCHROME2")
        compress(path, "1.2.840.10008.1.2.4.102", [film.read_bytes()])
        with open_media(path) as media, open_media(film) as wanted:
            assert media.n_frames == 10
            assert np.array_equal(np.stack(media.frames()), np.stack(wanted.frames()))


def _jpeg(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG", quality=97, subsampling=0)
    return buffer.getvalue()


class TestCompressed:
    STACK = np.stack([ramp(), ramp(shift=90)])

    @pytest.mark.parametrize(
        ("syntax", "encode", "tolerance"),
        [
            ("1.2.840.10008.1.2.4.50", _jpeg, 12),
            ("1.2.840.10008.1.2.4.90", lambda a: imagecodecs.jpeg2k_encode(a, level=0, codecformat="j2k"), 0),
            ("1.2.840.10008.1.2.4.70", imagecodecs.ljpeg_encode, 0),
            ("1.2.840.10008.1.2.4.57", imagecodecs.ljpeg_encode, 0),
            ("1.2.840.10008.1.2.4.80", imagecodecs.jpegls_encode, 0),
        ],
    )
    def test_grey(self, tmp_path: Path, syntax: str, encode: object, tolerance: int) -> None:
        path = write_dicom(tmp_path / "a.dcm", self.STACK, "MONOCHROME2")
        compress(path, syntax, [encode(frame) for frame in self.STACK])  # type: ignore[operator]
        with open_media(path) as media:
            frames = media.frames([1, 0])
        for frame, wanted in zip(frames, self.STACK[::-1], strict=True):
            assert np.abs(frame.astype(int) - wanted).max() <= tolerance

    def test_run_length(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", self.STACK, "MONOCHROME2")
        data = pydicom.dcmread(path)
        data.compress("1.2.840.10008.1.2.5")
        data.save_as(path)
        assert np.array_equal(_first(path), self.STACK[0])

    def test_colour_jpeg(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", colours(), "YBR_FULL_422", SamplesPerPixel=3)
        compress(path, "1.2.840.10008.1.2.4.50", [_jpeg(colours())])
        assert np.abs(_first(path).astype(int) - to_grey(colours())).max() <= 6

    def test_twelve_bit_lossless(self, tmp_path: Path) -> None:
        values = (ramp().astype(np.uint16) * 16 + 7).astype(np.uint16)
        path = write_dicom(tmp_path / "a.dcm", values, "MONOCHROME2", BitsStored=12)
        compress(path, "1.2.840.10008.1.2.4.70", [imagecodecs.ljpeg_encode(values, bitspersample=12)])
        assert np.abs(_first(path) - values * (255 / 4095)).max() <= 0.5

    def test_truncation_is_found(self, tmp_path: Path) -> None:
        native = write_dicom(tmp_path / "n.dcm", self.STACK, "MONOCHROME2")
        packed = write_dicom(tmp_path / "p.dcm", self.STACK, "MONOCHROME2")
        compress(packed, "1.2.840.10008.1.2.4.80", [imagecodecs.jpegls_encode(frame) for frame in self.STACK])
        for whole in (native, packed):
            content = whole.read_bytes()
            for cut in (100, 200, 600, len(content) // 2, len(content) - 20, len(content) - 2):
                path = tmp_path / "short.dcm"
                path.write_bytes(content[:cut])
                with pytest.raises(MediaError) as error:
                    open_media(path).frames()
                assert "\n" not in str(error.value)


class TestRefusals:
    def test_no_pixels_and_no_frames(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2")
        data = pydicom.dcmread(path)
        data.NumberOfFrames = 0
        data.save_as(path)
        with pytest.raises(MediaError, match="zero frames"):
            open_media(path)
        del data.PixelData
        data.save_as(path)
        with pytest.raises(MediaError, match="without pixel data"):
            open_media(path)

    def test_frames_announced_but_absent(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2", NumberOfFrames=3)
        with pytest.raises(MediaError, match="missing"):
            open_media(path)

    def test_unknown_compression_is_named(self, tmp_path: Path) -> None:
        path = write_dicom(tmp_path / "a.dcm", ramp(), "MONOCHROME2")
        compress(path, "1.2.840.10008.1.2.4.201", [b"\0" * 64])  # HTJ2K, and not even that
        with pytest.raises(MediaError) as error:
            open_media(path).frames()
        assert "\n" not in str(error.value)
