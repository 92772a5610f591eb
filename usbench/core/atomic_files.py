"""Writing files and folders so that a kill, a full disk or a second process never leaves half of one."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from usbench.errors import StoreError

# mkstemp makes files private; results and pages are to be readable like any other file. The process-wide umask
# can only be read by setting it, which is done once here rather than in threads.
_umask = os.umask(0o022)
os.umask(_umask)
_SUFFIX = ".usbench.tmp"
# Seconds between making a temporary file and locking it are far fewer.
_BRAND_NEW = 60.0
_swept: set[Path] = set()
_FILE_MODE = 0o666 & ~_umask


def atomic_write(path: Path, content: bytes, *, private: bool = False) -> None:
    """Write ``content`` to ``path`` in one step: readers see the old file or the new one, never a part.

    Args:
        path: Destination; missing parent folders are made.
        content: The whole content.
        private: Whether only its owner may ever read it, from the first byte on.

    Raises:
        StoreError: The folder cannot be written, or the disk is full. The old file, if any, is intact.
    """
    from usbench.core.object_store import is_remote, publish

    if is_remote(path):  # an object store publishes in one step by itself
        publish(path, content)
        return
    temporary: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path.parent)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name[:40]}.", suffix=_SUFFIX)
        with os.fdopen(handle, "wb") as file:
            _hold(handle)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not private:  # mkstemp has made it so
            Path(temporary).chmod(_FILE_MODE)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(explain_os_error(path, error)) from None


@contextmanager
def folder_aside(folder: Path) -> Iterator[Path]:
    """Give an empty folder beside ``folder`` to fill, which the caller moves into its place when it is whole.

    What was not moved is removed in the end; what a killed process could not remove is swept by the next that writes
    there.

    Args:
        folder: The folder that is to appear; its parent is made.

    Raises:
        OSError: The parent cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    _sweep(folder.parent)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:40]}.", suffix=_SUFFIX))
    handle = os.open(aside, os.O_RDONLY) if os.name == "posix" else None
    try:
        if handle is not None:
            _hold(handle)
        aside.chmod(0o777 & ~_umask)
        yield aside
    finally:
        if handle is not None:
            os.close(handle)
        shutil.rmtree(aside, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove what killed processes have left half written in a folder; once a process for each folder.

    What is being written is locked by its process; an unlocked file or folder that is not brand new is nobody's.
    """
    if folder in _swept:
        return
    _swept.add(folder)
    for path in folder.glob(f".*{_SUFFIX}"):
        try:
            if time.time() - path.stat().st_mtime > _BRAND_NEW and _is_free(path):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink()
        except OSError:
            continue  # gone meanwhile, or of another user


def _hold(handle: int) -> None:
    """Lock a file that is being written until it is closed, where the system knows such locks."""
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (ImportError, OSError):
        return


def _is_free(path: Path) -> bool:
    """Say whether no process is writing a temporary file; without locks, an hour without a change says so."""
    try:
        import fcntl
    except ImportError:
        return time.time() - path.stat().st_mtime > 3600
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True


def explain_os_error(path: Path, error: OSError) -> str:
    """Say in one line why ``path`` could not be written and what to do."""
    if error.errno == errno.ENOSPC:
        return f"{path}: the disk is full. What was finished is kept; free some space and run the same command again."
    denied = error.errno in (errno.EACCES, errno.EROFS, errno.EPERM)
    why = "no permission to write there" if denied else f"cannot be written ({error.strerror or error})"
    return f"{path}: {why}. Choose another place with USBENCH_CACHE or --results."
