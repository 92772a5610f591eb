"""Keys are found where they were put, as a dictionary finds them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from usbench.embedding.key_index import KeyIndex

# Few different bytes, zeros among them and at the end: what fixed-width text in NumPy could confuse.
KEYS = st.lists(st.sampled_from([b"\0", b"a", b"b", b"\xff"]), min_size=2, max_size=2).map(
    lambda ends: ends[0] + b"-" * 30 + ends[1]
)


def table(keys: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(keys), np.uint8).reshape(len(keys), 32)


@given(st.lists(st.lists(KEYS, max_size=6), max_size=5), st.lists(KEYS, max_size=8))
@settings(deadline=None)
def test_the_first_shard_with_a_key_answers(shards: list[list[bytes]], asked: list[bytes]) -> None:
    index, expected = KeyIndex(), dict[bytes, tuple[int, int]]()
    for shard, keys in enumerate(shards):
        index.add(shard, table(keys))
        for row, key in enumerate(keys):
            expected.setdefault(key, (shard, row))
        if shard % 2:  # asked between additions too
            index.find(asked)
    assert list(zip(*map(list, index.find(asked)), strict=True)) == [expected.get(key, (-1, -1)) for key in asked]
