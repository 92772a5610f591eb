"""Files that are read only where they are files, and appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tusa.errors import TusaError

# No room on the disk, none left to this user, and no file of this size.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def regular(path: Path) -> Path:
    """Return a path unless it is a pipe, a socket or a device, on which reading could wait for ever.

    Raises:
        TusaError: when it is one of these.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        raise TusaError(f"{path} is a pipe or a device, not a file. Write its content to a file and give that.")
    return path


@contextmanager
def written_whole(path: Path, previous: Path | None = None) -> Iterator[Path]:
    """Give a name beside a file to write to, which takes the file's place once all of it is on disk.

    When writing fails, the file is what it was, and the room is free again.

    Args:
        path: the file; its folder is made.
        previous: what becomes of the file that was there before; without a name it is gone.
    """
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        if previous is not None and path.exists():
            path.replace(previous)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def save_tensors(content: Any, path: Path) -> None:
    """Write what ``torch.save`` can write.

    Raises:
        OSError: when the disk is full or the folder cannot be written; torch alone would hide that.
    """
    import torch

    with path.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def explained(error: OSError) -> str:
    """Say in one line what the system refused, and what to do."""
    where = f"{error.filename}: " if error.filename else ""
    if error.errno in _FULL:
        return (
            f"{where}the disk is full. What was finished is kept: free some space and give the command again, or "
            "`tusa resume` for a run that had begun."
        )
    return f"{where}{error.strerror or error}. Check the path and its permissions."
