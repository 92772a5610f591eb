import numpy as np
import pytest
import scipy.io
from usbench_tasks.datasets.byra_liver import FILE, ByraLiver

from usbench.core.settings import load_settings, register
from usbench.errors import DataError
from usbench.media.errors import MediaError
from usbench.plugins.data_sources import load_dataset


def test_patients_and_their_frames(byra_folder):
    data = ByraLiver(byra_folder)
    table = data.index.table
    assert table["subject"].tolist() == ["1", "2", "3", "4"]
    assert table["fat"].tolist() == [2.0, 5.0, 12.0, 60.0]
    assert table["steatosis"].tolist() == [0, 0, 1, 1]
    expected = scipy.io.loadmat(byra_folder / FILE)["data"][0, 2]["images"]
    with data.open("patient/3") as media:
        assert media.n_frames == 10
        assert np.array_equal(media.frames([9, 0])[0], expected[9])
    digests = {data.digest(path) for path in table["path"]}
    assert len(digests) == 4
    assert digests == {ByraLiver(byra_folder / FILE).digest(path) for path in table["path"]}


def test_the_file_itself_may_be_registered(byra_folder):
    register("data", "byra-liver", byra_folder / FILE)
    assert len(load_dataset("byra-liver", settings=load_settings()).index.table) == 4


def test_version_7_3_is_refused_with_what_to_do(tmp_path):
    head = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
    (tmp_path / FILE).write_bytes(head + b"\x89HDF\r\n\x1a\n")
    with pytest.raises(DataError, match=r"MATLAB 7\.3 .* save\(\.\.\., '-v7'\)"):
        _ = ByraLiver(tmp_path).index


def save(folder, **variables):
    scipy.io.savemat(folder / FILE, variables)
    return folder


def struct(**fields):
    data = np.zeros((1, 1), dtype=[(name, object) for name in fields])
    data[0, 0] = tuple(fields.values())
    return data


IMAGES = np.zeros((10, 4, 6), np.uint8)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda f: f, "no such file"),
        (lambda f: save(f, other=np.eye(2)), "no variable 'data'; it has other"),
        (lambda f: save(f, data=struct(id=1, fat=2.0, images=IMAGES)), "element 1 of 'data' has no field class"),
        (
            lambda f: save(f, data=struct(**{"id": 1, "class": 0, "fat": 2.0, "images": IMAGES.astype(float)})),
            "images of element 1 are float64",
        ),
        (
            lambda f: save(f, data=struct(**{"id": 1, "class": 0, "fat": np.nan, "images": IMAGES})),
            "'fat' of patient 1 is not a number from 0 to 100",
        ),
        (
            lambda f: save(f, data=struct(**{"id": 1, "class": 1, "fat": 120.0, "images": IMAGES})),
            "'fat' of patient 1 is not a number from 0 to 100",
        ),
    ],
)
def test_files_that_are_not_as_published(tmp_path, make, told):
    with pytest.raises(DataError, match=told):
        _ = ByraLiver(make(tmp_path)).index


def test_a_file_cut_short(byra_folder):
    file = byra_folder / FILE
    file.write_bytes(file.read_bytes()[:20_000])
    with pytest.raises(MediaError, match=r"IJCARS\.mat: damaged near byte \d+: .* Copy or download the file again"):
        _ = ByraLiver(byra_folder).index
