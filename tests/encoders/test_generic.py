"""Anybody else's models: their own preprocessing and weights, and the vectors that their library gives directly."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image

from encoders import published
from usbench.errors import UnknownNameError, UsbenchError, WeightsError
from usbench.plugins.catalog import load_encoder

pytestmark = pytest.mark.filterwarnings("ignore")
FRAMES = [
    np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8) for seed, size in enumerate([(90, 130)] * 2)
]
PICTURES = [Image.fromarray(frame).convert("RGB") for frame in FRAMES]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a forgotten download fail at once."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


def close(ours: npt.NDArray[np.float32], theirs: torch.Tensor) -> bool:
    assert theirs.std() > 1e-3, "a reference that is nearly constant would prove nothing"
    return ours.shape == tuple(theirs.shape) and float(np.abs(ours - theirs.numpy()).max()) < 1e-5


# timm
# --------------------------------------------------------------------------------------------------------


def timm_reference(name: str, path: Path, **options: Any) -> torch.nn.Module:
    """A model of timm with random weights, those saved to ``path``."""
    import timm

    network = timm.create_model(name, **options).eval().requires_grad_(False)
    published.randomise(network, seed=4)
    torch.save({"model": network.state_dict()}, path)
    return network


def timm_batch(network: torch.nn.Module) -> torch.Tensor:
    from timm.data import create_transform, resolve_data_config

    transform = create_transform(**resolve_data_config({}, model=network), is_training=False)
    return torch.stack([transform(picture) for picture in PICTURES])


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_timm_equals_timm(name: str, tmp_path: Path) -> None:
    """The file holds a classifier too, which is no part of an encoder."""
    network = timm_reference(name, tmp_path / "w.pth", num_classes=7)
    ours = load_encoder(f"timm:{name}", weights=tmp_path / "w.pth")
    with torch.inference_mode():
        features = network.forward_features(timm_batch(network))
        pooled = network.forward_head(features, pre_logits=True)
    assert close(ours.encode_frames(FRAMES), pooled)
    mean = load_encoder(f"timm:{name}", weights=tmp_path / "w.pth", pooling="mean")
    tokens = features[:, 1:].mean(1) if features.ndim == 3 else features.mean((2, 3))
    assert close(mean.encode_frames(FRAMES), tokens)


def test_timm_takes_the_size_and_means_of_the_model(tmp_path: Path) -> None:
    tensor = load_encoder("timm:vit_tiny_r_s16_p8_384.random").preprocess(FRAMES[0])
    assert tensor.shape == (3, 384, 384)
    assert tensor.min() >= -1
    assert torch.equal(tensor[0], tensor[2])  # means of 0.5 for all channels: grey stays grey


def test_the_whole_frame_is_not_cropped() -> None:
    frame = np.zeros((100, 200), np.uint8)
    frame[:, :20] = 255  # at the edge that a central crop cuts off
    cropped = load_encoder("timm:resnet18.random").preprocess(frame)
    whole = load_encoder("timm:resnet18.random", preprocessing="whole").preprocess(frame)
    assert cropped.max() < 0
    assert whole[0, :, 2].min() > 1


def test_timm_of_its_own_file_that_does_not_fit(tmp_path: Path) -> None:
    timm_reference("resnet18", tmp_path / "w.pth", num_classes=7)
    with pytest.raises(WeightsError, match=r"not the weights of timm:resnet26.*missing"):
        load_encoder("timm:resnet26", weights=tmp_path / "w.pth").prepare()


def test_random_weights_are_the_same_every_time_and_declared() -> None:
    first, second = load_encoder("timm:resnet18.random"), load_encoder("timm:resnet18.random")
    assert first.card.floor
    assert first.pretraining() == ()
    assert first.weights_id().startswith("init:seed=0:torch=")
    assert np.array_equal(first.encode_frames(FRAMES), second.encode_frames(FRAMES))


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("timm:resnet81", UnknownNameError, r"timm has no model 'resnet81'.*Did you mean"),
        ("timm:resnet18", WeightsError, r"usbench weights add timm:resnet18 FILE.*`timm:resnet18.random` is the same"),
        ("transformers:no/such", WeightsError, r"published weights cannot be had.*usbench weights add"),
        ("transformers:no/such.random", UsbenchError, r"cannot be built.*Check the name"),
        ("open_clip:ViT-B-23", UnknownNameError, r"OpenCLIP has no model 'ViT-B-23'.*Did you mean"),
        ("open_clip:ViT-B-32", UsbenchError, r"say which weights: ViT-B-32@.*ViT-B-32.random, or give a file"),
        ("torch:net.py:Net", UsbenchError, r"no such file net.py"),
        ("torch:net", UsbenchError, r"write torch:path/to/file.py:Class"),
        ("timm:", UnknownNameError, r"write what follows the colon"),
    ],
)
def test_mistakes(name: str, kind: type[UsbenchError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        load_encoder(name).prepare()
    assert "\n" not in str(caught.value)


def test_random_and_a_file_contradict(tmp_path: Path) -> None:
    with pytest.raises(UsbenchError, match=r"leave \.random or the file out"):
        load_encoder("timm:resnet18.random", weights=tmp_path / "w.pth")


# transformers
# --------------------------------------------------------------------------------------------------------

SIZES: dict[str, Any] = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 64}


def transformers_folder(kind: str, folder: Path) -> tuple[torch.nn.Module, Any]:
    """Save a small model with random weights and its image processor; return both."""
    import transformers as hf

    makers: dict[str, Any] = {
        "vit": lambda: hf.ViTModel(hf.ViTConfig(image_size=64, patch_size=16, **SIZES)),
        "vit without pooler": lambda: hf.ViTModel(
            hf.ViTConfig(image_size=64, patch_size=16, **SIZES), add_pooling_layer=False
        ),
        "dinov2": lambda: hf.Dinov2Model(hf.Dinov2Config(image_size=64, patch_size=16, **SIZES)),
        "registers": lambda: hf.Dinov2WithRegistersModel(
            hf.Dinov2WithRegistersConfig(image_size=64, patch_size=16, num_register_tokens=3, **SIZES)
        ),
        "resnet": lambda: hf.ResNetModel(
            hf.ResNetConfig(embedding_size=16, hidden_sizes=[16, 24], depths=[1, 1], layer_type="basic")
        ),
        "clip": lambda: hf.CLIPModel(
            hf.CLIPConfig(
                vision_config={"image_size": 64, "patch_size": 16, **SIZES},
                text_config={"vocab_size": 99, "bos_token_id": 97, "eos_token_id": 98, **SIZES},
            )
        ),
        "siglip": lambda: hf.SiglipModel(
            hf.SiglipConfig(
                vision_config={"image_size": 64, "patch_size": 16, **SIZES}, text_config={"vocab_size": 99, **SIZES}
            )
        ),
    }
    torch.manual_seed(2)
    model = makers[kind]().eval().requires_grad_(False)
    published.randomise(model, seed=5)
    processor = hf.ViTImageProcessor(
        size={"height": 64, "width": 64}, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4]
    )
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return getattr(model, "vision_model", model), processor


@pytest.mark.parametrize("kind", ["vit", "dinov2", "registers", "resnet", "clip", "siglip"])
def test_transformers_equals_transformers(kind: str, tmp_path: Path) -> None:
    network, processor = transformers_folder(kind, tmp_path / "model")
    with torch.inference_mode():
        output = network(pixel_values=processor(images=PICTURES, return_tensors="pt")["pixel_values"])
    ours = load_encoder(f"transformers:{tmp_path / 'model'}")
    assert close(ours.encode_frames(FRAMES), output.pooler_output.flatten(1))
    ours.pooling = "mean"
    hidden = output.last_hidden_state
    first = {"resnet": 0, "siglip": 0, "registers": 4}.get(kind, 1)
    assert close(ours.encode_frames(FRAMES), hidden.mean((2, 3)) if hidden.ndim == 4 else hidden[:, first:].mean(1))
    assert ours.weights_id().startswith("folder:")


def test_a_pooler_without_weights_is_not_used(tmp_path: Path) -> None:
    """The library would fill it with random numbers."""
    network, processor = transformers_folder("vit without pooler", tmp_path / "model")
    with torch.inference_mode():
        output = network(pixel_values=processor(images=PICTURES, return_tensors="pt")["pixel_values"])
    ours = load_encoder(f"transformers:{tmp_path / 'model'}")
    assert close(ours.encode_frames(FRAMES), output.last_hidden_state[:, 0])


def test_incomplete_weights_of_a_folder_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    transformers_folder("dinov2", tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    state = load_file(file)
    gone = next(key for key in state if key.endswith("norm1.weight"))
    del state[gone]
    save_file(state, file, metadata={"format": "pt"})
    with pytest.raises(WeightsError, match=f"1 tensors of the model are missing in its weights, first '{gone}'"):
        load_encoder(f"transformers:{tmp_path / 'model'}").prepare()


def test_a_file_replaces_the_weights_of_a_folder(tmp_path: Path) -> None:
    network, processor = transformers_folder("dinov2", tmp_path / "model")
    published.randomise(network, seed=9)
    torch.save(network.state_dict(), tmp_path / "w.pth")
    with torch.inference_mode():
        output = network(pixel_values=processor(images=PICTURES, return_tensors="pt")["pixel_values"])
    ours = load_encoder(f"transformers:{tmp_path / 'model'}", weights=tmp_path / "w.pth")
    assert close(ours.encode_frames(FRAMES), output.pooler_output)


def test_a_changed_folder_is_another_encoder(tmp_path: Path) -> None:
    transformers_folder("dinov2", tmp_path / "model")
    before = load_encoder(f"transformers:{tmp_path / 'model'}").identity()
    config = tmp_path / "model" / "preprocessor_config.json"
    config.write_text(config.read_text().replace("0.4", "0.41"))
    assert load_encoder(f"transformers:{tmp_path / 'model'}").identity() != before


# open_clip
# --------------------------------------------------------------------------------------------------------


def test_open_clip_equals_open_clip(tmp_path: Path) -> None:
    """A file of the whole model, text part included, of which the image part is taken."""
    import open_clip

    torch.manual_seed(3)
    model, _, transform = open_clip.create_model_and_transforms("ViT-S-32-alt", pretrained=None)
    model.eval()
    torch.save({"state_dict": {f"module.{k}": v for k, v in model.state_dict().items()}}, tmp_path / "w.pt")
    with torch.inference_mode():
        theirs = model.encode_image(torch.stack([transform(picture) for picture in PICTURES]))
    ours = load_encoder("open_clip:ViT-S-32-alt", weights=tmp_path / "w.pt")
    assert close(ours.encode_frames(FRAMES), theirs)


# torch
# --------------------------------------------------------------------------------------------------------

NET = """
import torch

class Net(torch.nn.Module):
    input_size = (32, 48)
    channels = 1
    mean, std = 0.25, 0.5

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 5, 3)
        {more}

    def forward(self, images):
        return self.layer(images)
"""


def net(folder: Path, more: str = "") -> Path:
    path = folder / "net.py"
    path.write_text(NET.format(more=more))
    return path


def test_torch_module_with_a_state_dict(tmp_path: Path) -> None:
    path = net(tmp_path)
    layer = torch.nn.Conv2d(1, 5, 3)
    torch.save({f"encoder.layer.{key}": tensor for key, tensor in layer.state_dict().items()}, tmp_path / "w.pt")
    ours = load_encoder(f"torch:{path}:Net", weights=tmp_path / "w.pt")
    batch = torch.stack([ours.preprocess(frame) for frame in FRAMES])
    assert batch.shape == (2, 1, 32, 48)
    assert float(ours.preprocess(np.full((9, 9), 255, np.uint8)).mean()) == pytest.approx(1.5)
    with torch.inference_mode():
        assert close(ours.encode_frames(FRAMES), layer(batch).mean((2, 3)))
    before = ours.identity()
    path.write_text(path.read_text() + "\n# changed\n")
    assert load_encoder(f"torch:{path}:Net", weights=tmp_path / "w.pt").identity() != before


def test_torch_module_without_weights_says_so(tmp_path: Path) -> None:
    path = net(tmp_path)
    with pytest.raises(WeightsError, match=r"has random weights, and no file of weights is given.*Net\.random"):
        load_encoder(f"torch:{path}:Net").prepare()
    assert load_encoder(f"torch:{path}:Net.random").encode_frames(FRAMES).shape == (2, 5)


def test_torch_module_that_brings_its_weights(tmp_path: Path) -> None:
    path = net(tmp_path, "torch.nn.init.constant_(self.layer.weight, 0.1); torch.nn.init.zeros_(self.layer.bias)")
    assert load_encoder(f"torch:{path}:Net").encode_frames(FRAMES).shape == (2, 5)


def test_torch_file_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text("class Net: pass\n")
    with pytest.raises(UsbenchError, match="makes a Net, not a torch module"):
        load_encoder(f"torch:{tmp_path / 'net.py'}:Net").prepare()
    with pytest.raises(UsbenchError, match="has no 'Nett'"):
        load_encoder(f"torch:{tmp_path / 'net.py'}:Nett")
