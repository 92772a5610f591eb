"""Values of a training configuration that cannot be meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tusa.errors import TusaError
from tusa.training.config import TrainConfig


@pytest.mark.parametrize(
    ("tables", "told"),
    [
        ({"run": {"learning_rate": -1}}, "run.learning_rate = -1: must be a finite number above 0"),
        ({"run": {"learning_rate": 0}}, "run.learning_rate = 0: must be a finite number above 0"),
        ({"run": {"learning_rate": float("nan")}}, "run.learning_rate = nan"),
        ({"run": {"learning_rate": "fast"}}, "run.learning_rate = 'fast': must be a number"),
        ({"run": {"ema": 1}}, "run.ema = 1: must be from 0 to below 1"),
        ({"run": {"seed": True}}, "run.seed = True: must be a whole number"),
        ({"run": {"devices": 0}}, "run.devices = 0: must be a finite number of at least 1"),
        ({"run": {"precision": "fp8"}}, "run.precision = 'fp8': must be '32-true' or"),
        ({"run": {"log_every": -1}}, "run.log_every = -1"),
        ({"phases": [{"steps": "six"}]}, "phases.steps = 'six': must be a whole number"),
        ({"phases": [{"steps": 2.5}]}, "phases.steps = 2.5: must be a whole number"),
        ({"data": {"held_out": 0.9}}, "data.held_out = 0.9: must be from 0 to 0.5"),
        ({"data": {"sources": "corpus"}}, "data.sources = 'corpus': must be a list, each value text"),
        ({"augment": {"flip_p": 1.5}}, "augment.flip_p = 1.5: must be from 0 to 1"),
        ({"augment": {"crop_scale": [0.3]}}, "augment.crop_scale = [0.3]: must be a list of 2 values"),
        ({"objective": {"temperature": 0}}, "objective.temperature = 0: must be a finite number above 0"),
        ({"objective": {"contrastive": float("inf")}}, "objective.contrastive = inf: must be a finite number"),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_with_what_would_fit(tables: dict[str, Any], told: str) -> None:
    with pytest.raises(TusaError) as error:
        TrainConfig.from_dict(tables)
    assert told in str(error.value)


def test_published_configurations_are_accepted_and_come_back_from_plain_types() -> None:
    folder = Path(__file__).parents[2] / "docs" / "tusa" / "configs"
    files = sorted(folder.glob("*.toml"))
    assert len(files) >= 5
    for file in files:
        config = TrainConfig.read(file)
        assert TrainConfig.from_dict(config.to_dict()) == config


def test_a_file_that_is_no_text_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TusaError, match="is not TOML"):
        TrainConfig.read(tmp_path / "run.toml")
