"""Types that every part shares."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frame = npt.NDArray[np.uint8]
    """A grey frame, ``(H, W)``, 0-255."""
    Vectors = npt.NDArray[np.float32]
    """One vector per row, ``(n, D)``."""
else:
    # Listing encoders imports this module, and importing numpy alone would take a third of that time.
    Frame = Vectors = Any

Progress = Callable[[str, int, int], None]
"""Told while work is done: what is being done, how much of it is done, and how much there is."""


def silent(text: str, done: int, total: int) -> None:
    """Be told of progress, and say nothing."""


__all__ = ["Frame", "Progress", "Vectors", "silent"]
