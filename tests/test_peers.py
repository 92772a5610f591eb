"""The comparison with other benchmarks: what can be told without them."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks"))
import peer_libraries
import peer_page
import peers

ROOT = Path(__file__).resolve().parents[1]


def test_lines_that_a_user_writes_are_counted_without_blanks_and_remarks(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text("mine \\\n  --out here\n")
    (tmp_path / "again.sh").write_text("mine\n")  # nobody writes a second script to get a first figure
    (tmp_path / "mine.py").write_text(
        '"""What it does."""\n\n# why\nimport os\nkeep()  # for the comparison of vectors\n'
    )
    assert peer_libraries.counted_lines(tmp_path) == 3


def test_vectors_of_splits_go_back_to_the_order_of_the_table() -> None:
    splits = ["test", "train", "test", "train"]
    parts = {"train": np.array([[1.0], [3.0]]), "test": np.array([[0.0], [2.0]])}
    assert peer_libraries.by_split(parts, splits).ravel().tolist() == [0, 1, 2, 3]
    ones = np.eye(2)
    assert peers.lowest_cosine(ones, 3 * ones) == pytest.approx(1)
    assert peers.lowest_cosine(ones, ones[::-1]) == pytest.approx(0)


def test_one_probe_and_mteb_s_protocol_find_what_is_there() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    vectors = rng.normal(size=(60, 4)) + 3 * labels[:, None]
    table = pd.DataFrame({"split": ["train"] * 40 + ["test"] * 20, "label": labels})
    assert peers.one_probe(vectors, table) > 0.9
    assert peers.as_mteb(vectors, table) > 0.8


def test_a_run_is_measured_with_its_children(tmp_path: Path) -> None:
    script = tmp_path / "run.sh"
    script.write_text(f"{sys.executable} -c 'import time; held = bytearray(80 << 20); time.sleep(1)'\necho done\n")
    found = peers.timed(script, {"PATH": "/usr/bin:/bin"}, tmp_path / "log")
    assert found["code"] == 0
    assert found["seconds"] >= 1
    assert 80 < found["mb"] < 300
    assert not found["stopped"]
    assert (tmp_path / "log").read_text() == "done\n"


def test_the_table_of_images_has_as_many_patients_of_each_class_in_each_fold(data_root: Path, tmp_path: Path) -> None:
    table = peers.prepare(data_root / "busbra", 1, tmp_path)
    assert table.groupby(["fold", "label"])["subject"].nunique().tolist() == [1] * 10
    assert set(table.loc[table["fold"] == 1, "split"]) == {"test"}
    assert all((tmp_path / "images" / path).exists() for path in table["path"])


def test_every_peer_has_its_files_and_the_page_is_what_the_figures_say() -> None:
    for peer in peer_libraries.PEERS:
        assert (peer_libraries.SCRIPTS / peer.folder / "run.sh").exists(), peer.folder
    config: dict[str, Any] = yaml.safe_load((peer_libraries.SCRIPTS / "eva_config" / "probe.yaml").read_text())
    assert set(config) == {"trainer", "model", "data"}
    assert tomllib.loads((peer_libraries.SCRIPTS / "own_split" / "split.toml").read_text())["target"] == "label"
    report = json.loads((ROOT / "benchmarks" / "peers.json").read_text())
    assert [row["folder"] for row in report["rows"]] == [peer.folder for peer in peer_libraries.PEERS]
    assert (ROOT / "benchmarks" / "peers.md").read_text() == peer_page.page(report)
