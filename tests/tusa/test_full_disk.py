"""A disk that is full while TUSA is trained: one message, and what was finished goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tusa.cli import main
from tusa.training.checkpoint import load_checkpoint
from tusa.training.config import TrainConfig
from tusa.training.trainer import CHECKPOINT, Trainer

pytest.importorskip("resource", reason="no limits for processes here")

# No file of the process can grow beyond the limit: what a quota does, and what a full disk does to a large file.
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
import torch
torch.set_num_threads(1)
from tusa.cli import main
sys.argv = ["tusa", *sys.argv[2:]]
main()
"""


def tusa(limit: int, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LIMITED, str(limit), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def toml(config: TrainConfig) -> str:
    lines: list[str] = []
    for name, value in config.to_dict().items():
        tables = value if isinstance(value, list) else [value]
        for table in tables:
            lines.append(f"[[{name}]]" if isinstance(value, list) else f"[{name}]")
            lines += [f"{key} = {json.dumps(item)}" for key, item in table.items() if item is not None]
    return "\n".join(lines) + "\n"


def test_a_full_disk_is_one_message_and_the_run_goes_on_afterwards(
    short_run: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    Trainer(short_run, folder).fit(until=6)
    step = int(load_checkpoint(folder / CHECKPOINT)["step"])
    before = {path: path.read_bytes() for path in folder.glob(f"{CHECKPOINT}*")}
    assert len(before) == 2
    told = tusa(100_000, "resume", folder)
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert line.startswith("tusa: ")
    assert "the disk is full. What was finished is kept" in line
    assert {path: path.read_bytes() for path in folder.glob(f"{CHECKPOINT}*")} == before
    assert not list(folder.rglob("*.partial"))
    monkeypatch.setattr(sys, "argv", ["tusa", "resume", str(folder)])  # in this process, which has no limit
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert load_checkpoint(folder / CHECKPOINT)["step"] == short_run.steps > step


def test_a_disk_that_is_full_from_the_start_is_one_message(short_run: TrainConfig, tmp_path: Path) -> None:
    given = tmp_path / "run.toml"
    given.write_text(toml(short_run))
    told = tusa(100, "train", given, "--out", tmp_path / "run")
    assert told.returncode == 1
    (line,) = told.stderr.splitlines()
    assert "the disk is full" in line
