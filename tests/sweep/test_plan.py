"""What a plan says agrees with what a sweep then does, and says where each rate comes from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from usbench.cli import build_app
from usbench.core.settings import load_settings
from usbench.results.schema import load, save
from usbench.sweep.cost_model import Estimator
from usbench.sweep.plan import plan_grid, total

PLUGIN = f"{Path(__file__).with_name('plugins.py')}:Tiny"

FACTS = {"encoder": "big", "task": "t", "width": 100, "gflops": 40.0, "parameters": 1, "units": 50, "protocols": 2}


def plan(grid: Any, folders: list[Path], look: bool = True) -> Any:
    return plan_grid(grid, load_settings(grid.data_roots, grid.cache), Estimator(folders), look)


def test_a_plan_counts_what_a_sweep_then_encodes(make_task: Any, make_grid: Any, launch: Any) -> None:
    grid = make_grid([PLUGIN, "texture"], [make_task("first")], more='shifts = ["gain:2"]\n')
    before = plan(grid, [])
    done = launch(grid)
    assert [p.estimate.frames for p in before] == [record.encoded for record in done.records]
    assert all(p.images * 2 == p.estimate.frames for p in before)
    shards = list(grid.cache.rglob("*.safetensors"))
    taken = sum(path.stat().st_size for path in shards)
    assert sum(p.estimate.disk_bytes for p in before) == pytest.approx(taken, rel=0.1)
    assert all(p.answered and p.estimate.frames == 0 for p in plan(grid, []))
    more = replace(grid, levels=(*grid.levels, replace(grid.levels[0], severity=3)))
    assert [p.estimate.frames for p in plan(more, [])] == [p.images for p in before]  # one shift is new
    assert [p.estimate.frames for p in plan(grid, [], look=False)] == [p.estimate.frames for p in before]


def test_a_plan_leaves_nothing_behind_and_says_what_is_in_the_way(
    tmp_path: Path, make_task: Any, make_grid: Any
) -> None:
    grid = make_grid(["medsam", "unheard-of"], [make_task("first"), str(tmp_path / "absent.toml")])
    planned = plan(grid, [])
    assert not (grid.cache / "embeddings").exists()
    by_cell = {(p.cell.encoder.name, p.cell.task.label): p for p in planned}
    assert "weights" in by_cell["medsam", "first"].note  # an estimate without weights is still an estimate
    assert by_cell["medsam", "first"].estimate.frames > 0
    assert by_cell["unheard-of", "first"].estimate is None
    assert "absent.toml" in by_cell["medsam", "absent"].note
    assert total(planned, 1, 1).cells == 1


def test_rates_come_from_the_nearest_measurement(tmp_path: Path, make_task: Any, make_grid: Any, launch: Any) -> None:
    nothing = Estimator([])
    assumed = nothing.estimate(FACTS, 100, "cpu", "fp32")
    assert "assumed" in assumed.source
    assert assumed.encode_seconds == pytest.approx(100 * 40 / 50)
    assert assumed.bottleneck == "network"
    on_gpu = nothing.estimate(FACTS, 100, "cuda", "fp32", gpus=0.5)
    assert on_gpu.encode_seconds < assumed.encode_seconds
    assert on_gpu.gpu_seconds == pytest.approx(on_gpu.encode_seconds / 2)
    assert "assumed 1 frame" in nothing.estimate({**FACTS, "gflops": None}, 100, "cpu", "fp32").source

    launch(make_grid([PLUGIN], [make_task("first")]))
    folder = tmp_path / "a" / "results"
    path = next(folder.glob("*/*.json"))
    result = load(path)
    timings = {"encoded_now": 100, "encode_seconds": 50.0, "network_seconds": 48.0, "images_per_second": 2.0}
    timings["probe_seconds"] = 3.0
    told = {**result.provenance, "timings": timings}
    path.unlink()
    save(folder, replace(result, provenance=told, encoder={**result.encoder, "name": "big", "gflops": 40.0}))
    known = Estimator([folder])
    own = known.estimate(FACTS, 100, "cpu", "fp32")
    assert own.encode_seconds == pytest.approx(50)
    assert "measured on cpu fp32" in own.source
    smaller = known.estimate({**FACTS, "encoder": "other", "gflops": 10.0}, 100, "cpu", "fp32")
    assert smaller.encode_seconds == pytest.approx(12.5)  # a quarter of the operations at the same speed
    assert "as big reached" in smaller.source
    bare = known.estimate({**FACTS, "encoder": "bare", "gflops": None, "parameters": 0}, 100, "cpu", "fp32")
    assert bare.encode_seconds == pytest.approx(2)  # what reading took
    assert bare.bottleneck == "decoding" or bare.probe_seconds > 2
    units = len(result.units.id)
    probes = known.estimate({**FACTS, "task": "first", "protocols": 1, "units": 2 * units}, 0, "cpu", "fp32", passes=3)
    assert probes.probe_seconds == pytest.approx(18)
    assert probes.bottleneck == "probes"


def test_the_command_prints_and_writes_the_plan(tmp_path: Path, make_task: Any) -> None:
    grid = tmp_path / "grid.toml"
    grid.write_text(f'encoders = ["texture"]\ntasks = [{json.dumps(make_task("first"))}]\n')
    arguments = ["plan", str(grid), "--jobs", "4", "--out", str(tmp_path / "plan.json")]
    done = CliRunner().invoke(build_app(arguments), arguments, catch_exceptions=False)
    assert done.exit_code == 0
    assert "1 of 1 cells can run" in done.output
    plain = json.loads((tmp_path / "plan.json").read_text())
    assert plain["cells"][0]["estimate"]["frames"] == plain["total"]["images"] > 0
    assert plain["total"]["wall_seconds"] == pytest.approx(plain["total"]["worker_seconds"] / 4, abs=0.02)
