"""The pre-training corpora as they lie: WebP and PNG, read by the harness and by the trainer alike."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tusa.training.sources import frames
from usbench.media import open_media


@pytest.mark.parametrize("corpus", ["pretrain160", "pretrain160_more"])
def test_both_programs_read_the_same_grey_values(data_root: Path, tmp_path: Path, corpus: str) -> None:
    table = pd.read_csv(data_root / corpus / "manifest.csv", dtype=str)
    some = table.groupby("dataset").head(3)  # every dataset, so that every writer is met
    some.to_csv(tmp_path / "manifest.csv", index=False)
    for name, _ in groupby(sorted(Path(file).parts[0] for file in some["file"])):
        (tmp_path / name).symlink_to(data_root / corpus / name)
    taken = list(frames(tmp_path / "manifest.csv"))
    assert len(taken) == len(some)
    for file, frame in zip(some["file"], taken, strict=True):
        path = data_root / corpus / file
        (ours,) = open_media(path).frames()
        assert ours.dtype == np.uint8
        assert ours.shape == (160, 160)
        assert np.array_equal(ours, np.asarray(Image.open(path).convert("L")))
        assert frame.pixels is not None
        assert np.array_equal(frame.pixels, ours)
