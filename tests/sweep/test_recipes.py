"""The ready files: what can be run is run, and the rest is at least what it claims to be."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from usbench.sweep.config import read_grid

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "recipes"


def test_the_grid_of_the_recipes_is_one() -> None:
    grid = read_grid(RECIPES / "grid.toml")
    assert len(grid.cells) == 8
    assert grid.engine.jobs == 2
    # What is commented out is meant to be uncommented.
    text = (RECIPES / "grid.toml").read_text()
    optional = tomllib.loads("\n".join(re.findall(r"^# (\w+ = .*)$", text, flags=re.M)))
    assert set(optional) == {"protocols", "shifts", "by", "cache", "data_root"}


def test_the_grids_of_the_guide_are_understood(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    grids = re.findall(r"^```toml\n(.*?)^```", page, flags=re.M | re.S)
    assert grids
    for text in grids:
        path = tmp_path / "grid.toml"
        path.write_text(text)
        assert read_grid(path).cells


def test_files_for_schedulers_are_well_formed() -> None:
    yaml = pytest.importorskip("yaml")
    subprocess.run(["bash", "-n", str(RECIPES / "slurm.sbatch")], check=True)
    job = yaml.safe_load((RECIPES / "kuberay.yaml").read_text())
    assert job["kind"] == "RayJob"
    assert job["spec"]["entrypoint"].startswith("usbench sweep")
    groups = [job["spec"]["rayClusterSpec"]["headGroupSpec"], *job["spec"]["rayClusterSpec"]["workerGroupSpecs"]]
    for pod in (group["template"]["spec"] for group in groups):
        assert pod["volumes"][0]["persistentVolumeClaim"]
        assert {"name": "USBENCH_CACHE", "value": "/shared/cache"} in pod["containers"][0]["env"]
        assert pod["containers"][0]["volumeMounts"][0]["mountPath"] == "/shared"
    for name in ("slurm.sbatch", "kuberay.yaml"):
        assert "UNTESTED" in (RECIPES / name).read_text()


@pytest.mark.slow
def test_three_nodes_on_one_machine(tmp_path: Path, make_task: Any) -> None:
    pytest.importorskip("ray")
    grid = tmp_path / "grid.toml"
    grid.write_text(f'encoders = ["texture", "pixels"]\ntasks = [{json.dumps(make_task("first"))}]\n')
    command = [sys.executable, "-m", "usbench", "sweep", str(grid), "--engine", "ray"]
    done = subprocess.run(
        [sys.executable, str(RECIPES / "three_nodes.py"), *command, "--results", str(tmp_path / "board" / "results")],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    report = json.loads((tmp_path / "board" / "sweeps" / "sweep-grid.json").read_text())
    assert report["engine"] == {"name": "ray", "threads": 1, "machines": 3, "cpus": 3.0, "gpus": 0.0}
    assert report["counts"] == {"done": 2, "unchanged": 0, "failed": 0}
