"""Where the vectors of a store lie: from the keys of frames to shards and rows, in some 40 bytes a frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from usbench.data.frames import KEY_BYTES

_Positions = npt.NDArray[np.int64]
# Fixed width: keys that end in zeros are compared like all others.
_KEY = np.dtype(f"S{KEY_BYTES}")


class KeyIndex:
    """Keys in ascending order with the shard and row of each; of a key that is in two shards the first one counts.

    A dictionary would take five times the memory, which at millions of frames is more than their vectors may.
    """

    def __init__(self) -> None:
        self._keys = np.empty(0, _KEY)
        self._shard = np.empty(0, np.int32)
        self._row = np.empty(0, np.int32)
        self._new: list[tuple[int, npt.NDArray[np.bytes_]]] = []

    def add(self, shard: int, keys: npt.NDArray[np.uint8]) -> None:
        """Add the rows of a shard.

        Args:
            shard: Its number.
            keys: uint8 ``(n, 32)``.
        """
        self._new.append((shard, np.frombuffer(keys.tobytes(), _KEY)))

    def find(self, keys: Sequence[bytes]) -> tuple[_Positions, _Positions]:
        """Return shard and row of each key.

        Args:
            keys: 32 bytes each.

        Returns:
            Two int64 arrays ``(len(keys),)``; -1 for what is not there.
        """
        self._sort()
        wanted = np.frombuffer(b"".join(keys), _KEY)
        if not len(self._keys):
            nowhere = np.full(len(wanted), -1, np.int64)
            return nowhere, nowhere
        place = np.minimum(np.searchsorted(self._keys, wanted), len(self._keys) - 1)
        there = self._keys[place] == wanted
        return np.where(there, self._shard[place], -1), np.where(there, self._row[place], -1)

    def _sort(self) -> None:
        """Merge what was added since, on the first question after it."""
        if not self._new:
            return
        new, self._new = self._new, []
        keys = np.concatenate([self._keys, *(keys for _, keys in new)])
        shard = np.concatenate([self._shard, *(np.full(len(keys), number, np.int32) for number, keys in new)])
        row = np.concatenate([self._row, *(np.arange(len(keys), dtype=np.int32) for _, keys in new)])
        order = np.argsort(keys, kind="stable")
        first = np.ones(len(order), dtype=bool)
        first[1:] = keys[order][1:] != keys[order][:-1]
        order = order[first]
        self._keys, self._shard, self._row = keys[order], shard[order], row[order]
