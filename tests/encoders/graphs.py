"""Small graphs in the ONNX format, written by the ``onnx`` package."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

onnx: Any = __import__("onnx")
KINDS = {"uint8": onnx.TensorProto.UINT8, "float32": onnx.TensorProto.FLOAT, "int64": onnx.TensorProto.INT64}


def kernel(outputs: int = 5, channels: int = 3, seed: int = 0) -> npt.NDArray[np.float32]:
    """Weights of a convolution of 3 x 3."""
    return np.random.default_rng(seed).normal(size=(outputs, channels, 3, 3)).astype(np.float32)


def convolution(
    path: Path,
    *,
    kind: str = "float32",
    layout: str = "nchw",
    size: tuple[Any, Any] = ("height", "width"),
    batch: Any = "batch",
    channels: Any = 3,
    pooled: bool = True,
    second_output: bool = False,
    second_input: bool = False,
    operator: str = "Conv",
) -> Path:
    """Write a graph of one convolution and, if wanted, the spatial mean of its map.

    A graph of ``uint8`` takes whole grey values and scales them to 0-1 itself.
    """
    h = onnx.helper
    shape = [batch, channels, *size] if layout == "nchw" else [batch, *size, channels]
    nodes, image = [], "image"
    if kind != "float32":
        nodes += [h.make_node("Cast", [image], ["grey"], to=1), h.make_node("Div", ["grey", "white"], ["scaled"])]
        image = "scaled"
    if layout == "nhwc":
        nodes.append(h.make_node("Transpose", [image], ["first"], perm=[0, 3, 1, 2]))
        image = "first"
    domain = {} if operator == "Conv" else {"domain": "example.custom"}
    nodes.append(h.make_node(operator, [image, "kernel"], ["map"], **domain))
    results = [("map", ["b", 5, "h", "w"])]
    if pooled:
        nodes += [h.make_node("ReduceMean", ["map"], ["vector"], axes=[2, 3], keepdims=0)]
        results = [("vector", ["b", 5]), *(results if second_output else [])]
    initial = [onnx.numpy_helper.from_array(kernel(channels=channels if isinstance(channels, int) else 3), "kernel")]
    if kind != "float32":
        initial.append(onnx.numpy_helper.from_array(np.float32(255), "white"))
    inputs = [h.make_tensor_value_info("image", KINDS[kind], shape)]
    if second_input:
        inputs.append(h.make_tensor_value_info("text", KINDS["int64"], ["batch", 77]))
    outputs = [h.make_tensor_value_info(name, KINDS["float32"], dims) for name, dims in results]
    graph = h.make_graph(nodes, "net", inputs, outputs, initial)
    opsets = [h.make_opsetid("", 17), *([h.make_opsetid("example.custom", 1)] if domain else [])]
    model = h.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(model, path)
    return path
