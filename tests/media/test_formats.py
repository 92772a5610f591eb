"""Formats that people have, each written by the usual library and read back."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import SimpleITK
import tifffile
from helpers import colours, ramp, write_video
from PIL import Image

from usbench.media import MediaError, file_digest, open_media, to_grey

STACK = np.stack([ramp(shift=9 * i) for i in range(5)])


def _frames(path: Path | str) -> np.ndarray:
    with open_media(path) as media:
        return np.stack(media.frames())


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations(tmp_path: Path, suffix: str) -> None:
    first, *rest = [Image.fromarray(frame) for frame in STACK]
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=rest, lossless=True)
    assert np.array_equal(_frames(tmp_path / f"a{suffix}"), STACK)
    with open_media(tmp_path / f"a{suffix}") as media:
        assert np.array_equal(media.frames([3])[0], STACK[3])
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"short{suffix}").write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(MediaError):
        _frames(tmp_path / f"short{suffix}")


def test_still_webp_avif_and_pgm(tmp_path: Path) -> None:
    Image.fromarray(colours()).save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(_frames(tmp_path / "a.webp")[0], to_grey(colours()))
    Image.fromarray(STACK[0]).save(tmp_path / "a.avif", quality=100)
    assert np.abs(_frames(tmp_path / "a.avif")[0].astype(int) - STACK[0]).max() <= 2
    Image.fromarray(STACK[0]).save(tmp_path / "a.pgm")
    assert np.array_equal(_frames(tmp_path / "a.pgm")[0], STACK[0])


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wmv", "wmv2"), ("a.mpg", "mpeg2video"), ("b.mpg", "mpeg1video"), ("a.ts", "libx264"), ("a.flv", "flv"),
        ("a.3gp", "libx264"), ("a.webm", "libvpx"), ("a.m2v", "mpeg2video"),
    ],
)  # fmt: skip
def test_videos(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, list(STACK), codec)
    frames = _frames(path)
    assert frames.shape == STACK.shape
    assert np.abs(frames.astype(int) - STACK).mean() < 8


@pytest.mark.parametrize("suffix", [".tif", ".jpg"])
def test_inks(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(STACK[0]).convert("RGB").convert("CMYK").save(tmp_path / f"a{suffix}", quality=98)
    assert np.abs(_frames(tmp_path / f"a{suffix}")[0].astype(int) - STACK[0]).mean() < 0.5


def test_depths_of_tiff(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, STACK.astype(np.float32) / 255)
    assert np.array_equal(_frames(path), STACK)
    tifffile.imwrite(path, STACK.astype(np.float32))
    assert np.array_equal(_frames(path), STACK)
    twelve = (STACK.astype(np.uint32) * 4095 // 255).astype(np.uint16)
    for order in "<>":
        tifffile.imwrite(path, twelve, extratags=[(281, "H", 1, 4095, True)], byteorder=order)
        assert np.abs(_frames(path).astype(int) - STACK).max() <= 1
    tifffile.imwrite(path, STACK.astype(np.float32) * 3)
    with pytest.raises(MediaError, match=r"\[0, 1\]"):
        _frames(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mha"])
def test_volumes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    for array in (STACK, STACK.astype(np.int16), STACK.astype(np.float32), STACK.astype(np.float32) / 255):
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))
        assert np.array_equal(_frames(path), STACK)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(STACK[0]), str(path))
    assert np.array_equal(_frames(path), STACK[:1])
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(MediaError) as error:
        _frames(path)
    assert "\n" not in str(error.value)


def test_colour_volume(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(colours(), isVector=True), str(tmp_path / "a.mha"))
    assert np.array_equal(_frames(tmp_path / "a.mha")[0], to_grey(colours()))


def test_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["group/frames"] = STACK
        file["labels"] = np.arange(5)
    assert np.array_equal(_frames(f"{path}::group/frames"), STACK)
    assert np.array_equal(_frames(path), STACK), "the only array of pictures needs no name"
    with pytest.raises(MediaError, match=r"no array 'frame'.*group/frames \[5, 48, 64\]"):
        open_media(f"{path}::frame")
    assert file_digest(f"{path}::labels") != file_digest(f"{path}::group/frames") != file_digest(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(MediaError):
        _frames(path)


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_matlab(tmp_path: Path, version: str) -> None:
    path = tmp_path / "a.mat"
    last = np.moveaxis(STACK, 0, -1)  # a film as MATLAB keeps it
    arrays = {
        "film": last,
        "first": STACK,
        "picture": STACK[0].astype(float),
        "colour": colours(),
        "id": np.array([[7]]),
    }
    if version == "5":
        scipy.io.savemat(path, arrays)
    else:
        with h5py.File(path, "w", userblock_size=512) as file:
            for name, array in arrays.items():
                file[name] = array.T
        content = bytearray(path.read_bytes())
        content[:19] = b"MATLAB 7.3 MAT-file"
        path.write_bytes(content)
    for name in ("film", "first"):
        assert np.array_equal(_frames(f"{path}::{name}"), STACK)
    assert np.array_equal(_frames(f"{path}::picture")[0], STACK[0])
    assert np.array_equal(_frames(f"{path}::colour")[0], to_grey(colours()))
    with open_media(f"{path}::film") as media:
        assert media.notes == ("its last axis, of 5, counts frames",)
    with pytest.raises(MediaError, match="4 arrays in it could be pictures"):
        open_media(path)


def test_name_of_an_array_in_another_file(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", STACK)
    with pytest.raises(MediaError, match="MATLAB or HDF5"):
        open_media(f"{tmp_path / 'a.npy'}::x")


@pytest.mark.parametrize("module", ["SimpleITK", "h5py"])
def test_missing_library_is_named(tmp_path: Path, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ("a.mha" if module == "SimpleITK" else "a.h5")
    if module == "SimpleITK":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(STACK), str(path))
    else:
        h5py.File(path, "w").close()
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MediaError, match=r"usbench\[formats\]"):
        open_media(path)


@pytest.mark.parametrize("order", "<>")
def test_eight_bits_in_wider_numbers(tmp_path: Path, order: str) -> None:
    np.save(tmp_path / "a.npy", STACK.astype(f"{order}u2"))
    assert np.array_equal(_frames(tmp_path / "a.npy"), STACK)
    np.save(tmp_path / "a.npy", (STACK.astype(np.uint16) * 257).astype(f"{order}u2"))
    assert np.array_equal(_frames(tmp_path / "a.npy"), STACK)
    np.save(tmp_path / "a.npy", STACK.astype(f"{order}i4"))
    assert np.array_equal(_frames(tmp_path / "a.npy"), STACK)


@pytest.mark.parametrize("shape", [(48, 64, 1), (1, 48, 64, 1), (1, 48, 64)])
def test_axes_of_length_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", STACK[0].reshape(shape))
    assert np.array_equal(_frames(tmp_path / "a.npy"), STACK[:1])
