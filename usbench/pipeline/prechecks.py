"""What can be known to fail before hours of encoding: a folder that cannot be written, a device that is not there, an
encoder that lacks something.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.devices import AUTO, VARIABLE
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    from usbench.encoder.base import Encoder


def check_writable(folder: Path, option: str) -> None:
    """Raise unless files can be made in a folder; a missing one is made for the trial and taken away again.

    Args:
        folder: The folder.
        option: What the message begins with, such as ``--results``.

    Raises:
        UsbenchError: It cannot be written.
    """
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".writable-", dir=folder)
        os.close(handle)
        Path(name).unlink()
        for place in missing:  # innermost first
            with contextlib.suppress(OSError):  # another process may have begun to use it
                place.rmdir()
    except OSError as error:
        raise UsbenchError(
            f"{option} {folder}: cannot be written ({error.strerror or error}). Choose another folder, or change its "
            "permissions."
        ) from None


def check_encoder(encoder: Encoder) -> None:
    """Raise unless an encoder has what it needs, and its device the instructions for its precision.

    Args:
        encoder: The encoder; its network is not built.

    Raises:
        UsbenchError: Weights or a package are missing, or the device does not multiply in int8 where that is asked for.
    """
    readiness = encoder.readiness()
    if not readiness.ready:
        raise UsbenchError(readiness.reason)
    if encoder.precision == "int8":
        from usbench.encoder import int8

        int8.require(encoder.name, encoder.device)


def check_device(device: str) -> None:
    """Raise unless torch can compute on a device.

    Args:
        device: Name such as ``cpu``, ``cuda`` or ``cuda:1``; ``auto`` is what ``USBENCH_DEVICE`` says, and else
            always there.

    Raises:
        UsbenchError: There is no such device here.
    """
    told = f"--device {device}"
    if device == AUTO:
        device = os.environ.get(VARIABLE, "").strip() or AUTO
        told = f"{VARIABLE}={device}"
    if device in ("cpu", AUTO):
        return  # without importing torch, as runs that are answered from the store do not need it
    import torch

    try:
        torch.empty(0, device=torch.device(device))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsbenchError(f"{told}: cannot be used ({reason}). Use --device cpu.") from None
