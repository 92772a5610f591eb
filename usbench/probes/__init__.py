"""Probes: pure functions from embeddings, labels, subjects and splits to predictions."""

from usbench.probes.data import FoldChoice, Prediction, ProbeData, ProbeResult, mean_by_unit
from usbench.probes.protocols import PROTOCOLS, ProtocolInfo, get_protocol, run_protocol

__all__ = [
    "PROTOCOLS",
    "FoldChoice",
    "Prediction",
    "ProbeData",
    "ProbeResult",
    "ProtocolInfo",
    "get_protocol",
    "mean_by_unit",
    "run_protocol",
]
