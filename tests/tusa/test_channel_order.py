"""Channel 1 is the brightest texture on the sheet, in the files, and in what the network returns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tusa
from tusa.network import Tusa, TusaConfig
from tusa.preprocessing import preprocess
from tusa.sheets import save_channels, texture_maps
from tusa.training.config import TrainConfig
from tusa.training.export import export_run
from tusa.training.trainer import Trainer
from tusa.weights import load_weights, save_weights


@torch.no_grad()
def maps_of(model: Tusa, gray: np.ndarray) -> np.ndarray:
    return model.textures(preprocess(gray, model.config.image_size)[None])[0].numpy()


@pytest.fixture
def gray(bus_bra_subset: Path) -> np.ndarray:
    return np.asarray(Image.open(bus_bra_subset / "Images" / "bus_0010-l.png").convert("L"))


@pytest.mark.parametrize("name", ["open-v1", "open-v2"])
def test_packaged_weights_have_the_brightest_texture_first(name: str, gray: np.ndarray, tmp_path: Path) -> None:
    model = tusa.load_open_weights(name)
    brightness = model.painter.brightness()
    assert torch.equal(brightness, brightness.sort(descending=True).values)

    maps = maps_of(model, gray)
    on_the_sheet, _ = texture_maps(model, gray)
    np.testing.assert_allclose(on_the_sheet, maps, atol=1e-5)
    files = save_channels(model, gray, tmp_path)
    assert [file.name for file in files] == [f"channel-{k}.png" for k in range(1, len(maps) + 1)]
    for file, texture in zip(files, maps, strict=True):
        np.testing.assert_allclose(np.asarray(Image.open(file)) / 255, texture, atol=1 / 255)

    # What the channels were painted from: the image is brighter where the first texture is than where the last one is.
    seen = (preprocess(gray, model.config.image_size)[0].numpy() + 1) / 2
    first, last = ((texture * seen).sum() / texture.sum() for texture in (maps[0], maps[-1]))
    assert first > last + 0.1


def test_a_file_in_another_order_is_the_same_network(gray: np.ndarray, tmp_path: Path) -> None:
    torch.manual_seed(5)
    model = Tusa(TusaConfig(feature_size=12, depths=(1, 1, 1, 1), image_size=64)).eval()
    model.order_channels()
    save_weights(model, tmp_path / "sorted.safetensors")
    with torch.no_grad():  # as if it had been written with the darkest texture first
        backwards = list(reversed(range(model.config.channels)))
        head = model.unet.out.conv.conv
        for parameter in (head.weight, head.bias, *(k.get_parameter("weight") for k in model.painter.kernels)):
            parameter.copy_(parameter[backwards].clone())
        model.painter.combine.weight.copy_(model.painter.combine.weight[:, backwards].clone())
    save_weights(model, tmp_path / "backwards.safetensors")
    a, b = (load_weights(tmp_path / f"{name}.safetensors") for name in ("sorted", "backwards"))
    np.testing.assert_array_equal(maps_of(a, gray), maps_of(b, gray))


def test_an_export_is_in_this_order_before_it_is_loaded(short_run: TrainConfig, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    config = replace(short_run, phases=(replace(short_run.phases[0], steps=1),))
    Trainer(config, tmp_path / "run").fit()
    export_run(tmp_path / "run", tmp_path / "out.safetensors")
    raw = Tusa(config.network)
    raw.load_state_dict({name: tensor.float() for name, tensor in load_file(tmp_path / "out.safetensors").items()})
    brightness = raw.painter.brightness()
    assert bool((brightness.diff() <= 2e-3).all())  # half precision may swap what is as good as equal
