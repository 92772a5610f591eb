"""Other seeds of an untrained network: encoded, scored by the same probe, and shown beside its trained twin."""

from __future__ import annotations

import statistics
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import usbench
from usbench import results
from usbench.diagnostics.suite import audit
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.leaderboard.board import gather
from usbench.leaderboard.diagnostics_text import findings
from usbench.leaderboard.tables import initialisations as tables
from usbench.submission.validate import validate

# A network of half a million parameters: most of a test would be passes of one that people use.
NETWORK = "timm:test_resnet"


def test_other_seeds_are_other_networks_and_the_first_is_itself() -> None:
    frame = np.add.outer(np.arange(96), np.arange(128)).astype(np.uint8)
    for name in ("tusa.random", "timm:resnet18.random", "mobilenetv2.random"):
        encoder = usbench.load_encoder(name)
        assert encoder.weights_seed == 0
        again, other = encoder.with_seed(0), encoder.with_seed(3)
        own, same, different = (e.encode_frames([frame]) for e in (encoder, again, other))
        np.testing.assert_array_equal(own, same)
        assert not np.array_equal(own, different)
        assert encoder.identity() == again.identity()
        assert encoder.identity() != other.identity()  # so that the store keeps their vectors apart
        assert "seed=3" in other.weights_id()


@pytest.mark.parametrize("name", ["tusa", "tusa.scratch", "texture", "random-projection"])
def test_an_encoder_whose_weights_are_not_drawn_has_no_seed(name: str) -> None:
    encoder = usbench.load_encoder(name)
    assert encoder.weights_seed is None
    with pytest.raises(UsbenchError, match="not drawn at random"):
        encoder.with_seed(1)


def test_a_plugin_whose_weights_do_not_follow_the_seed_is_told_so(brightness: Encoder) -> None:
    brightness.weights_seed = 42
    assert brightness.with_seed(42).weights_seed == 42
    with pytest.raises(UsbenchError, match="the same from another seed"):
        brightness.with_seed(3)


def test_the_seeds_are_scored_as_runs_of_their_own(images: pd.DataFrame, run: Any) -> None:
    encoder = usbench.load_encoder(f"{NETWORK}.random")
    ready, result, options, settings = run(images, encoder)
    measured = audit(ready, result, options, settings, ["initialisations"])
    found = measured.instruments["initialisations"]
    assert found["seeds"] == [0, 1, 2, 3, 4]
    assert found["values"][0] == result.protocols["svc-nested@2"].metrics["fold_auc"].value
    assert len(set(found["values"])) > 1
    assert found["mean"] == pytest.approx(statistics.fmean(found["values"]), abs=1e-6)
    assert found["sd"] == pytest.approx(statistics.stdev(found["values"]), abs=1e-6)
    _, second, _, _ = run(images, encoder.with_seed(2), keep=False)
    assert found["values"][2] == second.protocols["svc-nested@2"].metrics["fold_auc"].value
    assert "± " in findings(measured)["initialisations"]
    assert validate(results.result_path(options.results, measured), options.results) == []


def test_of_trained_weights_it_says_why_there_is_none(images: pd.DataFrame, run: Any, brightness: Encoder) -> None:
    ready, result, options, settings = run(images, brightness)
    measured = audit(ready, result, options, settings, ["initialisations"])
    assert findings(measured)["initialisations"] == "Not measured: its weights are not drawn at random."


def test_the_page_has_one_row_per_network_and_names_its_trained_twins(
    images: pd.DataFrame, run: Any, brightness: Encoder
) -> None:
    ready, result, options, settings = run(images, usbench.load_encoder(f"{NETWORK}.random"))
    measured = audit(ready, result, options, settings, ["initialisations"])
    _, trained, _, _ = run(images, brightness)
    trained = replace(trained, encoder={**trained.encoder, "name": NETWORK, "title": "Trained"})
    results.save(options.results, trained)
    board = next(iter(gather(options.results, tasks=())))
    section = tables.section(board)
    assert section is not None
    table = section.blocks[1]
    (row,) = table.rows
    values = measured.instruments["initialisations"]["values"]
    assert row.cells[2].text == f"{statistics.fmean(values):.3f} ± {statistics.stdev(values):.3f}"
    score = trained.protocols["svc-nested@2"].metrics["fold_auc"].value
    ahead = sum(score > value for value in values)
    assert row.cells[4].text == f"Trained {score:.3f}: {ahead} of 5"

    # A row that is called otherwise is its twin all the same, and one without the protocol takes nothing away.
    called = replace(trained, encoder={**trained.encoder, "name": "night", "spelling": NETWORK})
    bare = replace(
        trained,
        encoder={**trained.encoder, "name": "other"},
        protocols={"svc-paper@1": trained.protocols["svc-paper@1"]},
    )
    for entry in (called, bare):
        results.save(options.results, entry)
    board = next(iter(gather(options.results, tasks=())))
    (row,) = tables.section(board).blocks[1].rows
    assert row.cells[4].text.count(f"Trained {score:.3f}: {ahead} of 5") == 2
