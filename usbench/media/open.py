"""From a path to opened media: check that there is something, find out what it is, hand it to its decoder."""

from __future__ import annotations

import os
from pathlib import Path

from usbench.media.base import Media
from usbench.media.digest import unreadable
from usbench.media.errors import COPY_AGAIN, MediaError
from usbench.media.file_type import HEAD_BYTES, kind_of


def open_media(path: str | os.PathLike[str]) -> Media:
    """Open a picture, clip or array for reading.

    Formats: PNG, JPEG, BMP; TIFF (a page is a frame); DICOM, single and multi-frame; MP4, MOV, AVI, MKV;
        ``.npy`` and
    ``.npz`` arrays (``[H, W]``, ``[N, H, W]``, ``[H, W, 3]``, ``[N, H, W, 3]``). The content decides, not the
    name. Cheap checks for damage are made here, so that a long run need not end on a file cut short.

    Args:
        path: The file.

    Returns:
        The media; a context manager.

    Raises:
        MediaError: The file is missing, empty, cut off, of another kind, or holds no frame.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        raise unreadable(path, error) from None
    if not head:
        raise MediaError(path, "empty, 0 bytes", COPY_AGAIN)
    kind = kind_of(path, head)
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
    from usbench.media.arrays import ArrayFile

    return ArrayFile(path, zipped=kind == "npz")
