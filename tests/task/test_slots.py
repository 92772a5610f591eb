import numpy as np
import pandas as pd
import pytest
from PIL import Image

from usbench.data.manifest import ManifestDataset
from usbench.errors import DataError, UsbenchError
from usbench.plugins.catalog import load_task
from usbench.task.cohort import build_cohort
from usbench.task.slots import Slots
from usbench.task.toml import read_task_file

FILE = """
dataset = "hearts.csv"
target = "ef"
kind = "regression"

[slots]
column = "phase"
names = ["ED", "ES"]
differences = [["ED", "ES"]]
"""


@pytest.fixture
def folder(tmp_path):
    rows = []
    for patient in range(6):
        for phase in ("ED", "ES"):
            name = f"{patient}_{phase}.png"
            Image.fromarray(np.full((20, 20), 20 * patient, np.uint8)).save(tmp_path / name)
            rows.append({"path": name, "subject": f"p{patient}", "phase": phase, "ef": 40 + patient})
    pd.DataFrame(rows).to_csv(tmp_path / "hearts.csv", index=False)
    (tmp_path / "heart.toml").write_text(FILE)
    return tmp_path


def test_slots_are_declared_in_toml(folder):
    task = read_task_file(folder / "heart.toml")
    assert task.slots == Slots("phase", ("ED", "ES"), "differences", (("ED", "ES"),))
    assert task.slots.describe() == "mean of ED, ES, and ED minus ES"
    cohort = build_cohort(task, ManifestDataset(folder / "hearts.csv"))
    assert cohort.units[0].places == ("ED", "ES")


def test_a_declaration_without_slots_reads_as_it_did_before_there_were_any():
    task = load_task("covid")
    assert "slots" not in repr(task)
    assert repr(task).startswith("Task(name='covid', title=")
    assert repr(task).endswith(f", description={task.description!r})")
    assert "slots=Slots(column='place'" in repr(load_task("camus_ejection_fraction"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('names = ["ED", "ES"]', 'names = ["ED"]'), "at least two different places"),
        (('[["ED", "ES"]]', '[["ED", "EX"]]'), "is not a pair of two different places"),
        (('[["ED", "ES"]]', '["ED"]'), "list of pairs"),
        (("column =", "colum ="), "unknown key 'colum'"),
        (('differences = [["ED", "ES"]]', 'join = "sum"'), "join = 'sum' is not known"),
        (('differences = [["ED", "ES"]]', 'join = "differences"'), "give `differences`"),
    ],
)
def test_a_wrong_declaration_is_told_with_the_file(folder, change, told):
    (folder / "heart.toml").write_text(FILE.replace(*change))
    with pytest.raises(UsbenchError) as error:
        read_task_file(folder / "heart.toml")
    assert told in str(error.value)
    assert "heart.toml" in str(error.value)


def damaged(folder, change):
    table = change(pd.read_csv(folder / "hearts.csv"))
    table.to_csv(folder / "hearts.csv", index=False)
    return ManifestDataset(folder / "hearts.csv")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop(index=3), "subject 'p1' has no image for 'ES'; every subject must fill ED, ES"),
        (lambda t: t.replace({"phase": {"ES": "systole"}}), "has phase 'systole', which is no place of task 'heart'"),
        (lambda t: t.drop(columns="phase"), "no column 'phase', which says what place a file fills"),
    ],
)
def test_a_missing_view_is_told(folder, change, told):
    with pytest.raises(DataError) as error:
        build_cohort(read_task_file(folder / "heart.toml"), damaged(folder, change))
    assert told in str(error.value)


def test_a_run_keeps_the_join_in_its_result(folder):
    from usbench import run

    (result,) = run("pixels", read_task_file(folder / "heart.toml"))
    assert result.task["slots"] == "mean of ED, ES, and ED minus ES"
