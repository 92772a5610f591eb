"""Graphs in the ONNX format: their vectors against torch's, and what is said of graphs that do not fit."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from encoders import graphs
from usbench.conformance import check_encoder
from usbench.errors import UsbenchError, WeightsError
from usbench.media import open_media
from usbench.plugins.catalog import load_encoder

pytest.importorskip("onnxruntime")
SIDE = 24


@pytest.fixture
def frame(bus_bra_subset: Path) -> npt.NDArray[np.uint8]:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        return media.frames([0])[0]


def expected(frame: npt.NDArray[np.uint8], mean: float = 0.0, std: float = 1.0) -> torch.Tensor:
    """The mean of torch's convolution over the frame as Pillow resizes it."""
    grey = np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    image = torch.tensor((grey - mean) / std)[None, None].expand(1, 3, -1, -1)
    return torch.nn.functional.conv2d(image, torch.tensor(graphs.kernel())).mean((2, 3))


CASES: dict[str, tuple[dict[str, Any], str, float, float]] = {
    "any size": ({}, f",size={SIDE},mean=unit", 0, 1),
    "fixed size": ({"size": (SIDE, SIDE)}, ",mean=half", 0.5, 0.5),
    "fixed batch": ({"size": (SIDE, SIDE), "batch": 2}, ",mean=half", 0.5, 0.5),
    "numbers": ({}, f",size={SIDE},mean=0.4,std=0.2", 0.4, 0.2),
    "numbers up to 255": ({}, f",size={SIDE},mean=102/102/102,std=51,range=255", 0.4, 0.2),
    "channels last": ({"layout": "nhwc"}, f",size={SIDE},mean=unit", 0, 1),
    "layout not told": ({"channels": "c"}, f",size={SIDE},mean=unit,layout=nchw", 0, 1),
    "grey values": ({"kind": "uint8", "layout": "nhwc"}, f",size={SIDE}", 0, 1),
    "map": ({"pooled": False}, f",size={SIDE},mean=unit", 0, 1),
    "named output": ({"second_output": True}, f",size={SIDE},mean=unit,output=vector", 0, 1),
    "map by name": ({"second_output": True}, f",size={SIDE},mean=unit,output=map", 0, 1),
}


@pytest.mark.parametrize("case", CASES)
def test_a_graph_gives_the_vectors_of_torch(case: str, frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    written, asked, mean, std = CASES[case]
    path = graphs.convolution(tmp_path / "net.onnx", **written)
    vectors = load_encoder(f"onnx:{path}{asked}").encode_frames([frame, frame, frame])
    np.testing.assert_allclose(vectors, expected(frame, mean, std).expand(3, -1), atol=1e-5)


@pytest.mark.parametrize("kind", ["float32", "uint8"])
def test_a_graph_keeps_the_contract(kind: str, tmp_path: Path) -> None:
    path = graphs.convolution(tmp_path / "net.onnx", kind=kind)
    report = check_encoder(load_encoder(f"onnx:{path},size=64" + (",mean=imagenet" if kind == "float32" else "")))
    assert report.passed, report.failures


def test_options_are_part_of_the_identity_and_the_folder_is_not(tmp_path: Path) -> None:
    path = graphs.convolution(tmp_path / "net.onnx")
    one = load_encoder(f"onnx:{path},size=24,mean=half").identity()
    assert one.name == "onnx:net.onnx,mean=half,size=24"
    assert one.weights.startswith("sha256:")
    assert one != load_encoder(f"onnx:{path},size=32,mean=half").identity()
    assert one == load_encoder(f"onnx:{path},mean=half,size=24").identity()


def test_copies_give_the_same_vectors(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    encoder = load_encoder(f"onnx:{graphs.convolution(tmp_path / 'net.onnx')},size=24,mean=half")
    before = encoder.encode_frames([frame])
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        np.testing.assert_array_equal(other.encode_frames([frame]), before)


MISTAKES: dict[str, tuple[dict[str, Any], str, type[UsbenchError], str]] = {
    "no size": ({}, ",mean=half", UsbenchError, "takes images of any size; say which, for example size=224"),
    "no statistics": ({}, ",size=24", UsbenchError, "and no graph says how. Add mean=imagenet"),
    "other size": ({"size": (24, 24)}, ",size=32,mean=half", UsbenchError, "size=32x32, but the graph takes 24x24 px"),
    "statistics twice": ({"kind": "uint8"}, ",size=24,mean=half", UsbenchError, "mean, std and range would be ignored"),
    "mean alone": ({}, ",size=24,mean=0.4", UsbenchError, "give mean and std together"),
    "two means": ({}, ",size=24,mean=1/2,std=1", UsbenchError, "mean has 2 numbers; the network takes 3 channels"),
    "unknown option": ({}, ",sise=24", UsbenchError, r"unknown option 'sise'.*Did you mean 'size'"),
    "no number": ({}, ",size=big", UsbenchError, "size=big is not understood"),
    "layout not told": ({"channels": "c"}, ",size=24,mean=half", UsbenchError, "add layout=nchw or layout=nhwc"),
    "wrong layout": ({}, ",size=24,mean=half,layout=nhwc", UsbenchError, "layout=nhwc, but the graph takes nchw"),
    "wrong channels": ({"channels": 1}, ",size=24,mean=half,channels=3", UsbenchError, "but the graph takes 1"),
    "two outputs": ({"second_output": True}, ",size=24,mean=half", UsbenchError, "outputs vector, map; choose one"),
    "no such output": ({}, ",size=24,mean=half,output=x", UsbenchError, "no output 'x'; it has vector"),
    "two inputs": ({"second_input": True}, ",size=24,mean=half", UsbenchError, "its inputs are image, text"),
    "no image": ({"kind": "int64"}, ",size=24", UsbenchError, r"is tensor\(int64\) of shape"),
    "operator": ({"operator": "Magic"}, ",size=24,mean=half", WeightsError, "an operator that this onnxruntime lacks"),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_what_does_not_fit_is_said_in_one_sentence(case: str, tmp_path: Path) -> None:
    written, asked, kind, message = MISTAKES[case]
    path = graphs.convolution(tmp_path / "net.onnx", **written)
    with pytest.raises(kind, match=message) as caught:
        load_encoder(f"onnx:{path}{asked}").prepare()
    assert "\n" not in str(caught.value)


def test_axes_that_say_any_size_and_take_one(tmp_path: Path, frame: npt.NDArray[np.uint8]) -> None:
    """Exporters name an axis although a later layer needs one length."""
    h, onnx = graphs.onnx.helper, graphs.onnx
    weights = np.zeros((3 * 24 * 24, 4), np.float32)
    nodes = [h.make_node("Flatten", ["image"], ["flat"]), h.make_node("MatMul", ["flat", "w"], ["vector"])]
    graph = h.make_graph(
        nodes,
        "net",
        [h.make_tensor_value_info("image", 1, ["b", 3, "h", "w"])],
        [h.make_tensor_value_info("vector", 1, ["b", 4])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    onnx.save(h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=8), tmp_path / "net.onnx")
    assert load_encoder(f"onnx:{tmp_path}/net.onnx,size=24,mean=half").encode_frames([frame]).shape == (1, 4)
    with pytest.raises(UsbenchError, match=r"does not take images of 3x32x32 \(.*Give the size that it was exported"):
        load_encoder(f"onnx:{tmp_path}/net.onnx,size=32,mean=half").encode_frames([frame])


def test_files_that_are_no_graphs(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such file"):
        load_encoder(f"onnx:{tmp_path}/net.onnx,size=24,mean=half").prepare()
    (tmp_path / "net.onnx").write_text("<!doctype html><p>Log in")
    with pytest.raises(WeightsError, match="is no ONNX graph, or is damaged"):
        load_encoder(f"onnx:{tmp_path}/net.onnx,size=24,mean=half").prepare()
    whole = graphs.convolution(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "net.onnx").write_bytes(whole[:-100])
    with pytest.raises(WeightsError, match="is no ONNX graph, or is damaged"):
        load_encoder(f"onnx:{tmp_path}/net.onnx,size=24,mean=half").prepare()


def test_precision_and_device_are_not_ignored(tmp_path: Path) -> None:
    path = graphs.convolution(tmp_path / "net.onnx")
    with pytest.raises(UsbenchError, match="leave --precision out"):
        load_encoder(f"onnx:{path},size=24,mean=half", precision="bf16")
    assert load_encoder(f"onnx:{path},size=24,mean=half", precision="auto").precision == "fp32"
    import onnxruntime

    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        with pytest.raises(UsbenchError, match=r"has no CUDA provider\. Install `onnxruntime-gpu`"):
            load_encoder(f"onnx:{path},size=24,mean=half", device="cuda").prepare()
