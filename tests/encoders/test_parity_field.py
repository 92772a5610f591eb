"""The field's encoders by name, from files in the published layouts, against independent implementations.

The reference is another library's network with random weights, renamed to what the authors publish; pixels follow the
authors' recipe as written out here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from encoders import published
from encoders.published import State, renamed
from usbench.errors import WeightsError
from usbench.media import open_media
from usbench.plugins.catalog import ENCODERS, load_encoder

TOLERANCE = 1e-4
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
OPENAI = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))


@pytest.fixture
def frame(bus_bra_subset: Path) -> npt.NDArray[np.uint8]:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        return media.frames([0])[0]


def recipe(frame: npt.NDArray[np.uint8], filter_name: str, side: int = 224, statistics: Any = IMAGENET) -> torch.Tensor:
    """torchvision's Resize to a square, ToTensor and Normalize, ``(1, 3, side, side)``."""
    from torchvision import transforms

    mode = transforms.InterpolationMode[filter_name]
    pipeline = transforms.Compose(
        [transforms.Resize((side, side), mode), transforms.ToTensor(), transforms.Normalize(*statistics)]
    )
    images: torch.Tensor = pipeline(Image.fromarray(frame).convert("RGB"))[None]
    return images


def agree(name: str, path: Path, frame: npt.NDArray[np.uint8], theirs: torch.Tensor, **options: Any) -> float:
    """The largest difference of our vector from another, which must not be nearly constant."""
    assert theirs.std() > 0.01
    ours = load_encoder(name, weights=path, **options).encode_frames([frame])
    assert ours.shape == tuple(theirs.shape)
    distance = float(np.abs(ours - theirs.numpy()).max())
    print(f"{name} {options}: {distance:.1e}")
    assert distance < TOLERANCE
    return distance


# Masked autoencoders
# --------------------------------------------------------------------------------------------------------

VIT = [
    ("embeddings.cls_token", "cls_token"),
    ("embeddings.position_embeddings", "pos_embed"),
    ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
    ("layers.", "blocks."),
    ("layernorm_before", "norm1"),
    ("layernorm_after", "norm2"),
    ("attention.o_proj", "attn.proj"),
    ("layernorm.", "norm."),
]


def vit(width: int = 768, depth: int = 12, heads: int = 12, eps: float = 1e-6) -> torch.nn.Module:
    """transformers' ViT with random weights."""
    from transformers import ViTConfig, ViTModel

    sizes = {"hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads}
    config = ViTConfig(**sizes, intermediate_size=4 * width, layer_norm_eps=eps, attn_implementation="eager")
    model = ViTModel(config, add_pooling_layer=False).eval().requires_grad_(False)
    published.randomise(model, seed=3)
    return model


def vit_state(model: torch.nn.Module) -> State:
    """The tensors of transformers' ViT under the names of timm, which the MAE programs use."""
    source = dict(model.state_dict())
    state = renamed({key: t for key, t in source.items() if not any(p in key for p in ("q_p", "k_p", "v_p"))}, VIT)
    for number in range(model.config.num_hidden_layers):
        for kind in ("weight", "bias"):
            parts = [source[f"layers.{number}.attention.{part}_proj.{kind}"] for part in "qkv"]
            state[f"blocks.{number}.attn.qkv.{kind}"] = torch.cat(parts)
    return state


def pretraining(state: State) -> State:
    """The same beside the decoder of a masked autoencoder."""
    decoder = {"mask_token": torch.zeros(1, 1, 512), "decoder_pos_embed": torch.zeros(1, 197, 512)}
    return {**state, **decoder, "decoder_embed.weight": torch.zeros(512, 768), "decoder_norm.bias": torch.zeros(512)}


def tokens(model: torch.nn.Module, images: torch.Tensor, normed: bool = True) -> torch.Tensor:
    norm = model.layernorm
    if not normed:
        model.layernorm = torch.nn.Identity()
    with torch.inference_mode():
        found: torch.Tensor = model(images).last_hidden_state
    model.layernorm = norm
    return found


@pytest.mark.slow
def test_usf_mae_equals_transformers(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    model = vit()
    path = tmp_path / "USF-MAE_full_pretrain_43dataset_100epochs.pt"
    torch.save({"model": pretraining(vit_state(model)), "optimizer": {}, "epoch": 99}, path)
    found = tokens(model, recipe(frame, "NEAREST"))
    agree("usf-mae", path, frame, found[:, 0])
    agree("usf-mae", path, frame, found[:, 1:].mean(1), pooling="mean")


@pytest.mark.slow
def test_ultrafedfm_equals_transformers(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    """The pre-training file, whose norm comes before the mean, and a fine-tuned one, where it comes after."""
    model = vit()
    state = vit_state(model)
    torch.save({"model": pretraining(state)}, tmp_path / "checkpoint.pth")
    images = recipe(frame, "BICUBIC")
    agree("ultrafedfm", tmp_path / "checkpoint.pth", frame, tokens(model, images)[:, 1:].mean(1))
    tuned = renamed(state, [("norm.weight", "fc_norm.weight"), ("norm.bias", "fc_norm.bias")])
    torch.save({"model": {**tuned, "head.weight": torch.ones(2, 768), "head.bias": torch.ones(2)}}, tmp_path / "t.pth")
    expected = model.layernorm(tokens(model, images, normed=False)[:, 1:].mean(1))
    agree("ultrafedfm", tmp_path / "t.pth", frame, expected)


@pytest.mark.parametrize("prefix", ["", "module.", "module.model."])
def test_tinyusfm_equals_transformers(prefix: str, frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    model = vit(192, 12, 12)
    state = renamed(vit_state(model), [("norm.weight", "fc_norm.weight"), ("norm.bias", "fc_norm.bias")])
    state |= {"head.weight": torch.ones(2, 192), "head.bias": torch.ones(2)}
    torch.save({f"{prefix}{key}": tensor for key, tensor in state.items()}, tmp_path / "TinyUSFM.pth")
    expected = model.layernorm(tokens(model, recipe(frame, "BILINEAR"), normed=False)[:, 1:].mean(1))
    agree("tinyusfm", tmp_path / "TinyUSFM.pth", frame, expected)


def shallow(monkeypatch: pytest.MonkeyPatch, name: str) -> State:
    """Let an encoder have a single block; return such a network's tensors."""
    kind: Any = ENCODERS.get(name).value
    monkeypatch.setattr(kind, "depth", 1)
    return vit_state(vit(kind.width, 1, kind.heads))


@pytest.mark.parametrize("name", ["usf-mae", "urfm", "urfm-large", "ultrafedfm"])
@pytest.mark.parametrize(
    "layout",
    [
        lambda state: state,
        lambda state: {"model": state},
        lambda state: {"ema_state_dict": state, "state_dict": {"x": torch.ones(1)}, "model": "vit_base_patch16"},
        lambda state: {"state_dict": {f"module.encoder.{key}": tensor for key, tensor in state.items()}},
    ],
    ids=["flat", "model", "ema", "prefixed"],
)
def test_layouts_of_masked_autoencoders(
    layout: Any, name: str, frame: npt.NDArray[np.uint8], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = shallow(monkeypatch, name)
    torch.save(layout(pretraining(state)), tmp_path / "w.pth")
    ours = load_encoder(name, weights=tmp_path / "w.pth").network.state_dict()
    assert set(ours) == set(state)
    assert all(torch.equal(ours[key], tensor) for key, tensor in state.items())


def test_the_file_of_another_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = shallow(monkeypatch, "urfm-large")
    monkeypatch.setattr(ENCODERS.get("urfm").value, "depth", 1)
    torch.save({"model": pretraining(state)}, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"not the weights of urfm: \d+ have another shape, first 'cls_token'") as e:
        load_encoder("urfm", weights=tmp_path / "w.pth").prepare()
    assert "\n" not in str(e.value)


# Towers of CLIP models
# --------------------------------------------------------------------------------------------------------


def tower_file(visual: torch.nn.Module, path: Path) -> None:
    """Write the file of a CLIP model: the image tower beside its text part."""
    state = {f"visual.{key}": tensor for key, tensor in visual.state_dict().items()}
    torch.save({**state, "logit_scale": torch.ones(()), "text_projection": torch.ones(2, 2)}, path)


def open_clip_visual(embed: int, vision: dict[str, Any]) -> Any:
    """The image tower by OpenCLIP itself, with random weights."""
    import open_clip

    text = {"context_length": 8, "vocab_size": 64, "width": 64, "heads": 1, "layers": 1}
    model = open_clip.CLIP(embed_dim=embed, vision_cfg=vision, text_cfg=text).eval().requires_grad_(False)
    published.randomise(model.visual, seed=6)
    return model.visual


def padded(frame: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    side = max(frame.shape)
    square = np.zeros((side, side), np.uint8)
    top, left = ((side - edge) // 2 for edge in frame.shape)
    square[top : top + frame.shape[0], left : left + frame.shape[1]] = frame
    return square


@pytest.mark.slow
def test_fetalclip_equals_open_clip(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    visual = open_clip_visual(768, {"image_size": 224, "layers": 24, "width": 1024, "patch_size": 14})
    tower_file(visual, tmp_path / "FetalCLIP_weights.pt")
    with torch.inference_mode():
        theirs = visual(recipe(padded(frame), "BICUBIC", statistics=OPENAI))
    agree("fetalclip", tmp_path / "FetalCLIP_weights.pt", frame, theirs)


@pytest.mark.slow
def test_biomedclip_equals_open_clip(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    vision = {"timm_model_name": "vit_base_patch16_224", "timm_model_pretrained": False, "image_size": 224}
    visual = open_clip_visual(512, {**vision, "timm_pool": "", "timm_proj": "linear"})
    tower_file(visual, tmp_path / "biomedclip.bin")
    from torchvision import transforms

    mode = transforms.InterpolationMode.BICUBIC
    steps = [transforms.Resize(224, mode), transforms.CenterCrop(224), transforms.ToTensor()]
    images = transforms.Compose([*steps, transforms.Normalize(*OPENAI)])(Image.fromarray(frame).convert("RGB"))[None]
    with torch.inference_mode():
        theirs = visual(images)
    agree("biomedclip", tmp_path / "biomedclip.bin", frame, theirs)


@pytest.mark.slow
def test_echoclip_equals_open_clip(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    vision = {"timm_model_name": "convnext_base", "timm_model_pretrained": False, "image_size": 224}
    visual = open_clip_visual(512, {**vision, "timm_pool": "", "timm_proj": "linear"})
    tower_file(visual, tmp_path / "echoclip.bin")
    encoder = load_encoder("echoclip", weights=tmp_path / "echoclip.bin")
    with torch.inference_mode():
        theirs = visual(encoder.preprocess(frame)[None])
    agree("echoclip", tmp_path / "echoclip.bin", frame, theirs)


@pytest.mark.parametrize("size", [(300, 420), (420, 300), (224, 224), (1, 1), (7, 200), (3, 2)])
def test_echoclip_pixels_follow_opencv(size: tuple[int, int]) -> None:
    """Cut to the central square, a tenth off every side, OpenCV's cubic filter."""
    cv2 = pytest.importorskip("cv2")
    frame = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
    ours = load_encoder("echoclip.random").preprocess(frame)
    assert ours.shape == (3, 224, 224)
    if min(size) < 100:
        return  # the authors' program does not take frames so small
    height, width = size
    cut = frame[:, (width - height) // 2 : -((width - height) // 2)] if width > height else frame
    cut = frame[(height - width) // 2 : -((height - width) // 2)] if height > width else cut
    margin = int(cut.shape[0] * 0.1)
    cut = cut[margin:-margin, margin:-margin]
    theirs = cv2.resize(cut, (224, 224), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    grey = np.asarray(ours[0]) * OPENAI[1][0] * 255 + OPENAI[0][0] * 255
    assert np.abs(grey - theirs).max() <= 1.01  # OpenCV interpolates in whole numbers


# PanEcho and EchoCare
# --------------------------------------------------------------------------------------------------------


def panecho_state(network: torch.nn.Module) -> State:
    """timm's ConvNeXt-T in torchvision's spelling, under the prefix of PanEcho."""
    stem = [("stem.0.", "features.0.0."), ("stem.1.", "features.0.1.")]
    state: State = {}
    for key, tensor in renamed(dict(network.state_dict()), stem).items():
        parts = key.split(".")
        if parts[0] == "stages":
            stage = int(parts[1])
            if parts[2] == "downsample":
                name = f"features.{2 * stage}.{parts[3]}.{parts[4]}"
            else:
                inner = {"conv_dw": "block.0", "norm": "block.2", "mlp.fc1": "block.3", "mlp.fc2": "block.5"}
                rest = ".".join(parts[4:])
                rest = next((rest.replace(a, b, 1) for a, b in inner.items() if rest.startswith(a)), rest)
                name = f"features.{2 * stage + 1}.{parts[3]}.{rest.replace('gamma', 'layer_scale')}"
                tensor = tensor[:, None, None] if name.endswith("layer_scale") else tensor
        else:
            name = key.replace("head.norm.", "classifier.0.")
        state[f"encoder.encoder.model.{name}"] = tensor
    return state


def test_panecho_equals_timm(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    import timm

    network = timm.create_model("convnext_tiny", num_classes=0).eval().requires_grad_(False)
    published.randomise(network, seed=8)
    others = {"encoder.time_encoder.pe": torch.zeros(1, 16, 768), "EF_head.1.weight": torch.ones(1, 768)}
    others["encoder.transformer.layers.0.norm1.weight"] = torch.ones(768)
    torch.save({"weights": {**panecho_state(network), **others}}, tmp_path / "panecho.pt")
    images = recipe(frame, "BILINEAR")
    with torch.inference_mode():
        theirs = network(images)
        stages = torch.cat([each.mean((2, 3)) for each in network.forward_intermediates(images)[1]], 1)
    agree("panecho", tmp_path / "panecho.pt", frame, theirs)
    agree("panecho", tmp_path / "panecho.pt", frame, stages, pooling="stages")


@pytest.mark.slow
def test_echocare_equals_windows_without_padding(frame: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    """Against the forward pass of `tusa.inference`, which attends otherwise and shares convolutions and norms."""
    from monai.networks.nets.swin_unetr import SwinTransformer

    from tusa.inference import FastSwin

    network = SwinTransformer(
        in_chans=3, embed_dim=128, window_size=(8, 8), patch_size=(2, 2), depths=(2, 2, 18, 2),
        num_heads=(4, 8, 16, 32), use_v2=True, spatial_dims=2,
    ).eval().requires_grad_(False)  # fmt: skip
    published.randomise(network, seed=9)
    torch.save({**network.state_dict(), "mask_token": torch.zeros(1, 128)}, tmp_path / "echocare_encoder.pth")
    images = recipe(frame, "BILINEAR", 256, ((0.0,) * 3, (1.0,) * 3))
    maps = FastSwin(network)(images)
    agree("echocare", tmp_path / "echocare_encoder.pth", frame, maps[4].mean((2, 3)))
    stages = torch.cat([maps[number].mean((2, 3)) for number in range(5)], 1)
    agree("echocare", tmp_path / "echocare_encoder.pth", frame, stages, pooling="stages")


def test_a_file_of_another_network_is_recognised(tmp_path: Path) -> None:
    torch.save({"weights": {"encoder.encoder.model.features.0.0.weight": torch.ones(1),
                            "encoder.time_encoder.pe": torch.ones(1)}}, tmp_path / "w.pt")  # fmt: skip
    with pytest.raises(WeightsError, match=r"not the weights of tinyusfm.*It looks like the file of panecho"):
        load_encoder("tinyusfm", weights=tmp_path / "w.pt").prepare()
