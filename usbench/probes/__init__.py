"""Probes: pure functions from embeddings, labels, subjects and splits to predictions."""

from usbench.probes.data import FoldChoice, Prediction, ProbeData, ProbeResult, mean_by_unit
from usbench.probes.optimism import Optimism, optimism
from usbench.probes.projection import MapQuality, knn_accuracy, map_quality, umap_projection
from usbench.probes.protocols import PROTOCOLS, ProtocolInfo, get_protocol, run_protocol

__all__ = [
    "PROTOCOLS",
    "FoldChoice",
    "MapQuality",
    "Optimism",
    "Prediction",
    "ProbeData",
    "ProbeResult",
    "ProtocolInfo",
    "get_protocol",
    "knn_accuracy",
    "map_quality",
    "mean_by_unit",
    "optimism",
    "run_protocol",
    "umap_projection",
]
