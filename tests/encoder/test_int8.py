"""Precision ``int8``: for screening, on CPUs, never silently nothing, and on no leaderboard."""

from __future__ import annotations

import copy
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from result_fixtures import MakeResult

import usbench
from usbench.cli import main
from usbench.core.settings import load_settings
from usbench.core.types import Frame
from usbench.data.frames import FrameRef, frame_key
from usbench.embedding.extract import extract
from usbench.embedding.precision import Screening, lowest_cosine, measure_int8
from usbench.embedding.store import Store
from usbench.encoder import int8
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.encoder.preprocessing import grey_to_tensor
from usbench.errors import ResultError, UsbenchError
from usbench.leaderboard.board import gather
from usbench.leaderboard.pairwise import read_board
from usbench.pipeline.embed import embed
from usbench.plugins.catalog import DATASETS, load_encoder
from usbench.results.places import enter
from usbench.results.schema import load, save
from usbench.submission.deidentify import prepare


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Run a command in this process; return its status and all that it printed."""
    try:
        main(arguments)
        code = 0
    except SystemExit as stop:
        code = stop.code if isinstance(stop.code, int) else int(bool(stop.code))
    printed = capsys.readouterr()
    return code, printed.out + printed.err


needed = pytest.mark.skipif(not int8.multiplies_int8(), reason="this CPU has no instructions for int8")


class Wide(Encoder):
    """Two layers, of whose weights one is used by the layer and the other by itself."""

    card = EncoderCard(name="wide", title="Wide", embedding_dim=192)

    def load(self) -> torch.nn.Module:
        torch.manual_seed(0)
        return torch.nn.Sequential(torch.nn.Linear(256, 192), torch.nn.Linear(192, 192))

    def weights_id(self) -> str:
        return "init:0"

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (16, 16)).flatten()

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        hidden = self.network[0](batch)
        return torch.nn.functional.linear(hidden, self.network[1].weight, self.network[1].bias)


class Narrow(Wide):
    """A network of small matrices alone."""

    card = EncoderCard(name="narrow", title="Narrow", embedding_dim=16)

    def load(self) -> torch.nn.Module:
        return torch.nn.Sequential(torch.nn.Linear(256, 16), torch.nn.Linear(16, 16))


class Convolves(Wide):
    """A convolution, which stays in float32."""

    card = EncoderCard(name="convolves", title="Convolves", embedding_dim=192)

    def load(self) -> torch.nn.Module:
        return torch.nn.Conv2d(1, 192, 16)

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (16, 16))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return self.network(batch).flatten(1)  # type: ignore[no-any-return]


@pytest.fixture
def dataset(bus_bra_subset: Path) -> Any:
    return DATASETS.get("bus-bra-subset").value(bus_bra_subset)


@pytest.fixture
def refs(dataset: Any) -> list[FrameRef]:
    paths = dataset.index.table["path"].head(3)
    return [FrameRef(path, 0, frame_key(dataset.digest(path), 0, "test")) for path in paths]


@pytest.fixture
def frames(dataset: Any, refs: list[FrameRef]) -> list[Frame]:
    found = []
    for ref in refs:
        with dataset.open(ref.path) as media:
            found.append(media.frames([0])[0])
    return found


@needed
def test_products_are_those_of_rounded_factors() -> None:
    generator = torch.Generator().manual_seed(1)
    layer = torch.nn.Linear(256, 200).requires_grad_(False)
    values = torch.randn(2, 300, 256, generator=generator) * torch.logspace(-3, 3, 300)[:, None]
    products = int8.Products(layer)
    with torch.inference_mode(), products.taken_over():
        assert int8.active()
        found = layer(values)
    assert not int8.active()

    def rounded(rows: torch.Tensor) -> np.ndarray[Any, Any]:
        step = rows.abs().amax(dim=-1, keepdim=True) / 127
        return ((rows / step).round().double() * step.double()).numpy()

    expected = rounded(values) @ rounded(layer.weight).T + layer.bias.double().numpy()
    apart = np.abs(found.numpy() - expected).max(axis=-1) / np.abs(expected).max(axis=-1)
    assert apart.max() < 1e-6
    assert len(products) == 1


@needed
def test_zeros_and_nan_are_not_hidden() -> None:
    layer = torch.nn.Linear(256, 200).requires_grad_(False)
    values = torch.zeros(3, 256)
    values[1, 0], values[2, 0] = float("nan"), float("inf")
    with torch.inference_mode(), int8.Products(layer).taken_over():
        found = layer(values)
    assert torch.equal(found[0], layer.bias)
    assert not torch.isfinite(found[1:]).any()


@needed
def test_vectors_are_close_to_float32_and_weights_stay(frames: list[Frame]) -> None:
    exact, rounded = load_encoder("tusa"), load_encoder("tusa", precision="int8")
    before = {name: value.clone() for name, value in rounded.network.state_dict().items()}
    found = rounded.encode_frames(frames)
    full = exact.encode_frames(frames)
    assert not np.array_equal(found, full)
    assert lowest_cosine(found, full) > 0.999
    assert all(torch.equal(value, before[name]) for name, value in rounded.network.state_dict().items())


@needed
def test_raw_weights_of_a_layer_are_rounded_too(frames: list[Frame]) -> None:
    encoder = Wide(precision="int8")
    found = encoder.encode_frames(frames)
    assert encoder._products is not None
    assert len(encoder._products) == 2
    assert 0.999 < lowest_cosine(found, Wide().encode_frames(frames)) < 1


@needed
def test_a_vector_does_not_depend_on_its_batch(frames: list[Frame]) -> None:
    encoder = Wide(precision="int8")
    alone = np.concatenate([encoder.encode_frames([frame]) for frame in frames])
    np.testing.assert_array_equal(encoder.encode_frames(frames), alone)


@needed
def test_copies_and_other_poolings_make_their_own(frames: list[Frame]) -> None:
    encoder = load_encoder("tusa.random", precision="int8")
    found = encoder.encode_frames(frames[:1])
    for other in (copy.copy(encoder), copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        np.testing.assert_array_equal(other.encode_frames(frames[:1]), found)
    stages = encoder.in_pooling("stages")
    assert stages.precision == "int8"
    assert not np.array_equal(
        stages.encode_frames(frames[:1]), load_encoder("tusa.random", pooling="stages").encode_frames(frames[:1])
    )


@needed
def test_sam_in_strips_rounds_the_same_products() -> None:
    from segment_anything.modeling import ImageEncoderViT
    from usbench_encoders import sam_network, sam_strips

    torch.manual_seed(0)
    small = ImageEncoderViT(
        img_size=256, patch_size=16, embed_dim=192, depth=2, num_heads=3,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6), use_rel_pos=True, global_attn_indexes=(1,), window_size=14,
    ).eval().requires_grad_(False)  # fmt: skip
    images = torch.randn(1, 3, 256, 256)
    products = int8.Products(small)
    with torch.inference_mode():
        exact = sam_strips.tokens(small, images)
        with products.taken_over():
            strips = sam_strips.tokens(small, images)
            layers = sam_network.in_whole_layers(small, images)
    assert len(products) == 8  # four in each block
    assert not torch.equal(strips, exact)
    assert torch.nn.functional.cosine_similarity(strips.flatten(0, 2), exact.flatten(0, 2)).min() > 0.999
    assert torch.nn.functional.cosine_similarity(strips.flatten(0, 2), layers.flatten(0, 2)).min() > 0.999


@needed
@pytest.mark.parametrize(
    ("encoder", "why"),
    [
        (Narrow, "no large matrix of weights"),
        (Convolves, "no large matrix of weights"),
        ("pixels", "no network"),
        ("texture", "no network"),
    ],
)
def test_it_is_never_silently_nothing(encoder: Any, why: str, frames: list[Frame]) -> None:
    made = load_encoder(encoder, precision="int8") if isinstance(encoder, str) else encoder(precision="int8")
    with pytest.raises(UsbenchError, match=f"int8 would change nothing, as .*{why}"):
        made.encode_frames(frames)


def test_other_devices_are_refused_before_any_work() -> None:
    encoder = load_encoder("tusa.random", precision="int8", device="cuda")
    with pytest.raises(UsbenchError, match=r"tusa\.random: precision int8 runs on CPUs only, and the device is cuda"):
        usbench.run(encoder, "breast_lesion", data="subset")
    assert not encoder._loaded


def test_a_cpu_without_instructions_is_refused_before_any_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True}, raising=False)
    encoder = load_encoder("tusa.random", precision="int8", device="cpu")
    for begin in (
        lambda: usbench.run(encoder, "breast_lesion", data="subset"),
        lambda: embed(encoder, tmp_path, load_settings(), data="bus-bra-subset"),
        lambda: encoder.encode_frames([np.zeros((9, 9), np.uint8)]),
    ):
        with pytest.raises(UsbenchError, match="needs an x86 CPU with instructions for it"):
            begin()
    code, told = command(capsys, "run", "-e", "tusa.random", "-t", "breast_lesion", "--precision", "int8")
    assert code
    assert told.count("error") == 1
    assert "Traceback" not in told


@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="the kernel's list of features is compared")
def test_the_processor_is_asked_for_its_instructions() -> None:
    features = set(Path("/proc/cpuinfo").read_text("utf-8").split())
    assert int8.multiplies_int8() == bool({"avx512_vnni", "avx_vnni", "amx_int8"} & features)


@needed
def test_what_it_changes_is_measured(dataset: Any, refs: list[FrameRef]) -> None:
    encoder = Wide(precision="int8")
    found = measure_int8(encoder, dataset, refs)
    assert found is not None
    assert encoder.precision == "int8"
    assert found.frames == len(refs)
    assert 0.999 < found.cosine < 1
    assert "cosine to fp32 at least 0.99" in found.describe()
    assert measure_int8(Wide(), dataset, refs) is None
    assert Screening(0.5, 1, 2.0).facts() == {"cosine": 0.5, "frames": 1, "speedup": 2.0}


@needed
def test_the_store_keeps_them_apart(tmp_path: Path, dataset: Any, refs: list[FrameRef]) -> None:
    exact, rounded = Wide(), Wide(precision="int8")
    done = extract(rounded, dataset, refs, Store(tmp_path, rounded.identity()))
    other = extract(exact, dataset, refs, Store(tmp_path, exact.identity()))
    assert other.encoded == len(refs)
    assert not np.array_equal(done.vectors, other.vectors)


@needed
def test_made_vectors_remember_it(tmp_path: Path) -> None:
    from PIL import Image

    (tmp_path / "data").mkdir()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(
        tmp_path / "data" / "a.png"
    )
    done = embed(Wide(precision="int8"), tmp_path / "out", load_settings(), data=str(tmp_path / "data"))
    assert any("precision int8, for screening" in note for note in done.notes)
    for name in (f"precomputed:{tmp_path / 'out'}", f"precomputed:{tmp_path / 'out'}+pixels"):
        assert load_encoder(name).precision_of_vectors() == "int8"
    board = tmp_path / "board" / "results"
    (board.parent / "reported").mkdir(parents=True)
    with pytest.raises(ResultError, match="was encoded in int8, which is for screening"):
        usbench.run(name, "breast_lesion", data="subset", results_dir=board)


def test_no_leaderboard_takes_it(tmp_path: Path, make_result: MakeResult) -> None:
    own, board = tmp_path / "runs" / "results", tmp_path / "board" / "results"
    (board.parent / "reported").mkdir(parents=True)
    rounded = make_result("tusa@precision=int8", base="tusa", precision="int8")
    file = save(own, rounded)
    save(own, make_result("tusa"))
    assert load(file).encoder["precision"] == "int8"
    told = r"tusa@precision=int8 was encoded in int8, which is for screening and enters no leaderboard"
    with pytest.raises(ResultError, match=told):
        save(board, rounded)
    with pytest.raises(ResultError, match=told):
        enter(tmp_path / "elsewhere", rounded)
    (found,) = gather(own, tasks=())
    assert [entry.name for entry in found.encoders] == ["tusa"]
    assert {entry.name for entry in read_board(own, "covid").encoders} == {"tusa", "tusa@precision=int8"}
    # Put there by hand, as in a pull request.
    (board / "covid").mkdir(parents=True)
    (board / "covid" / file.name).write_bytes(file.read_bytes())
    with pytest.raises(ResultError, match=told):
        gather(board, tasks=())


def test_it_cannot_be_submitted_and_pages_say_what_they_leave_out(
    tmp_path: Path, make_result: MakeResult, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "runs" / "results"
    file = save(own, make_result("tusa@precision=int8", base="tusa", precision="int8"))
    save(own, make_result("tusa"))
    with pytest.raises(ResultError, match="for screening and enters no leaderboard"):
        prepare(file, b"0" * 32, keep_ids=True)
    code, told = command(capsys, "leaderboard", "--results", str(own))
    assert code == 0
    assert "Left out, as their precision is for screening: covid/tusa@precision=int8" in told
    assert not any("int8" in page.read_text("utf-8") for page in own.parent.rglob("*.md"))


@needed
def test_a_run_says_cosine_and_change(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugin = tmp_path / "wide.py"
    source = Path(__file__).read_text("utf-8")
    start, end = source.index("class Wide"), source.index("class Narrow")
    imports = (
        "import torch\nfrom usbench.core.types import Frame\nfrom usbench.encoder import Encoder, EncoderCard, "
        "grey_to_tensor\n\n\n"
    )
    plugin.write_text(imports + source[start:end])
    asked = ["run", "-e", f"{plugin}:Wide", "-t", "breast_lesion", "--data", "subset", "--no-label-efficiency"]
    asked += ["--results", str(tmp_path / "results")]
    code, told = command(capsys, *asked, "--precision", "int8")
    assert code == 0, told
    told = " ".join(told.split())
    assert "int8 is for screening and enters no leaderboard. Cosine to fp32 at least 0.99" in told
    assert "No result of wide in fp32" in told
    assert command(capsys, *asked)[0] == 0
    assert "wide in int8 and in fp32" in command(capsys, *asked, "--precision", "int8")[1]
    (kept,) = [load(path) for path in (tmp_path / "results").glob("*/wide-precision*.json")]
    assert kept.provenance["int8"]["cosine"] > 0.99
