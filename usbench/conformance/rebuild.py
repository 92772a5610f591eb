"""Building an encoder a second time, here or in a process of its own, to see whether it is the same encoder."""

from __future__ import annotations

import copy
import io
import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from usbench.core.types import Vectors
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import torch

MARK = b"\n--- vectors ---\n"
"""What stands before the vectors in the output of the second process; libraries may have printed before it."""

SECONDS = 1800
"""Time after which the second process is given up."""


def built_again(encoder: Encoder, batch: torch.Tensor) -> tuple[str, Vectors]:
    """Build a second copy in this process.

    Args:
        encoder: The encoder.
        batch: Preprocessed frames.

    Returns:
        The digest of its identity, and its vectors.
    """
    again = copy.copy(encoder)
    again._network, again._loaded = None, False
    return again.identity().digest(), again.encode_batch(batch)


def built_elsewhere(made_from: dict[str, Any]) -> tuple[str, Vectors]:
    """Build it in a second process, whose order of sets and hashes is another one.

    Args:
        made_from: Arguments of :func:`usbench.plugins.catalog.load_encoder`.

    Returns:
        The digest of its identity, and its vectors of the typical frames.

    Raises:
        UsbenchError: It cannot be built there.
    """
    import numpy as np

    environment = {**os.environ, "PYTHONHASHSEED": "random", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-m", "usbench.cli.rebuild"],
        input=json.dumps(made_from).encode(),
        capture_output=True,
        env=environment,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise UsbenchError(f"in a second process it cannot be built: {lines[-1]}")
    content = done.stdout[done.stdout.index(MARK) + len(MARK) :]
    with np.load(io.BytesIO(content), allow_pickle=False) as found:
        return str(found["identity"]), found["vectors"]
