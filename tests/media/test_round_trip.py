"""Random pictures through the usual writer of each lossless format, and back."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import pytest
import scipy.io
import SimpleITK
import tifffile
from helpers import compress, write_dicom, write_video
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from usbench.media import open_media, to_grey

# Sides from 2, as a film needs; at least 5 where an axis of 1, 3 or 4 would mean colours.
SIDES = st.tuples(st.integers(5, 24), st.integers(5, 24))
PICTURES = SIDES.flatmap(lambda sides: hnp.arrays(np.uint8, sides))
DEEP = SIDES.flatmap(lambda sides: hnp.arrays(np.uint16, sides))
FILMS = st.tuples(st.integers(1, 4), SIDES).flatmap(lambda size: hnp.arrays(np.uint8, (size[0], *size[1])))
COLOURS = SIDES.flatmap(lambda sides: hnp.arrays(np.uint8, (*sides, 3)))


def _volume(path: Path, array: np.ndarray) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array), str(path))


def _hdf5(path: Path, array: np.ndarray) -> None:
    with h5py.File(path, "w") as file:
        file["a"] = array


def _jpeg_ls(path: Path, array: np.ndarray) -> None:
    stack = array if array.ndim == 3 else array[None]
    compress(
        write_dicom(path, stack, "MONOCHROME2"), "1.2.840.10008.1.2.4.80", [imagecodecs.jpegls_encode(f) for f in stack]
    )


WRITERS: dict[str, Callable[[Path, np.ndarray], Any]] = {
    "a.png": lambda path, array: Image.fromarray(array).save(path),
    "a.bmp": lambda path, array: Image.fromarray(array).save(path),
    "a.gif": lambda path, array: Image.fromarray(array).save(path),
    "a.webp": lambda path, array: Image.fromarray(array).save(path, lossless=True),
    "a.tif": tifffile.imwrite,
    "a.npy": np.save,
    "a.npz": lambda path, array: np.savez(path, array),
    "a.dcm": lambda path, array: write_dicom(path, array, "MONOCHROME2"),
    "jpegls.dcm": _jpeg_ls,
    "a.nii": _volume,
    "a.mha": _volume,
    "a.h5": _hdf5,
    "a.mat": lambda path, array: scipy.io.savemat(path, {"a": array}),
    "a.avi": lambda path, array: write_video(path, [array], "ffv1", pix_fmt="gray"),
}
STACKS = ("a.tif", "a.npy", "a.npz", "a.dcm", "jpegls.dcm", "a.nii", "a.mha", "a.h5", "a.avi")


def _back(name: str, write: Callable[[Path, np.ndarray], Any], array: np.ndarray) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        write(path, array)
        with open_media(path) as media:
            return np.stack(media.frames())


@pytest.mark.parametrize("name", WRITERS)
def test_grey(name: str) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(PICTURES)
    def check(array: np.ndarray) -> None:
        assert np.array_equal(_back(name, WRITERS[name], array), array[None])

    check()


@pytest.mark.parametrize("name", STACKS)
def test_stacks(name: str) -> None:
    write = WRITERS[name]
    if name == "a.avi":
        write = lambda path, array: write_video(path, list(array), "ffv1", pix_fmt="gray")  # noqa: E731
    if name == "a.tif":
        write = lambda path, array: tifffile.imwrite(path, array, photometric="minisblack")  # noqa: E731

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(FILMS)
    def check(array: np.ndarray) -> None:
        assert np.array_equal(_back(name, write, array), array)

    check()


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy", "a.dcm"])
def test_sixteen_bits(name: str) -> None:
    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(DEEP)
    def check(array: np.ndarray) -> None:
        array[0, 0] = 65535  # so that the range is no question
        assert np.array_equal(_back(name, WRITERS[name], array)[0], ((array.astype(np.uint32) + 128) // 257))

    check()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.webp", "a.tif", "a.npy", "a.dcm"])
def test_colours(name: str) -> None:
    write = WRITERS[name]
    if name == "a.dcm":
        write = lambda path, array: write_dicom(path, array, "RGB", SamplesPerPixel=3)  # noqa: E731
    if name == "a.tif":
        write = lambda path, array: tifffile.imwrite(path, array, photometric="rgb")  # noqa: E731

    @settings(max_examples=15, deadline=None, derandomize=True)
    @given(COLOURS)
    def check(array: np.ndarray) -> None:
        assert np.array_equal(_back(name, write, array)[0], to_grey(array))

    check()
