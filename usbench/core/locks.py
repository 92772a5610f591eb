"""One process at a time, for the few things that cannot be made safe by writing files whole."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from usbench.core.atomic_files import explain_os_error
from usbench.errors import StoreError

_PATIENCE = 60.0
_PAUSE = 0.05


@contextmanager
def one_at_a_time(path: Path, patience: float = _PATIENCE) -> Iterator[None]:
    """Hold a lock that ends with this process, however it ends, so that a kill leaves none behind.

    Args:
        path: The lock's file, which stays; missing parent folders are made.
        patience: Seconds to wait for another process.

    Raises:
        StoreError: The file cannot be written, or another process holds the lock for too long.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("ab")
    except OSError as error:
        raise StoreError(explain_os_error(path, error)) from None
    with file:
        until = time.monotonic() + patience
        while not _taken(file.fileno()):
            if time.monotonic() > until:
                raise StoreError(f"{path}: another process has held this lock for {patience:.0f} s. Try again later.")
            time.sleep(_PAUSE)
        yield


def _taken(handle: int) -> bool:
    try:
        import fcntl
    except ImportError:  # Windows
        return _taken_on_windows(handle)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network file system without locks: nothing better can be done than to go on
        return True
    return True


def _taken_on_windows(handle: int) -> bool:
    import importlib
    import os

    msvcrt = importlib.import_module("msvcrt")
    os.lseek(handle, 0, os.SEEK_SET)
    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    return True
