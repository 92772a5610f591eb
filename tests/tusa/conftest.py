"""A small corpus of real images and a network small enough to train within a test."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from tusa.network import TusaConfig
from tusa.training.config import DataConfig, Phase, RunConfig, TrainConfig


@pytest.fixture(scope="session")
def small_network() -> TusaConfig:
    """The paper's network with a third of its width and one block a stage."""
    return TusaConfig(feature_size=12, depths=(1, 1, 1, 1), image_size=64)


@pytest.fixture(scope="session")
def image_files(bus_bra_subset: Path) -> list[Path]:
    """Forty-eight real breast images."""
    files = sorted(path for path in bus_bra_subset.rglob("*") if path.suffix in {".png", ".webp", ".jpg"})
    assert len(files) > 48
    return files[:48]


@pytest.fixture(scope="session")
def manifest(image_files: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of them, in two groups that stand for organs, two images per subject."""
    path = tmp_path_factory.mktemp("corpus") / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "organ", "subject"])
        writer.writerows([image, f"group{i % 4 // 2}", f"subject{i // 2}"] for i, image in enumerate(image_files))
    return path


@pytest.fixture
def short_run(manifest: Path, small_network: TusaConfig) -> TrainConfig:
    """Twelve steps of the whole objective on the CPU."""
    return TrainConfig(
        network=small_network,
        data=DataConfig(sources=(str(manifest),), size=80, held_out=0.2),
        run=RunConfig(
            accelerator="cpu", precision="32-true", learning_rate=1e-3, checkpoint_every=3, log_every=1, clip=1.0
        ),
        phases=(Phase(steps=12, size=64, images=6, decoded=2),),
    )


@pytest.fixture
def averaged_run(short_run: TrainConfig) -> TrainConfig:
    """The same with an averaged network and a second phase at another resolution that decodes nothing."""
    return replace(
        short_run,
        run=replace(short_run.run, ema=0.9),
        phases=(Phase(steps=6, size=32, images=6, decoded=0), Phase(steps=6, size=64, images=4, decoded=2)),
    )
