"""Names of rows: what of an encoder differs from how it comes, said so that commands take it."""

from __future__ import annotations

from pathlib import Path

import pytest

import tusa
from usbench.core.names import check_name, split_variant
from usbench.encoder.base import Encoder, EncoderCard
from usbench.encoder.card import WeightsSource
from usbench.encoder.variants import other_weights, row_name, row_title, spelling, variant_of
from usbench.encoder.weights import file_sha256
from usbench.errors import NameClashError, UsbenchError
from usbench.plugins.catalog import load_encoder


def test_an_encoder_as_it_comes_keeps_its_name() -> None:
    for name in ("tusa.random", "texture", "pixels+texture", "timm:resnet18", "timm:vit_tiny_patch16_224,num_heads=12"):
        encoder = load_encoder(name)
        assert row_name(encoder) == encoder.name == check_name("encoder", name)
        assert row_title(encoder) == encoder.title


@pytest.mark.parametrize(
    ("options", "name", "title"),
    [
        ({"pooling": "stages"}, "tusa.random@pooling=stages", "TUSA, untrained, all stages"),
        ({"pooling": "mean"}, "tusa.random", "TUSA, untrained"),
        ({"precision": "bf16"}, "tusa.random@precision=bf16", "TUSA, untrained, bf16"),
        ({"precision": "auto"}, "tusa.random", "TUSA, untrained"),
        (
            {"precision": "bf16", "pooling": "stage4"},
            "tusa.random@pooling=stage4@precision=bf16",
            "TUSA, untrained, fourth stage, bf16",
        ),
    ],
)
def test_what_differs_is_said(options: dict[str, str], name: str, title: str) -> None:
    encoder = load_encoder("tusa.random", **options)
    assert (row_name(encoder), row_title(encoder)) == (name, title)
    again = load_encoder(name, precision="fp32")  # as commands pass on where nobody asked
    assert variant_of(again) == variant_of(encoder)
    assert again.made_from is not None
    rebuilt = load_encoder(**again.made_from)
    if "auto" not in options.values():
        assert rebuilt.identity() == again.identity() == encoder.identity()
    assert encoder.name == "tusa.random"  # the name under which vectors are kept


def test_a_variant_of_a_combination() -> None:
    encoder = load_encoder("tusa.random@pooling=stages+texture@precision=bf16")
    assert row_name(encoder) == "tusa.random@pooling=stages+texture@precision=bf16"
    assert row_title(encoder) == "TUSA, untrained, all stages + Texture (histogram, GLCM, LBP), bf16"
    assert encoder.precision == "bf16"
    assert encoder.identity() != load_encoder("tusa.random+texture@precision=bf16").identity()
    with pytest.raises(UsbenchError, match="one precision, said behind its last part"):
        load_encoder("tusa.random@precision=bf16+texture")


def test_a_file_of_weights_that_is_not_the_encoders_own(tmp_path: Path) -> None:
    file = tusa.open_weights_path("scratch")
    digits = file_sha256(file)[:8]
    own = load_encoder("tusa", weights=tusa.open_weights_path("open-v2"))
    other = load_encoder("tusa", weights=file)
    assert row_name(own) == "tusa"
    assert row_name(other) == f"tusa@weights={digits}"
    assert row_title(other) == f"TUSA, weights {digits}"
    assert load_encoder(row_name(other), weights=file).identity() == other.identity()
    with pytest.raises(UsbenchError, match=rf"begins with {digits}, and .* has .*Give the file with --weights"):
        load_encoder(row_name(other))


class Mine(Encoder):
    card = EncoderCard(
        name="mine", title="Mine", embedding_dim=4, weights=WeightsSource("mine.pt", "https://example.org")
    )

    def preprocess(self, frame):  # type: ignore[no-untyped-def]
        raise NotImplementedError

    def encode(self, batch):  # type: ignore[no-untyped-def]
        raise NotImplementedError


def test_an_encoder_without_weights_of_its_own_is_what_the_file_makes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USBENCH_WEIGHTS", str(tmp_path / "weights"))
    file = tmp_path / "mine.pt"
    file.write_bytes(b"tensors")
    assert other_weights(Mine(weights=file)) == ""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/mine.pt").write_bytes(b"others")
    assert other_weights(Mine(weights=file)) == file_sha256(file)[:8]
    assert other_weights(Mine()) == ""


def test_names_that_say_something_twice_or_otherwise() -> None:
    with pytest.raises(UsbenchError, match="says pooling twice"):
        split_variant("tusa@pooling=mean@pooling=stages")
    with pytest.raises(UsbenchError, match="its name says pooling stages, and pooling mean is asked for"):
        load_encoder("tusa@pooling=stages", pooling="mean")
    with pytest.raises(UsbenchError, match=r"unknown pooling 'stagse'.*Did you mean 'stages'"):
        load_encoder("tusa@pooling=stagse")
    assert split_variant("open_clip:ViT-B-32@laion2b_s34b_b79k") == ("open_clip:ViT-B-32@laion2b_s34b_b79k", {})


def test_a_name_of_the_users_own() -> None:
    encoder = load_encoder("tusa.random", pooling="stages", called="night.2")
    assert (row_name(encoder), row_title(encoder)) == ("night.2", "TUSA, untrained, all stages (night.2)")
    assert spelling(encoder) == "tusa.random@pooling=stages"
    with pytest.raises(NameClashError, match="--name texture: this is the name of another encoder"):
        load_encoder("tusa.random", called="texture")
    with pytest.raises(UsbenchError, match="is how variants are named"):
        load_encoder("tusa.random", called="mine@pooling=stages")
    with pytest.raises(UsbenchError, match="cannot be the name of an encoder"):
        load_encoder("tusa.random", called="../mine")
