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
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from usbench.core.atomic_files import atomic_write
from usbench.core.object_store import is_remote, look_again
from usbench.core.types import Vectors
from usbench.data.frames import KEY_BYTES
from usbench.embedding.key_index import KeyIndex
from usbench.encoder.card import EncoderIdentity
from usbench.errors import StoreError

SUFFIX = ".safetensors"
_REPAIR = "Run `usbench cache verify --repair` to drop it; the frames in it are then encoded again."
# How often a folder is listed anew while shards vanish from it; each time another process has merged some.
_LOOKS = 20
_VANISH = "shards vanish while they are read. Is something deleting them? Run it again."
# Digits of an identity's digest that name its folder.
NAME_LENGTH = 32


class Store:
    """Embeddings of one encoder identity.

    Args:
        root: Root of the store, shared by all encoders; a folder, or a place at an address.
        identity: What encodes.

    Raises:
        StoreError: The folder cannot be made, or belongs to another identity.
    """

    def __init__(self, root: Path, identity: EncoderIdentity) -> None:
        self.folder = root / identity.digest()[:NAME_LENGTH]
        self.identity = identity
        self._forget()
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

    def _forget(self) -> None:
        self._index = KeyIndex()
        self._names: list[str] = []  # of the shards, by their number
        self._widths: set[int] = set()  # lengths of their vectors
        self._held: dict[int, Vectors] = {}

    def refresh(self) -> None:
        """Read the shards that other processes have published since the last look.

        Raises:
            StoreError: A shard's content does not match its name.
        """
        for _ in range(_LOOKS):
            if self._read_new():
                return
        raise StoreError(f"{self.folder}: {_VANISH}")

    def _read_new(self) -> bool:
        """Read the shards that are not known yet; false when one vanished, and what holds its vectors now is listed."""
        if is_remote(self.folder):
            look_again(self.folder)
        whole, known = True, set(self._names)
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path.stem not in known:
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
        asked = list(dict.fromkeys(keys))
        shards, _ = self._index.find(asked)
        return [key for key, shard in zip(asked, shards.tolist(), strict=True) if shard < 0]

    def get(self, keys: Sequence[bytes]) -> Vectors:
        """Return the vectors of ``keys``, in order; shards are read one after the other, so that one is in memory.

        Returns:
            float32 array of shape ``(len(keys), D)``.

        Raises:
            StoreError: A key is not stored, a shard is damaged, or shards disagree on the dimension.
        """
        for _ in range(_LOOKS):
            shards, rows = self._index.find(keys)
            if absent := int((shards < 0).sum()):
                raise StoreError(f"{self.folder}: {absent} of {len(keys)} frames are not stored. Run it again.")
            if len(self._widths) > 1:
                raise StoreError(
                    f"{self.folder}: holds vectors of several lengths: the encoder changed without changing its "
                    f"version. Delete that folder, and raise `version` in the encoder's class."
                )
            found = self._gather(shards, rows)
            if found is not None:
                return found
            self._forget()
            self.refresh()
        raise StoreError(f"{self.folder}: {_VANISH}")

    def _gather(self, shards: npt.NDArray[np.int64], rows: npt.NDArray[np.int64]) -> Vectors | None:
        """Return the vectors at these rows of these shards; nothing when a shard has vanished."""
        gathered = np.empty((len(rows), next(iter(self._widths), 0)), np.float32)
        order = np.argsort(shards, kind="stable")
        for part in np.split(order, np.flatnonzero(np.diff(shards[order])) + 1):
            if not len(part):
                continue
            shard = int(shards[part[0]])
            try:
                vectors = self._held[shard] if shard in self._held else read_shard(self._path(shard))[1]
            except FileNotFoundError:  # merged into another by `cache gc` since it was listed
                return None
            gathered[part] = vectors[rows[part]]
        return gathered

    def _path(self, shard: int) -> Path:
        return self.folder / f"{self._names[shard]}{SUFFIX}"

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
        path = self.folder / f"{name}{SUFFIX}"
        if not path.exists():
            atomic_write(path, content)
        if name not in self._names:
            self._add(name, table, np.ascontiguousarray(vectors, dtype=np.float32))
        return path

    def compact(self, below: int = 4096) -> int:
        """Merge shards with fewer than ``below`` rows; return how many files that saves.

        A merged shard has ``below`` rows or somewhat more, so that a reader never holds much. It is published before
        the small ones are removed, so that a kill loses nothing.
        """
        saved = 0
        small: list[tuple[Path, npt.NDArray[np.uint8], Vectors]] = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            try:
                keys, vectors = read_shard(path)
            except (StoreError, FileNotFoundError):
                continue  # damaged, which `verify` repairs, or gone meanwhile
            if len(keys) >= below:
                continue
            small.append((path, keys, vectors))
            if sum(len(keys) for _, keys, _ in small) >= below:
                saved += self._merge(small)
                small = []
        return saved + self._merge(small)

    def _merge(self, small: list[tuple[Path, npt.NDArray[np.uint8], Vectors]]) -> int:
        if len(small) < 2 or len({v.shape[1] for _, _, v in small}) > 1:
            return 0
        rows = {bytes(k): v for _, keys, vectors in small for k, v in zip(keys, vectors, strict=True)}
        merged = self.put(list(rows), np.stack(list(rows.values())))
        for path, _, _ in small:
            if path != merged:
                path.unlink(missing_ok=True)
        return sum(1 for path, _, _ in small if path != merged) - 1

    def _add(self, name: str, keys: npt.NDArray[np.uint8], vectors: Vectors) -> None:
        shard = len(self._names)
        self._names.append(name)
        self._widths.add(vectors.shape[1])
        self._index.add(shard, keys)
        if is_remote(self.folder):  # a shard is downloaded once
            self._held[shard] = vectors


def stored_vectors(root: Path, digest: str) -> Store | None:
    """Return the store of an identity that is known by its digest alone, ``None`` where nothing is stored of it.

    Args:
        root: Root of the store.
        digest: Digest of an encoder's identity, as results name it.
    """
    description = root / digest[:NAME_LENGTH] / "identity.json"
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


def _text_of(path: Path) -> str | None:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
