"""Small tasks on real images, and encoders whose secret is known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import usbench
from usbench.core.settings import Settings, load_settings
from usbench.core.types import Frame
from usbench.data.frame_sampling import AllFrames, RandomFrames
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderCard
from usbench.pipeline.context import Options, Prepared, prepare
from usbench.pipeline.experiment import run_prepared
from usbench.plugins.catalog import load_encoder
from usbench.results.schema import Result
from usbench.task.task import SplitPlan, Task

Run = Callable[..., tuple[Prepared, Result, Options, Settings]]


class Brightness(Encoder):
    """Sees the mean and the spread of grey and nothing else."""

    card = EncoderCard(
        name="brightness", title="Brightness", embedding_dim=3, parameters=0, pretraining=(), trained_shifts=("text",)
    )

    def preprocess(self, frame: Frame) -> Any:
        import torch

        return torch.tensor([frame.mean() / 255, frame.std() / 255, 1.0], dtype=torch.float32)

    def encode(self, batch: Any) -> Any:
        return batch


@pytest.fixture
def images(bus_bra_subset: Path) -> pd.DataFrame:
    """Eighteen patients a class of the embedded subset, with absolute paths."""
    table = usbench.load_dataset("bus-bra-subset").index.table
    patients = table.groupby("pathology")["subject"].unique()
    chosen = [subject for subjects in patients for subject in subjects[:: max(1, len(subjects) // 18)][:18]]
    rows = table[table["subject"].isin(chosen)].copy()
    rows["path"] = [str((bus_bra_subset / path).resolve()) for path in rows["path"]]
    return rows[["path", "subject", "pathology", "device", "side"]].rename(columns={"pathology": "label"})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a task on a table of images and return everything that diagnostics take."""

    def go(
        rows: pd.DataFrame, encoder: str | Encoder = "pixels", keep: bool = True, **changes: Any
    ) -> tuple[Prepared, Result, Options, Settings]:
        path = tmp_path / "manifest.csv"
        rows.to_csv(path, index=False)
        base: dict[str, Any] = {
            "name": "mine",
            "title": "Mine",
            "dataset": "mine",
            "target": "label",
            "positive": "malignant",
            "unit": "image",
            "frames": AllFrames(),
            "split": SplitPlan("grouped", folds=3, repeats=2),
        }
        task = Task(**{**base, **changes})
        loaded = load_encoder(encoder) if isinstance(encoder, str) else encoder
        options, settings = Options(data=str(path), results=tmp_path / "results" if keep else None), load_settings()
        ready = prepare(loaded, task, options, settings)
        return ready, run_prepared(ready, options, settings), options, settings

    return go


@pytest.fixture
def clips(tmp_path: Path) -> pd.DataFrame:
    """Two clips a patient, at two points: at the upper one patients with the finding are brighter, below it chance."""
    rng = np.random.default_rng(5)
    rows = []
    (tmp_path / "clips").mkdir()
    for patient in range(40):
        ill = patient % 2
        for point in ("upper", "lower"):
            level = 90 + (50 * ill if point == "upper" else 0) + rng.normal(0, 8)
            frames = np.clip(rng.normal(level, 20, (12, 24, 24)), 0, 255).astype(np.uint8)
            path = tmp_path / "clips" / f"{patient}_{point}.npy"
            np.save(path, frames)
            sex = "f" if patient % 4 < 2 else "m"
            rows.append({"path": str(path), "subject": f"p{patient}", "label": ill, "point": point, "sex": sex})
    return pd.DataFrame(rows)


@pytest.fixture
def clip_task() -> dict[str, Any]:
    """Fields of a task on the clips."""
    return {"positive": "1", "unit": "subject", "frames": RandomFrames(10), "protocols": ("svc-nested@2",)}


@pytest.fixture
def brightness() -> Encoder:
    """An encoder that sees brightness only."""
    return Brightness()
