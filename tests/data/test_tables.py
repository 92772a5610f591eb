"""Tables that can be read and are wrong all the same, and what spreadsheets do to them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner
from usbench_tasks.datasets.bus_bra import BusBraSubset

from usbench.cli import build_app
from usbench.data.image_folder import PictureFolder
from usbench.data.integrity import check_dataset, few_levels_of_sample
from usbench.data.label_table import read_table
from usbench.data.manifest import ManifestDataset
from usbench.data.table_checks import names_alike
from usbench.errors import DataError
from usbench.task.cohort import build_cohort
from usbench.task.task import Task


def _manifest(folder: Path, rows: list[str], header: str = "path,subject,label", name: str = "m.csv") -> Path:
    noise = np.random.default_rng(0)
    for number, row in enumerate(rows):
        path = folder / row.split(header[4])[0]
        if not path.exists():
            smooth = Image.fromarray(noise.integers(0, 256, (6, 6), dtype=np.uint8)).resize(
                (64, 48), Image.Resampling.BICUBIC
            )
            smooth.save(path)
            assert number < 99
    file = folder / name
    file.write_text("\n".join([header, *rows]) + "\n", "utf-8")
    return file


def _check(path: Path, *options: str) -> tuple[int, str]:
    arguments = ["data", "check", str(path), *options]
    found = CliRunner().invoke(build_app(arguments), arguments)
    return found.exit_code, found.output


@pytest.mark.parametrize(
    "names",
    [
        ("7", "007"),
        ("7", "7.0"),
        ("Anna", "anna"),
        ("José", "Jose\u0301"),
        ("p1", "P01"),
        ("a 1", "a  1"),
        ("ﬁn", "fin"),
        ("A-001", "A-1"),
    ],
)
def test_names_that_mean_one_patient(tmp_path: Path, names: tuple[str, str]) -> None:
    assert names_alike([*names, "other"]) == [tuple(sorted(names))]
    file = _manifest(tmp_path, [f"a.png,{names[0]},1", f"b.png,{names[1]},0"])
    status, told = _check(file)
    assert status == 1
    assert "one patient?" in told
    assert repr(names[1]) in told
    assert "count as different patients" in " ".join(ManifestDataset(file).index.notes)


@pytest.mark.parametrize("names", [("1.1", "1.10"), ("a1", "a10"), ("a", "b"), ("0", "00a"), ("100", "1")])
def test_names_that_do_not(names: tuple[str, str]) -> None:
    assert names_alike(names) == []


def test_both_sides_of_a_split(tmp_path: Path) -> None:
    header = "path,subject,label,split"
    status, told = _check(_manifest(tmp_path, ["a.png,anna,1,train", "b.png,anna,0,test", "c.png,eve,1,test"], header))
    assert status == 1
    assert "both sides: 'anna' is in split test and train" in told


def test_words_for_nothing_are_classes_among_words(tmp_path: Path) -> None:
    file = _manifest(tmp_path, ["a.png,NA,None", "b.png,2,Mild", "c.png,3,NA"])
    table = ManifestDataset(file).index.table
    assert table["label"].tolist() == ["None", "Mild", "NA"]
    assert table["subject"].tolist() == ["NA", "2", "3"]


def test_words_for_nothing_are_missing_among_numbers(tmp_path: Path) -> None:
    file = _manifest(tmp_path, ["a.png,1,0.5", "b.png,2,NA", "c.png,3,None"])
    assert read_table(file)["label"].isna().tolist() == [False, True, True]
    with pytest.raises(DataError, match="rows 3, 4: 'label' is empty"):
        ManifestDataset(file).index  # noqa: B018


@pytest.mark.parametrize("positive", ["True", "true", "1"])
@pytest.mark.parametrize("cells", [("True", "False"), ("TRUE", "FALSE"), ("1", "0")])
def test_truth_as_a_class(tmp_path: Path, positive: str, cells: tuple[str, str]) -> None:
    data = ManifestDataset(_manifest(tmp_path, [f"a.png,1,{cells[0]}", f"b.png,2,{cells[1]}"]))
    task = Task(name="t", title="t", kind="binary", dataset="m", target="label", positive=positive)
    cohort = build_cohort(task, data)
    assert cohort.labels() == [1, 0]


def test_excel_and_tabs(tmp_path: Path) -> None:
    rows = ["a.png;1;x", "b.png;2;y"]
    file = _manifest(tmp_path, rows, "path;subject;label")
    file.write_text("sep=;\n" + file.read_text("utf-8"), "utf-8-sig")
    assert ManifestDataset(file).index.table["label"].tolist() == ["x", "y"]
    file.write_text("sep=;\npath;subject;label\na.png;1;x\n;2;y\n", "utf-8")
    with pytest.raises(DataError, match="row 4: 'path' is empty"):
        ManifestDataset(file).index  # noqa: B018
    tabs = tmp_path / "m.tsv"
    tabs.write_text("path\tsubject\tlabel\na.png\t1,5\tx\nb.png\t2\ty\n", "utf-8")
    assert ManifestDataset(tabs).index.table["subject"].tolist() == ["1,5", "2"]


@pytest.mark.parametrize("table", ["bus_data.csv", "5-fold-cv.csv"])
def test_row_twice_in_bus_bra(tmp_path: Path, table: str, bus_bra_subset: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(bus_bra_subset, root)
    lines = (root / table).read_text("utf-8").splitlines()
    (root / table).write_text("\n".join([*lines, lines[1]]) + "\n", "utf-8")
    with pytest.raises(DataError, match="has two rows"):
        BusBraSubset(root).index  # noqa: B018


def test_grey_levels_are_told(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (48, 64))
    for number in range(3):
        Image.fromarray(picture.astype(np.uint16)).save(tmp_path / f"{number}.png")  # 8-bit values in 16 bits
    file = _manifest(tmp_path, [f"{number}.png,{number},{number % 2}" for number in range(3)])
    data = ManifestDataset(file)
    assert "3 of 3 files use 2 of 256 grey levels" in few_levels_of_sample(data, data.index.table["path"].tolist())
    assert "3 of 3 files use 2 of 256 grey levels" in _check(file, "--decode")[1]
    Image.fromarray((picture * 257).astype(np.uint16)).save(tmp_path / "0.png")
    assert few_levels_of_sample(data, ["0.png", "1.png"]) == ""


def test_what_is_done_to_pictures_is_told(tmp_path: Path) -> None:
    file = _manifest(tmp_path, ["a.png,1,0", "b.png,2,1"])
    exif = Image.Exif()
    exif[274] = 6
    Image.open(tmp_path / "a.png").save(tmp_path / "a.png", exif=exif.tobytes())
    assert check_dataset(ManifestDataset(file), decode=True).treated == {
        "turned by 90 degrees clockwise, as its orientation mark says": 1
    }
    assert "read: 1 of 2 files: turned by 90 degrees clockwise" in _check(file, "--decode")[1]


def test_arrays_of_one_file_are_rows_of_a_manifest(tmp_path: Path) -> None:
    import scipy.io

    pictures = {
        name: np.random.default_rng(i).integers(0, 256, (20, 30), dtype=np.uint8) for i, name in enumerate("ab")
    }
    scipy.io.savemat(tmp_path / "all.mat", pictures)
    file = tmp_path / "m.csv"
    file.write_text("path,subject,label\nall.mat::a,1,0\nall.mat::b,2,1\n", "utf-8")
    data = ManifestDataset(file)
    for name, picture in pictures.items():
        with data.open(f"all.mat::{name}") as media:
            assert np.array_equal(media.frames()[0], picture)
    assert data.digest("all.mat::a") != data.digest("all.mat::b")


def test_folder_takes_dicom_without_suffix_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    shutil.copy(get_testdata_file("CT_small.dcm"), tmp_path / "IM0001")
    shutil.copy(get_testdata_file("CT_small.dcm"), tmp_path / "1.2.840.5")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "README").write_text("x")
    index = PictureFolder(tmp_path).index
    assert index.table["path"].tolist() == ["1.2.840.5", "IM0001"]
    assert index.notes[0] == "2 files of other kinds are left out: 1 .txt, 1 without suffix."


def test_bundled_tables_read_as_before(bus_bra_subset: Path) -> None:
    table = BusBraSubset(bus_bra_subset).index.table
    plain = pd.read_csv(bus_bra_subset / "bus_data.csv", dtype={"ID": str, "Case": str})
    assert table["pathology"].tolist() == plain["Pathology"].tolist()
