import shutil

import pandas as pd
import pytest

from usbench.core.settings import load_settings, register
from usbench.data.manifest import ManifestDataset
from usbench.errors import DataError
from usbench.plugins.catalog import load_task
from usbench.plugins.data_sources import dataset_for, load_dataset

HEADER = "path,subject,label"


@pytest.fixture
def folder(tmp_path, bus_bra_subset):
    """Three real images in a folder of their own."""
    (tmp_path / "img").mkdir()
    for name, image in zip("abc", sorted((bus_bra_subset / "Images").glob("*.png")), strict=False):
        shutil.copy(image, tmp_path / "img" / f"{name}.png")
    return tmp_path


def manifest(folder, *rows, header=HEADER, name="mine.csv"):
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return file


def test_a_table_is_a_dataset(folder):
    data = ManifestDataset(manifest(folder, "img/a.png,007,1", "img/b.png,007,1", "img/c.png,8,0"))
    table = data.index.table
    assert data.name == "mine"
    assert list(table["subject"]) == ["007", "007", "8"], "identifiers stay text"
    assert table["label"].tolist() == [1, 1, 0]
    with data.open("img/a.png") as media:
        assert media.frames()[0].ndim == 2
    assert len(data.digest("img/a.png")) == 64


def test_semicolons_backslashes_byte_order_marks_and_blank_lines_are_no_obstacle(folder):
    file = folder / "mine.csv"
    file.write_text("path; subject ;label\n\nimg\\a.png;1;x\nimg/b.png;2;y\n", "utf-8-sig")
    table = ManifestDataset(file).index.table
    assert table["path"].tolist() == ["img/a.png", "img/b.png"]
    assert table["label"].tolist() == ["x", "y"]


def test_parquet_and_folders_with_a_manifest(folder):
    rows = {"path": ["img/a.png", "img/b.png"], "subject": [1.0, 2.0], "value": [0.5, 1.5]}
    pd.DataFrame(rows).to_parquet(folder / "manifest.parquet")
    data = ManifestDataset(folder)
    assert data.name == folder.name
    assert data.index.table["subject"].tolist() == ["1", "2"]
    assert data.labelled("value").table["value"].tolist() == [0.5, 1.5]


def test_marked_frames_become_two_columns(folder):
    data = ManifestDataset(manifest(folder, "img/a.png,1,1,3-9", "img/b.png,2,0,", header=HEADER + ",frames"))
    table = data.index.table
    assert table["first_frame"].tolist()[0] == 3
    assert table["last_frame"].tolist()[0] == 9
    assert table["first_frame"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        (["img/a.png,1"], "path,patient", "no column 'subject'"),
        (["img/a.png,1"], "file,subject", "no column 'path'"),
        (["img/a.png,1,1", "img/x.png,2,0", "img/y.png,3,0"], HEADER, "rows 3, 4: no such file img/x.png"),
        (["img/a.png,1,1", "img/b.png,2,", "img/c.png,3,nan"], HEADER, "rows 3, 4: 'label' is empty"),
        (["img/a.png,,1"], HEADER, "row 2: 'subject' is empty"),
        (["img/a.png,1,1", "img/b.png,2,1", "img/a.png,1,1"], HEADER, "row 4: a file is listed again"),
        (["img/a.png,1,1,9"], HEADER + ",frames", "row 2: 'frames' is not a range"),
        (["img/a.png,1,1,x", "img/b.png,1,1,"], HEADER + ",case", "row 3: 'case' is empty"),
        ([], HEADER, "a header but no rows"),
        (["img/a.png,1,1,2"], HEADER + ",label", "column 'label' appears twice"),
    ],
)
def test_mistakes_name_the_rows_as_a_spreadsheet_counts(folder, rows, header, told):
    with pytest.raises(DataError) as error:
        _ = ManifestDataset(manifest(folder, *rows, header=header)).index
    assert told in str(error.value)
    assert "mine.csv" in str(error.value)
    assert "\n" not in str(error.value)


def test_rows_are_counted_past_blank_lines(folder):
    with pytest.raises(DataError, match="row 4: no such file"):
        _ = ManifestDataset(manifest(folder, "", "img/a.png,1,1", "img/x.png,2,0")).index


def test_a_target_that_is_absent_or_has_gaps_is_an_error(folder):
    data = ManifestDataset(manifest(folder, "img/a.png,1,1,2.5", "img/b.png,2,0,", header=HEADER + ",stiffness"))
    with pytest.raises(DataError, match=r"no column 'stifness' .* Did you mean 'stiffness'\?"):
        data.labelled("stifness")
    with pytest.raises(DataError, match=r"'stiffness' is missing in 1 of 2 rows, first 'img/b.png'"):
        data.labelled("stiffness")


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda f: f / "none.csv", "no such manifest"),
        (lambda f: f, "no manifest.csv or manifest.parquet in this folder"),
        (lambda f: f / "img" / "a.png", "a manifest is a .csv or .parquet file"),
    ],
)
def test_what_is_no_manifest(folder, make, told):
    with pytest.raises(DataError, match=told):
        ManifestDataset(make(folder))


def test_not_utf8_and_empty_files(folder):
    file = folder / "mine.csv"
    file.write_bytes("path,subject\nimg/a.png,M\xfcller\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        _ = ManifestDataset(file).index
    file.write_bytes(b"")
    with pytest.raises(DataError, match="empty"):
        _ = ManifestDataset(file).index
    (folder / "mine.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(DataError, match="not readable as a table"):
        _ = ManifestDataset(folder / "mine.parquet").index


def test_a_registered_manifest_answers_the_eye_task(folder):
    file = manifest(folder, "img/a.png,1,1,1-OD", "img/b.png,2,0,2-OS", header=HEADER + ",case")
    for name in ("eye_hemorrhage", "eye-hemorrhage"):
        register("data", name, file)
        located = dataset_for(load_task("eye_hemorrhage"), load_settings())
        assert located.provision == "own"
        assert located.dataset.name == "eye-hemorrhage"
        assert located.dataset.index.table["case"].tolist() == ["1-OD", "2-OS"]
    assert load_dataset("eye-hemorrhage").root == file


def test_a_manifest_found_under_a_data_root_is_the_users_own(folder):
    manifest(folder, "img/a.png,1,1", "img/b.png,2,0", name="eye_hemorrhage.csv")
    located = dataset_for(load_task("eye_hemorrhage"), load_settings([folder]))
    assert located.provision == "own"


def test_the_fingerprint_follows_labels_and_not_the_order_of_rows(folder):
    first = ManifestDataset(manifest(folder, "img/a.png,1,1", "img/b.png,2,0")).fingerprint()
    assert ManifestDataset(manifest(folder, "img/b.png,2,0", "img/a.png,1,1")).fingerprint() == first
    assert ManifestDataset(manifest(folder, "img/b.png,2,1", "img/a.png,1,1")).fingerprint() != first
