"""What identifies a frame besides its number: the bytes of its file and the decoders that read them."""

from __future__ import annotations

import hashlib
import os
from importlib import metadata
from pathlib import Path

from usbench.media.errors import COPY_AGAIN, MediaError

_DECODERS = (
    "numpy",
    "pillow",
    "tifffile",
    "imagecodecs",
    "pydicom",
    "pylibjpeg",
    "pylibjpeg-openjpeg",
    "av",
)


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in blocks.

    Raises:
        MediaError: The file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise unreadable(path, error) from None


def decoder_versions() -> dict[str, str]:
    """Return the installed version of each decoding library, or "absent", without importing any."""
    versions = {}
    for name in _DECODERS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return versions


def unreadable(path: str | os.PathLike[str], error: OSError) -> MediaError:
    """Explain an operating-system error met while opening a file."""
    if isinstance(error, FileNotFoundError):
        return MediaError(path, "no such file", "Check the path in the table, and the folder it is relative to.")
    if isinstance(error, IsADirectoryError):
        return MediaError(path, "a folder, not a file", "Name one image or video in each row of the table.")
    if isinstance(error, PermissionError):
        return MediaError(path, "no permission to read it", "Change its permissions, or run as its owner.")
    return MediaError(path, f"cannot be read ({error.strerror or error})", COPY_AGAIN)
