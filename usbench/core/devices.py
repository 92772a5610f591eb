"""Which device ``auto`` is: CUDA, else Apple's MPS, else the CPU.

Where nothing hints at a GPU, torch is not imported to find out, so that commands which are answered from the store stay
quick.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache
from pathlib import Path

AUTO = "auto"
VARIABLE = "USBENCH_DEVICE"
"""Environment variable that says what ``auto`` is."""

# What Linux shows of an NVIDIA driver, of AMD's, and of the GPU behind Windows' subsystem for Linux.
_NODES = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")


if sys.platform == "darwin":
    # Read when torch is first imported, so that it cannot be set any later; operations that MPS lacks are then computed
    # on the CPU.
    os.environ.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")


def resolve_device(device: str) -> str:
    """Return the device to compute on.

    Args:
        device: Name of a torch device, returned as it is, or ``auto``.

    Returns:
        For ``auto`` the value of ``USBENCH_DEVICE`` if there is one, else ``cuda``, ``mps`` or ``cpu``.
    """
    if device != AUTO:
        return device
    named = os.environ.get(VARIABLE, "").strip()
    return named if named and named != AUTO else _found()


def describe_device(device: str) -> str:
    """Return the name of a device as users know it, such as ``cuda (NVIDIA H100 80GB HBM3)``."""
    if not device.startswith("cuda"):
        return device
    import torch

    return f"{device} ({torch.cuda.get_device_name(device)})"


@lru_cache(maxsize=1)
def _found() -> str:
    if not _may_have_gpu():
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def _may_have_gpu() -> bool:
    """Say, without importing torch, whether it is worth asking torch."""
    if sys.platform == "darwin":
        return os.uname().machine == "arm64"
    return sys.platform == "win32" or any(Path(node).exists() for node in _NODES)
