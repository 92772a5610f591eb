"""Leakage is judged by evidence: declarations and digests, never by what a folder is called."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

import usbench
from usbench.core.settings import load_settings
from usbench.encoder.base import Encoder, EncoderCard, Frame, grey_to_tensor
from usbench.errors import UsbenchError
from usbench.leaderboard.board import gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.markdown.task_page import task_page
from usbench.pipeline.context import Options, prepare
from usbench.pipeline.leakage import leakage
from usbench.plugins.catalog import load_encoder, load_task
from usbench.results import load_all, save

TASK = """
name = "lesion"
dataset = "manifest.csv"
target = "label"
positive = "malignant"
unit = "image"
frames = "all"
"""


class Seen(Encoder):
    card = EncoderCard(
        name="seen", title="Seen", embedding_dim=4, parameters=0, pretraining=("bus-bra", "hc18", "my-scans")
    )

    def preprocess(self, frame: Frame) -> torch.Tensor:
        return grey_to_tensor(frame, (2, 2))

    def encode(self, batch: torch.Tensor) -> torch.Tensor:
        return batch.flatten(1)


def judged(folder: Path, more: str = "", encoder: Encoder | None = None) -> dict[str, str]:
    (folder / "lesion.toml").write_text(TASK + more)
    task = load_task(str(folder / "lesion.toml"))
    ready = prepare(encoder or Seen(), task, Options(), load_settings())
    return leakage(ready.encoder, ready.located, ready.task, ready.digests)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    """Images of nobody's, in a folder that is called like a set the encoder has seen."""
    import numpy as np
    from PIL import Image

    folder = tmp_path / "my-scans"
    folder.mkdir()
    rows = []
    for k in range(12):
        noise = np.random.default_rng(k).integers(0, 256, (16, 16), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{k}.png")
        rows.append({"path": f"{k}.png", "subject": f"s{k}", "label": ("benign", "malignant")[k % 2]})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def with_column(folder: Path, name: str, values: object) -> None:
    table = pd.read_csv(folder / "manifest.csv")
    table.assign(**{name: values}).to_csv(folder / "manifest.csv", index=False)


def test_the_name_of_a_folder_is_no_evidence(scans: Path) -> None:
    found = judged(scans)
    assert found["state"] == "unknown"
    assert 'source = "hc18"' in found["detail"]
    assert judged(scans, encoder=load_encoder("tusa"))["state"] == "unknown"
    assert judged(scans, encoder=load_encoder("tusa.random"))["state"] == "clean"  # whatever the data are


@pytest.mark.parametrize(
    ("declared", "state"),
    [
        ('source = "hc18"', "overlap"),
        ('source = "HC18"', "overlap"),
        ('source = ["ddti", "hc18"]', "overlap"),
        ('source = "busbra"', "overlap"),  # another spelling of bus-bra, on its card
        ('source = "ddti"', "clean"),
        ("not_pretrained_on = true", "clean"),
        ("not_pretrained_on = false", "unknown"),
    ],
)
def test_what_the_task_declares(scans: Path, declared: str, state: str) -> None:
    assert judged(scans, declared)["state"] == state


def test_what_the_table_declares(scans: Path) -> None:
    with_column(scans, "source", ["ddti"] * 11 + ["hc18"])
    assert judged(scans)["state"] == "overlap"
    with_column(scans, "source", "ddti")
    assert judged(scans)["state"] == "clean"
    with_column(scans, "source", ["ddti"] * 11 + [None])
    assert judged(scans)["state"] == "unknown"
    with_column(scans, "not_pretrained_on", [True] * 11 + [False])
    assert judged(scans)["state"] == "unknown"
    with_column(scans, "not_pretrained_on", True)
    assert judged(scans)["state"] == "clean"


def test_copies_of_public_files_are_recognised_whatever_is_declared(scans: Path, bus_bra_subset: Path) -> None:
    dataset = usbench.load_dataset("bus-bra-subset")
    shutil.copy(bus_bra_subset / dataset.index.table["path"].iloc[0], scans / "3.png")
    for declared in ("", "not_pretrained_on = true", 'source = "ddti"'):
        found = judged(scans, declared)
        assert found["state"] == "overlap"
        assert "bus-bra" in found["detail"]


@pytest.mark.parametrize("wrong", ["source = 3", "source = []", 'not_pretrained_on = "yes"'])
def test_declarations_that_are_none(scans: Path, wrong: str) -> None:
    with pytest.raises(UsbenchError, match=r"names a published set|is true or false"):
        judged(scans, wrong)


def test_a_result_that_is_kept_is_judged_anew(scans: Path, tmp_path: Path) -> None:
    folder = tmp_path / "results"
    (scans / "lesion.toml").write_text(TASK + "[split]\nfolds = 3\n")
    task = str(scans / "lesion.toml")
    first = usbench.run(Seen(), task, results_dir=folder)[0]
    assert first.leakage["state"] == "unknown"
    save(folder, replace(first, leakage={"state": "clean", "detail": "As the folder is called."}))
    told: list[str] = []
    assert usbench.run(Seen(), task, results_dir=folder, notify=told.append)[0].leakage == first.leakage
    assert any("nothing has changed" in line for line in told)
    ((_, kept),) = load_all(folder)
    assert kept.leakage == first.leakage
    # The mark stands in every table and figure in which the encoder stands.
    (board,) = gather(folder, tasks=())
    (entry,) = (e for e in board.entries if e.file)
    assert entry.mark == " ⚠?"
    page = task_page(board)
    assert page.count("Seen ⚠?") >= 2
    assert "⚠?: nobody knows whether it was." in page
    assert all("Seen ⚠?" in f.drawing.render() for f in figures_of(board) if "Seen" in f.drawing.render())
    assert any("Seen ⚠?" in f.drawing.render() for f in figures_of(board))
    assert not [e for e in board.entries if e.name == "constant" and e.mark]
