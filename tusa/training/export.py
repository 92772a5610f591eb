"""From a checkpoint to a weights file that says where it comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tusa.network import Tusa
from tusa.training.checkpoint import load_checkpoint
from tusa.training.config import TrainConfig
from tusa.training.monitor import read_log
from tusa.training.trainer import CHECKPOINT
from tusa.weights import save_weights

LICENCE = "Non-commercial research use only"


def export_run(run: Path, out: Path, averaged: bool = True, encoder_only: bool = False) -> dict[str, Any]:
    """Write the network of a run's last checkpoint, its channels ordered from bright to dark.

    Args:
        run: folder of the run.
        out: the safetensors file.
        averaged: the averaged weights, where the run keeps them.
        encoder_only: leave decoder and texture kernels out.

    Returns:
        The training record that was written beside the tensors: configuration, steps done, views seen, hash of
        the corpus, the last logged metrics, and the same of the run that this one started from.

    Raises:
        TusaError: when there is no readable checkpoint, or the weights are not finite.
    """
    saved = load_checkpoint(run / CHECKPOINT)
    config = TrainConfig.from_dict(saved["config"])
    model = Tusa(config.network)
    average = saved["average"] if averaged else None
    prefix, state = ("module.", average) if average is not None else ("tusa.", saved["learner"])
    model.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
    model.order_channels()
    record = run_record(run, averaged=average is not None)
    save_weights(model, out, record, encoder_only=encoder_only)
    return record


def run_record(run: Path, averaged: bool) -> dict[str, Any]:
    """What is known of a run, for JSON; runs that it started from are nested under ``started_from``."""
    saved = load_checkpoint(run / CHECKPOINT)
    config = TrainConfig.from_dict(saved["config"])
    step = int(saved["step"])
    last = {name: value for at, name, value in read_log(run) if at < step}
    record: dict[str, Any] = {
        "licence": LICENCE,
        "config": saved["config"],
        "step": step,
        "steps": config.steps,
        "views": config.views_an_image * sum(config.phase_at(s).images for s in range(step)) * saved.get("devices", 1),
        "corpus_sha256": saved["corpus"],
        "averaged": averaged,
        "last_metrics": last,
    }
    before = Path(config.run.start_from)
    if config.run.start_from and before.is_file():
        record["started_from"] = run_record(before.parent, averaged=bool(config.run.ema))
    return record
