"""Several processes train as one: same loss, same weights; and what goes wrong between processes is told."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tusa.errors import TusaError
from tusa.training.checkpoint import load_checkpoint
from tusa.training.config import Phase, TrainConfig
from tusa.training.monitor import read_log
from tusa.training.ranks import Ranks
from tusa.training.sampler import OrganBalancedSampler
from tusa.training.trainer import CHECKPOINT, Trainer

RUN = """
import json, os, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tusa.errors import TusaError
from tusa.training.config import TrainConfig
from tusa.training.trainer import CHECKPOINT, Trainer
config, folder = TrainConfig.from_dict(json.loads(Path(sys.argv[1]).read_text())), Path(sys.argv[2])
try:
    trainer = Trainer(config, folder)
    if (folder / CHECKPOINT).exists():
        trainer.load(folder / CHECKPOINT)
    (folder / f"pid-{trainer.ranks.rank}").write_text(str(os.getpid()))
    trainer.fit(until=int(sys.argv[3]) if len(sys.argv) > 3 else None)
except TusaError as error:
    (folder / f"error-{os.environ.get('RANK', 0)}").write_text(str(error))
    sys.exit(2)
"""


def with_ranks(config: TrainConfig, ranks: int) -> TrainConfig:
    """Divide every phase's images among devices, so that the global batch stays what it is."""
    phases = tuple(
        replace(phase, images=phase.images // ranks, decoded=phase.decoded // ranks) for phase in config.phases
    )
    return replace(config, phases=phases, run=replace(config.run, devices=ranks))


def launch(config: TrainConfig, folder: Path, *more: str, text: str = RUN) -> list[subprocess.Popen[bytes]]:
    """Start the processes of a run as torchrun does: by environment variables."""
    folder.mkdir(parents=True, exist_ok=True)
    given = folder.parent / f"{folder.name}.json"
    given.write_text(json.dumps(config.to_dict()))
    ranks = config.run.devices
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    script = folder.parent / "run.py"
    script.write_text(text)
    started = []
    for rank in range(ranks):
        told = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": ranks, "LOCAL_WORLD_SIZE": ranks, "GROUP_RANK": 0}
        told |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "test", "OMP_NUM_THREADS": 1}
        told = told if ranks > 1 else {"OMP_NUM_THREADS": 1}
        environment = os.environ | {name: str(value) for name, value in told.items()}
        started.append(subprocess.Popen([sys.executable, str(script), str(given), str(folder), *more], env=environment))
    return started


def finish(processes: list[subprocess.Popen[bytes]]) -> list[int]:
    return [process.wait(timeout=280) for process in processes]


def logged(folder: Path) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for _, metric, value in read_log(folder):
        found.setdefault(metric, []).append(value)
    return found


@pytest.fixture
def run(short_run: TrainConfig) -> TrainConfig:
    """Every term that depends on the whole batch: contrast behind a batch norm, channel use; two parts a step."""
    return replace(
        short_run,
        phases=(
            Phase(steps=2, size=32, images=8, decoded=0),
            Phase(steps=3, size=64, images=8, decoded=4, accumulate=2),
        ),
        # Adam divides by the size of the gradient, so that rounding in a gradient of nothing would be a whole step.
        run=replace(short_run.run, learning_rate=1e-4, checkpoint_every=1),
    )


@pytest.mark.slow
def test_two_processes_are_one_to_rounding(run: TrainConfig, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert finish(launch(run, one)) == [0]
    assert finish(launch(with_ranks(run, 2), two)) == [0, 0]
    alone, shared = logged(one), logged(two)
    for term in ("loss", "contrastive", "absolute", "structural", "entropy", "consistency", "usage/0"):
        assert len(alone[term]) == len(shared[term]) > 0
        np.testing.assert_allclose(shared[term], alone[term], rtol=2e-4, err_msg=term)
    np.testing.assert_allclose(shared["loss"][0], alone["loss"][0], rtol=2e-6)
    before, after = (load_checkpoint(folder / CHECKPOINT)["learner"] for folder in (one, two))
    worst = max(float((before[name] - after[name]).abs().max()) for name in before if before[name].is_floating_point())
    assert worst < 3 * run.run.learning_rate  # five steps of at most a rate each, nearly all of them the same


@pytest.mark.slow
def test_the_gradient_of_two_is_that_of_one(run: TrainConfig, tmp_path: Path) -> None:
    # Neither clipped nor applied, and written down.
    still = """    trainer.optimizer.step = lambda *a, **k: None
    trainer.fabric.clip_gradients = lambda *a, **k: None
    trainer.fit("""
    kept = """    if trainer.ranks.rank == 0:
        named = trainer.learner.named_parameters()
        torch.save({name: p.grad for name, p in named if p.grad is not None}, folder / "gradients.pt")
except TusaError"""
    text = RUN.replace("    trainer.fit(", still).replace("except TusaError", kept)
    step = replace(run, phases=(Phase(steps=1, size=64, images=8, decoded=4),))
    found = []
    for ranks in (1, 2):
        folder = tmp_path / str(ranks)
        assert finish(launch(with_ranks(step, ranks), folder, text=text)) == [0] * ranks
        found.append(torch.load(folder / "gradients.pt"))
    one, two = found
    assert one.keys() == two.keys()
    size = torch.sqrt(sum((grad.double() ** 2).sum() for grad in one.values()))
    apart = torch.sqrt(sum(((one[name] - two[name]).double() ** 2).sum() for name in one))
    assert float(size) > 1e-2
    assert float(apart / size) < 1e-4


@pytest.mark.slow
def test_two_processes_resume_exactly(run: TrainConfig, tmp_path: Path) -> None:
    config, whole, stopped = with_ranks(run, 2), tmp_path / "whole", tmp_path / "stopped"
    assert finish(launch(config, whole)) == [0, 0]
    assert finish(launch(config, stopped, "2")) == [0, 0]
    assert finish(launch(config, stopped)) == [0, 0]
    assert logged(stopped)["loss"] == logged(whole)["loss"]


@pytest.mark.slow
def test_a_lost_process_is_told_to_the_other_and_its_checkpoint_is_kept(run: TrainConfig, tmp_path: Path) -> None:
    config = with_ranks(replace(run, phases=(Phase(steps=400, size=64, images=8, decoded=4),)), 2)
    folder = tmp_path / "lost"
    first, second = launch(config, folder)
    give_up = time.monotonic() + 120
    while not (folder / CHECKPOINT).exists() and time.monotonic() < give_up:
        time.sleep(0.1)
    os.kill(second.pid, signal.SIGKILL)
    assert first.wait(timeout=120) == 2
    second.wait()
    assert "Another process of the run ended" in (folder / "error-0").read_text()
    assert load_checkpoint(folder / CHECKPOINT)["step"] >= 1


def test_another_number_of_devices_is_refused(
    run: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TusaError, match=r"2 processes were started, but run\.devices x run\.nodes is 1"):
        Trainer(run, tmp_path)


def test_a_share_is_a_part_of_what_one_device_would_draw(manifest: Path) -> None:
    from tusa.training.sources import read_corpus

    corpus = read_corpus((str(manifest),), 32, 0)
    sampler = OrganBalancedSampler(corpus.organs, corpus.subjects, range(len(corpus.organs)), seed=3)
    whole = sampler.batch(5, 12)
    parts = [sampler.batch(5, 4, rank, 3) for rank in range(3)]
    assert [whole[i] for i in range(12)] == [parts[i % 3][i // 3] for i in range(12)]


def test_shares_of_copies_and_joined_batches() -> None:
    whole = torch.arange(12)  # two copies of six
    devices = [Ranks(rank, 3, lambda part: part[None]) for rank in range(3)]
    assert [device.share(whole, 2).tolist() for device in devices] == [[0, 3, 6, 9], [1, 4, 7, 10], [2, 5, 8, 11]]
    joined = torch.arange(6)
    assert torch.cat([device.own(joined) for device in devices]).tolist() == joined.tolist()
    assert Ranks().join(joined) is Ranks().own(joined) is joined


@pytest.mark.slow
def test_an_unreadable_corpus_is_told_by_every_process(run: TrainConfig, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    config = with_ranks(replace(run, data=replace(run.data, sources=(str(nothing),))), 2)
    folder = tmp_path / "run"
    assert finish(launch(config, folder)) == [2, 2]
    assert "The corpus is empty" in (folder / "error-0").read_text()
    assert "first process of this machine ended" in (folder / "error-1").read_text()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the list of mapped files")
def test_processes_share_one_decoded_corpus(run: TrainConfig, tmp_path: Path) -> None:
    text = RUN.replace(
        "    trainer.fit(",
        "    mapped = 'corpus-of-node-0.pt' in Path('/proc/self/maps').read_text()\n"
        "    (folder / f'seen-{trainer.ranks.rank}').write_text(f'{trainer.corpus.fingerprint()} mapped: {mapped}')\n"
        "    trainer.fit(",
    )
    config = with_ranks(replace(run, phases=(Phase(steps=1, size=32, images=4, decoded=0),)), 2)
    folder = tmp_path / "run"
    assert finish(launch(config, folder, text=text)) == [0, 0]
    seen = [(folder / f"seen-{rank}").read_text() for rank in range(2)]
    assert seen[0] == seen[1]
    assert seen[0].endswith("mapped: True")
    assert not list(folder.glob("corpus-of-node-*"))  # gone once everybody has it open
