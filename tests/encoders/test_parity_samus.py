"""SAMUS against its description written out with the layers of torch and segment_anything, in the authors' layout."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from torch.nn import functional

from encoders.published import State
from usbench.errors import WeightsError
from usbench.media import open_media
from usbench.plugins.catalog import load_encoder

TOLERANCE = 1e-4
MEETINGS = (2, 5, 8, 11)


@pytest.fixture
def frame(bus_bra_subset: Path) -> npt.NDArray[np.uint8]:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        return media.frames([0])[0]


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the image encoder's tensors, as the authors' program saves them."""

    def linear(name: str, inside: int, outside: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}

    def pair(name: str, width: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (width,), f"{name}.bias": (width,)}

    def convolved(name: str, first: int, inside: int, outside: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.{first}.weight": (outside, inside, 3, 3), **pair(f"{name}.{first + 1}", outside)}

    found: dict[str, tuple[int, ...]] = {"pos_embed": (1, 64, 64, 768)}
    found |= convolved("cnn_embed.inc.conv", 0, 3, 64)
    for number, (inside, outside) in enumerate(((64, 128), (128, 256), (256, 768))):
        found |= convolved(f"cnn_embed.downs.{number}.maxpool_conv", 1, inside, outside)
    found |= {"patch_embed.proj.weight": (768, 3, 16, 16), "patch_embed.proj.bias": (768,)}
    found |= convolved("post_pos_embed.downs.0.maxpool_conv", 1, 768, 768)
    for number in range(12):
        at, table = f"blocks.{number}", 63 if number in MEETINGS else 27
        found |= pair(f"{at}.norm1", 768) | pair(f"{at}.norm2", 768)
        found |= {f"{at}.attn.rel_pos_h": (table, 64), f"{at}.attn.rel_pos_w": (table, 64)}
        found |= linear(f"{at}.attn.qkv", 768, 2304) | linear(f"{at}.attn.proj", 768, 768)
        found |= linear(f"{at}.mlp.lin1", 768, 3072) | linear(f"{at}.mlp.lin2", 3072, 768)
        if number in MEETINGS:
            found |= linear(f"{at}.MLP_Adapter.D_fc1", 768, 192) | linear(f"{at}.MLP_Adapter.D_fc2", 192, 768)
            for part in ("q", "k", "v", "proj"):
                found |= linear(f"{at}.Space_Adapter.{part}", 768, 768)
            found |= convolved(f"{at}.refine_Adapter.conv", 0, 768, 768)
    found |= {"neck.0.weight": (256, 768, 1, 1), "neck.2.weight": (256, 256, 3, 3)}
    found |= pair("neck.1", 256) | pair("neck.3", 256)
    return found | linear("input_Adapter.D_fc1", 768, 192) | linear("input_Adapter.D_fc2", 192, 768)


@pytest.fixture(scope="module")
def random_state() -> State:
    """Random values of a size that keeps the numbers of the network moderate; not to be changed."""
    generator = torch.Generator().manual_seed(8)
    state = {}
    for name, shape in shapes().items():
        noise = torch.randn(shape, generator=generator)
        plain = name.endswith("weight") and len(shape) == 1
        scale = 0.2 if len(shape) == 1 or ("pos" in name and "maxpool" not in name) else noise[0].numel() ** -0.5
        state[name] = 1 + 0.2 * noise if plain else scale * noise
    return state


def written_out(state: State, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]:
    """The network step by step: last tokens, the neck's map, and tokens after each meeting of the branches."""
    from segment_anything.modeling.image_encoder import Attention, window_partition, window_unpartition

    def norm(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.layer_norm(x, (x.shape[-1],), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    def maps_normed(name: str, x: torch.Tensor) -> torch.Tensor:
        return norm(name, x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def linear(name: str, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])

    def convolved(name: str, first: int, x: torch.Tensor) -> torch.Tensor:
        x = functional.conv2d(x, state[f"{name}.{first}.weight"], padding=1)
        return functional.gelu(maps_normed(f"{name}.{first + 1}", x))

    def adapted(name: str, x: torch.Tensor) -> torch.Tensor:
        return linear(f"{name}.D_fc2", functional.gelu(linear(f"{name}.D_fc1", x)))

    def own(at: str, size: int) -> torch.nn.Module:
        layer = Attention(768, num_heads=12, use_rel_pos=True, input_size=(size, size))
        layer.load_state_dict(
            {k.removeprefix(f"{at}.attn."): t for k, t in state.items() if k.startswith(f"{at}.attn.")}
        )
        return layer.eval()

    def across(at: str, asking: torch.Tensor, asked: torch.Tensor) -> torch.Tensor:
        layer = torch.nn.MultiheadAttention(768, 12, batch_first=True)
        for kind, packed in (("weight", layer.in_proj_weight), ("bias", layer.in_proj_bias)):
            packed.data = torch.cat([state[f"{at}.Space_Adapter.{part}.{kind}"] for part in "qkv"])
            getattr(layer.out_proj, kind).data = state[f"{at}.Space_Adapter.proj.{kind}"]
        keys = asked.flatten(1, 2)
        found: torch.Tensor = layer.eval()(asking.flatten(1, 2), keys, keys)[0]
        return found.reshape(asking.shape)

    beside = convolved("cnn_embed.inc.conv", 0, images)
    for number in range(3):
        beside = convolved(f"cnn_embed.downs.{number}.maxpool_conv", 1, functional.max_pool2d(beside, 2))
    enlarged = functional.interpolate(images, (264, 264), mode="bilinear", align_corners=False)
    patches = functional.conv2d(enlarged, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=8)
    x = patches.permute(0, 2, 3, 1)
    positions = functional.max_pool2d(state["pos_embed"].permute(0, 3, 1, 2), 2)
    x = x + adapted("input_Adapter", x)
    x = x + convolved("post_pos_embed.downs.0.maxpool_conv", 1, positions).permute(0, 2, 3, 1)
    between = []
    for number in range(12):
        at = f"blocks.{number}"
        normed = norm(f"{at}.norm1", x)
        if number in MEETINGS:
            normed = normed + across(at, normed, beside.permute(0, 2, 3, 1))
            beside = convolved(f"{at}.refine_Adapter.conv", 0, beside)
            x = x + own(at, 32)(normed)
        else:
            windows, padded = window_partition(normed, 14)
            x = x + window_unpartition(own(at, 14)(windows), 14, padded, (32, 32))
        normed = norm(f"{at}.norm2", x)
        x = x + linear(f"{at}.mlp.lin2", functional.gelu(linear(f"{at}.mlp.lin1", normed)))
        if number in MEETINGS:
            x = x + 0.5 * adapted(f"{at}.MLP_Adapter", normed)
            between.append(x)
    x = x + 0.5 * beside.permute(0, 2, 3, 1)
    neck = maps_normed("neck.1", functional.conv2d(x.permute(0, 3, 1, 2), state["neck.0.weight"]))
    return x, maps_normed("neck.3", functional.conv2d(neck, state["neck.2.weight"], padding=1)), between


def saved(state: State, path: Path) -> Path:
    """The file of the authors' program: the image encoder beside prompts and mask decoder."""
    rest = {"prompt_encoder.no_mask_embed.weight": torch.zeros(1, 256), "mask_decoder.iou_token.weight": torch.ones(1)}
    torch.save({**{f"image_encoder.{k}": t for k, t in state.items()}, **rest}, path)
    return path


@pytest.fixture(scope="module")
def authors_file(random_state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(random_state, tmp_path_factory.mktemp("samus") / "samus.pth")


def test_samus_equals_its_description(frame: npt.NDArray[np.uint8], random_state: State, authors_file: Path) -> None:
    from torchvision import transforms

    resize = transforms.Resize((256, 256), transforms.InterpolationMode.BILINEAR)
    images = transforms.ToTensor()(resize(Image.fromarray(frame)))[None].repeat(1, 3, 1, 1)
    with torch.no_grad():
        tokens, neck, between = written_out(random_state, images)
    expected = {
        "mean": tokens.mean(dim=(1, 2)),
        "neck": neck.mean(dim=(2, 3)),
        "stages": torch.cat([each.mean(dim=(1, 2)) for each in between], dim=1),
    }
    # Alone, each pooling is the same to the last bit: tests/encoder/test_poolings.py.
    encoder = load_encoder("samus", weights=authors_file)
    found = encoder.encode_batch_poolings(encoder.preprocessed(frame)[None], tuple(expected))
    for pooling, theirs in expected.items():
        assert theirs.std() > 0.01
        distance = float(np.abs(found[pooling] - theirs.numpy()).max())
        print(f"samus {pooling}: {distance:.1e}")
        assert distance < TOLERANCE


@pytest.mark.parametrize("prefix", ["module.image_encoder.", ""])
def test_other_layouts_of_samus(prefix: str, random_state: State, tmp_path: Path) -> None:
    torch.save({f"{prefix}{k}": t for k, t in random_state.items()}, tmp_path / "w.pth")
    ours: dict[str, Any] = load_encoder("samus", weights=tmp_path / "w.pth").network.state_dict()
    assert set(ours) == set(random_state)
    assert all(torch.equal(ours[key], tensor) for key, tensor in random_state.items())


def test_the_file_of_segment_anything_is_refused(random_state: State, tmp_path: Path) -> None:
    """The network that SAMUS begins from lacks its adapters."""
    state = {k: t for k, t in random_state.items() if "dapter" not in k and "cnn_embed" not in k}
    with pytest.raises(
        WeightsError, match=r"not the weights of samus: 76 tensors are missing.*the file of medsam"
    ) as error:
        load_encoder("samus", weights=saved(state, tmp_path / "sam.pth")).prepare()
    assert "\n" not in str(error.value)


def test_a_file_of_samus_is_recognised_where_another_is_wanted(authors_file: Path) -> None:
    """It holds the tensors by which the file of MedSAM is recognised, and more."""
    with pytest.raises(WeightsError, match="It looks like the file of samus"):
        load_encoder("panecho", weights=authors_file).prepare()
