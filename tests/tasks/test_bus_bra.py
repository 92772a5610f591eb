import shutil

import pandas as pd
import pytest
from usbench_tasks.datasets.bus_bra import BusBra

from usbench.errors import DataError


@pytest.fixture
def folder(tmp_path, bus_bra_subset):
    """The embedded subset, to be damaged."""
    return shutil.copytree(bus_bra_subset, tmp_path / "BUSBRA")


def test_the_published_folder(data_root):
    table = BusBra(data_root / "busbra").index.table
    assert len(table) == 1875
    assert table["subject"].nunique() == 1064
    assert table["pathology"].value_counts().to_dict() == {"benign": 1268, "malignant": 607}
    assert set(table["device"]) == {"GE Logiq 5", "GE Logiq 7", "Toshiba Aplio 300", "U-Systems"}
    assert set(table["birads"]) == {2, 3, 4, 5}
    assert table.groupby("subject")["fold"].nunique().max() == 1
    assert table["case"].is_unique


def test_absent_images_are_left_out_and_told(folder):
    (folder / "Images" / f"{BusBra(folder).index.table['case'].iloc[0]}.png").unlink()
    index = BusBra(folder).index
    assert len(index.table) == 353
    assert "1 images listed in bus_data.csv are absent" in index.notes[0]


def move_breast(folder):
    folds = pd.read_csv(folder / "5-fold-cv.csv")
    right = folds["ID"].str.endswith("-r")
    folds.loc[right.idxmax(), "kFold"] = folds.loc[right.idxmax(), "kFold"] % 5 + 1
    folds.to_csv(folder / "5-fold-cv.csv", index=False)


def drop_fold(folder):
    folds = pd.read_csv(folder / "5-fold-cv.csv")
    folds.iloc[1:].to_csv(folder / "5-fold-cv.csv", index=False)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (move_breast, "is in two folds"),
        (drop_fold, "no fold for bus_"),
        (lambda folder: (folder / "bus_data.csv").unlink(), "bus_data.csv: no such file"),
        (lambda folder: shutil.rmtree(folder / "Images"), "no .png images"),
    ],
)
def test_damage_is_told_with_the_file(folder, damage, told):
    damage(folder)
    with pytest.raises(DataError) as error:
        _ = BusBra(folder).index
    assert told in str(error.value)
