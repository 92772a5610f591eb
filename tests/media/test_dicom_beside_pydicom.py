"""Every file that pydicom ships for its own tests, beside what pydicom.pixels makes of it."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_files
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_windowing, pixel_array

from usbench.media import MediaError, open_media, to_grey

# Only names: pydicom would fetch what does not ship with it.
FILES = sorted(
    Path(name)
    for name in get_testdata_files("**/*")
    if Path(name).is_file() and (Path(name).suffix == ".dcm" or not Path(name).suffix)
)

# Decoders that pydicom has no permissively licensed plugin for; ours are compared with the uncompressed original.
TWINS = {
    "JPEGLSNearLossless_08.dcm": None,
    "JPEGLSNearLossless_16.dcm": None,
    "JPGExtended.dcm": None,
    "JPEG-lossy.dcm": None,
    "MR_small_jpeg_ls_lossless.dcm": "MR_small.dcm",
    "SC_rgb_jls_lossy_line.dcm": "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jls_lossy_sample.dcm": "SC_rgb_jpeg_dcmtk.dcm",
    "badVR.dcm": None,  # its NumberOfFrames is no number; the 15 frames that its pixel data hold are read, with a note
}


def _shown(data: Any, frame: int) -> np.ndarray:
    """What pydicom's own functions show of one frame, on a scale of 0 to 255."""
    kind = data.PhotometricInterpretation
    pixels = pixel_array(data, index=frame)
    if kind == "PALETTE COLOR":
        table = apply_color_lut(pixels, data)
        return to_grey(
            (table * (255.0 / ((1 << data.RedPaletteColorLookupTableDescriptor[2]) - 1))).round().astype("u1")
        )
    top = (1 << int(data.BitsStored)) - 1
    if data.SamplesPerPixel == 3:
        return to_grey((pixels * (255.0 / top)).round().astype(np.uint8))
    signed = int(data.PixelRepresentation)
    low, high = (-(top + 1) / 2, (top - 1) / 2) if signed else (0, top)
    values = apply_modality_lut(pixels, data).astype(np.float64)
    if "RescaleSlope" in data:
        low, high = (bound * float(data.RescaleSlope) + float(data.RescaleIntercept) for bound in (low, high))
    if data.get("WindowWidth"):
        values = apply_windowing(values, data)
    grey = np.clip((values - low) / (high - low), 0, 1) * 255
    return 255 - grey if kind == "MONOCHROME1" else grey


def _ours(path: Path) -> tuple[list[np.ndarray], str]:
    try:
        with open_media(path) as media:
            return media.frames(), ""
    except MediaError as error:
        return [], str(error)


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_beside_pydicom(path: Path) -> None:
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
    ours, refusal = _ours(path)
    try:
        data = pydicom.dcmread(path, force=True)
        if "PixelData" not in data:
            assert not ours, "there is no picture in it"
            return
        if "TransferSyntaxUID" not in data.file_meta:
            implicit, _ = data.original_encoding
            data.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2" if implicit else "1.2.840.10008.1.2.1"
        theirs = [_shown(data, frame) for frame in range(len(ours) or 1)]
    except Exception:
        if path.name in TWINS:
            twin = TWINS[path.name]
            assert ours, refusal
            if twin:
                original = open_media(path.with_name(twin)).frames()[0]
                assert np.abs(ours[0].astype(int) - original).mean() < 3
            return
        assert not ours, "pydicom refuses it; so should we"
        return
    assert ours, refusal
    for mine, shown in zip(ours, theirs, strict=True):
        assert mine.shape == shown.shape
        assert np.abs(mine.astype(float) - shown).max() <= 2.5, "a rounding in each of three steps, and the one to grey"


def test_there_are_files_to_compare() -> None:
    assert len(FILES) > 50
