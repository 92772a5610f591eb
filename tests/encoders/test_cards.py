"""What cards say is measured, and the table for readers says the same."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from usbench_encoders import CATALOG

import tusa
from usbench import load_dataset, load_task
from usbench.encoder.card import EncoderCard
from usbench.errors import WeightsError
from usbench.pipeline.leakage import leakage
from usbench.plugins.catalog import ENCODERS, load_encoder
from usbench.plugins.data_sources import Located

README = Path(__file__).parents[2] / "encoders" / "README.md"
NETWORKS = ("tusa.random", "medsam.random", "ultrasam.random", "usfm.random")
FIELD = ("biomedclip", "echoclip", "fetalclip", "panecho", "samus", "tinyusfm", "ultrafedfm", "urfm", "urfm-large")
NAMES = [name for name in CATALOG if not name.endswith(":")]


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_on_the_card_are_those_counted(name: str) -> None:
    """Counted by torch in the network as published; elementwise operations are left out.

    The adapters themselves do less: they skip what is padding.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    encoder = load_encoder(name)
    batch = encoder.preprocess(np.zeros((60, 80), np.uint8))[None].to("meta")
    # TUSA's own encoder projects less padding than MONAI's, of which the published network is made.
    network = (tusa.Tusa().unet.swinViT.eval() if name.startswith("tusa") else encoder.network).to("meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(batch)
    assert counter.get_total_flops() / 1e9 == pytest.approx(encoder.card.gflops, rel=0.02)
    assert sum(p.numel() for p in encoder.network.parameters()) == encoder.card.parameters


@pytest.mark.parametrize("name", [*FIELD, "usf-mae", pytest.param("echocare", marks=pytest.mark.slow)])
def test_operations_of_the_field_are_those_counted(name: str) -> None:
    """On the meta device, where nothing is computed and large networks cost nothing."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    encoder = load_encoder(f"{name}.random")
    size = encoder.card.input_size
    assert size is not None
    with torch.device("cpu" if name == "echocare" else "meta"):  # MONAI computes while it builds
        network = encoder.build({}).eval().requires_grad_(False)  # type: ignore[attr-defined]
    images = torch.zeros(1, 3, *size, device="meta")
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.to("meta")(images)
    assert counter.get_total_flops() / 1e9 == pytest.approx(encoder.card.gflops, rel=0.02)
    assert sum(each.numel() for each in network.parameters()) == encoder.card.parameters


@pytest.mark.parametrize("name", [name.removesuffix(".random") for name in NAMES if name.endswith(".random")])
def test_a_twin_is_the_same_network(name: str) -> None:
    trained, untrained = (ENCODERS.get(each).value.card for each in (name, f"{name}.random"))
    for fact in ("embedding_dim", "input_size", "parameters", "gflops", "preprocessings", "poolings"):
        assert getattr(trained, fact) == getattr(untrained, fact)
    assert untrained.pretraining == ()
    assert untrained.floor
    assert not trained.floor


@pytest.mark.parametrize("name", NAMES)
def test_every_card_states_what_a_reader_needs(name: str) -> None:
    card = ENCODERS.get(name).value.card
    assert card.name == name
    assert card.title
    assert card.description
    assert card.embedding_dim
    assert card.parameters is not None
    assert card.gflops is not None
    assert card.licence != "not stated"
    assert card.pretraining is not None or card.pretraining_note
    if not card.floor:
        assert card.citation
        assert card.url
        assert card.weights is not None or load_encoder(name).weights_path() is not None


def row(card: EncoderCard) -> str:
    """One row of the table in encoders/README.md."""
    parameters = f"{card.parameters / 1e6:.1f} M" if card.parameters else "none"
    size = "x".join(map(str, card.input_size)) if card.input_size else "own"
    seen = "unknown" if card.pretraining is None else f"{len(card.pretraining)} sets" if card.pretraining else "none"
    cells = [f"`{card.name}`", size, str(card.embedding_dim), parameters, f"{card.gflops:g}", card.licence, seen]
    return f"| {' | '.join(cells)} |"


@pytest.mark.parametrize("name", [name for name in NAMES if name != "tusa"])
def test_the_table_for_readers_follows_the_cards(name: str) -> None:
    assert row(ENCODERS.get(name).value.card) in README.read_text("utf-8").splitlines()


def test_families_and_names_are_all_in_the_readme() -> None:
    text = README.read_text("utf-8")
    assert all(f"`{name}" in text for name in CATALOG)


def info(name: str) -> str:
    done = subprocess.run([sys.executable, "-m", "usbench", "info", name], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return " ".join(done.stdout.split())


def test_info_tells_all_of_it() -> None:
    text = info("medsam")
    for fact in (
        "parameters 89,670,912",
        "embedding size 768",
        "input size 1024 x 1024 px",
        "GFLOPs per image 972.1",
        "licence Apache-2.0 (code)",
        "Ma et al., Segment anything in medical images",
        "pre-training unknown 1.5 million image-mask pairs",
        "preprocessing official (default): cubic spline",
        "fast: the same steps",
        "pooling mean (default): tokens after the last block",
        "ready no: medsam: no weights found",
        "usbench weights add medsam FILE",
    ):
        assert fact in text, fact


def test_info_on_a_family_member_says_that_weights_are_downloaded() -> None:
    assert "ready yes: weights of the library, downloaded on first use" in info("timm:resnet18")
    assert "ready yes" in info("timm:resnet18.random")
    assert "baseline yes: a reference to beat" in info("timm:resnet18.random")


def test_listing_imports_nothing_heavy() -> None:
    """Nor does describing an encoder that has weights, or does without."""
    heavy = ("numpy", "torch", "scipy", "sklearn", "pandas", "PIL", "skimage", "timm", "transformers", "open_clip")
    heavy += ("monai", "segment_anything", "safetensors", "pooch", "requests", "av", "pyarrow", "rich.progress")
    for arguments in (["list", "encoders"], ["info", "pixels"], ["info", "medsam"], ["weights", "where", "medsam"]):
        code = (
            "import sys\n"
            "from usbench.cli import main\n"
            "try:\n"
            f"    main({arguments!r})\n"
            "except SystemExit as stop:\n"
            "    assert not stop.code, stop.code\n"
            f"print('HEAVY', [m for m in {heavy!r} if m in sys.modules])\n"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == "HEAVY []", arguments


def test_listing_does_not_read_packaged_weights() -> None:
    """Their digests took a quarter of the time of `usbench list encoders`."""
    encoders = [load_encoder(name) for name in ("tusa", "tusa.scratch", "tusa.open-v1")]
    read: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "read_bytes", lambda path: read.append(path) or b"")
        assert all(encoder.readiness().ready for encoder in encoders)
    assert read == []


def test_the_packaged_weights_of_tusa_name_their_corpus() -> None:
    """So that the leakage column says clean or overlap, not unknown."""
    seen = load_encoder("tusa").pretraining()
    assert seen is not None
    assert "busi" in seen
    assert not {"bus-bra", "covid-blues"} & set(seen)


@pytest.mark.parametrize("packaged", ["open-v2", "scratch", "open-v1"])
def test_a_packaged_file_of_tusa_that_was_changed_loses_what_its_card_says(packaged: str, tmp_path: Path) -> None:
    """One value of one tensor is enough; the record in the header, which is as it was, says nothing any more."""
    from safetensors import safe_open
    from safetensors.torch import load_file, save_file

    from tusa.weights import open_weights_path

    original = open_weights_path(packaged)
    located, task = Located(load_dataset("bus-bra-subset"), "subset"), load_task("breast_lesion")
    same = tmp_path / "same.safetensors"
    same.write_bytes(original.read_bytes())
    assert leakage(load_encoder("tusa", weights=same), located, task, {})["state"] == "clean"
    with safe_open(original, framework="pt") as file:
        record = file.metadata()
    state = load_file(original)
    state[min(state)].view(-1)[0] += 1
    changed = tmp_path / "changed.safetensors"
    save_file(state, changed, record)
    encoder = load_encoder("tusa", weights=changed)
    assert encoder.weights_as_published() is False
    assert encoder.pretraining() is None
    found = leakage(encoder, located, task, {})
    assert found["state"] == "unknown"
    assert "not the published file" in found["detail"]
    assert encoder.identity().weights != load_encoder("tusa", weights=same).identity().weights


@pytest.mark.parametrize("name", ["tusa", "tusa.scratch", "tusa.open-v1"])
def test_a_file_changed_in_the_package_itself_is_not_used(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tusa.weights

    encoder = load_encoder(name)
    assert encoder.weights_as_published() is True
    located = Located(load_dataset("bus-bra-subset"), "subset")
    assert leakage(encoder, located, load_task("breast_lesion"), {})["state"] == "clean"
    path = encoder.weights_path()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    (tmp_path / path.name).write_bytes(content)
    monkeypatch.setattr(tusa.weights, "__file__", str(tmp_path / "__init__.py"))
    # A list of encoders does not read the files; whatever uses one does.
    told = f"{re.escape(str(tmp_path / path.name))} is not the file that was published"
    frames = [np.zeros((32, 32), np.uint8)]
    for use in ("identity", "pretraining", "prepare"):
        with pytest.raises(WeightsError, match=told):
            getattr(load_encoder(name), use)()
    with pytest.raises(WeightsError, match=told):
        load_encoder(name).encode_frames(frames)


def test_an_export_of_ones_own_names_its_sets_itself(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    from tusa.weights import open_weights_path, read_metadata

    original = open_weights_path("scratch")
    record = read_metadata(original)
    for datasets, seen in ((["BUSI", "mine"], ("busi", "mine")), ("BUSI", None), (None, None)):
        own = {**record["training"], "datasets": datasets}
        path = tmp_path / "own.safetensors"
        save_file(
            load_file(original),
            path,
            {
                key: value if key == "format" else json.dumps(own if key == "training" else value)
                for key, value in record.items()
            },
        )
        assert load_encoder("tusa", weights=path).pretraining() == seen
