import pandas as pd
import pytest
from usbench_tasks.datasets.echonet_dynamic import EchoNetDynamic

from usbench.core.settings import load_settings
from usbench.data.frame_sampling import FrameSource
from usbench.errors import DataError
from usbench.plugins.catalog import load_task
from usbench.plugins.data_sources import load_dataset


def test_traced_frames_split_and_volumes(echonet_folder):
    index = EchoNetDynamic(echonet_folder).index
    table = index.table.set_index("subject")
    assert list(table.index) == ["0X1A", "0X2B"]
    assert table.loc["0X1A", ["first_frame", "last_frame"]].tolist() == [5, 21]
    assert table["split"].to_dict() == {"0X1A": "train", "0X2B": "test"}
    assert table.loc["0X2B", ["ef", "esv", "edv"]].tolist() == [35.0, 60.0, 95.0]
    told = " ".join(index.notes)
    assert "1 videos listed in FileList.csv but absent are left out: 0X5E." in told
    assert "1 videos without two traced frames are left out: 0X3C." in told
    assert "1 videos traced on a frame beyond their end are left out: 0X4D." in told


def test_five_frames_between_the_tracings_are_decoded(echonet_folder):
    data = load_dataset("echonet-dynamic", settings=load_settings([echonet_folder.parent]))
    row = data.index.table.iloc[0]
    with data.open(row["path"]) as media:
        marks = {"first_frame": int(row["first_frame"]), "last_frame": int(row["last_frame"])}
        selection = load_task("ejection_fraction").frames.select([FrameSource(media.n_frames, "v", marks)], "0X1A")
        assert [frame for _, frame in selection] == [5, 9, 13, 17, 21]
        assert {frame.shape for frame in media.frames([frame for _, frame in selection])} == {(112, 112)}


def bad_ef(root):
    table = pd.read_csv(root / "FileList.csv").astype({"EF": object})
    table.loc[1, "EF"] = "high"
    table.to_csv(root / "FileList.csv", index=False)


def set_ef(root, value):
    table = pd.read_csv(root / "FileList.csv")
    table.loc[1, "EF"] = value
    table.to_csv(root / "FileList.csv", index=False)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda root: (root / "VolumeTracings.csv").unlink(), "the tracings are missing"),
        (lambda root: (root / "FileList.csv").unlink(), "FileList.csv: no such file"),
        (lambda root: (root / "Videos").rename(root / "videos-elsewhere"), "no .avi videos"),
        (bad_ef, "row 3: 'EF' is missing or not a number"),
        (lambda root: set_ef(root, 131.0), "row 3: 'EF' is not a number from 0 to 100 (percent)"),
        (lambda root: set_ef(root, -2.0), "row 3: 'EF' is not a number from 0 to 100 (percent)"),
    ],
)
def test_damage_is_told_with_the_file(echonet_folder, damage, told):
    damage(echonet_folder)
    with pytest.raises(DataError) as error:
        _ = EchoNetDynamic(echonet_folder).index
    assert told in str(error.value)
