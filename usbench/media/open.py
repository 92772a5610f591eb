"""From a path to opened media: check that there is something, find out what it is, hand it to its decoder."""

from __future__ import annotations

import os
from pathlib import Path

from usbench.core.limits import open_regular
from usbench.errors import UsbenchError
from usbench.media.base import Media
from usbench.media.digest import split_key, unreadable
from usbench.media.errors import COPY_AGAIN, MediaError, unexpected
from usbench.media.file_type import HEAD_BYTES, Kind, kind_of


def open_media(path: str | os.PathLike[str]) -> Media:
    """Open a picture, clip or array for reading.

    Formats: PNG, JPEG, BMP, GIF, WebP, AVIF; TIFF (a page is a frame); DICOM, single and multi-frame; MP4, MOV, AVI,
    MKV, WMV, MPEG, FLV; ``.npy`` and ``.npz`` arrays (``[H, W]``, ``[N, H, W]``, ``[H, W, 3]``, ``[N, H, W, 3]``);
    MATLAB and HDF5 arrays by ``file.mat::key``; NIfTI and MetaImage. The content decides, not the name. Cheap checks
    for damage are made here, so that a long run need not end on a file cut short.

    Args:
        path: The file; after ``::`` the name of an array in it.

    Returns:
        The media; a context manager.

    Raises:
        MediaError: The file is missing, empty, cut off, of another kind, or holds no frame.
    """
    path, key = split_key(path)
    try:
        with open_regular(path) as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from None
    if not head:
        raise MediaError(path, "empty, 0 bytes", COPY_AGAIN)
    kind = kind_of(path, head)
    if key is not None and kind not in ("matlab", "hdf5"):
        raise MediaError(path, f"'::{key}' names an array of a MATLAB or HDF5 file", "Leave it out for other files.")
    try:
        return _opened(path, key, kind)
    except UsbenchError:
        raise
    except Exception as error:  # decoders fail in more ways on damaged files than they document
        raise unexpected(path, error) from None


def _opened(path: Path, key: str | None, kind: Kind) -> Media:
    if kind == "picture":
        from usbench.media.images import Picture

        return Picture(path)
    if kind == "tiff":
        from usbench.media.tiff import Tiff

        return Tiff(path)
    if kind == "dicom":
        from usbench.media.dicom import open_dicom

        return open_dicom(path)
    if kind == "video":
        from usbench.media.video import Video

        return Video(path)
    if kind == "volume":
        from usbench.media.volume import Volume

        return Volume(path)
    if kind == "matlab":
        from usbench.media.named_arrays import MatlabFile

        return MatlabFile(path, key)
    if kind == "hdf5":
        from usbench.media.named_arrays import Hdf5File

        return Hdf5File(path, key)
    from usbench.media.arrays import ArrayFile

    return ArrayFile(path, zipped=kind == "npz")
