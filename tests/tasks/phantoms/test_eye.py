"""The eye: what is drawn, what a picture shows, and what the manifest says."""

from __future__ import annotations

import csv
import hashlib
import itertools
import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from usbench_tasks.phantoms import build_eye_phantom
from usbench_tasks.phantoms.eye import SIZE, Eye, Scan, simulate_eye, vitreous_mask
from usbench_tasks.phantoms.eye_cohort import draw_cohort

from usbench.errors import DataError, UsbenchError


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def content(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_eye_phantom(tmp_path_factory.mktemp("eye") / "phantom", n_subjects=4)


def test_the_same_seed_gives_the_same_files_whatever_the_workers(small: Path, tmp_path: Path) -> None:
    again = build_eye_phantom(tmp_path / "again", n_subjects=4, workers=1)
    assert content(again) == content(small)
    # A changed seed changes the anatomy and the speckle, not only the names.
    one, other = (simulate_eye(Eye(seed=7), Scan(), np.random.default_rng(seed)) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_a_phantom_says_that_it_is_one_and_is_made_once(small: Path) -> None:
    about = json.loads((small / "phantom.json").read_text(encoding="utf-8"))
    assert about["synthetic"] is True
    assert "not from patients" in about["notice"]
    assert about["files"] == len(rows_of(small))
    before = (small / "manifest.csv").stat().st_mtime_ns
    assert build_eye_phantom(small, n_subjects=4) == small
    assert (small / "manifest.csv").stat().st_mtime_ns == before
    assert not list(small.parent.glob(".phantom.*"))


def test_what_is_already_there_is_not_overwritten(small: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="another phantom"):
        build_eye_phantom(small, n_subjects=4, seed=1)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="something else"):
        build_eye_phantom(tmp_path, n_subjects=4)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_too_few_patients_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsbenchError, match="at least 4"):
        build_eye_phantom(tmp_path / "eye", n_subjects=3)


def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build_eye_phantom(tmp_path / "eye", n_subjects=4, progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_the_cohort_has_the_size_and_the_balance_of_the_papers() -> None:
    cases = draw_cohort(np.random.default_rng(0), 54)
    assert len({case.subject for case in cases}) == 54
    assert len(cases) == len({case.name for case in cases}) == 118
    assert sum(case.severity > 0 for case in cases) == 29
    assert sum(case.images for case in cases) == 446
    assert {case.severity for case in cases} == {0, 1, 2, 3, 4}


def test_subjects_have_several_eyes_and_visits_and_blood_clears() -> None:
    visits = defaultdict(list)
    for case in draw_cohort(np.random.default_rng(0), 54):
        visits[case.subject, case.side].append(case)
    assert max(map(len, visits.values())) > 1
    assert len(visits) > len({subject for subject, _ in visits})  # some come with both eyes
    for of_eye in visits.values():
        assert len({case.eye for case in of_eye}) == 1  # the anatomy stays
        grades = [case.severity for case in of_eye]
        assert grades == sorted(grades, reverse=True)


def test_the_anatomy_does_not_tell_the_label() -> None:
    cases = [case for seed in range(40) for case in draw_cohort(np.random.default_rng(seed), 54)]
    sick = np.array([case.severity > 0 for case in cases])
    for name in ("axial", "fat_level", "cataract", "detachment", "asteroid", "floaters"):
        values = np.array([getattr(case.eye, name) for case in cases])
        difference = abs(values[sick].mean() - values[~sick].mean()) / values.std()
        assert difference < 0.15, name
    gains = np.array([case.gain for case in cases])
    assert abs(gains[sick].mean() - gains[~sick].mean()) < 0.5


def test_every_picture_of_the_manifest_is_there_and_grey(small: Path) -> None:
    rows = rows_of(small)
    assert len({row["path"] for row in rows}) == len(rows)
    for row in rows:
        with Image.open(small / row["path"]) as picture:
            assert (picture.mode, picture.size) == ("L", (SIZE, SIZE))
        assert row["case"].startswith(row["subject"])
        assert (row["label"] == "1") == (int(row["severity"]) > 0)
    assert {row["label"] for row in rows} == {"0", "1"}
    labels = defaultdict(set)
    for row in rows:
        labels[row["case"]].add(row["label"])
    assert all(len(found) == 1 for found in labels.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_vitreous_echoes_more_with_every_grade(seed: int) -> None:
    eye = Eye(seed=seed)
    mask = vitreous_mask(eye, Scan())
    levels = [
        float(simulate_eye(eye, Scan(severity=grade), np.random.default_rng(9))[mask].mean()) for grade in range(5)
    ]
    assert all(after > before for before, after in itertools.pairwise(levels)), levels
    assert levels[0] < 25
    assert levels[4] > 3 * levels[0]


def test_the_parts_of_the_eye_are_where_they_should_be() -> None:
    eye, scan = Eye(), Scan()
    picture = simulate_eye(eye, scan, np.random.default_rng(0)).astype(float)
    mask = vitreous_mask(eye, scan)
    assert 0.05 < mask.mean() < 0.5
    from usbench_tasks.phantoms.display import pixel_positions
    from usbench_tasks.phantoms.eye import _instrument

    x, z = pixel_positions(_instrument(scan.frequency, scan.depth)[1], SIZE, SIZE)
    wall = (np.abs(x) < 2) & (np.abs(z - scan.lid - eye.axial) < 0.5)
    fat = (np.abs(x + 4) < 2) & (np.abs(z - scan.lid - eye.axial - 4) < 1.5)  # away from the nerve
    nerve = (np.abs(x - 4.5) < 1) & (np.abs(z - scan.lid - eye.axial - 4) < 1.5)
    assert picture[wall].mean() > picture[fat].mean() > picture[nerve].mean() + 20
    assert picture[fat].mean() > picture[mask].mean() + 60


def test_gain_brightens_and_a_lower_dynamic_range_darkens() -> None:
    def mean(scan: Scan) -> float:
        return float(simulate_eye(Eye(), scan, np.random.default_rng(0)).mean())

    assert mean(Scan(gain=8.0)) > mean(Scan()) > mean(Scan(gain=-8.0))
    assert mean(Scan(dynamic_range=70.0)) > mean(Scan(dynamic_range=50.0))
