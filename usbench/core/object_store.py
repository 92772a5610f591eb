"""A store at an address, such as ``s3://bucket/usbench``: object stores by way of fsspec.

An object store shows an object when it is whole and never before, which is what a shard needs: publishing is one upload
under the final name. Addresses whose file systems do not promise that are refused.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, cast

from usbench.errors import StoreError

# Protocols of object stores, which publish an object in one step, and fsspec's store in memory, which tests use.
ATOMIC = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "memory")


def is_address(text: str) -> bool:
    """Say whether a place is an address rather than a path of this machine."""
    return "://" in text


def open_address(address: str) -> Path:
    """Return a place that is used like a :class:`pathlib.Path`.

    Args:
        address: ``s3://bucket/folder``, ``gs://...``, ``abfs://...``, or ``file:///folder``.

    Raises:
        StoreError: The protocol is unknown or does not publish in one step, or a package is missing.
    """
    protocol = address.partition("://")[0]
    if protocol == "file":
        return Path(address.removeprefix("file://"))
    if protocol not in ATOMIC:
        raise StoreError(
            f"{address}: {protocol!r} is not known to publish a file in one step, so a reader could meet half of one. "
            f"Use a shared folder, or one of {', '.join(ATOMIC[:-1])}."
        )
    try:
        from upath import UPath

        place = UPath(address)
        place.fs  # noqa: B018 - connects, or says which package is missing
    except ImportError as error:
        raise StoreError(
            f'{address}: {error}. Install pip install "usbench[remote]", and s3fs, gcsfs or adlfs for the address.'
        ) from None
    return cast(Path, place)  # it has the methods of a path, but is none


def is_remote(path: Path) -> bool:
    """Say whether a place lies at an address."""
    return not isinstance(path, Path)


def publish(path: Path, content: bytes) -> None:
    """Upload an object under its final name.

    Args:
        path: Where.
        content: The whole content.

    Raises:
        StoreError: The object store refuses.
    """
    remote: Any = path
    try:
        remote.fs.pipe_file(remote.path, content)
    except Exception as error:  # every service has errors of its own
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise StoreError(f"{path}: cannot be written ({reason}). Check the address and its credentials.") from None


def look_again(path: Path) -> None:
    """Forget listings: what others have published since must be seen."""
    remote: Any = path
    remote.fs.invalidate_cache()


def modified(path: Path) -> float:
    """Return when an object was written, in seconds since the epoch; now, where the service does not say."""
    remote: Any = path
    try:
        return float(remote.fs.modified(remote.path).timestamp())
    except (NotImplementedError, AttributeError, KeyError):
        return time.time()


def remove_folder(path: Path) -> None:
    """Remove all objects below a place."""
    remote: Any = path
    remote.fs.rm(remote.path, recursive=True)
