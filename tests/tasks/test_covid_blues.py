import pandas as pd
import pytest
from usbench_tasks.datasets.covid_blues import SATURATION, CovidBlues

from usbench.errors import DataError


def test_every_video_gets_what_is_known_of_it(covid_folder):
    index = CovidBlues(covid_folder).index
    rows = index.table.set_index("path")
    assert sorted(rows.index) == [
        "lus_videos/patient_10_L2.mp4",
        "lus_videos/patient_1_L1.mp4",
        "lus_videos/patient_1_L1_2.mp4",
        "lus_videos/patient_2_R3.mp4",
    ]
    again = rows.loc["lus_videos/patient_1_L1_2.mp4"]
    assert (again["subject"], again["case"], again["bluepoint"], again["take"]) == ("1", "1_L1", "L1", 2)
    assert (again["cov_test"], again["sex"], again["age_group"], again["severity"]) == (1, "male", "50-69", 1)
    other = rows.loc["lus_videos/patient_2_R3.mp4"]
    assert (other["side"], other["age_group"], other["a_lines"], other["b_lines"]) == (
        "right",
        "70 and over",
        "yes",
        "no",
    )
    assert rows.loc["lus_videos/patient_10_L2.mp4", "age_group"] == "under 50"


def test_sentinels_become_missing_and_other_negative_values_stay(covid_folder):
    table = CovidBlues(covid_folder).index.table.drop_duplicates("subject").set_index("subject")
    assert table[SATURATION].isna().to_dict() == {"1": True, "10": False, "2": False}
    assert table.loc["2", "oxygen_saturation_with_ox"] == 91.0
    assert table["excess_find"].dropna().to_dict() == {"10": -0.9, "2": -9.6}


def test_what_was_skipped_or_repaired_is_told(covid_folder):
    data = CovidBlues(covid_folder)
    told = " ".join(data.index.notes)
    assert "1 videos listed in severity.csv are absent: patient_1_R1." in told
    assert "1 patients have no video and are left out: 3." in told
    assert "1 of 4 videos have no row in severity.csv" in told
    assert "90-92 is a range" in told
    known = data.labelled(SATURATION)
    assert set(known.table["subject"]) == {"10", "2"}
    assert "missing for 2 of 4 files of 1 subjects" in known.notes[-1]


def damage_rename(root):
    (root / "lus_videos" / "patient_2_R3.mp4").rename(root / "lus_videos" / "patient_2_R9.mp4")


def damage_videos(root):
    for video in (root / "lus_videos").iterdir():
        video.unlink()


def damage_patient(root):
    table = pd.read_csv(root / "clinical_variables.csv")
    table[table["patient_id"] != 2].to_csv(root / "clinical_variables.csv", index=False)


def damage_value(root):
    text = (root / "clinical_variables.csv").read_text()
    (root / "clinical_variables.csv").write_text(text.replace("89.5", "many"))


def damage_saturation(root):
    text = (root / "clinical_variables.csv").read_text()
    (root / "clinical_variables.csv").write_text(text.replace("89.5", "895"))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda root: (root / "severity.csv").unlink(), "severity.csv: no such file"),
        (lambda root: (root / "clinical_variables.csv").unlink(), "clinical_variables.csv: no such file"),
        (damage_videos, "no .mp4 videos"),
        (damage_rename, "the name is not patient_<number>_<L1..R3>.mp4"),
        (damage_patient, "no row for patient 2"),
        (damage_value, "column 'oxygen_saturation_without_ox' has 'many'"),
        (damage_saturation, "row 4: 'oxygen_saturation_without_ox' is not a number from 0 to 100 (percent)"),
    ],
)
def test_damage_is_told_with_the_file(covid_folder, damage, told):
    damage(covid_folder)
    with pytest.raises(DataError) as error:
        _ = CovidBlues(covid_folder).index
    assert told in str(error.value)
    assert "\n" not in str(error.value)


def test_the_published_folder(data_root):
    data = CovidBlues(data_root / "covid_blues")
    table = data.index.table
    patients = table.drop_duplicates("subject")
    assert len(table) == 362
    assert len(patients) == 63
    assert patients["cov_test"].sum() == 33
    assert table["take"].eq(2).sum() == 11
    assert table["severity"].value_counts().to_dict() == {0: 120, 1: 111, 2: 83, 3: 48}
    assert table["b_lines"].value_counts().to_dict() == {"yes": 235, "no": 127}
    known = data.labelled(SATURATION).table.drop_duplicates("subject")[SATURATION]
    assert len(known) == 56
    assert (known.min(), known.max()) == (80.0, 100.0)
    assert (known - known.median()).abs().mean() == pytest.approx(3.92, abs=0.005)
    with data.open(table["path"].iloc[0]) as media:
        assert media.frames([0])[0].shape == (350, 350)


@pytest.mark.slow
def test_the_published_videos_have_the_published_number_of_frames(data_root):
    data = CovidBlues(data_root / "covid_blues")
    total = 0
    for path in data.index.table["path"]:
        with data.open(path) as media:
            total += media.n_frames
    assert total == 31_746
