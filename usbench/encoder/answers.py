"""What an encoder is given and what it answers, held to the contract."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.types import Vectors
from usbench.errors import EncodingError, UsbenchError

if TYPE_CHECKING:
    import torch


def checked_tensor(name: str, tensor: object, where: str = "") -> torch.Tensor:
    """Return what ``preprocess()`` gave, if it is a tensor.

    Args:
        name: Name of the encoder.
        tensor: What it gave.
        where: What the frame is of, for the message.

    Raises:
        EncodingError: It is something else.
    """
    import torch

    if not isinstance(tensor, torch.Tensor):
        at = f" on {where}" if where else ""
        hint = " Use torch.from_numpy()." if type(tensor).__module__ == "numpy" else ""
        raise EncodingError(f"{name}: preprocess() must return a tensor, got {type(tensor).__name__}{at}.{hint}")
    return tensor


def checked_vectors(name: str, output: object, count: int) -> Vectors:
    """Return what ``encode()`` gave as an array.

    Args:
        name: Name of the encoder.
        output: What it gave.
        count: Frames in the batch.

    Returns:
        float32 ``(count, D)``.

    Raises:
        EncodingError: It is no tensor, its shape is wrong, or values are not finite.
    """
    import numpy as np
    import torch

    if not isinstance(output, torch.Tensor):
        raise EncodingError(f"{name}: encode() must return a tensor, got {type(output).__name__}.")
    if output.ndim != 2 or output.shape[0] != count:
        raise EncodingError(
            f"{name}: encode() must return shape ({count}, D), got {tuple(output.shape)}. "
            "Pool the output to one vector per frame."
        )
    vectors: Vectors = output.detach().to("cpu", torch.float32).numpy()
    if not np.isfinite(vectors).all():
        bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
        raise EncodingError(
            f"{name}: {len(bad)} of {count} vectors hold NaN or infinity (first at position {bad[0]} of the "
            "batch). Check the weights and preprocess(), for example a division by zero on a constant frame."
        )
    return vectors


def refuse_one_picture(frames: object) -> None:
    """Raise when one picture was given for a list of them: its rows would be taken for frames.

    Raises:
        UsbenchError: It was.
    """
    shape = tuple(getattr(frames, "shape", ()))
    one = len(shape) == 2 or (len(shape) == 3 and shape[-1] in (1, 2, 3, 4))
    if one or isinstance(frames, str | bytes | Path) or not hasattr(frames, "__len__"):
        what = f"one picture of shape {list(shape)}" if one else f"{type(frames).__name__}, not a list of pictures"
        raise UsbenchError(f"encode_frames: got {what}. Put it in a list: encode_frames([image]).")
