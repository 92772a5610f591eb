"""The extraction engine on real images: overlap, order, resumption, interruption, contract."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from usbench.core.types import Frame
from usbench.data.frames import FrameRef, frame_key
from usbench.embedding import extract as extraction
from usbench.embedding.extract import extract
from usbench.embedding.store import Store
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.encoder.preprocessing import grey_to_tensor
from usbench.errors import EncodingError
from usbench.plugins.catalog import DATASETS


class Rows(Encoder):
    """Mean intensity of eight bands, through a frozen linear layer; counts what it is asked to encode."""

    card = EncoderCard(name="rows", title="Rows", embedding_dim=3, parameters=27)
    batch_size = 4

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.encoded = 0

    def load(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Linear(8, 3)

    def weights_id(self) -> str:
        return "init:0"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (8, 8)).mean(dim=(0, 2))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        self.encoded += len(batch)
        return self.network(batch)  # type: ignore[no-any-return]


@pytest.fixture
def dataset(bus_bra_subset: Path) -> Any:
    return DATASETS.get("bus-bra-subset").value(bus_bra_subset)


def references(dataset: Any, count: int) -> list[FrameRef]:
    paths = dataset.index.table["path"].head(count)
    return [FrameRef(path, 0, frame_key(dataset.digest(path), 0, "test")) for path in paths]


def expected(encoder: Encoder, dataset: Any, refs: Sequence[FrameRef]) -> np.ndarray:
    frames = []
    for ref in refs:
        with dataset.open(ref.path) as media:
            frames.append(media.frames([ref.frame])[0])
    return encoder.encode_frames(frames)


def test_same_vectors_as_one_by_one_in_the_order_asked(tmp_path: Path, dataset: Any) -> None:
    refs = references(dataset, 23)
    asked = [*reversed(refs), refs[0]]
    encoder = Rows()
    done = extract(encoder, dataset, asked, Store(tmp_path, encoder.identity()), workers=3)
    assert done.encoded == 23
    np.testing.assert_allclose(done.vectors, expected(Rows(), dataset, asked), atol=1e-6)


def test_second_run_encodes_nothing(tmp_path: Path, dataset: Any) -> None:
    refs = references(dataset, 9)
    extract(Rows(), dataset, refs, Store(tmp_path, Rows().identity()))
    again = Rows()
    done = extract(again, dataset, refs, Store(tmp_path, again.identity()))
    assert (done.encoded, again.encoded) == (0, 0)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, EncodingError])
def test_interrupted_run_continues(
    tmp_path: Path, dataset: Any, monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]
) -> None:
    refs = references(dataset, 20)
    encoder = Rows()

    def progress(done: int, total: int) -> None:
        if done >= 8:
            raise stop("now")

    with pytest.raises(stop):
        extract(encoder, dataset, refs, Store(tmp_path, encoder.identity()), progress=progress)
    done = extract(encoder, dataset, refs, Store(tmp_path, encoder.identity()))
    assert done.encoded == 12
    assert encoder.encoded == 20
    np.testing.assert_allclose(done.vectors, expected(Rows(), dataset, refs), atol=1e-6)


def test_shards_are_published_on_the_way(tmp_path: Path, dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "SHARD_FRAMES", 4)
    encoder = Rows()
    store = Store(tmp_path, encoder.identity())
    seen = []
    extract(
        encoder,
        dataset,
        references(dataset, 12),
        store,
        progress=lambda done, total: seen.append(len(list(store.folder.glob("*.safetensors")))),
    )
    assert seen == [0, 1, 2, 3]


def test_nan_is_refused_and_not_stored(tmp_path: Path, dataset: Any) -> None:
    class Broken(Rows):
        def encode(self, batch: torch.Tensor) -> torch.Tensor:
            return super().encode(batch) / 0

    encoder = Broken()
    store = Store(tmp_path, encoder.identity())
    with pytest.raises(EncodingError, match="NaN or infinity"):
        extract(encoder, dataset, references(dataset, 4), store)
    assert not list(store.folder.glob("*.safetensors"))


def test_wrong_shapes_are_named(tmp_path: Path, dataset: Any) -> None:
    class Unpooled(Rows):
        def encode(self, batch: torch.Tensor) -> torch.Tensor:
            return super().encode(batch)[:, None]

    class Ragged(Rows):
        def preprocess(self, frame: Frame) -> torch.Tensor:
            return torch.from_numpy(frame.copy()).float()[0]

    for kind, message in ((Unpooled, r"must return shape \(4, D\)"), (Ragged, "different shapes")):
        encoder = kind()
        with pytest.raises(EncodingError, match=message):
            extract(encoder, dataset, references(dataset, 12), Store(tmp_path / kind.__name__, encoder.identity()))


def test_plugin_failure_names_encoder_and_file(tmp_path: Path, dataset: Any) -> None:
    class Fragile(Rows):
        def preprocess(self, frame: Frame) -> torch.Tensor:
            raise ZeroDivisionError("no contrast")

    encoder = Fragile()
    with pytest.raises(EncodingError, match=r"rows: preprocess\(\) failed on .*png: ZeroDivisionError: no contrast"):
        extract(encoder, dataset, references(dataset, 2), Store(tmp_path, encoder.identity()))


def test_transform_is_applied_before_preprocessing(tmp_path: Path, dataset: Any) -> None:
    refs = references(dataset, 3)
    encoder = Rows()
    done = extract(
        encoder, dataset, refs, Store(tmp_path, encoder.identity()), transform=lambda frame, key: np.zeros_like(frame)
    )
    assert np.ptp(done.vectors, axis=0).max() == 0
