"""The ventricle: volumes, motion, tables and the path through a task."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from usbench_tasks.phantoms import build_heart_phantom
from usbench_tasks.phantoms.heart import SIZE, Heart, View, cavity_mask, pixel_size, simulate_heart, tracing
from usbench_tasks.phantoms.heart_cohort import draw_cohort

from usbench.errors import UsbenchError
from usbench.media import open_media


def discs(lines: list[tuple[float, float, float, float]], scale: float, ellipticity: float) -> float:
    """Volume in mL by summation of discs, from a long axis and chords in pixels."""
    lengths = [math.hypot(x2 - x1, y2 - y1) * scale for x1, y1, x2, y2 in lines]
    axis, chords = lengths[0], np.array(lengths[1:])
    return float(np.sum(math.pi / 4 * chords**2 * ellipticity) * axis / len(chords) / 1000)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_heart_phantom(tmp_path_factory.mktemp("heart") / "phantom", n_subjects=8)


@pytest.mark.parametrize("ef", [20.0, 45.0, 75.0])
def test_volumes_run_from_end_diastole_to_end_systole_and_back(ef: float) -> None:
    heart = Heart(edv=140.0, ef=ef)
    volume = heart.volume(np.linspace(0, 1, 1001))
    assert volume.max() == volume[0] == pytest.approx(volume[-1]) == 140.0
    assert 100 * (volume.max() - volume.min()) / volume.max() == pytest.approx(ef, abs=0.01)
    assert np.abs(np.diff(volume)).max() < 1.5  # no jumps
    assert heart.volume(2.3) == pytest.approx(heart.volume(0.3))


@pytest.mark.parametrize("phase", [0.0, 0.2, 0.38, 0.7])
def test_the_drawn_cavity_has_the_stated_volume(phase: float) -> None:
    heart, view = Heart(ellipticity=1.05), View(frames=1, start=phase)
    lines = tracing(heart, view, 0, chords=200)
    assert discs(lines, pixel_size(view), heart.ellipticity) == pytest.approx(float(heart.volume(phase)), rel=0.005)
    # The pixels agree: area of a half ellipse.
    radius, length = heart.shape(phase)
    area = cavity_mask(heart, view, 0).sum() * pixel_size(view) ** 2
    assert area == pytest.approx(math.pi / 2 * radius * length, rel=0.05)


def test_the_cavity_is_dark_and_shrinks_as_much_as_it_should() -> None:
    heart, view = Heart(ef=60.0), View()
    diastole, systole = view.marks(heart)
    frames = simulate_heart(heart, view, np.random.default_rng(0))
    assert frames.shape == (view.frames, SIZE, SIZE)
    for frame in (diastole, systole):
        cavity = cavity_mask(heart, view, frame)
        assert frames[frame][cavity].mean() < 40
    # What fills with muscle in systole was dark in diastole.
    filled = cavity_mask(heart, view, diastole) & ~cavity_mask(heart, view, systole)
    assert frames[systole][filled].mean() > frames[diastole][filled].mean() + 50


def test_speckle_moves_with_the_muscle_and_a_still_heart_stays() -> None:
    view = View(frames=6, noise=-90.0)
    still = simulate_heart(Heart(ef=0.0), view, np.random.default_rng(0)).astype(float)
    beating = simulate_heart(Heart(ef=60.0), replace(view, start=0.05), np.random.default_rng(0)).astype(float)
    solid = still[0] > 60
    assert np.corrcoef(still[0][solid], still[5][solid])[0, 1] > 0.97
    near, far = (np.corrcoef(beating[0][solid], beating[k][solid])[0, 1] for k in (1, 5))
    assert 0.9 > near > far


def test_the_wall_thickens_and_keeps_its_volume() -> None:
    from usbench_tasks.phantoms.heart import _deform

    heart = Heart(ef=60.0)
    radius, length = heart.shape(0.0)
    inner, outer = (np.array([radius * math.sqrt(0.75) + d], np.float32) for d in (0.0, heart.wall))
    middle = np.array([length / 2], np.float32)
    (inside,), _ = _deform(heart, inner, middle, 0.38)
    (outside,), moved = _deform(heart, outer, middle, 0.38)
    assert outside - inside > 1.25 * heart.wall
    before = (outer[0] ** 2 - inner[0] ** 2) * length
    after = (outside**2 - inside**2) * heart.shape(0.38)[1]
    assert after == pytest.approx(before, rel=0.02)
    assert moved[0] < middle[0]  # the base comes down


def test_marks_are_the_largest_and_the_smallest_volume() -> None:
    for heart, view, _ in draw_cohort(np.random.default_rng(0), 60):
        diastole, systole = view.marks(heart)
        volumes = heart.volume(view.phases)
        assert 0 <= diastole < systole < view.frames
        assert systole - diastole >= 5
        assert volumes[systole] == volumes.min()
        assert volumes[diastole] > heart.edv * 0.97
        shown = 100 * (1 - volumes[systole] / volumes[diastole])
        assert shown == pytest.approx(heart.ef, abs=2.5)


def test_a_video_without_a_beat_has_no_marks() -> None:
    with pytest.raises(ValueError, match="end-systole"):
        View(frames=5).marks(Heart())


def test_ejection_fractions_cover_the_range_in_every_split() -> None:
    cohort = draw_cohort(np.random.default_rng(0), 160)
    assert len({heart.seed for heart, _, _ in cohort}) == 160
    for split, share in (("TRAIN", 96), ("VAL", 24), ("TEST", 40)):
        values = np.array([heart.ef for heart, _, found in cohort if found == split])
        assert len(values) == share
        assert values.min() < 26
        assert values.max() > 69
        assert 0.25 < np.mean(values < 40) < 0.5
    ef = np.array([heart.ef for heart, _, _ in cohort])
    for name in ("gain", "depth", "noise", "tilt", "dynamic_range", "rate"):
        correlation = abs(np.corrcoef(ef, [getattr(view, name) for _, view, _ in cohort])[0, 1])
        assert correlation < (0.45 if name == "depth" else 0.25), name  # large hearts need depth


def test_files_and_tables_agree(cohort: Path) -> None:
    tables = {}
    for name in ("manifest", "FileList", "VolumeTracings"):
        with (cohort / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            tables[name] = list(csv.DictReader(file))
    assert len(tables["manifest"]) == len(tables["FileList"]) == 8
    assert len(tables["VolumeTracings"]) == 8 * 2 * 21
    assert {row["split"] for row in tables["manifest"]} == {"train", "val", "test"}
    for row, listed in zip(tables["manifest"], tables["FileList"], strict=True):
        with open_media(cohort / row["path"]) as video:
            assert video.n_frames == int(listed["NumberOfFrames"])
            assert video.frames([0])[0].shape == (SIZE, SIZE)
        first, last = map(int, row["frames"].split("-"))
        traced = {int(t["Frame"]) for t in tables["VolumeTracings"] if t["FileName"] == f"{listed['FileName']}.avi"}
        assert traced == {first, last}
        ef = 100 * (1 - float(row["esv"]) / float(row["edv"]))
        assert float(row["ef"]) == float(listed["EF"]) == pytest.approx(ef, abs=0.02)


def test_pixels_come_back_from_the_video_as_they_went_in(tmp_path: Path) -> None:
    from usbench_tasks.phantoms.builder import _write_video

    frames = np.random.default_rng(0).integers(0, 256, (5, 48, 64), dtype=np.uint8)
    _write_video(tmp_path / "a.avi", frames, 25.0)
    with open_media(tmp_path / "a.avi") as video:
        assert np.array_equal(np.stack(list(video.frames(range(5)))), frames)


def test_the_same_seed_gives_the_same_videos(cohort: Path, tmp_path: Path) -> None:
    again = build_heart_phantom(tmp_path / "again", n_subjects=8, workers=1)
    for path in sorted(cohort.rglob("*.*")):
        twin = again / path.relative_to(cohort)
        assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(twin.read_bytes()).digest(), path


def test_the_reader_of_echonet_reads_it(cohort: Path) -> None:
    from usbench_tasks.datasets.echonet_dynamic import EchoNetDynamic

    index = EchoNetDynamic(cohort).index
    assert len(index.table) == 8
    assert not index.notes


def test_too_few_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsbenchError, match="at least 8"):
        build_heart_phantom(tmp_path / "heart", n_subjects=7)
