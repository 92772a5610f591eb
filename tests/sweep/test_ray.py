"""Sweeps on a Ray cluster of several nodes on one machine: equal to a local sweep, and robust to what goes wrong."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usbench.errors import UsbenchError
from usbench.sweep import preflight as inspecting
from usbench.sweep.config import EngineSpec
from usbench.sweep.engine import Node
from usbench.sweep.local_engines import open_engine

from .conftest import figures

ray = pytest.importorskip("ray")

COMMAND = (sys.executable, "-m", "usbench")
PLUGINS = Path(__file__).with_name("plugins.py")
# Starting a cluster takes about ten seconds, and every worker imports torch.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::ResourceWarning")]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Return a cluster of a head and two nodes with one CPU each."""
    from ray.cluster_utils import Cluster

    made = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False, "dashboard_port": None}
    )
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


@pytest.fixture
def on_ray(cluster: Any) -> EngineSpec:
    return EngineSpec(name="ray", address=cluster.address, shard_frames=16)


@pytest.fixture
def four_tasks(tmp_path: Path, make_task: Any, patients: Any) -> list[str]:
    """Real lesions, twice with some frames in common, and small simulated eyes and hearts."""
    from usbench_tasks.phantoms import build_eye_phantom, build_heart_phantom

    eyes, hearts = (
        build(tmp_path / name, n_subjects=number, workers=1)
        for build, name, number in ((build_eye_phantom, "eyes", 12), (build_heart_phantom, "hearts", 12))
    )
    folder = tmp_path / "tasks"
    tasks = [make_task("lesion"), make_task("younger", patients.iloc[: len(patients) * 3 // 4])]
    (folder / "eye.toml").write_text(
        f'dataset = "{eyes}/manifest.csv"\ntarget = "label"\nunit = "case"\n[split]\nkind = "grouped"\nfolds = 3\n'
    )
    (folder / "ejection.toml").write_text(
        f'dataset = "{hearts}/manifest.csv"\ntarget = "ef"\nkind = "regression"\nframes = "between:3"\nthreshold = 40\n'
        'protocols = ["ridge-nested@1", "attention-paper@1"]\n[split]\nkind = "grouped"\nfolds = 3\nrepeats = 1\n'
    )
    return [*tasks, str(folder / "eye.toml"), str(folder / "ejection.toml")]


def test_a_sweep_on_three_nodes_equals_a_local_one(
    tmp_path: Path, four_tasks: list[str], make_grid: Any, launch: Any, on_ray: EngineSpec
) -> None:
    """Four encoders, one of them the network of TUSA, on four tasks: classes and values, pictures and videos."""
    encoders = ["pixels", "texture", "random-projection", "tusa.random"]
    local = launch(make_grid(encoders, four_tasks, "local"), threads=1)
    away = launch(replace(make_grid(encoders, four_tasks, "ray"), engine=on_ray))
    assert [r.error or r.state for r in away.records] == ["done"] * 16
    assert away.losses == []
    assert [r.encoded for r in away.records] == [r.encoded for r in local.records]
    assert figures(tmp_path / "ray" / "results") == figures(tmp_path / "local" / "results")
    result = away.records[0].result
    assert result is not None
    assert result.provenance["engine"] == {"name": "ray", "threads": 1, "machines": 3, "cpus": 3.0, "gpus": 0.0}
    again = launch(replace(make_grid(encoders, four_tasks, "ray"), engine=on_ray))
    assert {r.state for r in again.records} == {"unchanged"}


def test_a_lost_node_costs_the_part_in_flight(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any, cluster: Any, on_ray: EngineSpec
) -> None:
    plugin, seen = tmp_path / "watched.py", tmp_path / "seen"
    seen.mkdir()
    plugin.write_text(
        PLUGINS.read_text()
        + "\n\nclass Watched(Tiny):\n"
        + '    card = EncoderCard(name="watched", title="Watched", embedding_dim=12, parameters=1)\n\n'
        + "    def encode(self, batch: torch.Tensor) -> torch.Tensor:\n"
        + "        import ray\n\n"
        + "        if ray.is_initialized():\n"
        + f"            with open({str(seen)!r} + '/' + ray.get_runtime_context().get_node_id(), 'a') as file:\n"
        + "                file.write('a batch\\n')\n"
        + "            time.sleep(1)\n"
        + "        return super().encode(batch)\n"
    )
    doomed = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    mark = seen / doomed.node_id

    def end_it() -> None:
        """End the machine in the middle of the first part that it encodes."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            if mark.exists():
                cluster.remove_node(doomed, allow_graceful=False)
                return
            time.sleep(0.05)

    grid = make_grid([f"{plugin}:Watched"], [make_task("first")], "ray")
    reaper = threading.Thread(target=end_it)
    reaper.start()
    campaign = launch(replace(grid, engine=on_ray), shard_frames=8)
    reaper.join()
    record = campaign.records[0]
    assert (record.error, record.state) == (None, "done")
    assert len(mark.read_text().splitlines()) == 1
    assert [loss["job"] for loss in campaign.losses] == ["encode"]
    assert campaign.losses[0]["frames"] <= 8
    assert "lost" in campaign.losses[0]["reason"]
    assert record.shards_done == record.shards >= 5
    launch(make_grid([f"{plugin}:Watched"], [make_task("first")], "local"), threads=1)
    assert figures(tmp_path / "ray" / "results") == figures(tmp_path / "local" / "results")


def test_vectors_of_embed_equal_local_ones(tmp_path: Path, make_task: Any, cluster: Any) -> None:
    from safetensors.numpy import load_file

    task = make_task("first")
    for where, more in {"local": [], "ray": ["--engine", "ray", "--address", cluster.address]}.items():
        out, cache = str(tmp_path / where), str(tmp_path / f"cache-{where}")
        done = subprocess.run(
            [
                *COMMAND,
                "embed",
                "-e",
                f"{PLUGINS}:Tiny",
                "-t",
                task,
                "-o",
                out,
                "--cache",
                cache,
                "--format",
                "csv",
                *more,
            ],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        assert done.returncode == 0, done.stderr
        assert "0 were stored already" in done.stdout
    mine, theirs = (load_file(tmp_path / where / "vectors.safetensors")["vectors"] for where in ("local", "ray"))
    assert np.array_equal(mine, theirs)
    assert (tmp_path / "local" / "index.csv").read_text() == (tmp_path / "ray" / "index.csv").read_text()


def test_run_on_a_cluster_prints_the_board(tmp_path: Path, make_task: Any, cluster: Any) -> None:
    def run(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*COMMAND, "run", "-e", "texture", "-t", make_task("first"), "--results", str(tmp_path / "results"), *more],
            capture_output=True,
            text=True,
            timeout=120,
            env={**os.environ, "COLUMNS": "200"},
        )

    done = run("--engine", "ray", "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    assert "texture" in done.stdout
    plain = json.loads(next((tmp_path / "results").glob("*/texture.json")).read_text())
    assert plain["provenance"]["engine"]["machines"] == 3
    assert plain["provenance"]["command"].startswith("usbench run") or "usbench.run" in plain["provenance"]["command"]
    assert "nothing has changed" in run().stderr  # the plain command takes it for its own


class _Blind:
    """A Ray engine whose workers look for the store where it is not, as on a machine that does not mount it."""

    def __init__(self, engine: Any, change: Any) -> None:
        self._engine, self._change = engine, change

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def submit(self, job: Any, handshake: Any, gpus: float = 0, node: Node | None = None) -> Any:
        return self._engine.submit(job, self._change(handshake, node), gpus, node)


def test_a_store_that_is_not_shared_is_noticed_at_the_start(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any, on_ray: EngineSpec
) -> None:
    grid = replace(make_grid(["texture"], [make_task("first")], "ray"), engine=on_ray)

    def elsewhere(handshake: Any, node: Node | None) -> Any:
        return replace(handshake, probe=tmp_path / "local-disk" / handshake.probe.name)

    engine = open_engine(on_ray)
    try:
        with pytest.raises(UsbenchError, match=r"does not see .*local-disk.* a folder that all machines share"):
            launch(grid, engine=_Blind(engine, elsewhere))
    finally:
        engine.close()
    assert not list((tmp_path / "ray").rglob("*.safetensors"))  # nothing was begun
    assert not list((tmp_path / "ray").rglob(".probe*"))  # and nothing is left


def test_other_packages_are_noticed_at_the_start(
    make_task: Any, make_grid: Any, launch: Any, on_ray: EngineSpec
) -> None:
    grid = replace(make_grid(["texture"], [make_task("first")], "ray"), engine=on_ray)
    engine = open_engine(on_ray)
    try:
        older = _Blind(engine, lambda h, node: replace(h, token=h.token, versions={**h.versions, "numpy": "1.0"}))
        with pytest.raises(UsbenchError, match=r"other packages .*numpy .*, not 1\.0"):
            launch(grid, engine=older)
    finally:
        engine.close()


def test_a_worker_without_weights_costs_that_encoder_alone(
    tmp_path: Path, make_task: Any, make_grid: Any, launch: Any, on_ray: EngineSpec
) -> None:
    """One machine of three lacks the file: simulated by an encoder whose weights exist only where a variable says."""
    plugin = tmp_path / "picky.py"
    plugin.write_text(
        PLUGINS.read_text()
        + "\n\nclass Picky(Tiny):\n"
        + '    card = EncoderCard(name="picky", title="Picky", embedding_dim=12, parameters=1)\n\n'
        + "    def weights_id(self) -> str:\n"
        + "        import ray\n"
        + "        from usbench.errors import WeightsError\n\n"
        + f"        marked = Path({str(tmp_path / 'without')!r})\n"
        + "        if ray.is_initialized() and ray.get_runtime_context().get_node_id() == marked.read_text():\n"
        + "            raise WeightsError('picky: weights not found. Add them.')\n"
        + "        return 'init:7'\n"
    )
    engine = open_engine(on_ray)
    try:
        unlucky = engine.nodes()[-1]
        (tmp_path / "without").write_text(unlucky.id)
        grid = replace(make_grid([f"{plugin}:Picky", "texture"], [make_task("first")], "ray"), engine=on_ray)
        campaign = launch(grid, engine=engine)
    finally:
        engine.close()
    picky, texture = campaign.records
    assert picky.state == "failed"
    assert unlucky.label in str(picky.error)
    assert "alone of 3 machines cannot use the weights: picky: weights not found" in str(picky.error)
    assert texture.state == "done"


def test_what_no_machine_offers_is_said_at_the_start(
    make_task: Any, make_grid: Any, launch: Any, on_ray: EngineSpec
) -> None:
    spec = f'{{name = "{PLUGINS}:Tiny", device = "cuda"}}'
    grid = make_grid([spec, "texture"], [make_task("first")], "ray")
    campaign = launch(replace(grid, engine=on_ray))
    assert "asks for 1 GPUs, and no machine of the cluster has more than 0" in str(campaign.records[0].error)
    assert campaign.records[1].state == "done"
    with pytest.raises(UsbenchError, match="no machine of the cluster offers the 7 CPUs"):
        launch(replace(grid, engine=replace(on_ray, threads=7)))


def test_disagreement_is_told_by_name() -> None:
    a, b = (Node(name, f"host-{name}", 1, 0) for name in "ab")
    told = inspecting._disagreement("data", "covid", {a: (True, "x"), b: (True, "y")})
    assert told is not None
    assert "host-a and host-b have different data" in told
    assert inspecting._disagreement("data", "covid", {a: (True, "x"), b: (True, "x")}) is None


def test_a_cluster_that_is_not_there_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UsbenchError, match=rf"--address 127\.0\.0\.1:{port}: nothing answers"):
        open_engine(EngineSpec(name="ray", address=f"127.0.0.1:{port}"))
    with pytest.raises(UsbenchError, match="ray job submit"):
        open_engine(EngineSpec(name="ray", address="ray://127.0.0.1:10001"))
