"""The store at an address: the same promises as in a folder, on fsspec's file system in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from usbench import load_dataset
from usbench.core.object_store import open_address, remove_folder
from usbench.core.settings import load_settings
from usbench.data.frames import frame_key
from usbench.embedding import store as stores
from usbench.embedding.store import Store
from usbench.embedding.store_upkeep import collect_garbage, entries, verify
from usbench.encoder.card import EncoderIdentity
from usbench.errors import StoreError
from usbench.pipeline.context import Options, prepare
from usbench.pipeline.experiment import run_prepared
from usbench.plugins.catalog import load_encoder, load_task

IDENTITY = EncoderIdentity("mine", 1, "none", "default", "default", "fp32")
KEYS = [frame_key("a" * 64, frame, "test") for frame in range(6)]
VECTORS = np.arange(18, dtype=np.float32).reshape(6, 3)


def run_one(encoder, task, options, settings):
    return run_prepared(prepare(encoder, task, options, settings), options, settings)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    pytest.importorskip("upath")
    place = open_address(f"memory://{tmp_path.name}/store")
    yield place
    if place.exists():
        remove_folder(place)


def test_what_one_process_publishes_another_finds(root: Path) -> None:
    reader = Store(root, IDENTITY)
    assert reader.missing(KEYS) == KEYS
    writer = Store(root, IDENTITY)
    writer.put(KEYS[:4], VECTORS[:4])
    assert reader.missing(KEYS) == KEYS[4:]
    writer.put(KEYS[4:], VECTORS[4:])
    reader.refresh()
    assert np.array_equal(reader.get(KEYS), VECTORS)


def test_shards_are_listed_merged_and_removed(root: Path) -> None:
    writer = Store(root, IDENTITY)
    writer.put(KEYS[:4], VECTORS[:4])
    writer.put(KEYS[4:], VECTORS[4:])
    (entry,) = entries(root)
    assert (entry.frames, entry.dimension, entry.shards, entry.identity["name"]) == (6, 3, 2, "mine")
    assert collect_garbage(root) > 0
    (entry,) = entries(root)
    assert (entry.frames, entry.shards) == (6, 1)
    fresh = Store(root, IDENTITY)
    assert fresh.missing(KEYS) == []
    assert np.array_equal(fresh.get(KEYS), VECTORS)
    collect_garbage(root, unused_days=1)
    assert len(list(entries(root))) == 1  # written just now
    collect_garbage(root, names=["mine"])
    assert list(entries(root)) == []


def test_a_damaged_object_is_found(root: Path) -> None:
    path = Store(root, IDENTITY).put(KEYS, VECTORS)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(StoreError, match="checksum"):
        Store(root, IDENTITY).missing(KEYS)
    assert [damaged.name for damaged in verify(root, repair=True)] == [path.name]
    assert Store(root, IDENTITY).missing(KEYS) == KEYS


def test_an_upload_that_fails_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = Store(root, IDENTITY)

    def refuse(path: str, value: bytes, **options: object) -> None:
        raise PermissionError("Forbidden")

    with monkeypatch.context() as broken:
        broken.setattr(root.fs, "pipe_file", refuse)  # type: ignore[attr-defined]
        with pytest.raises(StoreError, match=r"Forbidden.* credentials"):
            writer.put(KEYS, VECTORS)
    assert Store(root, IDENTITY).missing(KEYS) == KEYS


def test_a_run_keeps_its_vectors_at_the_address(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = load_dataset("bus-bra-subset").index.table.head(60)
    assert set(table["pathology"]) == {"benign", "malignant"}
    monkeypatch.setenv("USBENCH_STORE", str(root))
    settings = load_settings()
    folder = load_dataset("bus-bra-subset").root
    rows = table.assign(path=[str(folder / path) for path in table["path"]], label=table["pathology"])
    rows[["path", "subject", "label"]].to_csv(tmp_path / "mine.csv", index=False)
    task = tmp_path / "task.toml"
    task.write_text(
        'dataset = "mine.csv"\ntarget = "label"\npositive = "malignant"\nunit = "image"\n[split]\nfolds = 3\n'
    )
    first = run_one(load_encoder("texture"), load_task(str(task)), Options(), settings)
    again = run_one(load_encoder("texture"), load_task(str(task)), Options(), settings)
    assert first.provenance["timings"]["encoded_now"] == 60
    assert again.provenance["timings"]["encoded_now"] == 0
    assert first.protocols == again.protocols
    assert not (settings.cache_dir / "embeddings").exists()
    # A cache that is named holds everything.
    assert load_settings(cache_dir=tmp_path).store_dir == tmp_path / "embeddings"
    assert stores.Store(settings.store_dir, load_encoder("texture").identity()).folder.exists()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("sftp://host/store", "not known to publish a file in one step"),
        ("s4://bucket/store", "not known to publish"),
        ("gs://bucket/store", "gcsfs"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(address: str, told: str) -> None:
    pytest.importorskip("upath")
    if address.startswith("gs:"):
        try:
            import gcsfs  # noqa: F401
        except ImportError:
            pass
        else:
            pytest.skip("gcsfs is installed")
    with pytest.raises(StoreError, match=told):
        open_address(address)
