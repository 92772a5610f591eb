"""A pydicom decoder plugin: lossless JPEG (process 14) and JPEG-LS through imagecodecs.

pydicom looks for the names below; see its guide to decoder plugins.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")

DECODER_DEPENDENCIES = dict.fromkeys((*_LOSSLESS, *_LS), ("numpy", "imagecodecs>=2024.9"))
"""What pydicom names when the plugin is not available."""


def is_available(uid: str) -> bool:
    """Say whether this plugin decodes a transfer syntax."""
    return uid in DECODER_DEPENDENCIES


def _decode_frame(src: bytes, runner: Any) -> bytes:
    """Return one frame's samples, colour by pixel, in native byte order."""
    import imagecodecs

    if runner.transfer_syntax in _LS:
        frame = imagecodecs.jpegls_decode(src)
    else:
        try:
            frame = imagecodecs.ljpeg_decode(src)
        except imagecodecs.LjpegError:  # liblj92 knows grey only
            frame = imagecodecs.jpegsof3_decode(src)
    samples = int(runner.samples_per_pixel)
    expected = (runner.rows, runner.columns) if samples == 1 else (runner.rows, runner.columns, samples)
    if frame.shape != expected:
        raise ValueError(f"the frame decodes to {frame.shape}, not {expected}")
    if samples > 1:
        runner.set_option("planar_configuration", 0)
    return np.ascontiguousarray(frame, dtype=runner.pixel_dtype).tobytes()
