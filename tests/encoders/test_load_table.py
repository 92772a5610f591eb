"""Files as they are found in the wild, given to the families: what once was refused, or loaded and was wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from encoders import published
from usbench.encoder import weights
from usbench.errors import UsbenchError, WeightsError
from usbench.media import open_media
from usbench.plugins.catalog import load_encoder

Frame = npt.NDArray[np.uint8]
State = dict[str, torch.Tensor]
TINY = "vit_tiny_patch16_224"


@pytest.fixture
def frame(bus_bra_subset: Path) -> Frame:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        return media.frames([0])[0]


def vit(name: str = TINY, **options: Any) -> torch.nn.Module:
    """A vision transformer of timm with random weights, tables and norms included."""
    import timm

    network = timm.create_model(name, num_classes=0, **options).eval()
    published.randomise(network, seed=7)
    return network


def squashed(frame: Frame, side: int = 224, mean: Any = (0.485, 0.456, 0.406), std: Any = (0.229, 0.224, 0.225)) -> Any:
    picture = Image.fromarray(frame).convert("RGB").resize((side, side), Image.Resampling.BICUBIC)
    pixels = torch.from_numpy(np.array(picture, np.float32)).permute(2, 0, 1)[None] / 255
    return (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]


def same(name: str, path: Path, frame: Frame, theirs: torch.Tensor, **options: Any) -> bool:
    """Whether an encoder with a file gives another network's vector; one of the latter must not be constant."""
    assert theirs.std() > 1e-3
    ours = load_encoder(name, weights=path, **options).encode_frames([frame])
    return ours.shape == tuple(theirs.shape) and float(np.abs(ours - theirs.numpy()).max()) < 1e-5


def pretraining_parts(width: int) -> State:
    return {
        "mask_token": torch.zeros(1, 1, 512),
        "decoder_pos_embed": torch.zeros(1, 197, 512),
        "decoder_embed.weight": torch.zeros(512, width),
        "decoder_blocks.0.norm1.weight": torch.zeros(512),
        "decoder_pred.bias": torch.zeros(768),
    }


AUTHORS = ",mean=imagenet,fit=squash"


def test_a_masked_autoencoder_with_its_decoder_and_optimiser(frame: Frame, tmp_path: Path) -> None:
    network = vit()
    content = {"model": {**network.state_dict(), **pretraining_parts(192)}, "optimizer": {"state": {}}, "epoch": 99}
    torch.save(content, tmp_path / "mae.pth")
    with torch.inference_mode():
        theirs = network(squashed(frame))
    assert same(f"timm:{TINY}{AUTHORS}", tmp_path / "mae.pth", frame, theirs)


def test_a_masked_autoencoder_fine_tuned_with_global_pool(frame: Frame, tmp_path: Path) -> None:
    network = vit(global_pool="avg")
    state = {**network.state_dict(), "head.weight": torch.ones(3, 192), "head.bias": torch.ones(3)}
    assert "fc_norm.weight" in state
    assert "norm.weight" not in state
    torch.save({"model": state}, tmp_path / "w.pth")
    with torch.inference_mode():
        theirs = network(squashed(frame))
    assert same(f"timm:{TINY}{AUTHORS}", tmp_path / "w.pth", frame, theirs)


def test_a_file_of_unknown_origin_gets_a_warning_and_the_statistics_that_are_asked_for(
    frame: Frame, tmp_path: Path
) -> None:
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    (remark,) = load_encoder(f"timm:{TINY}", weights=tmp_path / "w.pth").remarks()
    assert "means and deviations that pytorch-image-models states for its own weights" in remark
    assert ",mean=imagenet,fit=squash" in remark
    told = load_encoder(f"timm:{TINY}{AUTHORS}", weights=tmp_path / "w.pth")
    assert told.remarks() == ()
    assert load_encoder(f"timm:{TINY}.random").remarks() == ()
    torch.testing.assert_close(told.preprocess(frame), squashed(frame)[0], atol=1e-5, rtol=0)
    stock = load_encoder(f"timm:{TINY}", weights=tmp_path / "w.pth")
    assert (stock.preprocess(frame) - told.preprocess(frame)).abs().max() > 0.1
    assert told.identity().name == f"timm:{TINY},fit=squash,mean=imagenet"


def test_the_number_of_heads_is_said_in_the_name(frame: Frame, tmp_path: Path) -> None:
    """The same tensors make two networks."""
    network = vit(num_heads=12)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with torch.inference_mode():
        theirs = network(squashed(frame))
    assert same(f"timm:{TINY},num_heads=12{AUTHORS}", tmp_path / "w.pth", frame, theirs)
    assert not same(f"timm:{TINY}{AUTHORS}", tmp_path / "w.pth", frame, theirs)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (f"timm:{TINY},num_heads=7", "cannot be built.*divisible by num_heads.*Check the name and its options"),
        (f"timm:{TINY},num_heads=0", "num_heads=0 is not understood"),
        (f"timm:{TINY},heads=12", "unknown option 'heads'; it takes img_size, num_heads"),
        (f"timm:{TINY},fit=stretch", "write one of squash, crop, pad"),
        (f"timm:{TINY},mean=0.5", "give mean and std together"),
        (f"timm:{TINY},mean=0.5,std=0", "a deviation of zero"),
        (f"timm:{TINY}.random,pretraining=busi", "random weights have seen nothing"),
    ],
)
def test_options_that_make_no_sense(name: str, message: str, tmp_path: Path) -> None:
    path = None if ".random" in name else tmp_path / "w.pth"
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    with pytest.raises(UsbenchError, match=message) as caught:
        load_encoder(name, weights=path).prepare()
    assert "\n" not in str(caught.value)


RELATIVE = "vit_relpos_small_patch16_224"


def test_another_number_of_heads_is_refused_where_a_tensor_tells_it(frame: Frame, tmp_path: Path) -> None:
    """Tables of relative positions have a column per head."""
    import timm

    network = timm.create_model(RELATIVE, num_classes=0, num_heads=12).eval()
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with pytest.raises(
        WeightsError, match=r"is of a network with 12 attention heads, but timm:.* has 6\. Add ,num_heads=12"
    ):
        load_encoder(f"timm:{RELATIVE}", weights=tmp_path / "w.pth").prepare()
    load_encoder(f"timm:{RELATIVE},num_heads=12", weights=tmp_path / "w.pth").prepare()
    with pytest.raises(WeightsError, match="with 12 attention heads, and this one has 4") as caught:
        load_encoder(f"timm:{RELATIVE},num_heads=4", weights=tmp_path / "w.pth").prepare()
    assert "\n" not in str(caught.value)


def test_heads_without_a_file_are_refused() -> None:
    with pytest.raises(UsbenchError, match="num_heads says how a file of weights is meant"):
        load_encoder(f"timm:{TINY},num_heads=12").prepare()


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_the_fit_of_a_frame(fit: str) -> None:
    """A wide frame, white at its left edge: kept, cut off, or moved down by the padding."""
    frame = np.zeros((100, 200), np.uint8)
    frame[:, :20] = 255
    tensor = load_encoder(f"timm:{TINY}.random,mean=unit,fit={fit}").preprocess(frame)
    corner, middle = float(tensor[0, 2, 2]), float(tensor[0, 112, 2])
    assert (corner > 0.9, middle > 0.9) == {"squash": (True, True), "crop": (False, False), "pad": (False, True)}[fit]


def dinov2(state: State) -> dict[str, Any]:
    """A file of DINOv2 as its training program writes it, of the small test network."""
    content = {f"backbone.{key}": tensor for key, tensor in state.items()}
    content["backbone.mask_token"] = torch.zeros(1, 48)
    content["dino_head.last_layer.weight_v"] = torch.ones(9, 4)
    return {"teacher": content}


def test_a_dinov2_trained_at_its_own_size(frame: Frame, tmp_path: Path) -> None:
    """The positions in the file say 224 px where timm's model is of 518."""
    name = "vit_small_patch14_dinov2"
    network = vit(name, img_size=224)
    assert network.pos_embed.shape[1] == 257
    torch.save(dinov2(network.state_dict()), tmp_path / "w.pth")
    with torch.inference_mode():
        theirs = network(squashed(frame))
    encoder = load_encoder(f"timm:{name}{AUTHORS}", weights=tmp_path / "w.pth")
    assert encoder.preprocess(frame).shape == (3, 224, 224)
    np.testing.assert_allclose(encoder.encode_frames([frame]), theirs, atol=1e-4)
    with pytest.raises(WeightsError, match=r"have another shape, first 'pos_embed': \(1, 257, 384\)"):
        load_encoder(f"timm:{name},img_size=518{AUTHORS}", weights=tmp_path / "w.pth").prepare()


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"weights": state},
        lambda state: {"ema_state_dict": state, "state_dict": {"other": torch.zeros(1)}, "model": "vit_base"},
        lambda state: {"encoder": state},
        lambda state: {"target_encoder": state, "encoder": {"other": torch.zeros(1)}, "predictor": {}},
        lambda state: {"state_dict": {f"module.model.{key}": tensor for key, tensor in state.items()}},
    ],
    ids=["weights", "ema_state_dict", "encoder", "target_encoder", "module.model."],
)
def test_wrappers(wrapped: Any, tmp_path: Path) -> None:
    network = vit()
    torch.save(wrapped(network.state_dict()), tmp_path / "w.pth")
    ours = load_encoder(f"timm:{TINY}{AUTHORS}", weights=tmp_path / "w.pth").network.state_dict()
    assert all(torch.equal(tensor, ours[key]) for key, tensor in network.state_dict().items())


def test_a_file_without_counters_of_batch_norm(frame: Frame, tmp_path: Path) -> None:
    network = vit("resnet18")
    state = {key: tensor for key, tensor in network.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "w.pth")
    with torch.inference_mode():
        theirs = network(squashed(frame))
    assert same(f"timm:resnet18{AUTHORS},resampling=bicubic", tmp_path / "w.pth", frame, theirs)
    del state["layer1.0.bn1.running_mean"]
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"1 tensors are missing, first 'layer1\.0\.bn1\.running_mean'"):
        load_encoder("timm:resnet18", weights=tmp_path / "w.pth").prepare()


# Folders
# --------------------------------------------------------------------------------------------------------


def sharded(folder: Path, state: State) -> Path:
    """Write a folder as transformers writes models too large for one file."""
    folder.mkdir()
    names, places = sorted(state), {}
    for number, part in enumerate((names[::2], names[1::2]), start=1):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: state[name].contiguous() for name in part}, folder / file)
        places |= dict.fromkeys(part, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": places}))
    return folder


@pytest.mark.parametrize("given", ["folder", "index"])
def test_a_folder_of_parts(given: str, frame: Frame, tmp_path: Path) -> None:
    network = vit()
    folder = sharded(tmp_path / "model", network.state_dict())
    path = folder if given == "folder" else folder / "model.safetensors.index.json"
    with torch.inference_mode():
        theirs = network(squashed(frame))
    assert same(f"timm:{TINY}{AUTHORS}", path, frame, theirs)
    before = weights.file_sha256(path)
    part = next(folder.glob("*00001*"))
    save_file({"other": torch.zeros(3)}, part)
    assert weights.file_sha256(path) != before
    with pytest.raises(WeightsError, match=r"tensors that the index names are in no file"):
        load_encoder(f"timm:{TINY}", weights=path).prepare()
    part.unlink()
    with pytest.raises(WeightsError, match=r"names model-00001-of-00002.safetensors, which is not beside it"):
        load_encoder(f"timm:{TINY}", weights=path).prepare()


def test_an_index_that_leads_elsewhere_is_not_followed(tmp_path: Path) -> None:
    folder = sharded(tmp_path / "model", {"a": torch.zeros(1)})
    save_file({"a": torch.zeros(1)}, tmp_path / "secret.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../secret.safetensors"}}))
    with pytest.raises(WeightsError, match=r"names \.\./secret\.safetensors, which is not beside it"):
        weights.read_state(folder)
    (folder / "model.safetensors.index.json").write_text("[]")
    with pytest.raises(WeightsError, match="is no index of weights"):
        weights.read_state(folder)


def test_a_folder_without_weights(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"holds neither model\.safetensors nor an index of parts"):
        load_encoder(f"timm:{TINY}", weights=tmp_path).prepare()


# OpenCLIP
# --------------------------------------------------------------------------------------------------------


def clip_pixels(name: str, frame: Frame, path: Path) -> torch.Tensor:
    """What the encoder does with a frame; the file is that of OpenCLIP's own untrained model."""
    import open_clip

    torch.save(open_clip.create_model(name.partition("@")[0].partition(",")[0]).state_dict(), path)
    return load_encoder(f"open_clip:{name}", weights=path).preprocess(frame)


@pytest.mark.slow
def test_siglip_gets_its_own_statistics_with_a_file_too(frame: Frame, tmp_path: Path) -> None:
    ours = clip_pixels("ViT-B-16-SigLIP", frame, tmp_path / "w.pt")
    torch.testing.assert_close(ours, squashed(frame, mean=(0.5,) * 3, std=(0.5,) * 3)[0], atol=0.01, rtol=0)


def test_clip_keeps_openais_and_takes_options(tmp_path: Path) -> None:
    """A small model, of which OpenCLIP publishes no weights: options alone decide."""
    wide = np.full((50, 100), 255, np.uint8)
    padded = clip_pixels("ViT-S-32-alt,fit=pad,mean=unit", wide, tmp_path / "w.pt")
    assert padded[0, 0].max() == 0
    assert padded[0, 112].min() == 1
    plain = clip_pixels("ViT-S-32-alt", wide, tmp_path / "w.pt")
    assert float(plain[0].mean()) == pytest.approx((1 - 0.48145466) / 0.26862954, abs=1e-3)


def test_what_a_file_has_seen_can_be_said(tmp_path: Path) -> None:
    torch.save(vit().state_dict(), tmp_path / "w.pth")
    assert load_encoder(f"timm:{TINY}", weights=tmp_path / "w.pth").pretraining() is None
    stated = load_encoder(f"timm:{TINY},pretraining=busi/camus", weights=tmp_path / "w.pth")
    assert stated.pretraining() == ("busi", "camus")
    assert load_encoder(f"timm:{TINY},pretraining=none", weights=tmp_path / "w.pth").pretraining() == ()
