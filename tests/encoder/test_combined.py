"""Combinations: ``pixels+texture`` and the like, encoders as any other."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from usbench.conformance import check_encoder
from usbench.errors import UnknownNameError, UsbenchError
from usbench.media import open_media
from usbench.plugins.catalog import load_encoder

NAMES = ("tusa.random", "texture")


def frames(folder: Path) -> list[np.ndarray]:
    found = []
    for file in sorted((folder / "Images").glob("*.png"))[:2]:
        with open_media(file) as media:
            found.append(media.frames([0])[0])
    return found


def test_vectors_are_those_of_the_parts(bus_bra_subset: Path) -> None:
    images = frames(bus_bra_subset)
    together = load_encoder("+".join(NAMES))
    expected = np.concatenate([load_encoder(name).encode_frames(images) for name in NAMES], axis=1)
    np.testing.assert_allclose(together.encode_frames(images), expected, atol=1e-5)
    np.testing.assert_allclose(copy.deepcopy(together).encode_frames(images), expected, atol=1e-5)
    assert together.card.embedding_dim == expected.shape[1]
    assert together.name == "tusa.random+texture"


def test_a_combination_keeps_the_contract() -> None:
    report = check_encoder(load_encoder("pixels+texture"))
    assert report.passed, report.failures


def test_the_identity_is_that_of_the_parts() -> None:
    identity = load_encoder("pixels+texture").identity()
    assert identity == load_encoder("pixels+texture").identity()
    assert identity != load_encoder("texture+pixels").identity()
    assert identity.weights.startswith("parts:")


def test_what_the_parts_have_seen() -> None:
    assert load_encoder("pixels+texture").pretraining() == ()
    assert load_encoder("pixels+texture").card.floor
    assert load_encoder("tusa+texture").pretraining() == load_encoder("tusa").pretraining()
    assert not load_encoder("tusa+texture").card.floor
    assert load_encoder("pixels+timm:resnet18").pretraining() is None
    assert not load_encoder("pixels+medsam").readiness().ready


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'pixels\+textur'"):
        load_encoder("pixels+textur")
    with pytest.raises(UsbenchError, match="needs two or more different encoders"):
        load_encoder("pixels+pixels")
    with pytest.raises(UsbenchError, match="a combination takes no weights and no pooling"):
        load_encoder("pixels+texture", weights=tmp_path / "w.pth", pooling="mean")
