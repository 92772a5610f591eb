"""Names that no file can bear, and numbers that nothing can be: one message, never a stack trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from usbench.cli import main
from usbench.core.limits import is_regular, open_regular
from usbench.data.label_table import read_table
from usbench.data.manifest import ManifestDataset
from usbench.encoder.weights import read_state
from usbench.errors import UsbenchError
from usbench.media import file_digest, open_media
from usbench.plugins.catalog import load_encoder, load_task
from usbench.task.toml import read_task_file

LONG = "x" * 5000


@pytest.mark.parametrize("name", [LONG, "a\0b", f"{LONG}/a", "a\0b.png"])
def test_a_name_that_no_file_can_bear_is_no_file(name: str, tmp_path: Path) -> None:
    assert not is_regular(tmp_path / name)
    with pytest.raises(OSError, match=r"too long|NUL"):
        open_regular(tmp_path / name)
    for read in (open_media, file_digest, read_state):
        with pytest.raises(UsbenchError, match=r"too long|NUL"):
            read(tmp_path / name)


@pytest.mark.parametrize("name", [f"{LONG}.py:X", f"{LONG}.py"])
def test_a_plugin_of_a_long_name_is_one_message(name: str) -> None:
    with pytest.raises(UsbenchError, match="no such file") as error:
        load_encoder(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("family", ["timm", "transformers", "open_clip", "onnx"])
def test_an_encoder_of_a_long_name_says_whether_it_is_ready(family: str) -> None:
    assert "\n" not in load_encoder(f"{family}:{LONG}").readiness().reason


@pytest.mark.parametrize(
    ("table", "told"),
    [
        (f"path,subject,label\n{LONG}.png,1,a\n", "no such file"),
        (f"path,subject,label\na.png::{LONG},1,a\n", ""),
        ("path,subject,label,frames\na.png,1,a,0-99999999999999999999999\n", "'frames' is not a range"),
        ("path,subject,label,frames\na.png,1,a,\u0660-\u0663\n", "'frames' is not a range"),
        (f"path,subject,label,{'y' * 200_000}\na.png,1,a,2\n", "header row: field larger than field limit"),
    ],
)
def test_a_table_of_hostile_cells_is_one_message(table: str, told: str, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "m.csv").write_text(table, encoding="utf-8")
    with pytest.raises(UsbenchError, match=told) as error:
        open_all(tmp_path / "m.csv")
    assert "\n" not in str(error.value)


def open_all(table: Path) -> None:
    dataset = ManifestDataset(table)
    for path in dataset.index.table["path"]:
        dataset.open(path).close()


def test_a_table_of_many_columns_is_read_at_once(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(4000)]
    (tmp_path / "m.csv").write_text(",".join(names) + "\n" + ",".join("1" for _ in names) + "\n")
    assert read_table(tmp_path / "m.csv").shape == (1, 4000)
    (tmp_path / "m.csv").write_text(",".join([*names, "c7"]) + "\n")
    with pytest.raises(UsbenchError, match="column 'c7' appears twice"):
        read_table(tmp_path / "m.csv")


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('kind = "regression"\nthreshold = nan', "'threshold' must be a finite number"),
        ('kind = "regression"\nthreshold = -inf', "'threshold' must be a finite number"),
        ("units_per_class = 0", "'units_per_class' must be a whole number from 1"),
        ("units_per_class = -5", "'units_per_class' must be a whole number from 1"),
        ("[split]\nfolds = 999999999999999999999", "folds must be a whole number from 2 to 10000"),
        ("[split]\nrepeats = 100000000", "repeats must be a whole number from 1 to 10000"),
    ],
)
def test_a_task_of_numbers_that_cannot_be_meant_is_refused(line: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(f'dataset = "m.csv"\ntarget = "label"\n{line}\n')
    with pytest.raises(UsbenchError, match=told):
        read_task_file(path)
    with pytest.raises(UsbenchError, match=told):
        load_task(str(path))


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "-e", "pixels", "-t", "breast_lesion", "--data", LONG],
        ["run", "-e", "pixels", "-t", "breast_lesion", "--data", "subset", "--results", LONG],
        ["run", "-e", f"{LONG}.py:X", "-t", "breast_lesion"],
        ["data", "check", LONG],
        ["leaderboard", "--results", LONG, "--out", LONG],
    ],
)
def test_the_command_line_says_it_in_one_line(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USBENCH_CACHE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("error: ")
    assert "Traceback" not in "".join(told)
