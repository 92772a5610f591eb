"""The liver and lung twins: physics that can be measured in the picture, and tables that tell the truth."""

from __future__ import annotations

import csv
import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest
from usbench_tasks.datasets.phantoms import PhantomLung
from usbench_tasks.phantoms import build_liver_phantom, build_lung_phantom
from usbench_tasks.phantoms.display import pixel_positions
from usbench_tasks.phantoms.liver import Liver, Scan, masks, simulate_liver
from usbench_tasks.phantoms.liver import _instrument as liver_instrument
from usbench_tasks.phantoms.lung import SIZE, Lung, View, _instrument, simulate_lung
from usbench_tasks.phantoms.lung_cohort import B_LINES, draw_cohort

from usbench.errors import UsbenchError
from usbench.media import open_media


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lung_picture(severity: int, b_lines: int, pleura: float = 24.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    view = View(frames=1)
    lung = Lung(severity=severity, b_lines=b_lines, pleura=pleura)
    picture = simulate_lung(lung, view, np.random.default_rng(0))[0].astype(float)
    return picture, *pixel_positions(_instrument(view.frequency, view.depth)[1], SIZE, SIZE)


@pytest.mark.parametrize("pleura", [20.0, 28.0])
def test_a_lines_lie_at_multiples_of_the_depth_of_the_pleura(pleura: float) -> None:
    picture, x, z = lung_picture(0, 0, pleura)
    profile, depth = picture[:, np.abs(x[0]) < 3.0].mean(axis=1), z[:, 0]
    for number in (1, 2, 3):
        near = np.abs(depth - number * pleura) < pleura / 3
        assert depth[near][np.argmax(profile[near])] == pytest.approx(number * pleura, abs=1.5)
        between = np.abs(depth - (number + 0.5) * pleura) < 2.0
        assert profile[near].max() > profile[between].mean() + 40


def test_b_lines_reach_the_foot_and_grow_with_severity() -> None:
    lit = []
    for severity, b_lines in ((0, 0), (1, 2), (2, 4), (3, 7)):
        picture, x, z = lung_picture(severity, b_lines)
        foot = (z > 100.0) & (z < 116.0) & (np.abs(x) < 40.0)
        lit.append(float(picture[foot].mean()))
    assert all(b > a + 3 for a, b in itertools.pairwise(lit)), lit


def test_fat_brightens_the_liver_against_the_kidney_and_fades_it_with_depth() -> None:
    ratio, slope = [], []
    for fat in (0.0, 20.0, 80.0):
        liver, scan = Liver(fat=fat), Scan(gain=-8.0)
        picture = simulate_liver(liver, scan, np.random.default_rng(0)).astype(float)
        where = masks(liver, scan)
        _, z = pixel_positions(liver_instrument(3.0, 140.0, 70.0)[1], 288, 384)
        tissue = where["liver"] & (z > 25)
        level = where["cortex"]
        same = tissue & (z > z[level].min()) & (z < z[level].max())
        ratio.append(picture[same].mean() - picture[level].mean())
        slope.append(np.polyfit(z[tissue], picture[tissue], 1)[0])
    assert ratio[0] + 5 < ratio[1] < ratio[2]
    assert slope[0] > slope[1] > slope[2]


def test_the_lung_table_tells_the_truth_and_the_reader_reads_it(tmp_path: Path) -> None:
    folder = build_lung_phantom(tmp_path / "lung", n_subjects=5)
    table = rows(folder)
    assert len({row["subject"] for row in table}) == 5
    assert {row["cov_test"] for row in table} == {"0", "1"}
    for row in table:
        fewest, most = B_LINES[int(row["severity"])]
        assert fewest <= int(row["n_b_lines"]) <= most
        assert (row["b_lines"] == "yes") == (row["n_b_lines"] != "0")
    with open_media(folder / table[0]["path"]) as video:
        assert video.n_frames == View().frames
    again = build_lung_phantom(tmp_path / "again", n_subjects=5, workers=1)
    for row in table[:4]:
        one, two = ((home / row["path"]).read_bytes() for home in (folder, again))
        assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()
    assert len(PhantomLung(folder / "manifest.csv").index.table) == len(table)


def test_disease_makes_the_test_positive_and_lowers_saturation() -> None:
    cohort = draw_cohort(np.random.default_rng(0), 63)
    assert sum(p.positive for p in cohort) == 33
    known = [p for p in cohort if p.saturation is not None]
    assert len(known) == 56
    assert np.corrcoef([p.disease for p in known], [float(p.saturation or 0) for p in known])[0, 1] < -0.4
    ill, well = ([p.disease for p in cohort if p.positive is flag] for flag in (True, False))
    assert np.mean(ill) > np.mean(well) + 0.5
    assert min(ill) < max(well)  # they overlap


def test_the_liver_table_tells_the_truth(tmp_path: Path) -> None:
    table = rows(build_liver_phantom(tmp_path / "liver", n_subjects=4))
    assert len(table) == 40
    assert all((row["steatosis"] == "1") == (float(row["fat"]) > 5.0) for row in table)
    assert {row["steatosis"] for row in table} == {"0", "1"}


def test_too_few_are_refused(tmp_path: Path) -> None:
    for make in (build_liver_phantom, build_lung_phantom):
        with pytest.raises(UsbenchError, match="at least 4"):
            make(tmp_path / "few", n_subjects=3)
