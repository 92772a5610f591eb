"""Probes: pure functions from embeddings, labels, subjects and splits to predictions.

Names resolve on first use, so that pages read :mod:`usbench.probes.facts` without loading any probe.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from usbench.probes.data import FoldChoice, ProbeData, ProbeResult, mean_by_unit
    from usbench.probes.protocols import PROTOCOLS, ProtocolInfo, get_protocol, run_protocol

_HOME = {
    "PROTOCOLS": "protocols",
    "FoldChoice": "data",
    "ProbeData": "data",
    "ProbeResult": "data",
    "ProtocolInfo": "protocols",
    "get_protocol": "protocols",
    "mean_by_unit": "data",
    "run_protocol": "protocols",
}

__all__ = [
    "PROTOCOLS",
    "FoldChoice",
    "ProbeData",
    "ProbeResult",
    "ProtocolInfo",
    "get_protocol",
    "mean_by_unit",
    "run_protocol",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
