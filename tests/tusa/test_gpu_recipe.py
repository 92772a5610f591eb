"""The recipe that fits a training to a given time."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tusa.training.config import Phase, TrainConfig
from tusa.weights import load_weights

RECIPES = Path(__file__).parents[2] / "recipes" / "tusa"
CONFIGS = Path(__file__).parents[2] / "docs" / "tusa" / "configs"


@pytest.mark.parametrize("path", [RECIPES / "gpu.toml", *sorted(CONFIGS.glob("*.toml"))], ids=lambda path: path.stem)
def test_published_configurations_are_valid(path: Path) -> None:
    config = TrainConfig.read(path)
    assert config.steps > 0
    assert set(tomllib.loads(path.read_text())) <= set(config.to_dict())


def test_scratch_is_open_v2_without_a_teacher() -> None:
    with_teacher, without = (TrainConfig.read(CONFIGS / f"{name}.toml") for name in ("open-v2", "scratch"))
    none = {"teacher_prediction": 0.0, "teacher_matching": 0.0, "teacher_relation": 0.0, "teacher_temperature": 0.1}
    assert replace(with_teacher, objective=replace(with_teacher.objective, **none)) == without


@pytest.mark.slow
def test_a_run_is_fitted_to_the_time_and_exported(short_run: TrainConfig, tmp_path: Path) -> None:
    config = replace(
        short_run,
        objective=replace(short_run.objective, contrastive=1.0),
        run=replace(short_run.run, log_every=0, checkpoint_every=1000),
        phases=(Phase(steps=300, size=32, images=4, decoded=0), Phase(steps=100, size=64, images=4, decoded=2)),
    )
    (tmp_path / "tiny.toml").write_text(toml(config.to_dict()))
    out = tmp_path / "out"
    command = [
        sys.executable,
        str(RECIPES / "gpu.py"),
        str(tmp_path / "tiny.toml"),
        "--seconds",
        "60",
        "--out",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all steps times" in done.stdout
    model = load_weights(out / "tiny" / "weights.safetensors")
    assert model.config == config.network


def toml(tables: dict[str, object]) -> str:
    """A dictionary of tables as TOML."""
    import json

    lines = []
    for name, table in tables.items():
        for item in table if isinstance(table, list) else [table]:
            lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
            assert isinstance(item, dict)
            lines += [f"{key} = {json.dumps(value)}" for key, value in item.items()]
    return "\n".join(lines) + "\n"
