"""The encoder contract: what an encoder is, its card, and its weights.

Names resolve on first use: listing encoders and tasks imports this package.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from usbench.core.types import Frame, Vectors
    from usbench.encoder.base import PRECISIONS, Encoder
    from usbench.encoder.card import EncoderCard, EncoderIdentity, PackagedFile, Readiness, WeightsSource
    from usbench.encoder.preprocessing import grey_to_tensor

_HOME = {
    "Frame": "usbench.core.types",
    "Vectors": "usbench.core.types",
    "Encoder": "usbench.encoder.base",
    "EncoderCard": "usbench.encoder.card",
    "EncoderIdentity": "usbench.encoder.card",
    "PRECISIONS": "usbench.encoder.base",
    "PackagedFile": "usbench.encoder.card",
    "Readiness": "usbench.encoder.card",
    "WeightsSource": "usbench.encoder.card",
    "grey_to_tensor": "usbench.encoder.preprocessing",
}

__all__ = [
    "PRECISIONS",
    "Encoder",
    "EncoderCard",
    "EncoderIdentity",
    "Frame",
    "PackagedFile",
    "Readiness",
    "Vectors",
    "WeightsSource",
    "grey_to_tensor",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
