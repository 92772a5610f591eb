"""How much a file may unfold to. One byte in a file can stand for a gigabyte in memory; these are the limits on it.

Each limit can be raised, where somebody truly has larger files, by the environment variable named in its message.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.errors import UsbenchError

if TYPE_CHECKING:
    from io import BufferedReader


@dataclass(frozen=True)
class Limit:
    """The most that one file may take.

    Attributes:
        variable: Environment variable that replaces the default.
        default: The most, in ``unit``.
        unit: What is counted, as a plural noun.
    """

    variable: str
    default: int
    unit: str

    @property
    def most(self) -> int:
        """The limit in force.

        Raises:
            UsbenchError: The environment variable is not a whole number from 1.
        """
        text = os.environ.get(self.variable)
        if not text:
            return self.default
        try:
            value = int(text)
        except ValueError:
            value = 0
        if value < 1:
            raise UsbenchError(f"{self.variable}={text}: must be a whole number of {self.unit} from 1.")
        return value

    def fault(self, where: object, amount: int) -> str:
        """Say that something is too large; empty while it is not.

        Args:
            where: The file.
            amount: How much it holds or would unfold to.
        """
        if amount <= self.most:
            return ""
        return (
            f"{where}: holds or unfolds to {amount:,} {self.unit}, and {self.most:,} are allowed, because a small "
            f"file can be made to fill any memory. If you trust it, set {self.variable}={amount}."
        )

    def check(self, where: object, amount: int, error: type[UsbenchError] = UsbenchError) -> None:
        """Refuse what is too large.

        Args:
            where: The file.
            amount: How much it holds or would unfold to.
            error: What is raised.

        Raises:
            UsbenchError: It is above the limit; of class ``error``.
        """
        if told := self.fault(where, amount):
            raise error(told)


FRAME_PIXELS = Limit("USBENCH_MAX_FRAME_PIXELS", 2**28, "pixels in one frame")
"""One decoded frame; 268 million, more than any ultrasound machine or scanner of slides' overview gives."""

MEDIA_BYTES = Limit("USBENCH_MAX_MEDIA_BYTES", 2**33, "bytes")
"""All decoded frames of one file that is decoded at once, such as an archive of arrays: 8 GiB."""

TABLE_BYTES = Limit("USBENCH_MAX_TABLE_BYTES", 2**31, "bytes")
"""A label table, unpacked: 2 GiB."""

DOCUMENT_BYTES = Limit("USBENCH_MAX_DOCUMENT_BYTES", 2**28, "bytes")
"""A result, a configuration, a task or any other JSON or TOML: 256 MiB."""

WEIGHTS_BYTES = Limit("USBENCH_MAX_WEIGHTS_BYTES", 2**36, "bytes")
"""The tensors of one file of weights, unpacked: 64 GiB."""

DATASET_BYTES = Limit("USBENCH_MAX_DATASET_BYTES", 2**38, "bytes")
"""One downloaded file of a dataset, and all that an archive unpacks to: 256 GiB."""


def pixels_fault(where: object, height: int, width: int, frames: int = 1, *, samples: int = 1, bits: int = 8) -> str:
    """Say why a picture or video is too large, by what its header claims; empty when it is not.

    Ask before any pixel is decoded.

    Args:
        where: The file, for the message.
        height: Rows of one frame.
        width: Columns of one frame.
        frames: Frames that are decoded at once: 1 where they are decoded one by one.
        samples: Values a pixel, 3 for colour.
        bits: Bits a value.
    """
    size = height * width * samples * ((max(bits, 1) + 7) // 8)
    return FRAME_PIXELS.fault(where, height * width) or MEDIA_BYTES.fault(where, size * max(frames, 1))


def is_regular(path: Path) -> bool:
    """Say whether there is a regular file; a name that no file can bear, being too long or holding NUL, names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Say whether there is a folder, as :func:`is_regular` does of a file."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file for reading; a pipe, a socket or a device, on which reading could wait for ever, is refused.

    Args:
        path: The file; links are followed.

    Raises:
        OSError: It cannot be opened, or is not a regular file.
    """
    if "\0" in str(path):
        raise OSError(22, "no file can have NUL in its name", str(path))
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    handle = os.open(path, flags)
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(21, "it is a folder", str(path))
        if not stat.S_ISREG(mode):
            raise OSError(22, "it is not a regular file", str(path))
        return os.fdopen(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, limit: Limit = DOCUMENT_BYTES) -> bytes:
    """Read a whole regular file that is not too large.

    Args:
        path: The file.
        limit: The most that it may hold.

    Raises:
        OSError: It cannot be read, or is not a regular file.
        UsbenchError: It is above the limit.
    """
    with open_regular(path) as file:
        limit.check(path, os.fstat(file.fileno()).st_size)
        return file.read()
