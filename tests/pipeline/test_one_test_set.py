"""Tasks with one test set say what they are: how many were trained on and tested on, without folds or authors."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from rich.console import Console

import usbench
from usbench.cli.result_table import print_board
from usbench.leaderboard.board import Board, gather
from usbench.leaderboard.markdown.task_page import task_page
from usbench.plugins.catalog import load_task
from usbench.results import Result
from usbench.results.division import division_of

HEAD = 'target = "label"\npositive = "malignant"\nunit = "image"\nframes = "all"\n'


def table(folder: Path, name: str, subjects: int, **columns: object) -> Path:
    """Write two images of each subject, brighter where malignant, and their table."""
    rows = []
    for k in range(subjects):
        for view in range(2):
            noise = np.random.default_rng([k, view, len(name)]).integers(0, 200, (16, 16), dtype=np.uint8)
            Image.fromarray(noise + np.uint8(40 * (k % 2))).save(folder / f"{name}-{k}-{view}.png")
            label = ("benign", "malignant")[k % 2]
            rows.append({"path": f"{name}-{k}-{view}.png", "subject": f"{name}{k}", "label": label})
    file = folder / f"{name}.csv"
    pd.DataFrame(rows).assign(**columns).to_csv(file, index=False)
    return file


def run(folder: Path, task: str) -> tuple[Result, Board, str, str]:
    (folder / "lesion.toml").write_text(HEAD + task)
    told, results = str(folder / "lesion.toml"), folder / "results"
    (result,) = usbench.run("pixels", told, results_dir=results, label_efficiency=False)
    (board,) = gather(folder / "results", tasks=())
    console = Console(width=200, record=True, file=io.StringIO())
    print_board(console, [result])
    return result, board, task_page(board), " ".join(console.export_text().split())


def test_a_split_of_the_users_own(tmp_path: Path) -> None:
    table(tmp_path, "one", 30, split=["train"] * 36 + ["test"] * 24)
    result, board, page, terminal = run(tmp_path, 'dataset = "one.csv"\nsplit = "fixed"\n')
    assert list(result.protocols) == ["svc-nested@2"]  # the paper's protocol would tune on the test set
    division = division_of(result)
    assert division is not None
    assert (division.trained.units, division.trained.subjects) == (36, 18)
    assert (division.tested.units, division.tested.subjects) == (24, 12)
    assert division.tested.classes == {"benign": 12, "malignant": 12}
    told = "rained on 36 images of 18 subjects, tested on 24 images of 12 subjects"
    assert f"T{told} (12 benign, 12 malignant); the train/test split of the table." in terminal
    assert f"t{told} (12 malignant, 12 benign)" in page
    for text in (page, terminal):
        assert not re.search("fold|authors", text, re.IGNORECASE)
    assert "Ranked by the AUC over the test set." in page
    metrics = result.protocols["svc-nested@2"].metrics
    assert metrics["auc"].value == metrics["fold_auc"].value is not None
    assert board.shown("svc-nested@2").count("auc") == 0
    assert board.column("fold_auc").title == "AUC"


def test_one_dataset_tested_on_another(tmp_path: Path) -> None:
    table(tmp_path, "here", 20)
    table(tmp_path, "elsewhere", 16)
    _, board, page, terminal = run(tmp_path, 'train = "here.csv"\ntest = "elsewhere.csv"\n')
    told = "rained on 40 images of 20 subjects, tested on 32 images of 16 subjects"
    assert f"T{told} (16 benign, 16 malignant); trained on here, tested on elsewhere." in terminal
    assert f"t{told} (16 malignant, 16 benign)" in page
    assert "authors" not in page
    # Folds are spoken of only where the score within the training data is the reference.
    before = page.partition("## The drop on data from elsewhere")[0]
    assert not re.search("fold", before, re.IGNORECASE)
    assert "Fold" not in terminal
    assert board.task.split == "trained on here, tested on elsewhere"


def test_the_papers_protocol_stands_where_it_is_asked_for(tmp_path: Path) -> None:
    table(tmp_path, "one", 30, split=["train"] * 36 + ["test"] * 24)
    task = 'dataset = "one.csv"\nsplit = "fixed"\nprotocols = ["svc-nested@2", "svc-paper@1"]\n'
    result, _, page, _ = run(tmp_path, task)
    assert list(result.protocols) == ["svc-nested@2", "svc-paper@1"]
    assert "on the very test set that is then scored" in page


def test_folds_are_no_test_set(tmp_path: Path) -> None:
    table(tmp_path, "one", 30)
    result, board, _, terminal = run(tmp_path, 'dataset = "one.csv"\n[split]\nfolds = 3\n')
    assert division_of(result) is board.division is None
    assert "60 images of 30 subjects" in terminal
    assert "svc-paper@1" in result.protocols
    assert "Fold AUC" in terminal


@pytest.mark.parametrize("name", ["breast_transfer", "breast_transfer_back"])
def test_bundled_transfers_do_not_claim_a_split_of_authors(name: str, tmp_path: Path) -> None:
    boards = {board.name: board for board in gather(tmp_path, tasks=[load_task(name)])}
    assert boards[name].task.split.startswith("trained on ")
    assert "authors' train/test split" not in task_page(boards[name])
