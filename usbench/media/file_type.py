"""Telling what a file is from its first bytes; its name only helps to explain."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from usbench.core.limits import open_regular
from usbench.media.errors import COPY_AGAIN, MediaError

Kind = Literal["picture", "tiff", "dicom", "video", "npy", "npz", "volume", "hdf5", "matlab"]

_BY_KIND: dict[Kind, str] = {
    "picture": "png jpg jpeg bmp gif webp avif pgm ppm",
    "tiff": "tif tiff",
    "dicom": "dcm dicom ima",
    "video": "mp4 m4v mov 3gp avi mkv webm wmv asf mpg mpeg m2v ts m2ts mts flv ogv",
    "npy": "npy",
    "npz": "npz",
    "volume": "nii nii.gz mha",
    "hdf5": "h5 hdf5",
    "matlab": "mat",
}

SUFFIXES: dict[str, Kind] = {f".{suffix}": kind for kind, suffixes in _BY_KIND.items() for suffix in suffixes.split()}
"""Suffixes that the harness looks for, and what such a file should hold."""

HEAD_BYTES = 512

_READABLE = "Convert it to one that can be read: PNG, JPEG, TIFF, DICOM, MP4, AVI, .npy or one named in docs/data.md."

ASF = bytes.fromhex("3026b2758e66cf11")  # WMV
_NETPBM = (b"P2", b"P3", b"P5", b"P6")

# QuickTime files older than the 'ftyp' atom begin with any of these.
QUICKTIME_ATOMS = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


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
    suffix = suffix_of(path)
    found = _by_magic(head)
    if found is None and head.startswith(b"PK\x03\x04") and suffix == ".npz":
        found = "npz"
    if found is None and suffix == ".nii.gz" and head.startswith(b"\x1f\x8b"):
        found = "volume"
    if found is None and suffix in ("", ".dcm", ".dicom", ".ima") and head[:2] in (b"\x02\x00", b"\x08\x00"):
        found = "dicom"
    if found is not None:
        return found
    if suffix not in SUFFIXES:
        raise MediaError(path, f"unsupported suffix {suffix!r}" if suffix else "unknown kind of file", _READABLE)
    raise MediaError(path, f"not a {suffix[1:].upper()} file: it holds {_describe(head)}", COPY_AGAIN)


def suffix_of(path: Path) -> str:
    """Return the suffix in small letters, both parts of ``.nii.gz``."""
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()


def is_headed_dicom(path: Path) -> bool:
    """Say whether a file carries the mark of DICOM behind its preamble, whatever its name."""
    try:
        with open_regular(path) as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _by_magic(head: bytes) -> Kind | None:
    if head[128:132] == b"DICM":  # first: the preamble of a DICOM file may hold the header of a TIFF, or anything else
        return "dicom"
    if head.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")):
        return "picture"
    if (head.startswith(b"BM") and _is_bmp(head)) or (head[:2] in _NETPBM and head[2:3].isspace()):
        return "picture"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "picture"
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis"):
        return "picture"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return "tiff"
    if _is_video(head):
        return "video"
    if head.startswith(b"\x93NUMPY"):
        return "npy"
    if head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] == b"n+2\0" or head.startswith(b"ObjectType = Image"):
        return "volume"
    if head.startswith(b"MATLAB 5.0 MAT-file"):
        return "matlab"
    if head.startswith((b"\x89HDF\r\n\x1a\n", b"MATLAB 7.3 MAT-file")):
        return "hdf5"
    return None


def _is_video(head: bytes) -> bool:
    if head.startswith(b"RIFF") and head[8:12] in (b"AVI ", b"AVIX"):
        return True
    if head[4:8] in QUICKTIME_ATOMS or head.startswith((b"\x1a\x45\xdf\xa3", b"FLV\x01", b"OggS", ASF)):
        return True
    if head[:4] in (b"\0\0\1\xba", b"\0\0\1\xb3"):  # MPEG program and elementary streams
        return True
    # Transport streams have packets of 188 bytes, or of 192 with a time stamp before each.
    return len(head) > 400 and any(
        head[first] == head[first + step] == head[first + 2 * step] == 0x47 for first, step in ((0, 188), (4, 192))
    )


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
        (b"%PDF", "a PDF"),
        (b"PK\x03\x04", "a zip archive"),
        (b"\x1f\x8b", "gzip data"),
    ):
        if head.startswith(magic):
            return name
    if not any(head):
        return "zero bytes only, as an interrupted copy leaves them"
    if all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return "plain text"
    return f"unknown data beginning with {head[:4].hex(' ')}"
