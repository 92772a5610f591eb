"""The embedding store: nothing stale, nothing half written, nothing lost."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from usbench.data.frames import frame_key
from usbench.embedding.store import Store, read_shard
from usbench.embedding.store_upkeep import collect_garbage, entries, verify
from usbench.encoder.card import EncoderIdentity
from usbench.errors import StoreError

IDENTITY = EncoderIdentity("test", 1, "sha256:0", "default", "mean", "fp32")


def keys_of(count: int, start: int = 0) -> list[bytes]:
    return [frame_key("file", i, "media 1") for i in range(start, start + count)]


def vectors_of(count: int, dimension: int = 5, start: int = 0) -> np.ndarray:
    return (np.arange(count * dimension, dtype=np.float32) + start).reshape(count, dimension)


def test_what_is_put_comes_back_in_the_order_asked(tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    keys, vectors = keys_of(6), vectors_of(6)
    store.put(keys[:4], vectors[:4])
    store.put(keys[4:], vectors[4:])
    again = Store(tmp_path, IDENTITY)
    assert again.missing([*keys, *keys]) == []
    order = [3, 0, 5, 5]
    np.testing.assert_array_equal(again.get([keys[i] for i in order]), vectors[order])


def test_missing_is_unique_and_ordered(tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    keys = keys_of(4)
    store.put(keys[1:2], vectors_of(1))
    assert store.missing([keys[3], keys[1], keys[0], keys[3]]) == [keys[3], keys[0]]


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"version": 2},
        {"weights": "sha256:1"},
        {"preprocessing": "crop"},
        {"pooling": "cls"},
        {"precision": "bf16"},
        {"source": "abc"},
    ],
)
def test_any_change_of_identity_reuses_nothing(tmp_path: Path, change: dict[str, object]) -> None:
    Store(tmp_path, IDENTITY).put(keys_of(3), vectors_of(3))
    other = Store(tmp_path, replace(IDENTITY, **change))  # type: ignore[arg-type]
    assert len(other.missing(keys_of(3))) == 3


def test_key_depends_on_file_frame_and_decoding() -> None:
    assert len({frame_key("a", 0, "1"), frame_key("b", 0, "1"), frame_key("a", 1, "1"), frame_key("a", 0, "2")}) == 4


def test_damage_is_found_on_read_and_repaired(tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    good = store.put(keys_of(2), vectors_of(2))
    bad = store.put(keys_of(2, start=2), vectors_of(2, start=50))
    content = bytearray(bad.read_bytes())
    content[-3] ^= 1  # one bit of one vector
    bad.write_bytes(content)
    with pytest.raises(StoreError, match="checksum"):
        Store(tmp_path, IDENTITY).missing(keys_of(4))
    assert verify(tmp_path) == [bad]
    assert verify(tmp_path, repair=True) == [bad]
    assert Store(tmp_path, IDENTITY).missing(keys_of(4)) == keys_of(2, start=2)
    assert good.exists()


def test_full_disk_keeps_what_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, IDENTITY)
    store.put(keys_of(2), vectors_of(2))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"the disk is full\. What was finished is kept"):
        store.put(keys_of(2, start=2), vectors_of(2))
    monkeypatch.undo()
    again = Store(tmp_path, IDENTITY)
    assert again.missing(keys_of(4)) == keys_of(2, start=2)
    assert not list(again.folder.glob("*.tmp")) + list(again.folder.glob(".*.tmp"))


def test_unwritable_store_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "file", IDENTITY)


def test_changed_dimension_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    store.put(keys_of(2), vectors_of(2))
    store.put(keys_of(2, start=2), vectors_of(2, dimension=7))
    with pytest.raises(StoreError, match="several lengths"):
        store.get(keys_of(4))


def test_gc_merges_shards_and_loses_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    for i in range(5):
        store.put(keys_of(3, start=3 * i), vectors_of(3, start=100 * i))
    before = store.get(keys_of(15))
    collect_garbage(tmp_path)
    assert [e.shards for e in entries(tmp_path)] == [1]
    again = Store(tmp_path, IDENTITY)
    assert again.missing(keys_of(15)) == []
    np.testing.assert_array_equal(again.get(keys_of(15)), before)


def test_gc_by_encoder_and_age(tmp_path: Path) -> None:
    Store(tmp_path, IDENTITY).put(keys_of(1), vectors_of(1))
    Store(tmp_path, replace(IDENTITY, name="other")).put(keys_of(1), vectors_of(1))
    collect_garbage(tmp_path, names=["test"])
    assert [e.identity["name"] for e in entries(tmp_path)] == ["other"]
    old = time.time() - 10 * 86400
    os.utime(next(tmp_path.glob("*/identity.json")), (old, old))
    collect_garbage(tmp_path, unused_days=20)
    assert len(list(entries(tmp_path))) == 1
    collect_garbage(tmp_path, unused_days=5)
    assert list(entries(tmp_path)) == []


WRITER = """
import sys
import numpy as np
from pathlib import Path
from usbench.data.frames import frame_key
from usbench.embedding.store import Store
from usbench.encoder import EncoderIdentity
store = Store(Path(sys.argv[1]), EncoderIdentity("test", 1, "sha256:0", "default", "mean", "fp32"))
start = int(sys.argv[2])
for i in range(start, start + int(sys.argv[3])):
    store.put([frame_key("file", i, "media 1")], np.full((1, 50_000), i, dtype=np.float32))
    print(i, flush=True)
"""


def test_two_processes_at_once(tmp_path: Path) -> None:
    both = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(start), "20"], stdout=subprocess.DEVNULL)
        for start in (0, 10)
    ]
    assert [process.wait(60) for process in both] == [0, 0]
    store = Store(tmp_path, IDENTITY)
    assert store.missing(keys_of(30)) == []
    np.testing.assert_array_equal(store.get(keys_of(30))[:, 0], np.arange(30))
    assert verify(tmp_path) == []


def test_kill_9_leaves_whole_shards_only(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path), "0", "100000"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        finished = [int(process.stdout.readline()) for _ in range(15)]
        process.send_signal(signal.SIGKILL)
    store = Store(tmp_path, IDENTITY)
    assert store.missing([keys_of(1, start=i)[0] for i in finished]) == []
    assert verify(tmp_path) == []
    for path in store.folder.glob("*.safetensors"):
        assert read_shard(path)[1].shape == (1, 50_000)


def start(code: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


GC = """
import sys
from pathlib import Path
from usbench.embedding.store_upkeep import collect_garbage
for _ in range(int(sys.argv[2])):
    collect_garbage(Path(sys.argv[1]))
"""

WRITE = """
import sys
from pathlib import Path
import numpy as np
from usbench.data.frames import frame_key
from usbench.embedding.store import Store
from usbench.encoder.card import EncoderIdentity
identity = EncoderIdentity("test", 1, "sha256:0", "default", "mean", "fp32")
first = int(sys.argv[2])
for i in range(first, first + 40):  # as 40 runs, each of which reads what there is
    store = Store(Path(sys.argv[1]), identity)
    keys = [frame_key("file", j, "media 1") for j in range(i * 3, i * 3 + 3)]
    assert len(store.missing(keys)) == 3
    store.put(keys, np.full((3, 5), i, np.float32))
    assert store.get(keys)[:, 0].tolist() == [i] * 3
"""


def test_garbage_is_collected_beside_runs_and_nothing_is_lost(tmp_path: Path) -> None:
    running = [start(WRITE, tmp_path, 0), start(WRITE, tmp_path, 40), *(start(GC, tmp_path, 15) for _ in range(2))]
    for process in running:
        told, _ = process.communicate(timeout=300)
        assert process.returncode == 0, told
    store = Store(tmp_path, IDENTITY)
    assert store.missing(keys_of(240)) == []
    np.testing.assert_array_equal(store.get(keys_of(240))[:, 0], np.repeat(np.arange(80), 3))
    assert verify(tmp_path) == []


def test_a_shard_that_vanishes_while_it_is_read_is_found_where_it_went(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Store(tmp_path, IDENTITY)
    for i in range(3):
        writer.put(keys_of(2, 2 * i), vectors_of(2))
    reader = Store(tmp_path, IDENTITY)
    merged: list[int] = []

    def read(path: Path) -> object:
        if not merged:
            merged.append(0)
            collect_garbage(tmp_path)
        return read_shard(path)

    monkeypatch.setattr("usbench.embedding.store.read_shard", read)
    assert reader.missing(keys_of(6)) == []


def test_vectors_whose_shard_was_merged_since_it_was_listed_are_found(tmp_path: Path) -> None:
    writer = Store(tmp_path, IDENTITY)
    for i in range(4):
        writer.put(keys_of(2, 2 * i), vectors_of(2, start=100 * i))
    reader = Store(tmp_path, IDENTITY)
    assert reader.missing(keys_of(8)) == []
    expected = reader.get(keys_of(8))
    collect_garbage(tmp_path)
    assert len(list(reader.folder.glob("*.safetensors"))) == 1
    np.testing.assert_array_equal(reader.get(keys_of(8)), expected)
    # Both a shard and what it was merged into may have been there when the folder was read, and one is gone now.
    both = Store(tmp_path, IDENTITY)
    small = both.put(keys_of(2), vectors_of(2))
    assert Store(tmp_path, IDENTITY).missing(keys_of(8)) == []
    other = Store(tmp_path, IDENTITY)
    other.refresh()
    small.unlink()
    np.testing.assert_array_equal(other.get(keys_of(8)), expected)
    # What is truly gone is said to be missing, and what comes back under the same name is read again.
    (shard,) = reader.folder.glob("*.safetensors")
    content = shard.read_bytes()
    shard.unlink()
    with pytest.raises(StoreError, match="8 of 8 frames are not stored"):
        reader.get(keys_of(8))
    assert reader.missing(keys_of(8)) == keys_of(8)
    shard.write_bytes(content)
    assert reader.missing(keys_of(8)) == []
    np.testing.assert_array_equal(reader.get(keys_of(8)), expected)


def test_merged_shards_have_a_few_thousand_rows(tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    for i in range(10):
        store.put(keys_of(3, start=3 * i), vectors_of(3, start=100 * i))
    before = store.get(keys_of(30))
    assert store.compact(below=7) == 6
    sizes = sorted(len(read_shard(path)[0]) for path in store.folder.glob("*.safetensors"))
    assert sizes == [3, 9, 9, 9]
    np.testing.assert_array_equal(Store(tmp_path, IDENTITY).missing(keys_of(30)), [])
    np.testing.assert_array_equal(store.get(keys_of(30)), before)


def test_the_store_holds_keys_and_no_vectors(tmp_path: Path) -> None:
    """A frame of 512 values costs those who read it its vector once, and some forty bytes."""
    shards, rows, width = 40, 250, 512
    writer = Store(tmp_path, IDENTITY)
    for i in range(shards):
        writer.put(keys_of(rows, start=rows * i), vectors_of(rows, width))
    keys = keys_of(shards * rows)
    vectors = shards * rows * width * 4
    tracemalloc.start()
    reader = Store(tmp_path, IDENTITY)
    reader.missing(keys)
    kept, highest = tracemalloc.get_traced_memory()
    assert kept < vectors / 20
    assert highest < vectors / 4
    found = reader.get(keys)
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.nbytes == vectors
    assert highest < 1.3 * vectors


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}', "\xff", '{"name": "x", "version": 1}'])
def test_a_damaged_description_is_written_anew_and_stops_nobody(text: str, tmp_path: Path) -> None:
    store = Store(tmp_path, IDENTITY)
    store.put(keys_of(2), vectors_of(2))
    store.put(keys_of(2, 2), vectors_of(2))
    description = store.folder / "identity.json"
    whole = description.read_text("utf-8")
    description.write_text(text, "latin-1")
    (entry,) = entries(tmp_path)
    assert entry.frames == 4
    assert entry.identity == {}
    assert verify(tmp_path) == [description]
    collect_garbage(tmp_path)
    assert Store(tmp_path, IDENTITY).missing(keys_of(4)) == []
    assert description.read_text("utf-8") == whole
    description.unlink()
    assert next(entries(tmp_path)).frames == 4


@pytest.mark.parametrize(
    "content",
    [
        {"other": np.zeros(3, np.float32)},
        {"keys": np.zeros((2, 31), np.uint8), "vectors": np.zeros((2, 5), np.float32)},
        {"keys": np.zeros((2, 32), np.uint8), "vectors": np.zeros((3, 5), np.float32)},
        {"keys": np.zeros((2, 32), np.uint8), "vectors": np.zeros((2, 0), np.float32)},
        {"keys": np.zeros((2, 32), np.uint8), "vectors": np.zeros((2, 5), np.float16)},
        {"keys": np.zeros((2, 32), np.uint8), "vectors": np.full((2, 5), np.nan, np.float32)},
        None,
    ],
)
def test_a_shard_of_foreign_content_is_told_and_repaired(content: dict[str, np.ndarray] | None, tmp_path: Path) -> None:
    import hashlib

    from safetensors.numpy import save

    store = Store(tmp_path, IDENTITY)
    store.put(keys_of(2), vectors_of(2))
    data = b"not a shard" if content is None else save(content)
    foreign = store.folder / f"{hashlib.sha256(data).hexdigest()}.safetensors"
    foreign.write_bytes(data)
    with pytest.raises(StoreError, match="verify --repair"):
        Store(tmp_path, IDENTITY).missing(keys_of(2))
    collect_garbage(tmp_path)
    assert verify(tmp_path, repair=True) == [foreign]
    assert Store(tmp_path, IDENTITY).missing(keys_of(2)) == []
