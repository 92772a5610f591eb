"""Telling what a file is from its first bytes; its name only helps to explain."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from usbench.media.errors import COPY_AGAIN, MediaError

Kind = Literal["picture", "tiff", "dicom", "video", "npy", "npz"]

SUFFIXES: dict[str, Kind] = {
    ".png": "picture",
    ".jpg": "picture",
    ".jpeg": "picture",
    ".bmp": "picture",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".dcm": "dicom",
    ".dicom": "dicom",
    ".ima": "dicom",
    ".mp4": "video",
    ".m4v": "video",
    ".mov": "video",
    ".avi": "video",
    ".mkv": "video",
    ".webm": "video",
    ".npy": "npy",
    ".npz": "npz",
}
"""Suffixes that the harness looks for, and what such a file should hold."""

HEAD_BYTES = 512

_READABLE = "Convert it to one that can be read: PNG, JPEG, BMP, TIFF, DICOM, MP4, AVI, MOV, MKV, .npy or .npz."

# QuickTime files older than the 'ftyp' atom begin with any of these.
_QUICKTIME_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


def kind_of(path: Path, head: bytes) -> Kind:
    """Return how to decode a file.

    The content decides: a JPEG called ``.png`` is read as the JPEG it is. The suffix counts where the content
    is ambiguous (a zip archive, DICOM without preamble) and in messages.

    Args:
        path: The file, for its suffix.
        head: Its first :data:`HEAD_BYTES` bytes, or fewer if it is shorter; not empty.

    Raises:
        MediaError: The suffix is not supported, or the content is not what the suffix says.
    """
    suffix = path.suffix.lower()
    found = _by_magic(head)
    if found is None and head.startswith(b"PK\x03\x04") and suffix == ".npz":
        found = "npz"
    if found is None and suffix in ("", ".dcm", ".dicom", ".ima") and head[:2] in (b"\x02\x00", b"\x08\x00"):
        found = "dicom"
    if found is not None:
        return found
    if suffix not in SUFFIXES:
        raise MediaError(path, f"unsupported suffix {suffix!r}" if suffix else "unknown kind of file", _READABLE)
    raise MediaError(path, f"not a {suffix[1:].upper()} file: it holds {_describe(head)}", COPY_AGAIN)


def _by_magic(head: bytes) -> Kind | None:
    if head[128:132] == b"DICM":  # first: the preamble of a DICOM file may hold the header of a TIFF, or anything else
        return "dicom"
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")) or (head.startswith(b"BM") and _is_bmp(head)):
        return "picture"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"AVIX"):
        return "video"
    if head[4:8] in _QUICKTIME_ATOMS or head.startswith(b"\x1a\x45\xdf\xa3"):
        return "video"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    return None


def _is_bmp(head: bytes) -> bool:
    """'BM' begins many texts; the header sizes that bitmaps use are few."""
    return int.from_bytes(head[14:18], "little") in (12, 40, 52, 56, 64, 108, 124)


def _describe(head: bytes) -> str:
    """Name what is there instead, for the message."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page, probably a download that was refused"
    if text.startswith(b"<?xml"):
        return "XML text"
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the file itself (run `git lfs pull`)"
    for magic, name in (
        (b"GIF8", "a GIF"),
        (b"%PDF", "a PDF"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "gzip data"),
        (b"MATLAB", "a MATLAB file"),
        (b"\x89HDF", "HDF5 data"),
    ):
        if head.startswith(magic):
            return name
    if not any(head):
        return "zero bytes only, as an interrupted copy leaves them"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return "plain text"
    return f"unknown data beginning with {head[:4].hex(' ')}"
