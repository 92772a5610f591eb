"""Every promise of the contract, broken by an encoder made for it: the check that is meant finds it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from usbench import Encoder, EncoderCard, grey_to_tensor
from usbench.conformance import Report, check_encoder, checks
from usbench.embedding.precision import multiplies_bfloat16
from usbench.errors import UsbenchError


class Good(Encoder):
    """A small network that keeps the contract."""

    card = EncoderCard(
        name="good",
        title="Good",
        embedding_dim=6,
        input_size=(24, 24),
        description="A test.",
        parameters=60,
        licence="Apache-2.0",
        citation="-",
        url="-",
        pretraining=(),
        poolings={"mean": "mean", "largest": "maximum"},
    )

    def load(self) -> torch.nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return torch.nn.Conv2d(1, 6, 3)

    def preprocess(self, frame: Any) -> torch.Tensor:
        return grey_to_tensor(frame, (24, 24))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        maps = self.network(batch)
        return maps.amax((2, 3)) if self.pooling == "largest" else maps.mean((2, 3))


def statuses(report: Report) -> dict[str, str]:
    return {finding.check: finding.status for finding in report.findings}


def test_a_good_encoder_passes_every_check() -> None:
    found = statuses(check_encoder(Good()))
    assert set(found.values()) == {"pass"}, found


class NotATensor(Good):
    def preprocess(self, frame: Any) -> Any:
        return np.zeros((1, 24, 24), np.float32)


class Bytes(Good):
    def preprocess(self, frame: Any) -> torch.Tensor:
        return torch.zeros(1, 24, 24, dtype=torch.uint8)


class OwnSize(Good):
    def preprocess(self, frame: Any) -> torch.Tensor:
        return grey_to_tensor(frame, (frame.shape[0] // 4, 24))


class TooSmall(Good):
    """Fails on frames that are smaller than a crop."""

    def preprocess(self, frame: Any) -> torch.Tensor:
        return grey_to_tensor(frame[2:-2, 2:-2], (24, 24))


class Draws(Good):
    def preprocess(self, frame: Any) -> torch.Tensor:
        return super().preprocess(frame) + 0.01 * torch.rand(1, 24, 24)


class Writes(Good):
    def preprocess(self, frame: Any) -> torch.Tensor:
        tensor = super().preprocess(frame)
        frame[:5] = 0
        return tensor


class MinMax(Good):
    """Divides by zero on a constant frame."""

    def preprocess(self, frame: Any) -> torch.Tensor:
        tensor = super().preprocess(frame)
        return (tensor - tensor.min()) / (tensor.max() - tensor.min())


class NoPooling(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network(batch)


class NotANumber(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return super().encode(batch) * torch.nan


class Constant(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.ones(len(batch), 6)


class Dropout(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.dropout(super().encode(batch), 0.5, training=True)


class BatchNorm(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        vectors = super().encode(batch)
        return vectors - vectors.mean(0)


class Position(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return super().encode(batch) + torch.arange(len(batch))[:, None]


class InPlace(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        vectors = super().encode(batch)
        batch.mul_(0.5)
        return vectors


class Trains(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        self.network.train()
        return super().encode(batch)


class Learns(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        self.network.weight.requires_grad_(True)
        return super().encode(batch)


class OtherIdentity(Good):
    calls: ClassVar[Iterator[int]] = count()

    def weights_id(self) -> str:
        return f"call {next(self.calls)}"


class WrongCard(Good):
    card = replace(Good.card, parameters=61)


class WrongSize(Good):
    card = replace(Good.card, input_size=(32, 32))


class WrongLength(Good):
    card = replace(Good.card, embedding_dim=7)


class CannotBuild(Good):
    def load(self) -> torch.nn.Module:
        raise UsbenchError("the weights are on another planet")


class Crashes(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return batch @ torch.ones(7, 7)


@pytest.mark.parametrize(
    ("kind", "check", "message"),
    [
        (NotATensor, "preprocess", "must return a tensor, got ndarray"),
        (Bytes, "preprocess", "floating-point numbers, got torch.uint8"),
        (OwnSize, "preprocess", "different shapes"),
        (TooSmall, "odd sizes", ""),
        (Draws, "preprocess repeats", "remove randomness"),
        (Writes, "input unchanged", "changes the frame"),
        (MinMax, "extreme frames", "all black; guard the division"),
        (NoPooling, "output", "Pool the output to one vector per frame"),
        (NotANumber, "output", "3 of 3 vectors hold NaN"),
        (Constant, "frames distinct", "one and the same vector"),
        (Dropout, "deterministic", "is dropout or sampling active"),
        (BatchNorm, "batch size", "batch norm in training mode"),
        (Position, "batch order", "reversing the batch"),
        (InPlace, "batch unchanged", "operations in place"),
        (Trains, "frozen", "in training mode"),
        (Learns, "frozen", "asks for gradients: weight"),
        (OtherIdentity, "identity", "changes between calls"),
        (WrongCard, "card true", "the card says 61 parameters, the network has 60"),
        (WrongSize, "card true", "the card says input (32, 32), preprocess() gives (24, 24)"),
        (WrongLength, "card true", "the card says 7 values, encode() gives 6"),
        (CannotBuild, "ready", "another planet"),
        (Crashes, "output", "RuntimeError"),
    ],
)
def test_a_broken_promise_is_found(kind: type[Encoder], check: str, message: str) -> None:
    report = check_encoder(kind())
    assert not report.passed
    (finding,) = [finding for finding in report.findings if finding.check == check]
    assert finding.status == "fail"
    assert message in finding.message
    first = report.failures[0]
    assert first.check == check, f"found by {first} before"


def test_an_error_names_the_line_of_the_plugin() -> None:
    (finding,) = [f for f in check_encoder(Crashes()).findings if f.check == "output"]
    assert "test_contract.py, line " in finding.message


class Coarse(Good):
    """Vectors that differ far below the precision of bfloat16, around a large constant."""

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        vectors = super().encode(batch) + 300
        return vectors.bfloat16().float() if torch.is_autocast_enabled("cpu") else vectors


def test_bf16_is_not_emulated_where_that_takes_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "EMULATED_SECONDS", 0.0)
    found = {finding.check: finding for finding in check_encoder(Good()).findings}
    if multiplies_bfloat16("cpu"):
        assert found["bf16"].status == "pass"
    else:
        assert found["bf16"].status == "skip"
        assert "only emulates bf16" in found["bf16"].message


def test_drift_of_bf16_is_measured_against_the_distance_between_frames() -> None:
    found = {finding.check: finding for finding in check_encoder(Coarse()).findings}
    assert found["bf16"].status == "warn"
    assert "cosine 1.00000; do not use --precision bf16" in found["bf16"].message


class Unpoolable(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        if self.pooling == "largest":
            raise UsbenchError("it has no maximum")
        return super().encode(batch)


class Ignored(Good):
    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network(batch).mean((2, 3))


def test_variants_that_do_not_work_or_do_nothing() -> None:
    for kind, message in ((Unpoolable, "it has no maximum"), (Ignored, "gives the vectors of 'mean'")):
        encoder = kind()
        (finding,) = [f for f in check_encoder(encoder).findings if f.check == "variants"]
        assert finding.status == "warn"
        assert message in finding.message
        assert encoder.pooling == "mean"


def test_a_card_that_says_little_is_a_warning() -> None:
    class Silent(Good):
        card = replace(Good.card, citation="", licence="not stated", pretraining=None)

    report = check_encoder(Silent())
    assert report.passed
    assert report.findings[0].status == "warn"
    assert report.findings[0].message == "not stated on the card: citation, licence, pretraining"


def test_poolings_that_differ_when_asked_for_together() -> None:
    class Careless(Good):
        def encode_poolings(self, batch: torch.Tensor, poolings: Any) -> dict[str, torch.Tensor]:
            return {name: self.encode(batch) * (1 + 1e-6) for name in poolings}

    (finding,) = [f for f in check_encoder(Careless()).findings if f.check == "variants"]
    assert finding.status == "fail"
    assert finding.message == "pooling 'largest' is another from encode_poolings() than from encode()"
