import shutil

import numpy as np
import pandas as pd
import pytest
from usbench_tasks.datasets.camus import FROM_MASKS, OFFICIAL, PLACES, Camus

from usbench.errors import DataError, UsbenchError

itk = pytest.importorskip("SimpleITK")


def write_nifti(path, pixels):
    """Write ``[W, H]`` or ``[W, H, N]``, the width first, as the images of CAMUS are stored."""
    itk.WriteImage(itk.GetImageFromArray(np.ascontiguousarray(pixels.T)), str(path))


def write_patient(root, name, ef="54.0", key="EF", width=30, height=20, seed=0):
    """A patient's folder as published: images stored with the width first."""
    folder = root / name
    folder.mkdir(parents=True)
    generator = np.random.default_rng(seed)
    pictures = {}
    for view in ("2CH", "4CH"):
        lines = ["ED: 1", "ES: 9", "NbFrame: 9", "Sex: F", "Age: 56", "ImageQuality: Good", f"{key}: {ef}"]
        (folder / f"Info_{view}.cfg").write_text("\n".join(lines) + "\n")
        for phase in ("ED", "ES"):
            picture = generator.integers(0, 256, (width, height), dtype=np.uint8)
            pictures[f"{view} {phase}"] = picture
            write_nifti(folder / f"{name}_{view}_{phase}.nii.gz", picture)
            mask = np.zeros((width, height), np.uint8)
            write_nifti(folder / f"{name}_{view}_{phase}_gt.nii.gz", mask)
        sequence = generator.integers(0, 256, (width, height, 9), dtype=np.uint8)
        write_nifti(folder / f"{name}_{view}_half_sequence.nii.gz", sequence)
    return pictures


@pytest.fixture
def published(tmp_path):
    root = tmp_path / "CAMUS_public"
    for i, ef in enumerate(("54.0", "31.5", "70"), start=1):
        write_patient(root / "database_nifti", f"patient000{i}", ef, seed=i)
    lists = root / "database_split"
    lists.mkdir()
    for word, patient in (("training", 1), ("validation", 2), ("testing", 3)):
        (lists / f"subgroup_{word}.txt").write_text(f"patient000{patient}\n")
    return root


def test_the_published_layout_gives_four_images_a_patient_and_the_official_value(published):
    index = Camus(published).index
    table = index.table
    assert len(table) == 12  # neither masks nor sequences are images of the task
    assert set(table["place"]) == set(PLACES)
    assert table.drop_duplicates("subject")["ef"].tolist() == [54.0, 31.5, 70.0]
    assert table.drop_duplicates("subject")["split"].tolist() == ["train", "val", "test"]
    assert OFFICIAL in index.notes


@pytest.mark.parametrize("below", ["database_nifti", ""])
def test_the_folder_of_patients_is_found_from_above_and_from_itself(published, below):
    assert Camus.recognises(published / below)
    assert Camus(published / below).index.table["split"].tolist()[0] == "train"


def test_pixels_come_upright_and_unchanged(tmp_path):
    pictures = write_patient(tmp_path, "patient0007")
    dataset = Camus(tmp_path)
    for row in dataset.index.table.to_dict("records"):
        with dataset.open(row["path"]) as media:
            assert media.n_frames == 1
            (frame,) = media.frames()
        assert frame.shape == (20, 30)
        assert (frame == pictures[row["place"]].T).all()


def test_a_sequence_has_its_frames_and_floats_of_grey_levels_are_read(tmp_path):
    write_patient(tmp_path, "patient0007")
    dataset = Camus(tmp_path)
    path = "patient0007/patient0007_2CH_half_sequence.nii.gz"
    assert dataset.open(path).n_frames == 9
    levels = np.arange(600, dtype=np.float32).reshape(30, 20) % 256
    write_nifti(tmp_path / "patient0007" / "levels.nii.gz", levels)
    (frame,) = dataset.open("patient0007/levels.nii.gz").frames()
    assert (frame == levels.T).all()


@pytest.mark.parametrize("key", ["EF", "LVef"])
def test_both_releases_name_the_ejection_fraction_in_their_own_way(tmp_path, key):
    write_patient(tmp_path, "patient0001", "49.3", key)
    assert set(Camus(tmp_path).index.table["ef"]) == {49.3}


def disagree(root):
    path = root / "database_nifti" / "patient0002" / "Info_4CH.cfg"
    path.write_text(path.read_text().replace("31.5", "32.5"))


def set_ef(value):
    def damage(root):
        for view in ("2CH", "4CH"):
            path = root / "database_nifti" / "patient0002" / f"Info_{view}.cfg"
            path.write_text(path.read_text().replace("31.5", value))

    return damage


def drop(name):
    return lambda root: (root / "database_nifti" / "patient0002" / name).unlink()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (drop("patient0002_4CH_ES.nii.gz"), "patient0002_4CH_ES.nii.gz is missing"),
        (drop("Info_2CH.cfg"), "Info_2CH.cfg: no such file; a view of patient0002 is missing"),
        (set_ef("131"), "'131' is not a number from 0 to 100"),
        (set_ef("-3"), "'-3' is not a number from 0 to 100"),
        (set_ef("good"), "'good' is not a number from 0 to 100"),
        (disagree, "the two views state different ejection fractions"),
        (lambda root: shutil.rmtree(root / "database_nifti"), "neither labels.csv nor folders patient0001"),
        (
            lambda root: (root / "database_split" / "subgroup_testing.txt").write_text("patient0001"),
            "patient0001 is in the lists of two splits",
        ),
    ],
)
def test_damage_is_told_with_the_place(published, damage, told):
    damage(published)
    with pytest.raises(DataError) as error:
        _ = Camus(published).index
    assert told in str(error.value)


def test_a_patient_without_a_value_is_left_out_and_told(published):
    set_ef("")(published)
    index = Camus(published).labelled("ef")
    assert index.table["subject"].unique().tolist() == ["patient0001", "patient0003"]
    assert "ef is missing for 4 of 12 files of 1 subjects" in index.notes[-1]


def test_a_damaged_image_is_told(published):
    path = published / "database_nifti" / "patient0001" / "patient0001_2CH_ED.nii.gz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UsbenchError, match="patient0001_2CH_ED"):
        Camus(published).open("database_nifti/patient0001/patient0001_2CH_ED.nii.gz").frames()


def test_the_folder_of_pictures(data_root):
    index = Camus(data_root / "camus").index
    table = index.table
    assert len(table) == 2000
    assert table["subject"].nunique() == 500
    assert table.groupby("subject")["place"].nunique().eq(4).all()
    assert table.drop_duplicates("subject")["split"].value_counts().to_dict() == {"train": 400, "val": 50, "test": 50}
    assert index.notes == (FROM_MASKS,)
    # The constant of least absolute error, as a reader of the board will see it.
    values = table.drop_duplicates("subject")["ef"]
    assert (values - values.median()).abs().mean() == pytest.approx(9.5, abs=0.1)


@pytest.mark.parametrize("value", ["101.5", "-1", "high"])
def test_a_value_outside_0_to_100_is_refused_with_its_row(tmp_path, value):
    (tmp_path / "a.png").write_bytes(b"")
    table = pd.DataFrame({"file": ["a.png"], "subject": ["p"], "view": ["2CH"], "phase": ["ED"], "ef": [value]})
    table.to_csv(tmp_path / "labels.csv", index=False)
    with pytest.raises(DataError, match=r"row 2: 'ef' is not a number from 0 to 100"):
        _ = Camus(tmp_path).index
