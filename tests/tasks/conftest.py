"""Folders of the true layout of data sets, with made-up pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_files import write_clip


@pytest.fixture
def covid_folder(tmp_path: Path) -> Path:
    """Three patients; one video listed but absent, one point filmed twice, sentinels and a range among the values."""
    root = tmp_path / "COVID-BLUES"
    for name in ("patient_1_L1", "patient_1_L1_2", "patient_2_R3", "patient_10_L2"):
        path = root / "lus_videos" / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"never decoded here")
    pd.DataFrame(
        {
            "patient_id": [10, 1, 2, 3],
            "cov_test": [0, 1, 0, 1],
            "pat_sex": [0.0, 1.0, 0.0, 1.0],
            "pat_age": [49.0, 50.0, 70.0, 69.0],
            "oxygen_saturation_without_ox": [95.0, -99.0, 89.5, -96],
            "oxygen_saturation_with_ox": ["97.5", "-99", "90-92", "-96"],
            "excess_find": [-0.9, None, -9.6, 2.0],
        }
    ).to_csv(root / "clinical_variables.csv", index=False)
    pd.DataFrame(
        {
            "video_file": ["patient_1_L1", "patient_1_L1_2", "patient_1_R1", "patient_2_R3"],
            "Severity Score": [0.0, 1.0, 2.0, 3.0],
            "A-lines": ["yes", "no", "no", "yes"],
            "B-lines": ["yes ", "no", "yes", "no "],
            "comments": [None, None, "consolidation", None],
        }
    ).to_csv(root / "severity.csv", index=False)
    return root


@pytest.fixture
def echonet_folder(tmp_path: Path) -> Path:
    """Five videos: two whole, one without tracings, one traced beyond its end, one absent."""
    root = tmp_path / "EchoNet-Dynamic"
    names = ["0X1A", "0X2B", "0X3C", "0X4D", "0X5E"]
    pd.DataFrame(
        {
            "FileName": names,
            "EF": [55.1, 35.0, 62.0, 48.0, 50.0],
            "ESV": [30.0, 60.0, 25.0, 40.0, 41.0],
            "EDV": [70.0, 95.0, 66.0, 80.0, 82.0],
            "FrameHeight": 112,
            "FrameWidth": 112,
            "FPS": 50,
            "NumberOfFrames": [30, 24, 20, 20, 20],
            "Split": ["TRAIN", "TEST", "VAL", "TRAIN", "TEST"],
        }
    ).to_csv(root.parent / "list.csv", index=False)
    root.mkdir()
    (root.parent / "list.csv").rename(root / "FileList.csv")
    traced = {"0X1A": (21, 5), "0X2B": (3, 19), "0X4D": (4, 20), "0X5E": (1, 9)}
    rows = [
        {"FileName": f"{name}.avi", "X1": 1.0, "Y1": 2.0, "X2": 3.0, "Y2": 4.0, "Frame": frame}
        for name, frames in traced.items()
        for frame in frames
        for _ in range(3)
    ]
    pd.DataFrame(rows).to_csv(root / "VolumeTracings.csv", index=False)
    for name, n in zip(names[:4], (30, 24, 20, 20), strict=True):
        write_clip(root / "Videos" / f"{name}.avi", n)
    return root


@pytest.fixture
def byra_folder(tmp_path: Path) -> Path:
    """Four patients of ten small frames in the published MATLAB struct array."""
    import scipy.io

    root = tmp_path / "liver"
    root.mkdir()
    data = np.zeros((1, 4), dtype=[("id", object), ("class", object), ("fat", object), ("images", object)])
    generator = np.random.default_rng(0)
    for i, fat in enumerate((2.0, 5.0, 12.0, 60.0)):
        data[0, i] = (i + 1, int(fat > 5), fat, generator.integers(0, 256, (10, 43, 63), dtype=np.uint8))
    scipy.io.savemat(root / "dataset_liver_bmodes_steatosis_assessment_IJCARS.mat", {"data": data})
    return root
