"""Encoders of a few operations for sweeps, and some that go wrong. They are loaded by path, as a user's are."""

from __future__ import annotations

import os
import signal
import time  # noqa: F401 - for plugins that are written on top of these
from pathlib import Path

import torch

from usbench.core.types import Frame
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.encoder.preprocessing import grey_to_tensor


class Tiny(Encoder):
    """A frozen convolution and a frozen layer, seeded."""

    card = EncoderCard(name="tiny", title="Tiny", embedding_dim=12, input_size=(32, 32), parameters=1000, gflops=0.001)
    batch_size = 8

    def load(self) -> torch.nn.Module:
        generator = torch.Generator().manual_seed(7)
        network = torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 5, stride=3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(600, 12)
        )
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1, generator=generator)
        return network

    def weights_id(self) -> str:
        return "init:7"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (32, 32))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network(batch)  # type: ignore[no-any-return]


class Clumsy(Tiny):
    """Fails on every picture."""

    card = EncoderCard(name="clumsy", title="Clumsy", embedding_dim=12, parameters=1000)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        raise ValueError("dropped it")


class Mortal(Tiny):
    """Takes its whole process with it, once: the first time that it encodes anything."""

    card = EncoderCard(name="mortal", title="Mortal", embedding_dim=12, parameters=1000)

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        mark = Path(os.environ["USBENCH_TEST_MARK"])
        try:
            mark.touch(exist_ok=False)
        except FileExistsError:
            return super().encode(batch)
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError("unreachable")
