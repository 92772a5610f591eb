"""Tasks of two datasets, and values of a column held out, declared in TOML and run on real images."""

import shutil
from dataclasses import replace

import pandas as pd
import pytest

from usbench import run
from usbench.core.settings import load_settings
from usbench.errors import DataError, UsbenchError
from usbench.evaluation.drop import drop_of_figures
from usbench.plugins.catalog import load_task
from usbench.plugins.data_sources import dataset_for
from usbench.submission.validate import validate
from usbench.task import SplitPlan
from usbench.task.cohort import build_cohort, draw_splits
from usbench.task.toml import read_task_file

FILE = """
title = "My lesions"
train = { dataset = "old.csv", target = "pathology" }
test = { dataset = "new.csv", target = "label", labels = { "1" = "malignant", "0" = "benign" } }
target = "pathology"
positive = "malignant"
unit = "image"
protocols = ["svc-nested@1"]
"""


@pytest.fixture
def folder(tmp_path, bus_bra_subset):
    """Two clinics cut out of the embedded images, the second with labels of its own."""
    table = pd.read_csv(bus_bra_subset / "bus_data.csv")
    patients = table.drop_duplicates("Case").groupby("Pathology").head(40)["Case"].tolist()
    for name, chosen in (("old", patients[::2]), ("new", patients[1::2])):
        part = table[table["Case"].isin(chosen)].groupby("Case").head(1)
        for image in part["ID"]:
            shutil.copy(bus_bra_subset / "Images" / f"{image}.png", tmp_path / f"{image}.png")
        rows = pd.DataFrame(
            {"path": part["ID"] + ".png", "subject": part["Case"].astype(str), "birads": part["BIRADS"]}
        )
        if name == "old":
            rows["pathology"] = part["Pathology"]
        else:
            rows["label"] = part["Pathology"].eq("malignant").astype(int)
        rows.to_csv(tmp_path / f"{name}.csv", index=False)
    (tmp_path / "mine.toml").write_text(FILE)
    return tmp_path


def test_ten_lines_of_toml_give_scores_and_the_drop(folder):
    task = read_task_file(folder / "mine.toml")
    (result,) = run("pixels", task, results_dir=folder / "runs")
    assert result.board == "mine"
    assert result.task["split"] == "trained on old, tested on new"
    tested = [fold is not None for fold in result.protocols["svc-nested@1"].repeats[0].fold]
    assert all(path.startswith("test/") == there for path, there in zip(result.units.id, tested, strict=True))
    drop = result.figures["drop"]
    assert drop["reference"] == "5 folds by subject within old, 5 draws"
    assert not drop["paired"]
    entry = drop["metrics"]["fold_auc"]
    assert entry["elsewhere"]["value"] == result.protocols["svc-nested@1"].metrics["fold_auc"].value
    assert entry["drop"]["value"] == pytest.approx(entry["within"]["value"] - entry["elsewhere"]["value"], abs=2e-6)
    assert entry["drop"]["low"] < entry["drop"]["value"] < entry["drop"]["high"]
    # Only patients of the training side are in the comparison.
    within = [fold is not None for fold in drop["repeats"][0]["fold"]]
    assert within == [not there for there in tested]
    again = drop_of_figures(
        drop, "binary", ("benign", "malignant"), result.units, result.protocols["svc-nested@1"], None
    )
    assert {m: {side: e[side] for side in ("within", "drop")} for m, e in drop["metrics"].items()} == again
    assert validate(next((folder / "runs").glob("*/*.json"))) == []


def index_of(folder):
    return build_cohort(task := read_task_file(folder / "mine.toml"), dataset_for(task, load_settings()).dataset)


def change(folder, name, how):
    table = how(pd.read_csv(folder / f"{name}.csv", dtype={"subject": str}))
    table.to_csv(folder / f"{name}.csv", index=False)


def test_a_patient_in_both_is_refused_by_subject(folder):
    first = pd.read_csv(folder / "old.csv", dtype=str)["subject"].iloc[0]
    change(folder, "new", lambda t: t.assign(subject=[first, *t["subject"].iloc[1:]]))
    with pytest.raises(DataError, match=f"1 subjects are in both datasets: {first}. .*local_subjects = true"):
        index_of(folder)
    (folder / "mine.toml").write_text(FILE + "local_subjects = true\n")
    assert {s.partition("/")[0] for s in index_of(folder).groups} == {"old", "new"}


def test_a_patient_in_both_is_refused_by_the_digest_of_a_file(folder):
    shutil.copy(folder / pd.read_csv(folder / "old.csv")["path"].iloc[0], folder / "renamed.png")
    change(folder, "new", lambda t: t.assign(path=["renamed.png", *t["path"].iloc[1:]]))
    with pytest.raises(DataError, match=r"1 files are in both datasets, first 'bus_\d+-\w.png' and 'renamed.png'"):
        run("pixels", read_task_file(folder / "mine.toml"))


def test_datasets_of_different_labels_are_refused(folder):
    (folder / "mine.toml").write_text(FILE.replace(', labels = { "1" = "malignant", "0" = "benign" }', ""))
    with pytest.raises(DataError, match="the labels differ: old has benign, malignant, new has 0, 1"):
        index_of(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (('train = { dataset = "old.csv", target = "pathology" }', ""), "give either `dataset`, or both"),
        (('unit = "image"', 'unit = "image"\ndataset = "old.csv"'), "give either `dataset`, or both"),
        (('unit = "image"', 'unit = "image"\nsplit = "grouped"'), "`train` and `test` are the split"),
        (('dataset = "old.csv", target', 'dataset = "old.csv", targt'), "train: unknown key 'targt'"),
        (("labels = {", "labels = 1, x = {"), "unknown key 'x'"),
        (('{ dataset = "old.csv", target = "pathology" }', "3"), "train is a dataset, such as"),
    ],
)
def test_a_wrong_declaration_is_told_with_the_file(folder, change, told):
    (folder / "mine.toml").write_text(FILE.replace(*change))
    with pytest.raises(UsbenchError) as error:
        read_task_file(folder / "mine.toml")
    assert told in str(error.value)
    assert "mine.toml" in str(error.value)


def test_other_data_have_no_meaning_for_a_pair(folder):
    with pytest.raises(DataError, match="takes its data from `train` and `test`"):
        run("pixels", read_task_file(folder / "mine.toml"), data=str(folder / "old.csv"))


def scanner_task():
    return replace(load_task("breast_lesion_scanner"), protocols=("knn@1",))


def test_each_scanner_is_held_out_in_turn_and_the_drop_is_paired():
    (result,) = run("pixels", scanner_task(), data="subset")
    folds = result.protocols["knn@1"].repeats[0].fold
    by_fold = {}
    for device, fold in zip(result.units.strata["device"], folds, strict=True):
        by_fold.setdefault(fold, set()).add(device)
    assert len(by_fold) == 4
    assert all(len(devices) == 1 for devices in by_fold.values())
    drop = result.figures["drop"]
    assert drop["paired"]
    assert drop["reference"] == "5 folds by subject within all data, 5 draws"
    assert None not in drop["repeats"][0]["fold"]
    again = drop_of_figures(drop, "binary", ("benign", "malignant"), result.units, result.protocols["knn@1"], None)
    assert {m: {side: e[side] for side in ("within", "drop")} for m, e in drop["metrics"].items()} == again


def held_out(change):
    task = scanner_task()
    dataset = dataset_for(task, load_settings()).dataset
    dataset.__dict__["index"] = replace(dataset.index, table=change(dataset.index.table.copy()))
    return draw_splits(task.split, build_cohort(task, dataset))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.assign(device="one"), r"column 'device', .* one value only \('one'\)|one value only"),
        (lambda t: t.assign(device=[None, *t["device"].iloc[1:]]), "is empty for"),
        (
            lambda t: t.assign(device=["other", *t["device"].iloc[1:]], subject=t["subject"].where(t.index > 1, "p")),
            "subjects have several values of 'device', which is held out in turn, first 'p'",
        ),
    ],
)
def test_what_cannot_be_held_out_is_told(change, told):
    with pytest.raises(DataError, match=told):
        held_out(change)


def test_plans_that_do_not_use_a_column_read_as_before():
    assert repr(SplitPlan()) == "SplitPlan(kind='grouped', folds=5, repeats=5)"
    assert repr(SplitPlan("held-out", by="centre")) == "SplitPlan(kind='held-out', folds=5, repeats=5, by='centre')"
    with pytest.raises(UsbenchError, match="`by` names the column"):
        SplitPlan("held-out")
    with pytest.raises(UsbenchError, match="`by` names the column"):
        SplitPlan("grouped", by="centre")
