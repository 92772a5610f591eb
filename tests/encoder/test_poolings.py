"""Several poolings of one forward pass: bit by bit what each gives alone, from a network that runs once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from usbench_encoders import sam_network

from encoders import published
from usbench.core.settings import load_settings
from usbench.core.types import Frame
from usbench.data.frames import FrameRef, frame_key
from usbench.embedding.extract import companion_stores, extract
from usbench.embedding.precision import resolve_precision
from usbench.embedding.store import Store
from usbench.encoder.base import Encoder
from usbench.encoder.batching import Passes
from usbench.encoder.card import EncoderCard
from usbench.encoder.preprocessing import grey_to_tensor
from usbench.errors import EncodingError, UsbenchError
from usbench.media import open_media
from usbench.pipeline.embed import embed_poolings
from usbench.plugins.catalog import DATASETS, load_encoder, load_encoders, poolings_asked
from usbench.sweep.specs import EncoderSpec

pytestmark = pytest.mark.filterwarnings("ignore")
POOLINGS = {
    "tusa.random": ("mean", "stage4", "stage3", "stages"),
    "usfm.random": ("mean", "class", "stages"),
    "tinyusfm.random": ("mean", "class", "stages"),
    "panecho.random": ("mean", "stages"),
    "mobilenetv2.random": ("mean", "stages"),
    "efficientnet-lite0.random": ("mean", "stages"),
    "timm:vit_tiny_patch16_224.random": ("model", "mean", "stages"),  # its own pooling is the class token
    "timm:swin_tiny_patch4_window7_224.random": ("model", "stages"),
    "timm:resnet18.random": ("model", "stages"),
    "open_clip:ViT-S-32-alt.random": ("model", "mean", "class", "stages"),
    "open_clip:RN50.random": ("model", "mean", "stages"),
}
HEAVY = {
    "usf-mae.random": ("class", "mean", "stages"),
    "fetalclip.random": ("model", "class", "mean", "stages"),
    "echoclip.random": ("model", "trunk", "stages"),
    "biomedclip.random": ("model", "class", "mean", "stages"),
    "echocare.random": ("mean", "stages"),
    "samus.random": ("mean", "neck", "stages"),
    "ultrasam.random": ("mean", "neck", "stages", "unpadded"),
    "medsam.random": ("mean", "neck", "stages"),
}
# Their network at 1024 pixels takes a quarter of a minute a pass; how poolings share one does not hang on its width.
NARROWED = ("ultrasam.random", "medsam.random")
CASES = [
    *(pytest.param(name, names, id=name) for name, names in POOLINGS.items()),
    *(pytest.param(name, names, id=name, marks=pytest.mark.slow) for name, names in HEAVY.items()),
]


@pytest.fixture
def pictures(bus_bra_subset: Path) -> list[Frame]:
    found = []
    for path in sorted((bus_bra_subset / "Images").glob("*.png"))[:2]:
        with open_media(path) as media:
            found += list(media.frames([0]))
    return found


def runs_of(network: torch.nn.Module) -> list[int]:
    """Count from now on how often the first layer with weights is applied."""
    first = next(m for m in network.modules() if isinstance(m, torch.nn.Conv2d))
    counted: list[int] = []
    first.register_forward_hook(lambda *_: counted.append(1))
    return counted


@pytest.mark.parametrize(("name", "poolings"), CASES)
def test_one_pass_gives_every_pooling(
    name: str, poolings: tuple[str, ...], pictures: list[Frame], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = load_encoder(name)
    if name in NARROWED:
        monkeypatch.setattr(sam_network, "build", published.narrow_sam)
        encoder.card = replace(encoder.card, embedding_dim=48)
    assert encoder.offered_poolings() == poolings
    # One picture of the heavy ones, of which each pass takes seconds to minutes.
    batch = torch.stack([encoder.preprocessed(frame) for frame in pictures[: 1 if name in HEAVY else 2]])
    alone = {pooling: encoder.in_pooling(pooling).encode_batch(batch) for pooling in poolings}
    counted = runs_of(encoder.network)
    together = encoder.encode_batch_poolings(batch, poolings)
    assert len(counted) == 1
    assert tuple(together) == poolings
    for pooling in poolings:
        np.testing.assert_array_equal(together[pooling], alone[pooling])
        assert together[pooling].std() > 0
    pairs = [(a, b) for a in poolings for b in poolings if a < b and together[a].shape == together[b].shape]
    assert not any(np.array_equal(together[a], together[b]) for a, b in pairs)


def test_stages_are_those_of_the_library(pictures: list[Frame]) -> None:
    """Against timm's own way to intermediate features."""
    encoder = load_encoder("timm:vit_tiny_patch16_224.random", pooling="stages")
    batch = torch.stack([encoder.preprocessed(frame) for frame in pictures])
    with torch.inference_mode():
        maps = encoder.network.forward_intermediates(batch, indices=[2, 5, 8, 11], intermediates_only=True)
    theirs = torch.cat([each.mean(dim=(2, 3)) for each in maps], dim=1).numpy()
    np.testing.assert_allclose(encoder.encode_batch(batch), theirs, atol=1e-5)


def test_stages_of_sam_are_the_same_in_strips_and_in_whole_layers() -> None:
    from functools import partial

    from segment_anything.modeling import ImageEncoderViT
    from usbench_encoders import sam_network, sam_strips

    torch.manual_seed(0)
    layers = {"depth": 12, "embed_dim": 48, "num_heads": 2, "img_size": 256, "window_size": 14, "use_rel_pos": True}
    norm = partial(torch.nn.LayerNorm, eps=1e-6)
    network = ImageEncoderViT(**layers, global_attn_indexes=sam_network.GLOBAL_BLOCKS, norm_layer=norm).eval()
    images = torch.randn(2, 3, 256, 256)
    found = []
    for way in (sam_network.in_whole_layers, sam_strips.tokens):
        means = dict.fromkeys(sam_network.GLOBAL_BLOCKS, images)
        with torch.inference_mode():
            states = way(network, images, means)
        assert torch.allclose(means[11], states.mean(dim=(1, 2)), atol=1e-6)  # the last block is one of them
        found.append(torch.cat(list(means.values()), dim=1))
    assert found[0].shape == (2, 192)
    assert torch.allclose(*found, atol=1e-5)


class Plain(Encoder):
    """A plugin that knows of one pooling at a time."""

    card = EncoderCard(
        name="plain",
        title="Plain",
        embedding_dim=4,
        parameters=36,
        poolings={"mean": "mean", "both": "mean and maximum"},
    )
    batch_size = 3

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.seen: list[int] = []

    def load(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Linear(8, 4)

    def weights_id(self) -> str:
        return "init:0"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (8, 8))[0]

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(batch))
        rows = self.network(batch)
        means: torch.Tensor = rows.mean(dim=1)
        return means if self.pooling == "mean" else torch.cat([means, rows.amax(dim=1)], dim=1)


@pytest.fixture
def dataset(bus_bra_subset: Path) -> Any:
    return DATASETS.get("bus-bra-subset").value(bus_bra_subset)


def references(dataset: Any, count: int) -> list[FrameRef]:
    paths = dataset.index.table["path"].head(count)
    return [FrameRef(path, 0, frame_key(dataset.digest(path), 0, "test")) for path in paths]


def test_vectors_are_stored_as_if_each_pooling_were_encoded_alone(tmp_path: Path, dataset: Any) -> None:
    refs = references(dataset, 11)
    both = Plain(pooling="mean")
    both.companions = ("both",)
    done = extract(both, dataset, refs, Store(tmp_path / "together", both.identity()))
    assert done.encoded == 11
    for pooling in ("mean", "both"):
        alone = Plain(pooling=pooling)
        apart = extract(alone, dataset, refs, Store(tmp_path / "alone", alone.identity()))
        kept = extract(alone, dataset, refs, Store(tmp_path / "together", alone.identity()))
        assert (apart.encoded, kept.encoded) == (11, 0)
        np.testing.assert_array_equal(apart.vectors, kept.vectors)
    shards = {
        where: sorted(p.name for p in (tmp_path / where).rglob("*.safetensors")) for where in ("together", "alone")
    }
    assert shards["together"] == shards["alone"], "names are digests of content: the files are the same, byte for byte"


def test_only_what_a_pooling_lacks_is_added(tmp_path: Path, dataset: Any) -> None:
    refs = references(dataset, 8)
    alone = Plain(pooling="both")
    extract(alone, dataset, refs[:5], Store(tmp_path, alone.identity()))
    both = Plain(pooling="mean")
    both.companions = ("both",)
    assert extract(both, dataset, refs, Store(tmp_path, both.identity())).encoded == 8
    rows = [len(keys) for keys in (store_rows(tmp_path, both), store_rows(tmp_path, alone))]
    assert rows == [8, 8]
    again = both.in_pooling("both")
    assert extract(again, dataset, refs, Store(tmp_path, again.identity())).encoded == 0


def store_rows(root: Path, encoder: Encoder) -> list[bytes]:
    """Keys in all shards of an identity, repetitions included."""
    from usbench.embedding.store import read_shard

    folder = Store(root, encoder.identity()).folder
    return [bytes(key) for path in folder.glob("*.safetensors") for key in read_shard(path)[0]]


def test_a_sibling_uses_the_network_that_is_there(tmp_path: Path) -> None:
    first = Plain()
    sibling = first.in_pooling("both")
    assert sibling.companions == ("mean",)
    assert sibling.network is first.network
    assert sibling.identity().digest() == Plain(pooling="both").identity().digest()
    assert list(first.companion_identities()) == []
    assert {n: i.digest() for n, i in sibling.companion_identities().items()} == {"mean": first.identity().digest()}
    assert [s.folder for s in companion_stores(tmp_path, sibling).values()] == [
        Store(tmp_path, first.identity()).folder
    ]


def test_lanes_of_threads_give_every_pooling(pictures: list[Frame], two_threads: None) -> None:
    encoder = load_encoder("tusa.random")
    encoder.companions = ("stages", "stage3")
    tensors = [encoder.preprocessed(frame) for frame in pictures * 4]
    with Passes(encoder) as passes:
        found = passes.encode_poolings(tensors, "pictures")
    alone = load_encoder("tusa.random", pooling="stages")
    with Passes(alone) as passes:
        expected = passes.encode(tensors, "pictures")
    assert list(found) == ["mean", "stages", "stage3"]
    np.testing.assert_array_equal(found["stages"], expected)


def test_precision_is_one_for_all_poolings(dataset: Any) -> None:
    first, second = load_encoders("tusa.random", pooling="mean,stages", precision="auto")
    decision = resolve_precision(first, dataset, references(dataset, 3), gains=True)
    assert decision is not None
    assert resolve_precision(second, dataset, references(dataset, 3), gains=True) is None
    assert second.precision == first.precision == decision.precision


def test_all_is_what_the_model_has() -> None:
    assert [e.pooling for e in load_encoders("tusa.random", pooling="all")] == ["mean", "stage4", "stage3", "stages"]
    assert [e.pooling for e in load_encoders("timm:resnet18.random", pooling="all")] == ["model", "stages"]
    assert [e.pooling for e in load_encoders("texture", pooling="all")] == ["whole"]
    assert [e.pooling for e in load_encoders("tusa.random", pooling="stages, mean,stages")] == ["stages", "mean"]
    (one,) = load_encoders("tusa.random", pooling="stage3")
    assert (one.pooling, one.companions) == ("stage3", ())


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ("mean,", "write names with commas between them"),
        ("all,mean", "all stands for every pooling"),
        ("mean,stagse", "unknown pooling 'stagse'.*Did you mean 'stages'"),
    ],
)
def test_a_list_of_poolings_that_is_none(pooling: str, message: str) -> None:
    with pytest.raises(UsbenchError, match=message):
        load_encoders("tusa.random", pooling=pooling)
    assert poolings_asked(None, lambda: ["mean"]) == []


def test_one_name_is_not_for_several_rows() -> None:
    message = "'mine' is a name for one row, and 2 poolings make a row each"
    with pytest.raises(UsbenchError, match=message):
        load_encoders("tusa.random", pooling="mean,stages", called="mine")
    with pytest.raises(UsbenchError, match=message):
        EncoderSpec("tusa.random", pooling="mean,stages", called="mine").in_poolings()
    with pytest.raises(UsbenchError, match="and 4 poolings make"):
        EncoderSpec("tusa.random", pooling="all", called="mine").in_poolings()
    (one,) = EncoderSpec("texture", pooling="all", called="mine").in_poolings()
    assert (one.called, one.pooling, one.companions) == ("mine", "whole", ())


def test_a_plugin_that_forgets_a_pooling_is_told() -> None:
    class Forgetful(Plain):
        def encode_poolings(self, batch: torch.Tensor, poolings: Any) -> dict[str, torch.Tensor]:
            return {"mean": self.encode(batch)}

    encoder = Forgetful()
    encoder.companions = ("both",)
    with Passes(encoder) as passes, pytest.raises(EncodingError, match="gives no vectors of pooling 'both'"):
        passes.encode_poolings([torch.zeros(8, 8)], "zeros")


def test_embedding_writes_a_folder_per_pooling(tmp_path: Path, bus_bra_subset: Path) -> None:
    encoders = load_encoders("tusa.random", pooling="mean,stages")
    counted = runs_of(encoders[0].network)
    files = sorted((bus_bra_subset / "Images").glob("*.png"))[:5]
    (tmp_path / "in").mkdir()
    for file in files:
        (tmp_path / "in" / file.name).symlink_to(file)
    mean, stages = embed_poolings(encoders, tmp_path / "out", load_settings(), data=str(tmp_path / "in"))
    assert (mean.encoded, mean.dimension, stages.encoded, stages.dimension) == (5, 576, 0, 1116)
    passes = len(counted)
    assert passes > 0
    looked_up = load_encoder(f"precomputed:{tmp_path / 'out' / 'stages'}")
    with open_media(files[3]) as media:
        frames = media.frames([0])
    expected = load_encoder("tusa.random", pooling="stages").encode_frames(frames)
    np.testing.assert_allclose(looked_up.encode_frames(frames), expected, atol=1e-6)
    assert len(counted) == passes
