"""Looking after the store of embeddings: what is in it, what is damaged, and what may go."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import explain_os_error
from usbench.core.documents import parse_json
from usbench.core.locks import one_at_a_time
from usbench.core.object_store import is_remote, modified, remove_folder
from usbench.embedding.store import NAME_LENGTH, SUFFIX, Store, read_shard
from usbench.encoder.card import EncoderIdentity
from usbench.errors import StoreError


@dataclass(frozen=True)
class StoreEntry:
    """One encoder identity in the store, for ``usbench cache ls``.

    Attributes:
        digest: Folder name.
        identity: Fields of the identity.
        frames: Number of distinct frames.
        dimension: Length of the vectors, ``None`` when there are none yet.
        shards: Number of shard files.
        size: Bytes on disk.
        used: Seconds since the epoch when it was last read or written.
    """

    digest: str
    identity: dict[str, Any]
    frames: int
    dimension: int | None
    shards: int
    size: int
    used: float


def entries(root: Path) -> Iterator[StoreEntry]:
    """Yield every identity in the store, most recently used first."""
    for folder in sorted(_folders(root), key=_used, reverse=True):
        shards = sorted(folder.glob(f"*{SUFFIX}"))
        keys: set[bytes] = set()
        dimension = None
        for path in shards:
            rows, width = _shape(path)
            dimension = width
            keys.update(rows)
        yield StoreEntry(
            digest=folder.name,
            identity=read_identity(folder),
            frames=len(keys),
            dimension=dimension,
            shards=len(shards),
            size=sum(_bytes(p) for p in folder.iterdir()),
            used=_used(folder),
        )


def verify(root: Path, repair: bool = False) -> list[Path]:
    """Return the shards whose content does not match their name, or is none; with ``repair``, remove them.

    A damaged description of an encoder is among them; it is written anew by the next run of that encoder.

    Args:
        root: Root of the store.
        repair: Whether to delete what is damaged.
    """
    damaged = []
    for path in sorted(root.glob(f"*/*{SUFFIX}")):
        try:
            read_shard(path)
        except FileNotFoundError:
            continue
        except StoreError:
            damaged.append(path)
            if repair:
                path.unlink(missing_ok=True)
    for path in sorted(root.glob("*/identity.json")):
        if not read_identity(path.parent):
            damaged.append(path)
            if repair:
                path.unlink(missing_ok=True)
    return damaged


def collect_garbage(root: Path, unused_days: float | None = None, names: Iterable[str] = ()) -> int:
    """Remove stray temporary files and, when asked, whole identities; merge small shards.

    Args:
        root: Root of the store.
        unused_days: Remove identities not used for this many days.
        names: Remove all identities of these encoders.

    Returns:
        Bytes freed.

    Raises:
        StoreError: A file cannot be removed.
    """
    if is_remote(root) or not root.is_dir():
        return _collect(root, unused_days, names)
    with one_at_a_time(root / "gc.lock"):
        return _collect(root, unused_days, names)


def _collect(root: Path, unused_days: float | None, names: Iterable[str]) -> int:
    before = _size(root)
    hour_ago = time.time() - 3600
    doomed = set(names)
    try:
        for path in root.glob("*/.*.tmp"):
            if _modified(path) < hour_ago:  # a younger one may belong to a running process
                path.unlink(missing_ok=True)
        for entry in list(entries(root)):
            expired = unused_days is not None and entry.used < time.time() - unused_days * 86400
            if expired or entry.identity.get("name") in doomed:
                (remove_folder if is_remote(root) else shutil.rmtree)(root / entry.digest)
            elif entry.shards > 1 and entry.identity:
                Store(root, EncoderIdentity(**entry.identity)).compact()
    except OSError as error:
        raise StoreError(explain_os_error(root, error)) from None
    return before - _size(root)


def _shape(path: Path) -> tuple[list[bytes], int | None]:
    """Return keys and dimension; nothing for a shard that cannot be read, which `verify` reports."""
    try:
        keys, vectors = read_shard(path)
    except (StoreError, FileNotFoundError):
        return [], None
    return [bytes(k) for k in keys], int(vectors.shape[1])


def _used(folder: Path) -> float:
    """Return when an identity was last read or written; at an address, where reading leaves no trace, last written."""
    if is_remote(folder):
        return max(modified(path) for path in folder.iterdir())
    return _modified(folder / "identity.json") or _modified(folder)


def read_identity(folder: Path) -> dict[str, Any]:
    """Return what is said of the encoder of a folder; nothing where that is absent, damaged or of another folder.

    Args:
        folder: Of one encoder.
    """
    try:
        found = parse_json((folder / "identity.json").read_bytes())
        identity = EncoderIdentity(**found)
        return asdict(identity) if identity.digest()[:NAME_LENGTH] == folder.name else {}
    except (OSError, ValueError, TypeError):
        return {}


def _folders(root: Path) -> list[Path]:
    """Return the folders of encoders, by their name alone: a damaged description hides no vectors."""
    if is_remote(root):
        return [path.parent for path in root.glob("*/identity.json")]
    return [path for path in root.glob("*/") if len(path.name) == NAME_LENGTH and path.is_dir()]


def _modified(path: Path) -> float:
    """Return when a file was written; long ago, where it is no longer there."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # merged or removed by another process since it was listed
        return 0


def _size(root: Path) -> int:
    return sum(_bytes(p) for p in root.glob("*/*") if p.is_file())
