"""``tusa train`` on a terminal: a bar with rate and time left, and what Ctrl-C leaves behind."""

import io
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tusa.cli.progress import TrainingProgress
from tusa.training.checkpoint import load_checkpoint
from tusa.training.config import TrainConfig
from tusa.training.trainer import CHECKPOINT

COMMAND = """
import json, sys
from pathlib import Path
import torch, typer
torch.set_num_threads(1)
from tusa.cli.train import _run
from tusa.training.config import TrainConfig
from tusa.training.trainer import Trainer
try:
    _run(Trainer(TrainConfig.from_dict(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2])))
except typer.Exit as stop:  # as the command line does
    raise SystemExit(stop.exit_code) from None
"""


def start(config: TrainConfig, folder: Path) -> subprocess.Popen[str]:
    given = folder.parent / f"{folder.name}.json"
    given.write_text(json.dumps(config.to_dict()))
    command = [sys.executable, "-c", COMMAND, str(given), str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_ctrl_c_says_what_is_kept(short_run: TrainConfig, tmp_path: Path) -> None:
    long = replace(short_run, phases=(replace(short_run.phases[0], steps=5000),))
    process = start(long, tmp_path / "run")
    give_up = time.monotonic() + 240
    while not (tmp_path / "run" / CHECKPOINT).exists() and time.monotonic() < give_up and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, told = process.communicate(timeout=120)
    kept = load_checkpoint(tmp_path / "run" / CHECKPOINT)["step"]
    assert f"the checkpoint of step {kept} in {tmp_path / 'run'} is kept" in told
    assert f"`tusa resume {tmp_path / 'run'}` goes on from there" in told
    assert "Traceback" not in told
    assert "step 1/5000  loss" in out
    assert process.returncode == 130


@pytest.mark.slow
def test_ctrl_c_before_the_first_checkpoint_says_that_nothing_is_kept(short_run: TrainConfig, tmp_path: Path) -> None:
    long = replace(
        short_run, run=replace(short_run.run, checkpoint_every=4000), phases=(replace(short_run.phases[0], steps=5000),)
    )
    process = start(long, tmp_path / "run")
    assert process.stdout is not None
    while "step 2/" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=120)
    assert "nothing of the training is kept" in told
    assert not (tmp_path / "run" / CHECKPOINT).exists()


def test_the_bar_shows_steps_rate_and_time_left(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80)
    with TrainingProgress(40, 10, console) as shown:
        for step in range(10, 30):
            shown.update(step + 1)
            time.sleep(0.01)
        shown.report(29, {"loss": 1.23456, "unseen": 2.0})
        shown._bar.refresh()  # type: ignore[union-attr]
        drawn = console.file.getvalue()  # type: ignore[attr-defined]
    assert "30/40" in drawn
    assert "step/s" in drawn
    assert "0:00:0" in drawn
    assert capsys.readouterr().out == "step 30/40  loss 1.235\n"


def test_without_a_terminal_there_are_lines_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO())
    with TrainingProgress(2, 0, console) as shown:
        shown.update(1)
        shown.report(0, {"loss": 2.0})
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]
    assert capsys.readouterr().out == "step 1/2  loss 2\n"
