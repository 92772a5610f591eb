"""Encoders can be copied and sent to another process, before their first use and after it."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest

from usbench.media import open_media
from usbench.plugins.catalog import load_encoder

NAMES = ("tusa.random", "tinyusfm.random", "texture", pytest.param("usfm.random", marks=pytest.mark.slow))


@pytest.mark.parametrize("name", NAMES)
def test_copies_give_the_same_vectors(name: str, bus_bra_subset: Path) -> None:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        frames = media.frames([0])
    encoder = load_encoder(name)
    unused = [copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))]
    expected = encoder.encode_frames(frames)
    used = [copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))]
    for other in unused + used:
        np.testing.assert_array_equal(other.encode_frames(frames), expected)


def test_an_encoder_preprocesses_in_a_process_of_its_own(bus_bra_subset: Path) -> None:
    with open_media(bus_bra_subset / "Images" / "bus_0010-l.png") as media:
        frame = media.frames([0])[0]
    encoder = load_encoder("tusa.random")
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        np.testing.assert_array_equal(pool.apply(encoder.preprocess, (frame,)), encoder.preprocess(frame))
