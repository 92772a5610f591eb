"""Texture ultrasound semantic analysis: the network, its trainer, and open weights.

Importing the package costs nothing: torch and MONAI are imported when a name that needs them is first used.

>>> import tusa
>>> config = tusa.TusaConfig(channels=3)  # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tusa.errors import TusaError

if TYPE_CHECKING:
    from tusa.encoder import SwinEncoder
    from tusa.network import Tusa, TusaConfig, TusaOutput
    from tusa.preprocessing import preprocess
    from tusa.weights import load_authors_weights, load_encoder, load_open_weights, load_weights, open_weights_path

_HOMES = {
    "SwinEncoder": "tusa.encoder",
    "Tusa": "tusa.network",
    "TusaConfig": "tusa.network",
    "TusaOutput": "tusa.network",
    "preprocess": "tusa.preprocessing",
    "load_authors_weights": "tusa.weights",
    "load_encoder": "tusa.weights",
    "load_open_weights": "tusa.weights",
    "load_weights": "tusa.weights",
    "open_weights_path": "tusa.weights",
}

__all__ = [
    "SwinEncoder",
    "Tusa",
    "TusaConfig",
    "TusaError",
    "TusaOutput",
    "load_authors_weights",
    "load_encoder",
    "load_open_weights",
    "load_weights",
    "open_weights_path",
    "preprocess",
]


def __getattr__(name: str) -> Any:
    """Import the module that holds a public name on the name's first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tusa' has no attribute {name!r}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
