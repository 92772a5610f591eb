"""Writers of test files, in the true layout of each format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pydicom
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid


def ramp(height: int = 48, width: int = 64, shift: int = 0) -> np.ndarray:
    """A smooth grey picture that uses all of 0..255."""
    y, x = np.mgrid[:height, :width]
    return ((x * 255 // (width - 1) + y * 2 + shift) % 256).astype(np.uint8)


def colours(height: int = 48, width: int = 64) -> np.ndarray:
    """A smooth colour picture, RGB."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(np.uint8)


def write_video(
    path: Path, frames: list[np.ndarray], codec: str = "libx264", options: dict[str, str] | None = None, **stream: Any
) -> Path:
    """Write grey ``[H, W]`` or RGB ``[H, W, 3]`` frames with PyAV."""
    with av.open(str(path), "w", options=options or {}) as container:
        out = container.add_stream(codec, rate=25)
        out.height, out.width = frames[0].shape[:2]
        out.pix_fmt = stream.pop("pix_fmt", "yuv420p")
        out.options = stream.pop("codec_options", {})
        for array in frames:
            kind = "gray" if array.ndim == 2 else "rgb24"
            container.mux(out.encode(av.VideoFrame.from_ndarray(array, format=kind)))
        container.mux(out.encode())
    return path


def write_dicom(path: Path, pixels: np.ndarray | bytes, photometric: str, **tags: Any) -> Path:
    """Write an uncompressed DICOM file; ``pixels`` is ``[H, W]``, ``[N, H, W]``, ``[..., 3]``, or raw bytes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID("1.2.840.10008.5.1.4.1.1.3.1")  # ultrasound multi-frame
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[path.name])
    meta.TransferSyntaxUID = tags.pop("syntax", ExplicitVRLittleEndian)
    data = FileDataset(
        str(path),
        {},
        file_meta=meta,
        preamble=b"\0" * 128,
        is_implicit_VR=meta.TransferSyntaxUID.is_implicit_VR,
        is_little_endian=meta.TransferSyntaxUID.is_little_endian,
    )
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.PhotometricInterpretation = photometric
    data.SamplesPerPixel = tags.pop("SamplesPerPixel", 1)
    depth = 16 if isinstance(pixels, np.ndarray) and pixels.dtype.itemsize == 2 else 8
    data.BitsAllocated = depth
    data.BitsStored = tags.pop("BitsStored", depth)
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(isinstance(pixels, np.ndarray) and pixels.dtype.kind == "i")
    if isinstance(pixels, np.ndarray):
        shape = list(pixels.shape)
        if data.SamplesPerPixel == 3:
            del shape[-3 if tags.get("PlanarConfiguration") else -1]
        data.Rows, data.Columns = shape[-2:]
        if len(shape) == 3:
            data.NumberOfFrames = shape[0]
        pixels = pixels.tobytes()
    if data.SamplesPerPixel == 3:
        data.PlanarConfiguration = 0
    for name, value in tags.items():
        setattr(data, name, value)
    encapsulated = meta.TransferSyntaxUID.is_encapsulated
    data.PixelData = pixels if encapsulated or len(pixels) % 2 == 0 else pixels + b"\0"
    if encapsulated:
        data["PixelData"].is_undefined_length = True
    data.save_as(path, enforce_file_format=True)
    return path


def compress(path: Path, syntax: str, frames: list[bytes]) -> Path:
    """Replace the pixel data of a DICOM file by encoded frames."""
    from pydicom.encaps import encapsulate

    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = UID(syntax)
    data.PixelData = encapsulate(frames)
    data["PixelData"].is_undefined_length = True
    data.save_as(path, enforce_file_format=True)
    return path
