"""``onnx:<file>``: any graph in the ONNX format that turns an image into a vector, run by onnxruntime.

Examples: ``onnx:net.onnx`` for a graph that takes whole grey values and holds its statistics, and
``onnx:net.onnx,size=224,mean=imagenet`` for one that takes normalised pixels. Options follow the file after commas.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.limits import is_regular
from usbench.encoder import Encoder, EncoderCard, Frame, Readiness
from usbench.errors import UsbenchError, WeightsError
from usbench_encoders import options, pixels

if TYPE_CHECKING:
    import torch

    from usbench_encoders.onnx_graph import Graph

OFFERED: dict[str, options.Parser] = {
    "size": options.size,
    "mean": options.mean,
    "std": options.deviation,
    "fit": options.one_of(*pixels.FITS),
    "resampling": options.one_of(*pixels.FILTERS),
    "layout": options.one_of("nchw", "nhwc"),
    "channels": options.one_of("1", "3"),
    "range": options.one_of("1", "255"),
    "output": str,
}


class Onnx(Encoder):
    """The image encoder in a graph.

    Args:
        argument: The file, and options after commas.
        **settings: As for :class:`usbench.encoder.Encoder`.

    Raises:
        UsbenchError: An option is unknown, or a file is given twice.
    """

    card = EncoderCard(
        name="onnx:",
        title="onnx",
        embedding_dim=None,
        description="An ONNX graph from a file, run by onnxruntime.",
        preprocessings={"model": "Pillow's bilinear filter to the graph's size, aspect ignored, unless options say"},
        poolings={"model": "vectors as they are, maps and tokens averaged over space"},
        licence="the owner's",
        url="https://onnxruntime.ai",
        pretraining_note="Nothing is known of the file.",
    )

    def __init__(self, *, argument: str, **settings: Any) -> None:
        file, texts = options.split(argument)
        self._file = Path(file).expanduser()
        label = ",".join([f"onnx:{self._file.name}", *(f"{key}={value}" for key, value in texts.items())])
        self.options = options.parse(label, texts, OFFERED)
        self.card = replace(self.card, name=label, title=self._file.stem)
        refuse_precision(label, settings)
        super().__init__(**settings)
        options.statistics(label, self.options)

    def weights_path(self) -> Path:
        """Return the file.

        Raises:
            WeightsError: It is not there.
        """
        if not is_regular(self._file):
            raise WeightsError(f"{self._file}: no such file. Write onnx:FILE, for example onnx:models/net.onnx.")
        return self._file

    def readiness(self) -> Readiness:
        """Say whether file and runtime are there, without opening either."""
        state = super().readiness()
        return runtime_readiness() if state.ready else state

    def runs_on(self, device: str) -> bool:
        """Say whether onnxruntime can compute there."""
        from usbench_encoders.onnx_graph import graph_runs_on

        return graph_runs_on(device)

    def load(self) -> torch.nn.Module:
        """Open the graph.

        Raises:
            UsbenchError: The options do not say all that the graph leaves open, or contradict it.
            WeightsError: The file is absent, no graph, or needs an operator that onnxruntime lacks.
        """
        from usbench_encoders.onnx_graph import Graph

        graph = Graph(self.weights_path(), self.options.get("output"), self.name)
        self._input = self._settled(graph)
        return graph

    def preprocess(self, frame: Frame) -> torch.Tensor:
        """Turn a grey frame into what the graph takes, ``(C, H, W)`` float32; the graph's layout is its own affair."""
        self._ensure_loaded()
        facts = self._input
        picture = pixels.fitted(
            frame, facts["size"], self.options.get("resampling", "bilinear"), self.options.get("fit", "squash")
        )
        return pixels.normalised(picture, facts["statistics"], facts["channels"])

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        """Encode a batch as ``(B, D)``."""
        output: torch.Tensor = self.network(batch)
        if output.ndim == 3:
            return output.mean(dim=1)
        if output.ndim == 4:
            return output.mean(dim=(1, 2) if self.network.layout == "nhwc" else (2, 3))
        return output.flatten(1)

    _input: dict[str, Any]

    def _settled(self, graph: Graph) -> dict[str, Any]:
        """Bring together what the graph and the options say."""
        given, taken, label = self.options, graph.input, self.name
        layout = given.get("layout", taken.layout)
        if not layout:
            raise UsbenchError(
                f"{label}: the shape of input {taken.name!r} does not tell the layout; add layout=nchw or layout=nhwc."
            )
        if taken.layout and layout != taken.layout:
            raise UsbenchError(f"{label}: layout={layout}, but the graph takes {taken.layout}.")
        graph.layout = layout
        channels = int(given.get("channels", taken.channels or 3))
        if taken.channels and channels != taken.channels:
            raise UsbenchError(f"{label}: channels={given['channels']}, but the graph takes {taken.channels}.")
        fixed = taken.size
        size = given.get("size") or (fixed if None not in fixed else None)
        if size is None:
            raise UsbenchError(f"{label}: the graph takes images of any size; say which, for example size=224.")
        if any(side is not None and side != wanted for side, wanted in zip(fixed, size, strict=True)):
            want = "x".join(str(side or "any") for side in fixed)
            raise UsbenchError(f"{label}: size={size[0]}x{size[1]}, but the graph takes {want} px. Leave size out.")
        if given.get("fit") == "pad" and size[0] != size[1]:
            raise UsbenchError(f"{label}: fit=pad makes squares, but the input is {size[0]}x{size[1]} px.")
        statistics = options.statistics(label, given, channels)
        if taken.kind == "uint8":
            if statistics is not None or "range" in given:
                raise UsbenchError(f"{label}: takes whole grey values, so mean, std and range would be ignored.")
            statistics, scale = ((0.0,), (1.0,)), 255.0
        else:
            scale = float(given.get("range", "1"))
        if statistics is None:
            raise UsbenchError(
                f"{label}: takes normalised pixels, and no graph says how. Add mean=imagenet, mean=openai, mean=half, "
                "or mean=M/M/M,std=S/S/S for pixels of 0 to 1, of 0 to 255 with range=255; mean=unit takes them as "
                "they are."
            )
        means, deviations = ([value / scale for value in values] for values in statistics)
        return {"channels": channels, "size": size, "statistics": (means, deviations)}


def refuse_precision(label: str, settings: dict[str, Any]) -> None:
    """Let a graph run in its own precision alone.

    Args:
        label: Name of the encoder, for the message.
        settings: Its options; ``auto`` becomes ``fp32``.

    Raises:
        UsbenchError: Another precision is asked for.
    """
    if settings.get("precision") not in (None, "fp32", "auto"):
        raise UsbenchError(f"{label}: a graph has a precision of its own; leave --precision out.")
    if settings.get("precision") == "auto":
        settings["precision"] = "fp32"


def runtime_readiness() -> Readiness:
    """Say whether onnxruntime is installed, without importing it."""
    from importlib.util import find_spec

    from usbench_encoders.published import ONNX_INSTALL

    if find_spec("onnxruntime") is None:
        return Readiness(False, f"needs onnxruntime: `{ONNX_INSTALL}`")
    return Readiness(True)
