"""What identifies a frame besides its number: the bytes of its file and the decoders that read them."""

from __future__ import annotations

import hashlib
import os
from importlib import metadata
from pathlib import Path

from usbench.core.limits import is_regular, open_regular
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

KEY_MARK = "::"
"""What stands between a file and the name of an array in it."""


def split_key(path: str | os.PathLike[str]) -> tuple[Path, str | None]:
    """Part ``file.mat::key`` into the file and the name of the array; the name is ``None`` where there is none."""
    text = os.fspath(path)
    file, mark, key = text.rpartition(KEY_MARK)
    if not mark or not file or not key or is_regular(Path(text)):
        return Path(path), None
    return Path(file), key


def file_digest(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes in hexadecimal, read in blocks; of the array behind ``::`` another one.

    Raises:
        MediaError: The file cannot be read.
    """
    whole, key = split_key(path)
    try:
        with open_regular(whole) as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return digest if key is None else hashlib.sha256(f"{digest}{KEY_MARK}{key}".encode()).hexdigest()
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
