"""Device ``auto``: CUDA, else MPS, else the CPU, without importing torch where there is nothing to find."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import usbench
from usbench.core import devices
from usbench.core.devices import describe_device, resolve_device
from usbench.encoder.combined import Combined
from usbench.errors import UsbenchError
from usbench.pipeline.prechecks import check_device
from usbench.sweep.specs import EncoderSpec


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


def test_listing_and_a_machine_without_gpu_import_no_torch() -> None:
    program = (
        "import sys, usbench; e = usbench.load_encoder('tusa.random'); "
        "from usbench.core import devices; devices._NODES = (); assert e.device == 'cpu', e.device; "
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
