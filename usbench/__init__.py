"""usbench: frozen image encoders for B-mode ultrasound, compared with the evidence beside every figure.

The public API, imported on first use::

    import usbench

    results = usbench.run(encoder=["tusa", "texture"], task="breast_lesion")
    results.to_frame()

    encoder = usbench.load_encoder("tusa")
    vectors = encoder.encode_frames([image])     # float32 [1, 576]
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from usbench.api import run
    from usbench.data.dataset import Dataset, DatasetCard, Index
    from usbench.encoder.base import Encoder
    from usbench.encoder.card import EncoderCard, WeightsSource
    from usbench.encoder.preprocessing import grey_to_tensor
    from usbench.errors import UsbenchError
    from usbench.plugins.catalog import load_encoder, load_task
    from usbench.plugins.data_sources import load_dataset
    from usbench.results.schema import Result, Results
    from usbench.task.task import SplitPlan, Task

_HOME = {
    "Dataset": "data.dataset",
    "DatasetCard": "data.dataset",
    "Index": "data.dataset",
    "Encoder": "encoder",
    "EncoderCard": "encoder",
    "WeightsSource": "encoder",
    "grey_to_tensor": "encoder",
    "UsbenchError": "errors",
    "load_dataset": "plugins.data_sources",
    "load_encoder": "plugins.catalog",
    "load_task": "plugins.catalog",
    "Result": "results",
    "Results": "results",
    "run": "api",
    "SplitPlan": "task",
    "Task": "task",
}

__all__ = [
    "Dataset",
    "DatasetCard",
    "Encoder",
    "EncoderCard",
    "Index",
    "Result",
    "Results",
    "SplitPlan",
    "Task",
    "UsbenchError",
    "WeightsSource",
    "grey_to_tensor",
    "load_dataset",
    "load_encoder",
    "load_task",
    "run",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"usbench.{_HOME[name]}"), name)
    raise AttributeError(f"module 'usbench' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__name__"]
