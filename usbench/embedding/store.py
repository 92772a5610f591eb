"""A content-addressed store of embeddings: sharded, atomic, verified on read, safe to share.

Layout, below the store's root::

    <identity digest>/identity.json          what encoded these frames (usbench.encoder.EncoderIdentity)
    <identity digest>/<sha256>.safetensors   one shard: "keys" uint8 [n, 32], "vectors" float32 [n, D]

A shard is named by the SHA-256 of its own bytes and never changes, so that a reader can verify it, two processes can
write at once without a lock, and a kill leaves nothing but a stray temporary file. There is no index to go stale: the
keys in the shards are the index. A frame's key covers the content of its file, its position in it and the version of
the decoder; the folder covers weights, adapter, preprocessing, pooling and precision. The root is a folder, or an
address of an object store (:mod:`usbench.core.object_store`).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from usbench.core.atomic_files import atomic_write, explain_os_error
from usbench.core.documents import parse_json
from usbench.core.locks import one_at_a_time
from usbench.core.object_store import is_remote, look_again, modified, remove_folder
from usbench.core.types import Vectors
from usbench.data.frames import KEY_BYTES
from usbench.encoder.card import EncoderIdentity
from usbench.errors import StoreError

_SUFFIX = ".safetensors"
_REPAIR = "Run `usbench cache verify --repair` to drop it; the frames in it are then encoded again."
# How often a folder is listed anew while shards vanish from it; each time another process has merged some.
_LOOKS = 20
# Digits of an identity's digest that name its folder.
_NAME_LENGTH = 32


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


class Store:
    """Embeddings of one encoder identity.

    Args:
        root: Root of the store, shared by all encoders; a folder, or a place at an address.
        identity: What encodes.

    Raises:
        StoreError: The folder cannot be made, or belongs to another identity.
    """

    def __init__(self, root: Path, identity: EncoderIdentity) -> None:
        self.folder = root / identity.digest()[:_NAME_LENGTH]
        self.identity = identity
        self._vectors: dict[bytes, tuple[int, int]] = {}
        self._shards: list[Vectors] = []
        self._read: set[str] = set()
        description = self.folder / "identity.json"
        text = json.dumps(asdict(identity), indent=1, sort_keys=True) + "\n"
        # The folder's name is the digest of this text, so a description that differs is damaged, and is written anew.
        if _text_of(description) != text:
            atomic_write(description, text.encode())
        elif not is_remote(root):
            try:
                os.utime(description)  # the time of last use, for `cache gc`
            except OSError:  # a read-only store can still be read
                return

    def refresh(self) -> None:
        """Read the shards that other processes have published since the last look.

        Raises:
            StoreError: A shard's content does not match its name.
        """
        for _ in range(_LOOKS):
            if self._read_new():
                return
        raise StoreError(f"{self.folder}: shards vanish while they are read. Is something deleting them? Run it again.")

    def _read_new(self) -> bool:
        """Read the shards that are not known yet; false when one vanished, and what holds its vectors now is listed."""
        if is_remote(self.folder):
            look_again(self.folder)
        whole = True
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if path.stem not in self._read:
                try:
                    keys, vectors = read_shard(path)
                except FileNotFoundError:  # merged into another by `cache gc` since the folder was listed
                    whole = False
                    continue
                self._add(path.stem, keys, vectors)
        return whole

    def missing(self, keys: Iterable[bytes]) -> list[bytes]:
        """Return the keys that are not stored, without repetition and in the order given."""
        self.refresh()
        return [key for key in dict.fromkeys(keys) if key not in self._vectors]

    def get(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of ``keys``, in order.

        Returns:
            float32 array of shape ``(len(keys), D)``.

        Raises:
            StoreError: A key is not stored, or shards disagree on the dimension.
        """
        absent = [key for key in keys if key not in self._vectors]
        if absent:
            raise StoreError(f"{self.folder}: {len(absent)} of {len(keys)} frames are not stored. Run it again.")
        if len({shard.shape[1] for shard in self._shards}) > 1:
            raise StoreError(
                f"{self.folder}: holds vectors of several lengths: the encoder changed without changing its "
                f"version. Delete that folder, and raise `version` in the encoder's class."
            )
        rows = [self._shards[shard][row] for shard, row in (self._vectors[key] for key in keys)]
        return np.stack(rows)

    def put(self, keys: Sequence[bytes], vectors: Vectors) -> Path:
        """Publish one shard atomically.

        Args:
            keys: One key of 32 bytes per row.
            vectors: float32 array of shape ``(len(keys), D)``.

        Raises:
            StoreError: Disk full, or no permission. What was published before is intact.
        """
        from safetensors.numpy import save

        table = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), KEY_BYTES)
        content = save({"keys": table, "vectors": np.ascontiguousarray(vectors, dtype=np.float32)})
        name = hashlib.sha256(content).hexdigest()
        path = self.folder / f"{name}{_SUFFIX}"
        if not path.exists():
            atomic_write(path, content)
        if name not in self._read:
            self._add(name, table, vectors)
        return path

    def compact(self, below: int = 4096) -> int:
        """Merge shards with fewer than ``below`` rows into one; return how many files that saves.

        The merged shard is published before the small ones are removed, so that a kill loses nothing.
        """
        small = []
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            try:
                keys, vectors = read_shard(path)
            except (StoreError, FileNotFoundError):
                continue  # damaged, which `verify` repairs, or gone meanwhile
            if len(keys) < below:
                small.append((path, keys, vectors))
        if len(small) < 2 or len({v.shape[1] for _, _, v in small}) > 1:
            return 0
        rows = {bytes(k): v for _, keys, vectors in small for k, v in zip(keys, vectors, strict=True)}
        merged = self.put(list(rows), np.stack(list(rows.values())))
        for path, _, _ in small:
            if path != merged:
                path.unlink(missing_ok=True)
        return sum(1 for path, _, _ in small if path != merged) - 1

    def _add(self, name: str, keys: npt.NDArray[np.uint8], vectors: Vectors) -> None:
        self._read.add(name)
        shard = len(self._shards)
        self._shards.append(vectors)
        for row, key in enumerate(keys):
            self._vectors.setdefault(bytes(key), (shard, row))


def stored_vectors(root: Path, digest: str) -> Store | None:
    """Return the store of an identity that is known by its digest alone, ``None`` where nothing is stored of it.

    Args:
        root: Root of the store.
        digest: Digest of an encoder's identity, as results name it.
    """
    description = root / digest[:_NAME_LENGTH] / "identity.json"
    try:
        identity = EncoderIdentity(**json.loads(_text_of(description) or "{}"))
    except (TypeError, ValueError):
        return None
    return Store(root, identity) if identity.digest() == digest else None


def read_shard(path: Path) -> tuple[npt.NDArray[np.uint8], Vectors]:
    """Read one shard and verify its checksum.

    Returns:
        Keys, uint8 ``(n, 32)``, and vectors, float32 ``(n, D)``.

    Raises:
        FileNotFoundError: It is no longer there.
        StoreError: The bytes do not match the name, the content is no shard, or the file cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror}).") from None
    if hashlib.sha256(content).hexdigest() != path.stem:
        raise StoreError(f"{path}: damaged, its checksum does not match. {_REPAIR}")
    try:
        tensors: Mapping[str, npt.NDArray[Any]] = load(content)
        keys, vectors = tensors["keys"], tensors["vectors"]
    except (SafetensorError, KeyError, ValueError, TypeError) as error:
        raise StoreError(f"{path}: is no shard of this store ({error}). {_REPAIR}") from None
    if (
        keys.dtype != np.uint8
        or vectors.dtype != np.float32
        or (keys.ndim, vectors.ndim) != (2, 2)
        or keys.shape != (len(vectors), KEY_BYTES)
        or vectors.shape[1] == 0
    ):
        raise StoreError(f"{path}: is no shard of this store (shapes or types of its tensors). {_REPAIR}")
    if not np.isfinite(vectors).all():
        raise StoreError(f"{path}: holds vectors that are not finite. {_REPAIR}")
    return keys, vectors


def entries(root: Path) -> Iterator[StoreEntry]:
    """Yield every identity in the store, most recently used first."""
    for folder in sorted(_folders(root), key=_used, reverse=True):
        shards = sorted(folder.glob(f"*{_SUFFIX}"))
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
    for path in sorted(root.glob(f"*/*{_SUFFIX}")):
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
        return asdict(identity) if identity.digest()[:_NAME_LENGTH] == folder.name else {}
    except (OSError, ValueError, TypeError):
        return {}


def _folders(root: Path) -> list[Path]:
    """Return the folders of encoders, by their name alone: a damaged description hides no vectors."""
    if is_remote(root):
        return [path.parent for path in root.glob("*/identity.json")]
    return [path for path in root.glob("*/") if len(path.name) == _NAME_LENGTH and path.is_dir()]


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None


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
