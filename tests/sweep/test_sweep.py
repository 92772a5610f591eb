"""Sweeps on one machine: equal to plain runs, resumable, and unharmed by cells that fail and processes that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

import usbench
from usbench.core.settings import load_settings
from usbench.errors import UsbenchError
from usbench.probes.threads import torch_threads
from usbench.sweep.config import EngineSpec, read_grid
from usbench.sweep.scheduler import Campaign

from .conftest import figures

COMMAND = (sys.executable, "-m", "usbench")
PLUGINS = Path(__file__).with_name("plugins.py")
HEADLINE = "label_efficiency = false\n"
"""For grids whose results are not looked at beyond their scores."""


def plugin(name: str) -> str:
    return f"{PLUGINS}:{name}"


def states(campaign: Campaign) -> list[str]:
    return [record.error or record.state for record in campaign.records]


def test_a_sweep_equals_plain_runs_to_the_last_byte(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any
) -> None:
    tasks = [make_task("first"), make_task("second")]
    for task in tasks:
        settings = load_settings((), tmp_path / "plain" / "cache")
        for name in (plugin("Tiny"), "texture"):
            usbench.run(name, task, results_dir=tmp_path / "plain" / "results", settings=settings)
    # Parts of 20 frames are cut to whole batches of 8, or two batches would be of another size.
    campaign = launch(make_grid([plugin("Tiny"), "texture"], tasks), shard_frames=20)
    assert states(campaign) == ["done"] * 4
    first, second = campaign.records[:2]
    assert first.shards == first.shards_done > 2
    assert (second.shards, second.encoded) == (0, 0)  # the same pictures again
    plain = figures(tmp_path / "plain" / "results")
    assert len(plain) == 4
    assert figures(tmp_path / "a" / "results") == plain


def test_processes_equal_one_process_with_shifts_and_strata(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any
) -> None:
    more = 'shifts = ["gain:3"]\nby = ["device"]\n'
    tasks = [make_task("first")]
    one = launch(make_grid([plugin("Tiny"), "texture"], tasks, "one", more), threads=1)
    two = launch(make_grid([plugin("Tiny"), "texture"], tasks, "two", more), threads=1, jobs=2, shard_frames=16)
    assert states(one) == states(two) == ["done", "done"]
    assert figures(tmp_path / "one" / "results") == figures(tmp_path / "two" / "results")
    result = two.records[0].result
    assert result is not None
    assert set(result.instruments) >= {"shifts", "strata"}
    assert result.provenance["timings"]["encoded_now"] == two.records[0].encoded == 2 * len(result.units.id)


def test_all_poolings_of_an_encoder_are_encoded_once(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any
) -> None:
    """Each pooling is a cell; the first encodes for all, and figures are those of plain runs."""
    task = make_task("first")
    names = ("mean", "stages")
    grid = make_grid(['{name = "tusa.random", pooling = "mean,stages"}'], [task], more=HEADLINE)
    assert [cell.encoder.pooling for cell in grid.cells] == list(names)
    campaign = launch(grid, shard_frames=16, threads=1, jobs=2)
    assert states(campaign) == ["done", "done"]
    frames = len(campaign.records[0].result.units.id)  # type: ignore[union-attr]
    assert sum(record.encoded for record in campaign.records) == frames
    settings = load_settings((), tmp_path / "plain" / "cache")
    for record, pooling in zip(campaign.records, names, strict=True):
        with torch_threads(1), threadpool_limits(1):  # as the workers: sums differ in their last digits otherwise
            plain = usbench.run("tusa.random", task, pooling=pooling, settings=settings, label_efficiency=False)[0]
        assert record.result is not None
        assert record.result.encoder["pooling"] == pooling
        assert record.result.encoder["identity"] == plain.encoder["identity"]
        for protocol, outcome in plain.protocols.items():
            assert record.result.protocols[protocol].metrics == outcome.metrics


def test_what_is_there_is_not_done_again(tmp_path: Path, make_task: Any, make_grid: Any, launch: Any) -> None:
    tasks = [make_task("first")]
    launch(make_grid([plugin("Tiny"), "pixels"], tasks, more=HEADLINE))
    again = launch(make_grid([plugin("Tiny"), "pixels"], tasks, more=HEADLINE))
    assert states(again) == ["unchanged", "unchanged"]
    next((tmp_path / "a" / "results").glob("*/pixels.json")).unlink()
    third = launch(make_grid([plugin("Tiny"), "pixels"], tasks, more=HEADLINE + 'by = ["device"]\n'))
    assert states(third) == ["done", "done"]  # the strata are new in one, all but the vectors in the other
    assert [record.encoded for record in third.records] == [0, 0]


def test_a_cell_that_fails_stops_no_other(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any, patients: pd.DataFrame
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    damaged = patients.copy()
    damaged.iloc[3, damaged.columns.get_loc("path")] = str(broken)
    tasks = [make_task("good"), make_task("damaged", damaged), str(tmp_path / "absent.toml")]
    campaign = launch(make_grid(["texture", plugin("Clumsy"), "medsam", "unheard-of"], tasks, more=HEADLINE))
    by_cell = {(r.name, r.cell.task.label): r for r in campaign.records}
    assert by_cell["texture", "good"].state == "done"
    for key, word in {
        ("texture", "damaged"): "broken.png",
        ("clumsy", "good"): "dropped it",
        ("medsam", "good"): "weights",
        ("unheard-of", "good"): "unknown encoder",
        ("texture", "absent"): "absent.toml",
    }.items():
        assert by_cell[key].state == "failed"
        assert word in str(by_cell[key].error)
    assert sum(state == "done" for state in states(campaign)) == 1


def test_a_killed_process_costs_what_it_had_in_hand(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USBENCH_TEST_MARK", str(tmp_path / "mark"))
    tasks = [make_task("first")]
    killed = launch(make_grid([plugin("Mortal")], tasks, "killed", HEADLINE), jobs=2, threads=1, shard_frames=8)
    assert states(killed) == ["done"]
    assert 1 <= len(killed.losses) <= 2  # the other process falls with the pool
    assert all("killed" in loss["reason"] and loss["frames"] <= 8 for loss in killed.losses)
    whole = launch(make_grid([plugin("Mortal")], tasks, "whole", HEADLINE), threads=1)
    assert not whole.losses
    assert figures(tmp_path / "killed" / "results") == figures(tmp_path / "whole" / "results")


def test_a_job_that_kills_every_worker_is_given_up(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("USBENCH_TEST_MARK", str(tmp_path / "no-such-folder" / "mark"))  # touching it always fails
    lethal = tmp_path / "lethal.py"
    lethal.write_text(PLUGINS.read_text().replace("mark.touch(exist_ok=False)", "pass"))
    campaign = launch(make_grid([f"{lethal}:Mortal"], [make_task("first")]), jobs=2, attempts=2)
    assert campaign.records[0].state == "failed"
    assert "given up after 2 attempts" in str(campaign.records[0].error)


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_no_worker_outlives_a_run(tmp_path: Path, make_task: Any, how: str) -> None:
    plugin = tmp_path / "endless.py"
    plugin.write_text(
        PLUGINS.read_text()
        + "\n\nclass Endless(Tiny):\n"
        + "    def encode(self, batch: torch.Tensor) -> torch.Tensor:\n"
        + f"        Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()))\n"
        + "        time.sleep(600)\n"
        + "        return super().encode(batch)\n"
    )
    with (tmp_path / "errors").open("w") as errors:
        run = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "usbench",
                "run",
                "-e",
                f"{plugin}:Endless",
                "-t",
                make_task("first"),
                "--jobs",
                "2",
            ],
            cwd=tmp_path,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        assert until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text() != "")
        worker = Path("/proc") / (tmp_path / "pid").read_text()
        assert worker.exists()
        if how == "kill":
            run.kill()
        else:
            os.killpg(run.pid, signal.SIGINT)  # as a terminal does
        code = run.wait(timeout=60)
    assert until(lambda: not worker.exists() or "\nState:\tZ" in (worker / "status").read_text())
    if how == "interrupt":
        assert code == 130
        told = (tmp_path / "errors").read_text()
        assert "interrupted: finished work is kept" in told
        assert "Traceback" not in told


def until(true: Callable[[], bool], seconds: float = 60) -> bool:
    end = time.monotonic() + seconds
    while not true() and time.monotonic() < end:
        time.sleep(0.1)
    return true()


def test_an_encoder_settles_its_precision_once(make_task: Any, make_grid: Any, launch: Any) -> None:
    spec = f'{{name = "{plugin("Tiny")}", precision = "auto"}}'
    campaign = launch(make_grid([spec], [make_task("first"), make_task("second")], more=HEADLINE))
    assert states(campaign) == ["done", "done"]
    settled = {record.cell.encoder.precision for record in campaign.records}
    assert settled in ({"fp32"}, {"bf16"})
    assert {r.result.encoder["precision"] for r in campaign.records if r.result} == settled


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('encoders = ["pixels"]', "names no task"),
        ('encoders = ["pixels"]\ntasks = ["covid"]\nencoder = 3', "unknown key 'encoder'. Did you mean 'encoders'"),
        ('encoders = "pixels"\ntasks = ["covid"]', "must be a list"),
        ('encoders = ["pixels", "pixels"]\ntasks = ["covid"]', "listed twice"),
        ('encoders = [{device = "cuda"}]\ntasks = ["covid"]', "must be a name"),
        ('encoders = ["pixels"]\ntasks = ["covid"]\nshifts = ["gian:1"]', "unknown shift 'gian'"),
        ('encoders = ["pixels"]\ntasks = ["covid"]\nprotocols = ["svc@9"]', "unknown 'svc@9'"),
        (
            'encoders = ["pixels"]\ntasks = ["covid"]\n[engine]\nname = "rye"',
            "engine 'rye'. Did you mean 'ray'",
        ),
        ('encoders = ["pixels"]\ntasks = ["covid"]\n[engine]\njobs = 0', "jobs = 0 must be at least 1"),
        ('encoders = ["pixels"]\ntasks = ["covid"]\n[engine]\naddress = "auto"', "for --engine ray"),
        ('encoders = ["pixels"]\ntasks = ["covid"]\nbatch_size = true', "must be a whole number"),
        ("encoders = [", "not valid TOML"),
    ],
)
def test_a_grid_that_cannot_be_meant_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "grid.toml"
    path.write_text(text)
    with pytest.raises(UsbenchError, match=r"grid\.toml") as caught:
        read_grid(path)
    assert told in str(caught.value)


def test_protocols_of_a_grid_replace_those_that_suit(make_grid: Any) -> None:
    grid = make_grid(["pixels"], ["covid", "ejection_fraction"], more='protocols = ["svc-paper@1", "knn@1"]\n')
    assert [task.load().protocols for task in grid.tasks] == [("svc-paper@1", "knn@1"), ("knn@1",)]
    narrow = make_grid(["pixels"], ["ejection_fraction"], more='protocols = ["svc-paper@1"]\n')
    with pytest.raises(UsbenchError, match="none of the protocols"):
        narrow.tasks[0].load()


def test_two_encoders_of_one_name_are_refused(tmp_path: Path, make_task: Any, make_grid: Any, launch: Any) -> None:
    copy = tmp_path / "copy.py"
    copy.write_text(PLUGINS.read_text())
    with pytest.raises(UsbenchError, match="both called 'tiny'"):
        launch(make_grid([plugin("Tiny"), f"{copy}:Tiny"], [make_task("first")]))


def test_a_device_on_a_cluster() -> None:
    from usbench.sweep.specs import EncoderSpec

    assert EncoderSpec("tusa.random", device="cuda").for_cluster().gpus == 1
    assert EncoderSpec("tusa.random", device="cuda", gpus=0.25).for_cluster().gpus == 0.25
    assert EncoderSpec("texture", device="cuda").for_cluster() == EncoderSpec("texture", gpus=0)
    with pytest.raises(UsbenchError, match="names one GPU"):
        EncoderSpec("tusa.random", device="cuda:1").for_cluster()
    with pytest.raises(UsbenchError, match="runs on device cpu"):
        EncoderSpec("tusa.random", gpus=1).for_cluster()


def test_an_engine_needs_sensible_numbers() -> None:
    with pytest.raises(UsbenchError, match="jobs is for the local engine"):
        EngineSpec(name="ray", jobs=2)


def test_an_engine_that_is_not_installed_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('no such module')\n")  # in the way of the installed one
    done = subprocess.run(
        [sys.executable, "-m", "usbench", "run", "-e", "pixels", "-t", "covid", "--engine", "ray"],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
    )
    assert done.returncode == 2
    assert done.stderr.strip().splitlines() == [
        'error: --engine ray: Ray is not installed. Install it on every machine: pip install "usbench[ray]".'
    ]


def test_an_option_of_another_engine_is_refused_not_ignored() -> None:
    for command in (["run", "-e", "pixels", "-t", "covid"], ["embed", "-e", "pixels", "-d", ".", "-o", "out"]):
        done = subprocess.run(
            [sys.executable, "-m", "usbench", *command, "--address", "auto"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert "--address and --threads are for --engine ray or --jobs" in done.stderr


def test_the_command_ends_with_pages_a_report_and_the_failures(tmp_path: Path, make_task: Any) -> None:
    grid = tmp_path / "mine.toml"
    grid.write_text(
        f'encoders = ["texture", "unheard-of"]\ntasks = [{json.dumps(make_task("first"))}]\nresults = "board/results"\n'
    )

    def sweep(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "usbench", "sweep", "mine.toml", *options],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "COLUMNS": "200"},
        )

    done = sweep()
    assert done.returncode == 2
    assert "failed unheard-of on first: unknown encoder" in done.stderr
    assert "texture" in "".join(page.read_text().lower() for page in (tmp_path / "board").glob("first*.md"))
    report = json.loads((tmp_path / "board" / "sweeps" / "sweep-mine.json").read_text())
    assert report["counts"] == {"done": 1, "unchanged": 0, "failed": 1}
    cell = report["cells"][0]
    assert cell["encoded"] == cell["frames"] == cell["estimate"]["frames"] > 0
    assert cell["estimate"]["source"]
    assert cell["headline"]["protocol"] == "svc-nested@1"
    page = (tmp_path / "board" / "sweeps" / "sweep-mine.md").read_text()
    assert "| texture | first | done |" in page
    assert "## Failed" in page
    again = sweep("--no-leaderboard")
    carried = json.loads((tmp_path / "board" / "sweeps" / "sweep-mine.json").read_text())["cells"][0]
    assert again.returncode == 2
    assert carried["state"] == "unchanged"
    assert {**carried, "state": "done"} == cell  # what it had cost is still told
