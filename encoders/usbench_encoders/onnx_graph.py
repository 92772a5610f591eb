"""A graph in an ONNX file, run by onnxruntime behind the interface of a torch module.

Only the operators that onnxruntime ships are run; no library of custom operators is ever registered.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from usbench.errors import UsbenchError, WeightsError
from usbench_encoders.published import ONNX_INSTALL

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Input:
    """What a graph takes.

    Attributes:
        name: Name of its only input.
        kind: ``uint8``, ``float32`` or ``float16``.
        layout: ``nchw`` or ``nhwc``; empty when its shape does not tell.
        batch: Frames per pass, where the graph fixes them; ``None`` when it takes any number.
        channels: 1 or 3; ``None`` when its shape does not tell.
        size: Height and width in pixels; ``None`` where the graph takes any.
    """

    name: str
    kind: str
    layout: str
    batch: int | None
    channels: int | None
    size: tuple[int | None, int | None]


class Graph(torch.nn.Module):
    """A graph that turns images into vectors.

    Args:
        path: The ``.onnx`` file.
        output: Name of the output; may be left out when there is only one.
        label: Name of the encoder, for messages.

    Raises:
        UsbenchError: onnxruntime is not installed, or the graph does not take one image.
        WeightsError: The file is no graph, or needs what this onnxruntime lacks.
    """

    opaque = True  # its weights lie in the graph and cannot be counted as parameters

    def __init__(self, path: Path, output: str | None = None, label: str = "onnx") -> None:
        super().__init__()
        self.path, self.label = path, label
        self._device = "cpu"
        self._session = self._opened()
        self.input = _described(self._session, path, label)
        names = [each.name for each in self._session.get_outputs()]
        if output is None and len(names) > 1:
            raise UsbenchError(f"{label}: the graph has the outputs {', '.join(names)}; choose one with output=NAME.")
        if output is not None and output not in names:
            raise UsbenchError(f"{label}: the graph has no output {output!r}; it has {', '.join(names)}.")
        self.output = output or names[0]
        self.layout = self.input.layout

    def to(self, device: Any, *args: Any, **kwargs: Any) -> Graph:  # type: ignore[override]
        """Open the graph on a device: ``cpu``, or ``cuda`` where onnxruntime has it."""
        if str(device) != self._device:
            self._device = str(device)
            self._session = self._opened()
        return self

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Run the graph.

        Args:
            images: ``(B, C, H, W)``, brought to the graph's own layout and type here; a graph of ``uint8`` takes whole
                numbers in 0-255.

        Returns:
            Its output, as float32 on the CPU; the first dimension is B.

        Raises:
            UsbenchError: The images do not fit the graph.
        """
        import numpy as np

        values = (images.permute(0, 2, 3, 1) if self.layout == "nhwc" else images).cpu().numpy()
        if self.input.kind == "uint8":
            values = values.round().clip(0, 255)
        values = np.ascontiguousarray(values.astype(self.input.kind))
        step = self.input.batch or len(values)
        parts = [self._run(values[first : first + step], step) for first in range(0, len(values), step)]
        return torch.from_numpy(np.concatenate(parts))

    def _run(self, values: npt.NDArray[Any], step: int) -> npt.NDArray[np.float32]:
        import numpy as np

        count = len(values)
        if count < step:  # a graph of a fixed batch size: fill up with the last frame
            values = np.concatenate([values, np.repeat(values[-1:], step - count, axis=0)])
        try:
            (found,) = self._session.run([self.output], {self.input.name: values})
        except Exception as error:  # onnxruntime raises classes of its own, all of them subclasses of Exception
            raise UsbenchError(
                f"{self.label}: the graph does not take images of {'x'.join(map(str, values.shape[1:]))} "
                f"({_first_line(error)}). Give the size that it was exported for, such as size=224."
            ) from error
        if np.ndim(found) < 2 or len(found) != len(values):
            raise UsbenchError(
                f"{self.label}: output {self.output!r} has shape {np.shape(found)} for {len(values)} images; it must "
                "have one row per image. Choose another with output=NAME."
            )
        rows: npt.NDArray[np.float32] = np.asarray(found, dtype=np.float32)[:count]
        return rows

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the session, which cannot be copied or sent to another process."""
        return {name: value for name, value in self.__dict__.items() if name != "_session"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._session = self._opened()

    def _opened(self) -> Any:
        try:
            import onnxruntime
        except ImportError:
            raise UsbenchError(f"{self.label}: needs onnxruntime. Run `{ONNX_INSTALL}`.") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 4
        providers: list[Any] = ["CPUExecutionProvider"]
        if self._device.startswith("cuda"):
            if not graph_runs_on(self._device):
                raise UsbenchError(
                    f"{self.label}: this onnxruntime has no CUDA provider. Install `onnxruntime-gpu` in its place, or "
                    "use --device cpu."
                )
            providers.insert(0, ("CUDAExecutionProvider", {"device_id": torch.device(self._device).index or 0}))
        elif self._device != "cpu":
            raise UsbenchError(f"{self.label}: a graph runs on cpu or cuda, not on {self._device!r}.")
        try:
            return onnxruntime.InferenceSession(str(self.path), options, providers=providers)
        except Exception as error:  # as above
            raise WeightsError(f"{self.path}: {_why_not(self.path, error)}") from error


def graph_runs_on(device: str) -> bool:
    """Say whether the onnxruntime that is installed can compute on a torch device."""
    if device == "cpu":
        return True
    try:
        import onnxruntime
    except ImportError:
        return False
    return device.startswith("cuda") and "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _described(session: Any, path: Path, label: str) -> Input:
    inputs = session.get_inputs()
    if len(inputs) != 1:
        names = ", ".join(each.name for each in inputs) or "none"
        raise UsbenchError(f"{label}: the graph must take one image; its inputs are {names}.")
    one = inputs[0]
    kinds = {"tensor(uint8)": "uint8", "tensor(float)": "float32", "tensor(float16)": "float16"}
    if one.type not in kinds or len(one.shape) != 4:
        raise UsbenchError(
            f"{label}: input {one.name!r} is {one.type} of shape {one.shape}; an image is uint8 or floating point and "
            "has four dimensions."
        )
    batch, *rest = [each if isinstance(each, int) and each > 0 else None for each in one.shape]
    first, last = rest[0] in (1, 3), rest[2] in (1, 3)
    layout = "nchw" if first and not last else "nhwc" if last and not first else ""
    channels = rest[0] if layout == "nchw" else rest[2] if layout == "nhwc" else None
    sides = rest[1:] if layout == "nchw" else rest[:2] if layout == "nhwc" else [None, None]
    return Input(one.name, kinds[one.type], layout, batch, channels, (sides[0], sides[1]))


def _first_line(error: Exception) -> str:
    line = next(iter(str(error).strip().splitlines()), "") or type(error).__name__
    return line.partition(" : ")[2][:200].rstrip(". ") or line[:200].rstrip(". ")


def _why_not(path: Path, error: Exception) -> str:
    reason = _first_line(error)
    kind = type(error).__name__
    if not path.is_file():
        return "no such file. Check the path."
    if kind == "NotImplemented" or "is not a registered function" in str(error) or "No Op registered" in str(error):
        return (
            f"the graph uses an operator that this onnxruntime lacks ({reason}). Export it with standard operators, or "
            "use a newer onnxruntime."
        )
    if kind in ("InvalidProtobuf", "InvalidArgument") or "parse" in str(error).lower():
        return f"is no ONNX graph, or is damaged ({reason}). Download it again."
    return f"onnxruntime cannot open this graph ({reason}). Export it again."
