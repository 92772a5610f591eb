from __future__ import annotations

import io
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers import colours, ramp
from PIL import Image, ImageFile

from usbench.errors import UsbenchError
from usbench.media import MediaError, decoder_versions, file_digest, open_media, to_grey


def _one_line(error: pytest.ExceptionInfo[MediaError], path: Path) -> str:
    text = str(error.value)
    assert "\n" not in text
    assert str(path) in text
    return text


class TestToGrey:
    def test_equals_pillow_on_every_kind_of_colour(self) -> None:
        rng = np.random.default_rng(0)
        rgb = rng.integers(0, 256, (200, 300, 3), dtype=np.uint8)
        assert np.array_equal(to_grey(rgb), np.array(Image.fromarray(rgb).convert("L")))

    def test_grey_stored_as_colour_keeps_its_values(self) -> None:
        grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
        assert np.array_equal(to_grey(np.repeat(grey[..., None], 3, -1)), grey)
        assert np.array_equal(to_grey(np.dstack([grey, grey, grey, 255 - grey])), grey)
        assert np.array_equal(to_grey(np.dstack([grey, 255 - grey])), grey)

    @pytest.mark.parametrize(
        ("values", "expected"),
        [
            (np.array([[False, True]]), [0, 255]),
            (np.array([[0, 65535, 128, 129]], np.uint16), [0, 255, 0, 1]),
            (np.array([[0.0, 1.0, 0.5]]), [0, 255, 128]),
            (np.array([[0.0, 1.0, 0.25]], np.float32), [0, 255, 64]),
            (np.array([[0, 255, 7]], np.int64), [0, 255, 7]),
        ],
    )
    def test_depths(self, values: np.ndarray, expected: list[int]) -> None:
        grey = to_grey(values)
        assert grey.dtype == np.uint8
        assert grey[0].tolist() == expected

    @pytest.mark.parametrize(
        "values",
        [
            np.array([[0.0, 200.0]]),
            np.array([[np.nan, 0.5]]),
            np.array([[-1, 5]]),
            np.array([[300]]),
            np.zeros((2, 2), complex),
            np.zeros(4, np.uint8),
            np.zeros((2, 3, 5), np.uint8),
            np.zeros((0, 5), np.uint8),
        ],
    )
    def test_refuses_what_it_would_have_to_guess(self, values: np.ndarray) -> None:
        with pytest.raises(UsbenchError):
            to_grey(values)


class TestPictures:
    @pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".PNG"])
    def test_lossless(self, tmp_path: Path, suffix: str) -> None:
        path = tmp_path / f"a{suffix}"
        Image.fromarray(ramp()).save(path)
        with open_media(path) as media:
            assert media.n_frames == 1
            (frame,) = media.frames()
        assert frame.dtype == np.uint8
        assert frame.flags.c_contiguous
        assert np.array_equal(frame, ramp())

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK"])
    def test_colour_modes(self, tmp_path: Path, mode: str) -> None:
        image = Image.fromarray(colours())
        image = (
            image.quantize(256)
            if mode == "P"
            else image.convert("L").convert("LA")
            if mode == "LA"
            else image.convert(mode)
        )
        path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
        image.save(path, **({"quality": 98} if mode == "CMYK" else {}))
        (frame,) = open_media(path).frames()
        expected = np.array(image.convert("RGB").convert("L")).astype(int)
        assert np.abs(frame - expected).max() <= (8 if mode == "CMYK" else 0)

    def test_jpeg_progressive_with_thumbnail_and_comment(self, tmp_path: Path) -> None:
        path = tmp_path / "a.jpg"
        exif = Image.Exif()
        exif[0x010E] = "made \xff\xd9 up"
        Image.fromarray(ramp()).save(path, quality=95, progressive=True, exif=exif)
        (frame,) = open_media(path).frames()
        assert np.array_equal(frame, np.array(Image.open(path)))

    def test_sixteen_bit_and_one_bit_png(self, tmp_path: Path) -> None:
        wide = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
        Image.fromarray(wide).save(tmp_path / "wide.png")
        (frame,) = open_media(tmp_path / "wide.png").frames()
        assert np.array_equal(frame, to_grey(wide))
        Image.fromarray(ramp()).convert("1").save(tmp_path / "bit.png")
        (frame,) = open_media(tmp_path / "bit.png").frames()
        assert set(np.unique(frame)) == {0, 255}

    def test_content_decides_over_the_name(self, tmp_path: Path) -> None:
        path = tmp_path / "really_jpeg.png"
        buffer = io.BytesIO()
        Image.fromarray(ramp()).save(buffer, "JPEG")
        path.write_bytes(buffer.getvalue())
        assert open_media(path).frames()[0].shape == ramp().shape

    @pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
    @pytest.mark.parametrize("tolerant", [False, True])
    def test_any_truncation_is_found(
        self, tmp_path: Path, suffix: str, tolerant: bool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Other libraries switch Pillow to tolerance for the whole process; ours must not depend on it.
        monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", tolerant)
        whole = tmp_path / f"whole{suffix}"
        rng = np.random.default_rng(1)
        Image.fromarray(rng.integers(0, 256, (40, 50), dtype=np.uint8)).save(whole)
        content = whole.read_bytes()
        cuts = [
            1,
            2,
            5,
            9,
            20,
            100,
            *range(len(content) // 4, len(content), max(1, len(content) // 40)),
            len(content) - 1,
        ]
        for cut in cuts:
            path = tmp_path / f"cut{suffix}"
            path.write_bytes(content[:cut])
            with pytest.raises(MediaError) as error:
                open_media(path).frames()
            _one_line(error, path)

    def test_multi_page_tiff(self, tmp_path: Path) -> None:
        pages = np.stack([ramp(shift=s) for s in (0, 50, 100, 150)])
        path = tmp_path / "stack.tif"
        with tifffile.TiffWriter(path) as writer:
            for page in pages:
                writer.write(page, compression="zlib")
        with open_media(path) as media:
            assert media.n_frames == 4
            got = media.frames([2, 0, 2])
        assert np.array_equal(np.stack(got), pages[[2, 0, 2]])
        content = path.read_bytes()
        for cut in range(10, len(content), 97):
            short = tmp_path / "short.tif"
            short.write_bytes(content[:cut])
            with pytest.raises(MediaError), open_media(short) as media:
                media.frames()

    @pytest.mark.parametrize("order", ["<", ">"])
    @pytest.mark.parametrize("big", [False, True])
    def test_tiff_flavours(self, tmp_path: Path, order: str, big: bool) -> None:
        path = tmp_path / "a.tif"
        wide = (np.arange(48 * 64, dtype=np.uint16) * 21).reshape(48, 64)
        with tifffile.TiffWriter(path, byteorder=order, bigtiff=big) as writer:
            writer.write(wide, photometric="miniswhite")
            writer.write(colours(), photometric="rgb", planarconfig="contig")
            writer.write(np.moveaxis(colours(), -1, 0), photometric="rgb", planarconfig="separate")
            writer.write(ramp() > 128, photometric="minisblack")
            writer.write(ramp() / np.float32(255), photometric="minisblack")
        with open_media(path) as media:
            frames = media.frames()
        expected = [255 - to_grey(wide), to_grey(colours()), to_grey(colours()), to_grey(ramp() > 128), ramp()]
        for frame, wanted in zip(frames, expected, strict=True):
            assert np.array_equal(frame, wanted)

    def test_tiff_palette(self, tmp_path: Path) -> None:
        Image.fromarray(colours()).quantize(64).save(tmp_path / "p.tif")
        with open_media(tmp_path / "p.tif") as media:
            (frame,) = media.frames()
        assert (
            np.abs(frame.astype(int) - np.array(Image.open(tmp_path / "p.tif").convert("RGB").convert("L"))).max() <= 1
        )


class TestArrays:
    @pytest.mark.parametrize("suffix", [".npy", ".npz"])
    @pytest.mark.parametrize(
        ("shape", "frames"), [((9, 8), 1), ((5, 9, 8), 5), ((9, 8, 3), 1), ((5, 9, 8, 3), 5), ((5, 9, 8, 1), 5)]
    )
    def test_shapes(self, tmp_path: Path, suffix: str, shape: tuple[int, ...], frames: int) -> None:
        array = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        path = tmp_path / f"a{suffix}"
        if suffix == ".npy":
            np.save(path, np.asfortranarray(array))
        else:
            np.savez_compressed(path, video=array)
        with open_media(path) as media:
            assert media.n_frames == frames
            stack = array if frames > 1 else array[None]
            assert np.array_equal(media.frames([frames - 1])[0], to_grey(stack[-1]))

    def test_objects_are_never_unpickled(self, tmp_path: Path) -> None:
        class Trap:
            def __reduce__(self) -> tuple[object, tuple[str]]:
                return Path.touch, (tmp_path / "trap-sprung",)

        np.save(tmp_path / "a.npy", np.array([[Trap()]], dtype=object), allow_pickle=True)
        with pytest.raises(MediaError, match="Python objects"):
            open_media(tmp_path / "a.npy")
        assert not (tmp_path / "trap-sprung").exists()

    def test_refusals(self, tmp_path: Path) -> None:
        path = tmp_path / "a.npy"
        np.save(path, np.zeros((0, 5, 5), np.uint8))
        with pytest.raises(MediaError, match="zero frames"):
            open_media(path)
        np.save(path, np.zeros((2, 5, 5, 7), np.uint8))
        with pytest.raises(MediaError, match="no image"):
            open_media(path)
        np.save(path, np.full((5, 5), 200.0))
        with pytest.raises(MediaError, match=r"\[0, 1\]"):
            open_media(path).frames()
        np.save(path, np.zeros((50, 50), np.uint8))
        path.write_bytes(path.read_bytes()[:1000])
        with pytest.raises(MediaError, match="cut off"):
            open_media(path)
        np.savez(tmp_path / "two.npz", a=np.zeros((2, 2)), b=np.zeros((2, 2)))
        with pytest.raises(MediaError, match="2 arrays"):
            open_media(tmp_path / "two.npz")
        np.savez(tmp_path / "one.npz", a=np.zeros((50, 50)))
        (tmp_path / "short.npz").write_bytes((tmp_path / "one.npz").read_bytes()[:900])
        with pytest.raises(MediaError):
            open_media(tmp_path / "short.npz")


class TestRefusals:
    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("a.png", b"", "0 bytes"),
            ("a.png", b"<!DOCTYPE html><html>no</html>", "HTML"),
            ("a.jpg", b"  <html lang='en'>", "HTML"),
            ("a.mp4", b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
            ("a.dcm", b"\0" * 400, "zero bytes only"),
            ("a.bmp", b"BMI of all patients, a table\n" * 9, "plain text"),
            ("a.gif", b"GIF89a" + b"\0" * 50, "cut off"),
            ("a.psd", b"8BPS" + b"\0" * 50, "unsupported suffix '.psd'"),
            ("a.mat", b"MATLAB 5.0 MAT-file", "damaged MATLAB file"),
            ("noname", b"nothing in particular", "unknown kind"),
            ("a.npy", b"PK\x03\x04" + b"\0" * 30, "zip archive"),
            ("a.avi", b"\x01\x02\x03\x04" * 9, "01 02 03 04"),
        ],
    )
    def test_wrong_content(self, tmp_path: Path, name: str, content: bytes, words: str) -> None:
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(MediaError) as error:
            open_media(path)
        assert words in _one_line(error, path)

    def test_missing_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(MediaError, match="no such file"):
            open_media(tmp_path / "absent.png")
        with pytest.raises(MediaError, match="folder"):
            open_media(tmp_path)

    @pytest.mark.parametrize("index", [-1, 1, 10**9])
    def test_index_out_of_range(self, tmp_path: Path, index: int) -> None:
        path = tmp_path / "a.png"
        Image.fromarray(ramp()).save(path)
        with pytest.raises(MediaError, match=f"frame {index} does not exist"):
            open_media(path).frames([index])
        assert open_media(path).frames([]) == []
        with pytest.raises(TypeError):
            open_media(path).frames([0.0])  # type: ignore[list-item]

    def test_error_survives_a_process_border(self) -> None:
        error = MediaError("a.png", "what\nhappened", "Do this.")
        copy = pickle.loads(pickle.dumps(error))
        assert str(copy) == str(error) == "a.png: what happened. Do this."


def test_digest(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(MediaError, match="no such file"):
        file_digest(tmp_path / "b")


def test_import_is_light() -> None:
    program = (
        "import sys, usbench.media as m; m.parse_policy('all'); m.decoder_versions();"
        "print([m for m in ('numpy', 'PIL', 'av', 'pydicom', 'tifffile', 'torch', 'pandas') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"


def test_versions_name_every_decoder() -> None:
    versions = decoder_versions()
    assert {"pillow", "av", "pydicom", "tifffile", "numpy"} <= versions.keys()
    assert "absent" not in versions.values()
