"""How far apart the hashes of copies and of other patients' pictures lie, as docs/instruments.md states."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from documented import figures
from PIL import Image
from usbench_tasks.datasets.bus_bra import BusBra
from usbench_tasks.datasets.covid_blues import CovidBlues

from usbench.data.dataset import Dataset
from usbench.data.integrity import NEAR, difference_hash

COPIES = "(copies at # % size and JPEG quality # differ in # bits at the median"
OTHERS = "images of different patients of BUS-BRA in # or more, lung videos of COVID-BLUES in # or more)"


def middle_frames(dataset: Dataset) -> tuple[list[np.ndarray], np.ndarray]:
    frames = []
    for path in dataset.index.table["path"]:
        with dataset.open(path) as media:
            frames.append(media.frames([media.n_frames // 2])[0])
    return frames, dataset.index.table["subject"].to_numpy()


def closest(frames: list[np.ndarray], subjects: np.ndarray) -> int:
    """Fewest bits in which pictures of different subjects differ."""
    signs = np.where(np.stack([difference_hash(frame) for frame in frames]), 1, -1).astype(np.float32)
    differing = (signs.shape[1] - signs @ signs.T) / 2
    return int(differing[subjects[:, None] != subjects[None]].min())


def test_copies_are_near_and_the_bound_is_the_one_that_is_stated(bus_bra_subset: Path) -> None:
    assert figures("instruments.md", "At most # differing bits count as the same picture") == [NEAR]
    bits = []
    size, quality, stated = figures("instruments.md", COPIES)
    for path in sorted((bus_bra_subset / "Images").glob("*.png"))[::4]:
        with Image.open(path) as picture:
            small = picture.resize([round(edge * size / 100) for edge in picture.size], Image.Resampling.BILINEAR)
            file = io.BytesIO()
            small.save(file, "JPEG", quality=int(quality))
            copy = np.asarray(Image.open(file))
            bits.append(int((difference_hash(np.asarray(picture)) != difference_hash(copy)).sum()))
    assert np.median(bits) == pytest.approx(stated, abs=2)
    assert max(bits) <= 3 * NEAR


@pytest.mark.slow
def test_pictures_of_other_patients_are_far(data_root: Path) -> None:
    found = [closest(*middle_frames(BusBra(data_root / "busbra")))]
    found.append(closest(*middle_frames(CovidBlues(data_root / "covid_blues"))))
    assert figures("instruments.md", OTHERS) == found
