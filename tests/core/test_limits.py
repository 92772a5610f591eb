"""Small files that claim to be huge, pipes where files are expected: one message, at once, in little memory."""

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from usbench.core.documents import read_json
from usbench.core.limits import DOCUMENT_BYTES, FRAME_PIXELS, open_regular, pixels_fault, read_bytes
from usbench.data.label_table import read_table
from usbench.encoder.weights import read_state
from usbench.errors import DataError, UsbenchError, WeightsError
from usbench.media import open_media
from usbench.media.errors import MediaError


def test_a_limit_is_named_and_can_be_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pixels_fault("a.dcm", 1000, 1000) == ""
    told = pixels_fault("a.dcm", 65535, 65535)
    assert "USBENCH_MAX_FRAME_PIXELS=4294836225" in told
    monkeypatch.setenv("USBENCH_MAX_FRAME_PIXELS", "4294836225")
    assert pixels_fault("a.dcm", 65535, 65535) == ""
    monkeypatch.setenv("USBENCH_MAX_FRAME_PIXELS", "many")
    with pytest.raises(UsbenchError, match="whole number"):
        FRAME_PIXELS.check("a", 1)


def npz(path: Path) -> None:
    """Write a .npz of a few KB that unfolds to 9 GB."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"shape": (90000, 100, 1000), "fortran_order": False, "descr": "|u1"})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", header.getvalue() + bytes(10**6))


def rle_dicom(path: Path) -> None:
    """Write a DICOM of under 1 KB whose one frame claims 65535 x 65535 pixels."""
    from pydicom import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import RLELossless, UltrasoundImageStorage, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = RLELossless
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UltrasoundImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.Rows = made.Columns = 65535
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = encapsulate([b"\1\0\0\0\x40\0\0\0" + bytes(56) + b"\x81\0" * 40])
    made["PixelData"].VR = "OB"
    made.save_as(path, enforce_file_format=True)


def tiff(path: Path) -> None:
    """Write a TIFF whose header claims 60000 x 60000 pixels."""
    import struct

    entries = [(256, 4, 60000), (257, 4, 60000), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    entries += [(278, 4, 60000), (279, 4, 100)]
    ifd = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in entries)
    path.write_bytes(b"II*\0" + struct.pack("<I", 108) + bytes(100) + ifd + bytes(4))


def png(path: Path) -> None:
    """Write a PNG that claims 30000 x 30000 pixels."""
    import struct

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", 30000, 30000, 8, 0, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(bytes(1000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + data + chunk(b"IEND", b""))


@pytest.mark.parametrize(("make", "suffix"), [(npz, "npz"), (rle_dicom, "dcm"), (tiff, "tif"), (png, "png")])
def test_media_that_claim_too_much_are_refused(make: Callable[[Path], None], suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"bomb.{suffix}"
    make(path)
    with pytest.raises(MediaError) as error, open_media(path) as media:
        media.frames([0])
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_deflated_dicom_is_inflated_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom import Dataset, FileMetaDataset
    from pydicom.uid import DeflatedExplicitVRLittleEndian, UltrasoundImageStorage, generate_uid

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = UltrasoundImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = generate_uid()
    made.Rows = made.Columns = 1000
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit, made.PixelRepresentation = 7, 0
    made.PixelData = bytes(10**6)
    path = tmp_path / "deflated.dcm"
    made.save_as(path, enforce_file_format=True)
    assert path.stat().st_size < 5000
    with open_media(path) as media:
        assert media.frames([0])[0].shape == (1000, 1000)
    monkeypatch.setenv("USBENCH_MAX_MEDIA_BYTES", "100000")
    with pytest.raises(MediaError, match="USBENCH_MAX_MEDIA_BYTES"), open_media(path) as media:
        media.frames([0])


def test_a_parquet_of_few_bytes_and_many_rows_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.parquet"
    pd.DataFrame({"path": ["a"] * 200_000, "subject": ["b"] * 200_000}).to_parquet(path)
    assert path.stat().st_size < 10_000
    assert len(read_table(path)) == 200_000
    monkeypatch.setenv("USBENCH_MAX_TABLE_BYTES", "1000000")
    with pytest.raises(DataError, match="USBENCH_MAX_TABLE_BYTES"):
        read_table(path)


def test_weights_that_unfold_to_many_times_their_size_are_refused(tmp_path: Path) -> None:
    import torch

    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    torch.save({"w": torch.zeros(60_000_000)}, plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for entry in source.infolist():
            target.writestr(entry.filename, source.read(entry))
    assert packed.stat().st_size < 10**6
    assert read_state(plain)["w"].shape == (60_000_000,)
    with pytest.raises(WeightsError, match="unfolds to"):
        read_state(packed)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_no_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.json"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match=r"not a regular file|folder"):
            open_regular(path)
        with pytest.raises(UsbenchError, match="cannot be read"):
            read_json(path)
        with pytest.raises(MediaError):
            open_media(path)


def test_documents_above_the_limit_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.json"
    path.write_text("[" + "1," * 1000 + "1]", "ascii")
    assert len(read_bytes(path, DOCUMENT_BYTES)) == 2003
    monkeypatch.setenv("USBENCH_MAX_DOCUMENT_BYTES", "100")
    with pytest.raises(UsbenchError, match="USBENCH_MAX_DOCUMENT_BYTES"):
        read_json(path)


@pytest.mark.parametrize(("name", "codec", "pix_fmt"), [("a.avi", "ffv1", "gray"), ("a.mp4", "libx264", "yuv420p")])
def test_a_video_of_gigantic_frames_is_refused_before_any_is_decoded(
    name: str, codec: str, pix_fmt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import av

    path = tmp_path / name
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = 2000, 1500, pix_fmt
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((1500, 2000, 3), np.uint8))))
        container.mux(stream.encode())
    assert path.stat().st_size < 100_000
    assert open_media(path).frames([0])[0].shape == (1500, 2000)
    monkeypatch.setenv("USBENCH_MAX_FRAME_PIXELS", "1000000")
    with pytest.raises(MediaError, match=r"3,000,000 pixels in one frame.*USBENCH_MAX_FRAME_PIXELS=3000000"):
        open_media(path)


def test_a_video_whose_header_claims_gigantic_frames_is_refused(tmp_path: Path) -> None:
    import av

    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "gray"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        container.mux(stream.encode())
    size, claimed = (b"".join(side.to_bytes(4, "little") for side in pair) for pair in ((64, 48), (60000, 60000)))
    assert size in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(size, claimed))
    with pytest.raises(MediaError, match=r"a\.avi"), open_media(path) as media:
        media.frames([0])


def test_a_nifti_file_is_inflated_up_to_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    itk = pytest.importorskip("SimpleITK")
    path = tmp_path / "a.nii.gz"
    itk.WriteImage(itk.GetImageFromArray(np.zeros((2, 30, 40), np.uint8)), str(path))
    with gzip.open(path) as file:
        whole = file.read()
    # Behind the picture that the header announces lie 50 MB of zeros.
    path.write_bytes(gzip.compress(whole + bytes(50_000_000)))
    assert path.stat().st_size < 100_000
    assert open_media(path).frames([0])[0].shape == (30, 40)
    monkeypatch.setenv("USBENCH_MAX_MEDIA_BYTES", "1000000")
    with pytest.raises(MediaError, match="USBENCH_MAX_MEDIA_BYTES") as error:
        open_media(path).frames([0])
    assert str(path) in str(error.value)
    # A header that announces more than may be held is refused before anything is inflated.
    head = bytearray(whole)
    struct.pack_into("<8h", head, 40, 3, 30000, 30000, 30000, 1, 1, 1, 1)
    path.write_bytes(gzip.compress(head))
    with pytest.raises(MediaError):
        open_media(path).frames([0])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_and_devices_are_no_tables_tasks_grids_weights_or_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from usbench.core.settings import load_settings
    from usbench.data.image_folder import PictureFolder
    from usbench.data.manifest import ManifestDataset
    from usbench.embedding.vector_folder import read_vectors
    from usbench.encoder.weights import file_sha256
    from usbench.media import file_digest
    from usbench.results.schema import load
    from usbench.sweep.config import read_grid
    from usbench.task.toml import read_task_file

    def pipe(name: str) -> Path:
        os.mkfifo(tmp_path / name)
        return tmp_path / name

    table, toml, pickled, picture = pipe("a.csv"), pipe("a.toml"), pipe("a.pt"), pipe("a.png")
    (tmp_path / "device.csv").symlink_to("/dev/zero")
    (tmp_path / "manifest.csv").write_text("path,subject,label\na.png,1,x\n")
    vectors = tmp_path / "vectors"
    vectors.mkdir()
    os.mkfifo(vectors / "index.csv")
    os.mkfifo(vectors / "vectors.safetensors")
    refused: list[tuple[Callable[[], object], str]] = [
        (lambda: read_table(table), "a pipe or a device"),
        (lambda: read_table(tmp_path / "device.csv"), "a pipe or a device"),
        (lambda: ManifestDataset(table), "a pipe or a device"),
        (lambda: ManifestDataset(tmp_path / "manifest.csv").index, r"no such file a\.png"),
        (lambda: read_task_file(toml), "not a regular file"),
        (lambda: read_grid(toml), "not a regular file"),
        (lambda: load(toml), "not a regular file"),
        (lambda: read_state(pickled), "not a regular file"),
        (lambda: file_sha256(pickled), "not a regular file"),
        (lambda: file_digest(picture), "not a regular file"),
        (lambda: open_media(picture), "not a regular file"),
        (lambda: PictureFolder(vectors).index, "no pictures"),
        (lambda: read_vectors(vectors), "holds no index"),
    ]
    for read, told in refused:
        with pytest.raises(UsbenchError, match=told):
            read()
    monkeypatch.setenv("USBENCH_CONFIG", str(toml))
    with pytest.raises(UsbenchError, match="not a regular file"):
        load_settings()


def test_a_workbook_that_unfolds_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from usbench_tasks.datasets.breast_lesions_usg import _workbook

    path = tmp_path / "clinical.xlsx"
    pd.DataFrame({"a": [1, 2]}).to_excel(path)
    assert len(_workbook(path)) == 2
    monkeypatch.setenv("USBENCH_MAX_TABLE_BYTES", "1000")
    with pytest.raises(DataError, match="USBENCH_MAX_TABLE_BYTES"):
        _workbook(path)
