import pandas as pd
import pytest
from made_up_files import write_image
from usbench_tasks.datasets.breast_lesions_usg import IMAGES, BreastLesionsUsg

from usbench.errors import DataError

ROWS = [(1, "benign", "2"), (2, "malignant", "4c"), (3, "normal", "1")]


def clinical_table():
    return pd.DataFrame(
        [
            {"CaseID": n, "Classification": kind, "BIRADS": birads, "Verification": "confirmed by biopsy"}
            for n, kind, birads in ROWS
        ]
    )


@pytest.fixture
def published(tmp_path):
    pytest.importorskip("openpyxl")
    names = [f"case{n:03d}.png" for n, _, _ in ROWS]
    for i, name in enumerate(names):
        write_image(tmp_path / IMAGES / name, i)
    table = clinical_table().assign(Image_filename=names, Mask_tumor_filename="not read")
    table.to_excel(tmp_path / "BrEaST-Lesions-USG-clinical-data-Dec-15-2023.xlsx", index=False)
    return tmp_path


def test_the_published_layout(published):
    assert BreastLesionsUsg.recognises(published)
    table = BreastLesionsUsg(published).index.table
    assert table["path"].tolist() == [f"{IMAGES}/case00{n}.png" for n in (1, 2, 3)]
    assert table["pathology"].tolist()[:2] == ["benign", "malignant"]
    assert table["pathology"].isna().tolist() == [False, False, True]
    assert table["birads"].tolist() == ["2", "4", "1"]


def test_normal_tissue_is_not_asked_about(published):
    index = BreastLesionsUsg(published).labelled("pathology")
    assert index.table["subject"].tolist() == ["case001", "case002"]


def test_the_real_folder(data_root):
    table = BreastLesionsUsg(data_root / "breast_lesions_usg").index.table
    assert table["finding"].value_counts().to_dict() == {"benign": 154, "malignant": 98, "normal": 4}
    assert table["subject"].is_unique


def test_an_unknown_class_is_refused_with_its_row(published):
    table = clinical_table().assign(file=[f"{IMAGES}/case00{n}.png" for n in (1, 2, 3)])
    table.loc[1, "Classification"] = "perhaps"
    table.to_csv(published / "labels.csv", index=False)
    with pytest.raises(DataError, match=r"row 3: Classification is not one of benign, malignant, normal"):
        _ = BreastLesionsUsg(published).index


def test_a_damaged_workbook_is_told(published):
    (book,) = published.glob("*.xlsx")
    book.write_bytes(b"PK not a workbook")
    with pytest.raises(DataError, match="not a readable Excel table"):
        _ = BreastLesionsUsg(published).index
