"""The script for a machine with a GPU, run whole on the CPU: everything up to the device itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_every_part_of_the_gpu_script_runs_and_hands_over_small_files(data_root: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = {path: path.read_bytes() for path in (ROOT / "benchmarks").glob("*.json")}
    done = subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu.sh"), str(out), str(data_root)],
        env={**os.environ, "DEVICE": "cpu", "QUICK": "1", "PATIENCE": "10", "PYTHON": sys.executable},
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    parts = (out / "parts.txt").read_text().splitlines()
    logs = "\n".join(f"{log.name}: {log.read_text()[-600:]}" for log in sorted(out.glob("*.log")))
    assert done.returncode == 0, f"{parts}\n{logs}"
    assert [part.partition(":")[0] for part in parts] == ["device", "tests", "parity", "encode", "train", "heads"]
    (first, second) = json.loads((out / "parity.json").read_text())["rows"]
    assert first["lowest_cosine"] == pytest.approx(1.0, abs=1e-5)
    assert first["apart"] == 0.0
    assert (first["precision"], second["precision"]) == ("fp32", "bf16")
    for name in ("encode.json", "train.json", "heads.json"):
        assert json.loads((out / name).read_text())
    assert before == {path: path.read_bytes() for path in (ROOT / "benchmarks").glob("*.json")}
    assert sum(file.stat().st_size for file in out.iterdir()) < 2**20


def test_a_part_that_fails_is_named_and_the_others_still_run(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    done = subprocess.run(
        ["bash", str(ROOT / "benchmarks" / "gpu.sh"), str(tmp_path / "out"), str(tmp_path)],
        env={**os.environ, "PYTHON": str(broken)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert (tmp_path / "out" / "parts.txt").read_text().count("status 3") == 6
    assert "parity: status 3" in done.stdout
    # Nothing that was measured elsewhere before is handed over as new.
    assert list((tmp_path / "out").glob("*.json")) == []
