"""What can be known to fail before hours of encoding: a folder that cannot be written, a device that is not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from usbench.errors import UsbenchError


def check_writable(folder: Path, option: str) -> None:
    """Raise unless files can be made in a folder, which is made where it is missing.

    Args:
        folder: The folder.
        option: What the message begins with, such as ``--results``.

    Raises:
        UsbenchError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".writable-", dir=folder)
        os.close(handle)
        Path(name).unlink()
    except OSError as error:
        raise UsbenchError(
            f"{option} {folder}: cannot be written ({error.strerror or error}). Choose another folder, or change its "
            "permissions."
        ) from None


def check_device(device: str) -> None:
    """Raise unless torch can compute on a device.

    Args:
        device: Name such as ``cpu``, ``cuda`` or ``cuda:1``.

    Raises:
        UsbenchError: There is no such device here.
    """
    if device == "cpu":
        return  # without importing torch, as runs that are answered from the store do not need it
    import torch

    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsbenchError(f"--device {device}: cannot be used ({reason}). Use --device cpu.") from None
