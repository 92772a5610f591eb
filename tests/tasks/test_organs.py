import numpy as np
import pandas as pd
import pytest
from made_up_files import write_image

from usbench.core.settings import load_settings, register
from usbench.errors import DataError
from usbench.plugins.catalog import load_task
from usbench.plugins.data_sources import dataset_for
from usbench.task.cohort import build_cohort


def collection(folder, organs):
    rows = []
    for i, organ in enumerate(organs):
        write_image(folder / "SET" / f"{i}.png", i)
        rows.append({"file": f"SET/{i}.png", "dataset": "SET", "organ": organ, "subject": f"p{i}", "licence": "CC0"})
    pd.DataFrame(rows).to_csv(folder / "manifest.csv", index=False)
    return folder


def test_parts_from_several_places_make_one_index(tmp_path, byra_folder):
    collection(tmp_path / "root" / "pretrain160", ["breast", "lung", "lung"])
    register("data", "byra-liver", byra_folder)
    located = dataset_for(load_task("organ_map"), load_settings([tmp_path / "root"]))
    data = located.dataset
    table = data.index.table
    assert table["organ"].value_counts().to_dict() == {"abdominal": 4, "lung": 2, "breast": 1}
    assert {"pretrain160/SET/0.png", "byra-liver/patient/1"} <= set(table["path"])
    assert set(table["source"]) == {"SET", "byra-liver"}
    with data.open("byra-liver/patient/1") as media:
        assert media.n_frames == 10
    with data.open("pretrain160/SET/0.png") as media:
        assert np.array_equal(media.frames()[0].shape, (40, 50))
    assert data.digest("pretrain160/SET/0.png") != data.digest("pretrain160/SET/1.png")


def test_a_number_of_units_a_class_is_drawn_whatever_the_order_of_rows(tmp_path):
    from dataclasses import replace

    root = collection(tmp_path / "pretrain160", ["breast", "lung"] * 6 + ["lung"] * 5)
    task = replace(load_task("organ_map"), units_per_class=4)
    first = build_cohort(task, dataset_for(task, load_settings([tmp_path])).dataset)
    table = pd.read_csv(root / "manifest.csv").sample(frac=1, random_state=0)
    table.to_csv(root / "manifest.csv", index=False)
    again = build_cohort(task, dataset_for(task, load_settings([tmp_path])).dataset)
    assert [unit.id for unit in first.units] == [unit.id for unit in again.units]
    assert [sum(unit.target == organ for unit in first.units) for organ in ("breast", "lung")] == [4, 4]
    assert "8 of 17 units drawn" in first.notes[-1]


def test_one_organ_is_no_map(tmp_path):
    collection(tmp_path / "pretrain160", ["lung", "lung"])
    with pytest.raises(DataError, match="at least two organs"):
        build_cohort(load_task("organ_map"), dataset_for(load_task("organ_map"), load_settings([tmp_path])).dataset)


def test_nothing_found_says_what_to_add():
    with pytest.raises(DataError, match="dataset 'organs' not found"):
        dataset_for(load_task("organ_map"), load_settings())


def test_the_organs_at_hand(data_root):
    task = load_task("organ_map")
    cohort = build_cohort(task, dataset_for(task, load_settings([data_root])).dataset)
    counts = {organ: sum(unit.target == organ for unit in cohort.units) for organ in cohort.classes}
    assert set(counts) >= {"abdominal", "breast", "fetal", "follicle", "lung", "musculoskeletal", "neck"}
    assert set(counts.values()) == {200}
