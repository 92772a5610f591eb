import pandas as pd
import pytest
from usbench_tasks.datasets.salivary_glands import SalivaryGlands

from usbench import run
from usbench.errors import DataError
from usbench.plugins.catalog import load_task


@pytest.fixture
def folder(tmp_path):
    from made_up_files import write_image

    tmp_path = tmp_path / "sgus"
    rows = []
    for i in range(6):
        write_image(tmp_path / "images" / f"{i}.png", i)
        rows.append(
            (f"images/{i}.png", f"p{i // 2}", "Udine", "samsung", "parotid", i % 4, i % 4, (0, 1, 2)[i % 3], "F")
        )
    columns = ["file", "subject", "centre", "machine", "gland", "omeract", "de_vita", "pss", "sex"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "labels.csv", index=False)
    return tmp_path


def test_the_real_folder(data_root):
    index = SalivaryGlands(data_root / "sgus").index
    table = index.table
    assert len(table) == 225
    assert table["subject"].nunique() == 106
    assert table.groupby("centre")["device"].nunique().eq(1).all()
    assert table["grade"].value_counts().to_dict() == {0: 93, 3: 53, 2: 47, 1: 32}
    assert table.groupby("subject")["centre"].nunique().max() == 1


def test_an_unknown_diagnosis_stays_unknown(folder):
    index = SalivaryGlands(folder).index
    assert index.table["pss"].isna().sum() == 2
    assert "neither 0 nor 1 in 2 rows" in index.notes[0]


@pytest.mark.parametrize(("column", "value"), [("omeract", 4), ("omeract", 1.5), ("de_vita", -1)])
def test_a_grade_that_does_not_exist_is_refused(folder, column, value):
    table = pd.read_csv(folder / "labels.csv")
    table[column] = table[column].astype(float)
    table.loc[2, column] = value
    table.to_csv(folder / "labels.csv", index=False)
    with pytest.raises(DataError, match=f"row 4: '{column}' is not a grade 0, 1, 2 or 3"):
        _ = SalivaryGlands(folder).index


def test_a_grade_in_words_is_refused_as_it_has_no_order(folder):
    table = pd.read_csv(folder / "labels.csv").astype({"omeract": str})
    table.loc[2, "omeract"] = "mild"
    table.to_csv(folder / "labels.csv", index=False)
    with pytest.raises(DataError, match="row 4: 'omeract' is not a grade 0, 1, 2 or 3"):
        _ = SalivaryGlands(folder).index


def test_one_centre_cannot_be_held_out(folder):
    """All six images are of one centre: the bundled task says so before anything is encoded."""
    with pytest.raises(DataError, match=r"column 'centre' has one value only \('Udine'\), so that nothing can be held"):
        run("pixels", load_task("salivary_gland_centre"), data_root=folder.parent)


def test_an_absent_image_is_told(folder):
    (folder / "images" / "3.png").unlink()
    with pytest.raises(DataError, match=r"row 5: no such file images/3.png"):
        _ = SalivaryGlands(folder).index
