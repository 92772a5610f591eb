"""Our vectors against those of other implementations, at full size, from files in the published layouts.

Both sides start from a frame: the reference follows the authors' recipe as written out here.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage import transform

from encoders import published
from usbench.plugins.catalog import load_encoder

TOLERANCE = 1e-4


def frames() -> list[npt.NDArray[np.uint8]]:
    """Frames with smooth and sharp content, wide, tall and square, one larger than the input of SAM."""
    generator = np.random.default_rng(5)
    shapes = [(256, 199), (120, 350), (1100, 1300)]
    found = []
    for height, width in shapes:
        rows, columns = np.mgrid[:height, :width]
        smooth = 90 + 80 * np.sin(rows / 23) * np.cos(columns / 31)
        speckle = generator.rayleigh(1.0, (height, width)) * 0.4 + 0.5
        image = np.clip(smooth * speckle, 0, 255).astype(np.uint8)
        image[: height // 8] = 0
        found.append(image)
    return found


def distance(ours: npt.NDArray[np.float32], theirs: torch.Tensor) -> float:
    assert theirs.std() > 0.01, "a reference that is nearly constant would prove nothing"
    return float(np.abs(ours - theirs.numpy()).max())


# USFM
# --------------------------------------------------------------------------------------------------------


def usfm_recipe(frame: npt.NDArray[np.uint8]) -> torch.Tensor:
    """The authors' evaluation transform, as a torchvision pipeline on an RGB picture."""
    from PIL import Image
    from torchvision import transforms

    pipeline = transforms.Compose(
        [
            transforms.Resize((224, 224), interpolation=transforms.InterpolationMode.BICUBIC),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    tensor: torch.Tensor = pipeline(Image.fromarray(frame).convert("RGB"))
    return tensor


@pytest.mark.parametrize("layout", ["flat", "model"])
def test_usfm_equals_transformers(layout: str, tmp_path: Path) -> None:
    reference = published.usfm_reference()
    path = published.usfm_file(reference, tmp_path / "USFM_latest.pth", layout)
    images = frames() if layout == "flat" else frames()[:1]
    with torch.inference_mode():
        tokens = reference(torch.stack([usfm_recipe(f) for f in images])).last_hidden_state
    ours = load_encoder("usfm", weights=path)
    assert distance(ours.encode_frames(images), tokens[:, 1:].mean(1)) < TOLERANCE
    assert distance(ours.in_pooling("class").encode_frames(images), tokens[:, 0]) < TOLERANCE


def test_usfm_zscore_is_the_authors_feature_script() -> None:
    frame = frames()[0]
    ours = load_encoder("usfm.random", preprocessing="zscore").preprocess(frame).numpy()
    assert ours.shape == (3, 224, 224)
    assert abs(float(ours.mean())) < 1e-4
    assert abs(float(ours.std()) - 1) < 1e-4


# MedSAM and UltraSam
# -----------------------------------------------------------------------------------------


def medsam_recipe(frame: npt.NDArray[np.uint8]) -> torch.Tensor:
    """The authors' inference script, on the three equal channels of a grey image."""
    colour = np.repeat(frame[:, :, None], 3, axis=-1)
    resized = transform.resize(colour, (1024, 1024), order=3, preserve_range=True, anti_aliasing=True)
    whole = resized.astype(np.uint8)
    stretched = (whole - whole.min()) / np.clip(whole.max() - whole.min(), a_min=1e-8, a_max=None)
    return torch.tensor(stretched).float().permute(2, 0, 1)


def ultrasam_recipe(frame: npt.NDArray[np.uint8]) -> torch.Tensor:
    """OpenMMLab's pipeline Resize(1024, keep_ratio), Normalize, Pad; the bilinear filter in NumPy."""
    height, width = frame.shape
    scale = min(1024 / height, 1024 / width)
    size = int(height * scale + 0.5), int(width * scale + 0.5)

    def weights(old: int, new: int) -> npt.NDArray[np.float64]:
        matrix = np.zeros((new, old))
        position = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
        lower = np.minimum(position.astype(int), old - 1)
        upper = np.minimum(lower + 1, old - 1)
        matrix[np.arange(new), lower] += 1 - (position - lower)
        matrix[np.arange(new), upper] += position - lower
        return matrix

    grey = np.rint(weights(height, size[0]) @ frame @ weights(width, size[1]).T)
    mean, deviation = np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375])
    padded = np.zeros((1024, 1024, 3))
    padded[: size[0], : size[1]] = (grey[..., None] - mean) / deviation
    return torch.tensor(padded).float().permute(2, 0, 1)


def test_medsam_preprocessing_follows_the_recipe() -> None:
    encoder = load_encoder("medsam.random")
    for frame in frames():
        ours, recipe = encoder.preprocess(frame), medsam_recipe(frame)
        # Spline filters differ in the last bit between one and three channels, which can move a baseline by
        # 1/255.
        assert (ours != recipe).float().mean() < 1e-3
        assert (ours - recipe).abs().max() <= 1.01 / float(frame.max() - frame.min())


def test_ultrasam_preprocessing_follows_the_recipe() -> None:
    encoder = load_encoder("ultrasam.random")
    for frame in frames():
        ours, recipe = encoder.preprocess(frame), ultrasam_recipe(frame)
        assert ours.shape == recipe.shape
        assert torch.equal(ours == 0, recipe == 0)  # the padding
        assert ((ours - recipe).abs() > 1e-5).float().mean() < 1e-3  # halves that are rounded the other way
        assert (ours - recipe).abs().max() < 1.01 / 57


def test_fast_medsam_preprocessing_is_close_to_the_official_one() -> None:
    frame = frames()[0]
    official = load_encoder("medsam.random").preprocess(frame)
    fast = load_encoder("medsam.random", preprocessing="fast").preprocess(frame)
    assert fast.shape == official.shape
    assert (fast - official).abs().mean() < 0.01


@pytest.fixture(scope="module")
def sam() -> torch.nn.Module:
    return published.sam_reference()


def sam_answer(network: torch.nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens before the neck, ``(B, 64, 64, 768)``, and the neck's output, ``(B, 256, 64, 64)``."""
    kept: list[torch.Tensor] = []
    handle = network.vision_encoder.layers[-1].register_forward_hook(
        lambda module, inputs, output: kept.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.inference_mode():
        neck = network(images).last_hidden_state
    handle.remove()
    return kept[0], neck


@pytest.mark.slow
def test_medsam_equals_transformers(sam: torch.nn.Module, tmp_path: Path) -> None:
    frame = frames()[0]
    tokens, neck = sam_answer(sam, medsam_recipe(frame)[None])
    path = published.medsam_file(sam, tmp_path / "medsam_vit_b.pth")
    ours = load_encoder("medsam", weights=path)
    # From one pass; alone, each pooling is the same to the last bit: tests/encoder/test_poolings.py.
    found = ours.encode_batch_poolings(ours.preprocessed(frame)[None], ("mean", "neck"))
    assert distance(found["mean"], tokens.mean((1, 2))) < TOLERANCE
    assert distance(found["neck"], neck.mean((2, 3))) < TOLERANCE


@pytest.mark.slow
def test_ultrasam_equals_transformers(sam: torch.nn.Module, tmp_path: Path) -> None:
    frame = frames()[1]
    recipe = ultrasam_recipe(frame)[None]
    tokens, _ = sam_answer(sam, recipe)
    path = published.ultrasam_file(sam, tmp_path / "UltraSam.pth")
    ours = load_encoder("ultrasam", weights=path)
    found = ours.encode_batch_poolings(ours.preprocessed(frame)[None], ("mean", "unpadded"))
    assert distance(found["mean"], tokens.mean((1, 2))) < TOLERANCE
    # 120 of 350 rows: 351 of 1024, which is 21 whole patches and 15 of 16 rows of the next.
    share = torch.zeros(64, 64)
    share[:21], share[21] = 1, 15 / 16
    expected = (tokens * share[..., None]).sum((1, 2)) / share.sum()
    assert distance(found["unpadded"], expected) < TOLERANCE


@pytest.mark.slow
def test_training_checkpoint_of_medsam_holds_the_same_network(sam: torch.nn.Module, tmp_path: Path) -> None:
    flat = load_encoder("medsam", weights=published.medsam_file(sam, tmp_path / "flat.pth"))
    training = load_encoder("medsam", weights=published.medsam_file(sam, tmp_path / "t.pth", "training"))
    ours, other = flat.network.state_dict(), training.network.state_dict()
    assert all(torch.equal(ours[key], other[key]) for key in ours)
    assert flat.weights_id() != training.weights_id()


def test_attention_equals_that_of_segment_anything() -> None:
    """Blocks with padded windows and with global attention, in strips and in whole layers, on a small network."""
    from segment_anything.modeling import ImageEncoderViT
    from usbench_encoders import sam_network

    torch.manual_seed(0)
    network = ImageEncoderViT(
        img_size=640,
        embed_dim=48,
        depth=3,
        num_heads=6,
        use_rel_pos=True,
        window_size=14,
        global_attn_indexes=(1,),
        out_chans=8,
    ).eval()
    published.randomise(network)
    images = torch.randn(2, 3, 640, 640)
    with torch.inference_mode():
        official = network(images).mean((2, 3))
        ours = sam_network.pooled(network, images, ["neck"])["neck"]
        whole = network.neck(sam_network.in_whole_layers(network, images).permute(0, 3, 1, 2)).mean((2, 3))
    assert distance(ours.numpy(), official) < 1e-5
    assert distance(whole.numpy(), official) < 1e-5


def test_strips_in_bfloat16_are_as_near_to_float32_as_whole_layers() -> None:
    """Padded windows, global attention in several pieces, and two images of one pass, under autocast."""
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT
    from usbench_encoders import sam_network, sam_strips

    torch.manual_seed(0)
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    layers = {"embed_dim": 48, "depth": 3, "num_heads": 2, "use_rel_pos": True, "window_size": 14, "norm_layer": norm}
    network = ImageEncoderViT(img_size=640, global_attn_indexes=(1,), **layers).eval()
    published.randomise(network)
    images = torch.randn(2, 3, 640, 640)
    with torch.inference_mode():
        exact = sam_strips.tokens(network, images)
        with torch.autocast("cpu", torch.bfloat16):
            whole = sam_network.in_whole_layers(network, images)
            ours = sam_network.tokens(network, images)
    assert ours.dtype == torch.float32
    assert not torch.equal(ours, exact), "nothing was multiplied in bfloat16"
    error = [float((found - exact).pow(2).mean().sqrt() / exact.pow(2).mean().sqrt()) for found in (ours, whole)]
    assert error[0] < 0.01
    assert error[0] < 1.5 * error[1]


def test_folded_attention_equals_the_plain_one_but_for_rounding() -> None:
    """The formulation for bfloat16, given float32, has the numbers of ``segment_anything``."""
    from segment_anything.modeling.image_encoder import Attention
    from usbench_encoders import sam_network

    torch.manual_seed(0)
    for side in (5, 33):
        layer = Attention(24, num_heads=2, use_rel_pos=True, input_size=(side, side)).eval()
        published.randomise(layer)
        states = torch.randn(1, side, side, 24)
        with torch.inference_mode():
            packed = layer.qkv(states)
            query, key, value = packed.reshape(1, side * side, 3, 2, 12).permute(2, 0, 3, 1, 4).unbind(0)
            grid = query.reshape(1, 2, side, side, 12)
            rows = torch.einsum("bnhwc,hkc->bnhwk", grid, sam_network.relative(layer.rel_pos_h, side))
            columns = torch.einsum("bnhwc,wkc->bnhwk", grid, sam_network.relative(layer.rel_pos_w, side))
            folded = sam_network._folded(query, key, value, rows, columns).reshape(1, side, side, 24)
            ours, official = layer.proj(folded), layer(states)
        assert distance(ours.numpy(), official) < 1e-5
