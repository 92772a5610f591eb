"""Precision ``auto``: settled by a check, before anything is stored, and a part of the store's key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from usbench.core.types import Frame
from usbench.data.frames import FrameRef, frame_key
from usbench.embedding.extract import extract
from usbench.embedding.precision import COSINE, lowest_cosine, multiplies_bfloat16, resolve_precision
from usbench.embedding.store import Store
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.encoder.preprocessing import grey_to_tensor
from usbench.errors import UsbenchError
from usbench.plugins.catalog import DATASETS


class Smooth(Encoder):
    """Projects pixels; bfloat16 costs it next to nothing."""

    card = EncoderCard(name="smooth", title="Smooth", embedding_dim=16)

    def load(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Linear(64, 16)

    def weights_id(self) -> str:
        return "init:0"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (8, 8)).flatten()

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network(batch)  # type: ignore[no-any-return]


class Touchy(Smooth):
    """Subtracts what it has in common with float32, so that only the rounding is left in bfloat16."""

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        exact = torch.nn.functional.linear(batch.double(), self.network.weight.double(), self.network.bias.double())
        return (super().encode(batch).double() - exact).float() * 1e4 + 1e-3 * exact.float()


@pytest.fixture
def dataset(bus_bra_subset: Path) -> Any:
    return DATASETS.get("bus-bra-subset").value(bus_bra_subset)


@pytest.fixture
def refs(dataset: Any) -> list[FrameRef]:
    paths = dataset.index.table["path"].head(6)
    return [FrameRef(path, 0, frame_key(dataset.digest(path), 0, "test")) for path in paths]


def test_close_vectors_give_bf16_and_a_store_of_their_own(tmp_path: Path, dataset: Any, refs: list[FrameRef]) -> None:
    encoder, exact = Smooth(precision="auto"), Smooth()
    decision = resolve_precision(encoder, dataset, refs, gains=True)
    assert decision is not None
    assert decision.cosine is not None
    assert decision.precision == encoder.precision == encoder.identity().precision == "bf16"
    assert COSINE <= decision.cosine <= 1 + 1e-9
    assert encoder.identity().digest() != exact.identity().digest()
    done = extract(encoder, dataset, refs, Store(tmp_path, encoder.identity()))
    other = extract(exact, dataset, refs, Store(tmp_path, exact.identity()))
    assert other.encoded == len(refs), "vectors of another precision must not be taken from the store"
    assert not np.array_equal(done.vectors, other.vectors)
    assert lowest_cosine(done.vectors, other.vectors) > COSINE


def test_vectors_that_bf16_would_change_stay_fp32(dataset: Any, refs: list[FrameRef]) -> None:
    encoder = Touchy(precision="auto")
    decision = resolve_precision(encoder, dataset, refs, gains=True)
    assert decision is not None
    assert decision.cosine is not None
    assert decision.cosine < COSINE
    assert encoder.precision == "fp32"
    assert "fp32" in decision.describe()


def test_a_device_that_only_emulates_bf16_stays_fp32(dataset: Any, refs: list[FrameRef]) -> None:
    encoder = Smooth(precision="auto")
    decision = resolve_precision(encoder, dataset, refs, gains=False)
    assert decision is not None
    assert decision.cosine is None
    assert encoder.precision == "fp32"
    assert "no instructions for bf16" in decision.describe()


def test_the_device_decides_where_nobody_else_does(dataset: Any, refs: list[FrameRef]) -> None:
    encoder = Smooth(precision="auto")
    resolve_precision(encoder, dataset, refs)
    assert encoder.precision == ("bf16" if multiplies_bfloat16("cpu") else "fp32")


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the kernel's list of features is compared")
def test_the_processor_is_asked_for_its_instructions() -> None:
    features = Path("/proc/cpuinfo").read_text("utf-8").split()
    assert multiplies_bfloat16("cpu") == bool({"avx512_bf16", "amx_bf16", "bf16"} & set(features))


def test_a_chosen_precision_is_left_alone(dataset: Any, refs: list[FrameRef]) -> None:
    encoder = Touchy(precision="bf16")
    assert resolve_precision(encoder, dataset, refs) is None
    assert encoder.precision == "bf16"


def test_unsettled_encoders_have_no_identity_and_encode_nothing() -> None:
    encoder = Smooth(precision="auto")
    with pytest.raises(UsbenchError, match="settled"):
        encoder.identity()
    with pytest.raises(UsbenchError, match="settled"):
        encoder.encode_frames([np.zeros((9, 9), np.uint8)])


def test_lowest_cosine_by_hand() -> None:
    one = np.array([[1, 0], [0, 0], [3, 4]], np.float32)
    assert lowest_cosine(one, np.array([[2, 0], [0, 0], [4, 3]], np.float32)) == pytest.approx(24 / 25)
    assert lowest_cosine(one, np.array([[2, 0], [1, 0], [3, 4]], np.float32)) == 0
