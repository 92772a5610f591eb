"""Arrays in files that could do harm: MATLAB types that would end the process, and HDF5 data in other files."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import scipy.io.matlab

from usbench.media import open_media
from usbench.media.errors import MediaError
from usbench.media.matlab_tags import check_tags

PUBLISHED = sorted((Path(scipy.io.matlab.__file__).parent / "tests" / "data").glob("*.mat"))
PUBLISHED = [path for path in PUBLISHED if path.read_bytes().startswith(b"MATLAB 5.0")]


def written(path: Path, compressed: bool) -> bytes:
    stack = np.arange(112, dtype=np.uint8).reshape(8, 7, 2)
    scipy.io.savemat(path, {"a": stack}, do_compression=compressed)
    return path.read_bytes()


def type_of_the_numbers(content: bytes) -> int:
    """Return where the tag of the numbers stands: behind flags, sizes of three axes and a name of one letter."""
    at = 128 + 8 + 16 + (8 + 16) + 8
    assert struct.unpack_from("<II", content, at) == (2, 112)
    return at


@pytest.mark.parametrize("kind", [0, 8, 10, 11, 15, 19, 20, 255, 65535])
@pytest.mark.parametrize("compressed", [False, True])
def test_numbers_of_a_type_that_does_not_exist_are_damage(kind: int, compressed: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    content = bytearray(written(path, compressed=False))
    assert len(open_media(path).frames()) == 2
    struct.pack_into("<I", content, type_of_the_numbers(content), kind)
    if compressed:
        packed = zlib.compress(bytes(content[128:]))
        content[128:] = struct.pack("<II", 15, len(packed)) + packed
    path.write_bytes(content)
    with pytest.raises(MediaError, match=r"a\.mat: damaged near byte 128"), open_media(path) as media:
        media.frames()


def test_an_element_longer_than_the_array_it_lies_in_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    content = bytearray(written(path, compressed=False))
    struct.pack_into("<I", content, type_of_the_numbers(content) + 4, 2**31 - 1)
    path.write_bytes(content)
    with pytest.raises(MediaError, match="damaged near byte"):
        check_tags(path)


def test_a_compressed_array_is_inflated_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"a": np.zeros((20, 100, 100), np.uint8)}, do_compression=True)
    check_tags(path)
    monkeypatch.setenv("USBENCH_MAX_MEDIA_BYTES", "100000")
    with pytest.raises(MediaError, match="USBENCH_MAX_MEDIA_BYTES"):
        check_tags(path)


@pytest.mark.skipif(not PUBLISHED, reason="SciPy is installed without its test files")
def test_the_files_of_many_programs_are_accepted_where_scipy_reads_them() -> None:
    read = 0
    for path in PUBLISHED:
        try:
            scipy.io.loadmat(path)
        except Exception:  # the damaged ones among them
            continue
        check_tags(path)
        read += 1
    assert read > 80


@pytest.mark.parametrize("kind", ["external", "virtual"])
def test_an_hdf5_array_that_lies_in_another_file_is_refused(kind: str, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    secret, path = tmp_path / "secret", tmp_path / "a.h5"
    secret.write_bytes(bytes(range(100)))
    with h5py.File(path, "w") as file:
        if kind == "external":
            file.create_dataset("a", (10, 10), "uint8", external=[(str(secret), 0, 100)])
        else:
            with h5py.File(tmp_path / "other.h5", "w") as other:
                other["b"] = np.zeros((10, 10), np.uint8)
            layout = h5py.VirtualLayout((10, 10), "uint8")
            layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "b", (10, 10))
            file.create_virtual_dataset("a", layout)
    with pytest.raises(MediaError, match=r"'a' lies in other files"):
        open_media(path)
