"""Device ``auto``: CUDA, else MPS, else the CPU, without importing torch where there is nothing to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import usbench
from usbench.core import devices
from usbench.core.devices import describe_device, resolve_device
from usbench.core.types import Frame
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.encoder.combined import Combined
from usbench.errors import UsbenchError
from usbench.pipeline.prechecks import check_device
from usbench.sweep.specs import EncoderSpec


class Baseline(Encoder):
    """The least that an encoder can be."""

    card = EncoderCard(name="baseline", title="Baseline", embedding_dim=1, parameters=0, pretraining=())

    def preprocess(self, frame: Frame) -> Any:
        import torch

        return torch.tensor([frame.mean()], dtype=torch.float32)

    def encode(self, batch: Any) -> Any:
        return batch


@pytest.fixture(autouse=True)
def asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("USBENCH_DEVICE")
    devices._found.cache_clear()


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False,) * 2 + ("cpu",)],
)
def test_the_best_device_that_torch_has_is_taken(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(devices, "_may_have_gpu", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert resolve_device("auto") == expected


def test_a_driver_is_seen_by_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(devices, "_NODES", (str(tmp_path / "nvidiactl"),))
    assert not devices._may_have_gpu()
    (tmp_path / "nvidiactl").touch()
    assert devices._may_have_gpu()


def test_what_is_named_is_taken_as_it_is_and_the_environment_says_what_auto_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert resolve_device("cuda:1") == "cuda:1"
    monkeypatch.setenv("USBENCH_DEVICE", "cuda:3")
    assert resolve_device("auto") == "cuda:3"
    assert resolve_device("cpu") == "cpu"
    assert usbench.load_encoder("pixels").device == "cuda:3"
    assert usbench.load_encoder("pixels", device="cpu").device == "cpu"
    assert Combined([usbench.load_encoder("pixels"), usbench.load_encoder("texture")]).device == "cuda:3"
    assert EncoderSpec("pixels", device="auto").device == "cuda:3"
    assert EncoderSpec("pixels").device == "cpu"
    assert describe_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused_and_auto_never_is() -> None:
    check_device("auto")
    with pytest.raises(UsbenchError, match=r"--device nothing: cannot be used .*Use --device cpu"):
        check_device("nothing")


def test_what_the_environment_says_is_checked_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBENCH_DEVICE", "nothing")
    check_device("cpu")
    with pytest.raises(UsbenchError, match=r"USBENCH_DEVICE=nothing: cannot be used"):
        check_device("auto")


class OnlyCpu(Baseline):
    """Cannot compute anywhere else."""

    def runs_on(self, device: str) -> bool:
        return device == "cpu"


def test_an_encoder_that_cannot_use_the_gpu_stays_on_the_cpu_unless_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBENCH_DEVICE", "mps")
    assert OnlyCpu().device == "cpu"
    assert OnlyCpu(device="mps").device == "mps"
    assert Combined([OnlyCpu(), usbench.load_encoder("texture")]).device == "cpu"


def test_graphs_stay_on_the_cpu_where_onnxruntime_has_no_provider(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    (tmp_path / "net.onnx").write_bytes(b"\x08\x09\x12\x04")
    graph = usbench.load_encoder(f"onnx:{tmp_path / 'net.onnx'}")
    monkeypatch.setenv("USBENCH_DEVICE", "mps")
    assert graph.device == "cpu"
    monkeypatch.setenv("USBENCH_DEVICE", "cuda")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert usbench.load_encoder(f"onnx:{tmp_path / 'net.onnx'}").device == "cpu"
    assert EncoderSpec(f"onnx:{tmp_path / 'net.onnx'}", device="auto").device == "cpu"
    assert EncoderSpec("nobody-knows-it", device="auto").device == "cuda"  # told when the encoder is needed
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert usbench.load_encoder(f"onnx:{tmp_path / 'net.onnx'}").device == "cuda"


def test_plugins_and_states_of_before_keep_their_device() -> None:
    class Plain(Baseline):
        device = "cpu"  # type: ignore[assignment]

    assert Plain().device == "cpu"
    old = usbench.load_encoder("pixels", device="cpu").__getstate__()
    del old["_device"]
    fresh = usbench.load_encoder("pixels", device="cuda:7")
    fresh.__setstate__({**old, "device": "cpu"})
    assert fresh.device == "cpu"


def test_listing_and_a_machine_without_gpu_import_no_torch() -> None:
    program = (
        "import sys, usbench; e = usbench.load_encoder('tusa.random'); "
        "from usbench.core import devices; devices._NODES = (); assert e.device == 'cpu', e.device; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
