"""The network: the paper's size, the authors' layout, and textures that are a partition of the image."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tusa.errors import TusaError
from tusa.network import TextureKernels, Tusa, TusaConfig, generalised_mean
from tusa.weights import (
    OPEN_WEIGHTS,
    load_authors_weights,
    load_open_weights,
    load_weights,
    open_weights_path,
    read_metadata,
    save_weights,
)


@pytest.fixture
def small(small_network: TusaConfig) -> Tusa:
    torch.manual_seed(0)
    return Tusa(small_network).eval()


def test_the_paper_s_encoder_has_its_number_of_parameters() -> None:
    model = Tusa()
    assert sum(p.numel() for p in model.unet.swinViT.parameters()) == 9_120_756
    assert model.config.embedding_size == 576


@torch.no_grad()
def test_shapes_of_every_stage(small: Tusa) -> None:
    images = torch.rand(2, 1, 64, 96) * 2 - 1
    shapes = [tuple(state.shape) for state in small.hidden_states(images)]
    assert shapes == [(2, 12 * 2**s, 64 // 2 ** (s + 1), 96 // 2 ** (s + 1)) for s in range(5)]
    assert small.encode(images).shape == (2, 192)
    assert small.encode(images, stage=3).shape == (2, 96)
    output = small(images)
    assert output.reconstruction.shape == (2, 1, 64, 96)
    assert output.reconstruction.abs().max() <= 1
    assert torch.allclose(output.textures.sum(dim=1), torch.ones(2, 64, 96), atol=1e-5)
    assert torch.equal(output.textures, small.textures(images))


@torch.no_grad()
def test_ordering_channels_changes_their_numbers_only(small: Tusa) -> None:
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    before = small(images)
    order = small.order_channels()
    after = small(images)
    assert sorted(order) == list(range(5))
    assert torch.allclose(after.textures, before.textures[:, order], atol=1e-6)
    assert torch.allclose(after.reconstruction, before.reconstruction, atol=1e-5)
    brightness = small.painter.brightness()
    assert torch.equal(brightness, brightness.sort(descending=True).values)


@torch.no_grad()
def test_kernels_of_several_scales_add_up_and_paint_a_flat_area_flat() -> None:
    torch.manual_seed(0)
    painter = TextureKernels(3, 5, (1, 2))
    maps = torch.zeros(1, 3, 24, 24)
    maps[:, 1] = 1
    painted = painter(maps)
    assert torch.allclose(painted, painter.brightness()[1].expand_as(painted), atol=1e-6)
    assert sum(p.numel() for p in painter.parameters()) == 2 * 3 * 25 + 4


def test_the_authors_layout_is_loaded_strictly(tmp_path: Path) -> None:
    torch.manual_seed(3)
    theirs = Tusa()
    state = theirs.unet.state_dict()
    torch.save(state, tmp_path / "unet.pt")
    loaded = load_authors_weights(tmp_path / "unet.pt")
    images = torch.rand(1, 1, 128, 128) * 2 - 1
    with torch.no_grad():
        assert torch.equal(loaded.encode(images), theirs.eval().encode(images))
    name = "swinViT.patch_embed.proj.weight"
    for spoiled, word in (
        ({k: v for k, v in state.items() if k != name}, "1 tensors missing"),
        ({**state, "swinViT.extra": torch.zeros(1)}, "1 unknown"),
        ({**state, name: state[name][:, :, :1]}, "1 of another shape"),
    ):
        torch.save(spoiled, tmp_path / "spoiled.pt")
        with pytest.raises(TusaError, match=word):
            load_authors_weights(tmp_path / "spoiled.pt")


@torch.no_grad()
def test_weights_survive_export(small: Tusa, tmp_path: Path) -> None:
    save_weights(small, tmp_path / "w.safetensors", {"step": 7})
    loaded = load_weights(tmp_path / "w.safetensors")
    images = torch.rand(1, 1, 64, 64) * 2 - 1
    assert loaded.config == small.config
    assert read_metadata(tmp_path / "w.safetensors")["training"] == {"step": 7}
    assert torch.nn.functional.cosine_similarity(loaded.encode(images), small.encode(images)).item() > 0.9999
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]


def test_weights_that_half_precision_cannot_hold_are_refused(small: Tusa, tmp_path: Path) -> None:
    with torch.no_grad():
        small.painter.combine.bias.fill_(1e30)
    with pytest.raises(TusaError, match="not finite in half precision"):
        save_weights(small, tmp_path / "w.safetensors")


@pytest.mark.parametrize("name", OPEN_WEIGHTS)
def test_open_weights_are_the_published_files(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = open_weights_path(name)
    assert "training" in read_metadata(path)
    changed = replace(OPEN_WEIGHTS[name], sha256="0" * 64)
    monkeypatch.setitem(OPEN_WEIGHTS, name, changed)
    with pytest.raises(TusaError, match="not the file that was published"):
        open_weights_path(name)


def test_open_weights_that_there_are_not() -> None:
    with pytest.raises(TusaError, match="open-v2, scratch, open-v1"):
        load_open_weights("open-v3")


@torch.no_grad()
def test_an_encoder_alone_encodes_and_refuses_to_decode(small: Tusa, tmp_path: Path) -> None:
    save_weights(small, tmp_path / "whole.safetensors")
    save_weights(small, tmp_path / "encoder.safetensors", encoder_only=True)
    assert (tmp_path / "encoder.safetensors").stat().st_size < (tmp_path / "whole.safetensors").stat().st_size / 1.5
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    whole, alone = (load_weights(tmp_path / f"{name}.safetensors") for name in ("whole", "encoder"))
    assert torch.equal(whole.encode(images), alone.encode(images))
    for use in (alone.textures, alone):
        with pytest.raises(TusaError, match="holds an encoder alone"):
            use(images)
    assert whole.textures(images).shape == (2, 5, 64, 64)


@torch.no_grad()
def test_gem_pooling(small: Tusa) -> None:
    pooled = Tusa(replace(small.config, pooling="gem", gem_power=3.0)).eval()
    pooled.load_state_dict(small.state_dict())
    images = torch.rand(2, 1, 64, 64, generator=torch.Generator().manual_seed(1)) * 2 - 1
    maps = small.hidden_states(images)[-1].double().clamp(min=1e-6)
    torch.testing.assert_close(
        pooled.encode(images).double(), maps.pow(3).mean(dim=(2, 3)).pow(1 / 3), rtol=1e-4, atol=1e-6
    )
    assert torch.allclose(generalised_mean(maps, 1.0), maps.mean(dim=(2, 3)).float(), atol=1e-6)


@torch.no_grad()
def test_the_open_weights_keep_every_channel_alive(image_files: list[Path]) -> None:
    from tusa.sheets import texture_maps
    from tusa.training.sources import read_gray

    model = load_open_weights()
    usage = torch.zeros(model.config.channels)
    for path in image_files[:12]:
        gray = read_gray(path)
        assert gray is not None
        usage += torch.from_numpy(texture_maps(model, gray)[0]).mean(dim=(1, 2)) / 12
    assert float(usage.sum()) == pytest.approx(1.0, abs=1e-3)
    assert float(usage.min()) > 0.01, usage


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"channels": 1}, "at least 2"),
        ({"kernel_size": 4}, "odd"),
        ({"kernel_scales": []}, "dilation"),
        ({"image_size": 100}, "multiple of 32"),
        ({"feature_size": 10}, "multiple of 12"),
        ({"pooling": "max"}, "'mean' or 'gem'"),
        ({"gem_power": 0}, "positive"),
        ({"colour": 1}, "Unknown network settings"),
    ],
)
def test_impossible_networks_are_refused(settings: dict[str, object], word: str) -> None:
    with pytest.raises(TusaError, match=word):
        TusaConfig.from_dict(settings)


def test_images_of_another_shape_are_refused(small: Tusa) -> None:
    with pytest.raises(TusaError, match="got \\[1, 3, 64, 64\\]"):
        small.encode(torch.zeros(1, 3, 64, 64))
    with pytest.raises(TusaError, match="stage = 5"):
        small.encode(torch.zeros(1, 1, 64, 64), stage=5)
