"""Kills, flipped bits, full disks and neighbours, again and again; what went wrong must be seen, never served.

The rounds are few here. ``make torture`` sets ``USBENCH_TORTURE_SECONDS`` and goes on until that is over, from a new
seed each time; ``USBENCH_TORTURE_REPORT`` names a file to which each test adds what it tried how often.
"""

from __future__ import annotations

import copy
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from usbench.cli import main
from usbench.core.settings import load_settings
from usbench.embedding.store import read_shard
from usbench.embedding.store_upkeep import entries, verify
from usbench.embedding.vector_folder import read_vectors, write_vectors
from usbench.encoder.weights import read_state
from usbench.errors import UsbenchError
from usbench.leaderboard import render
from usbench.results.checks import digest_of
from usbench.results.schema import load

SECONDS = float(os.environ.get("USBENCH_TORTURE_SECONDS", "0"))
REPORT = os.environ.get("USBENCH_TORTURE_REPORT", "")
RESULTS = Path(__file__).parents[2] / "leaderboards" / "results"


class Rounds:
    """Rounds of one test: a few, or as many as fit the time; each with a seed of its own that is told when it fails."""

    def __init__(self, few: int) -> None:
        self._few = few
        self._seed = int(os.environ.get("USBENCH_TORTURE_SEED", "0")) or (int(time.time()) if SECONDS else 1)
        self.tried: Counter[str] = Counter()

    def __iter__(self) -> Iterator[random.Random]:
        until, number = time.monotonic() + SECONDS, 0
        while number < self._few or time.monotonic() < until:
            print("seed", self._seed + number)  # shown by pytest when something fails
            yield random.Random(self._seed + number)
            number += 1


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Iterator[Rounds]:
    made = Rounds(getattr(request, "param", 3))
    yield made
    if REPORT:
        with Path(REPORT).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": request.node.name.partition("[")[0], **made.tried}) + "\n")


def flipped(content: bytes, rng: random.Random) -> bytes:
    """Damage a file: a bit, a byte range, an end, or a block that a disk lost."""
    damaged = bytearray(content)
    kind = rng.randrange(4)
    if kind == 0:
        damaged[rng.randrange(len(damaged))] ^= 1 << rng.randrange(8)
    elif kind == 1:
        start = rng.randrange(len(damaged))
        damaged[start : start + 16] = rng.randbytes(len(damaged[start : start + 16]))
    elif kind == 2:
        del damaged[rng.randrange(len(damaged)) :]
    else:
        start = rng.randrange(len(damaged))
        damaged[start : start + 512] = bytes(len(damaged[start : start + 512]))
    return bytes(damaged)


def usbench(*arguments: object, cwd: Path) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "USBENCH_CACHE": str(cwd / "cache"),
        "USBENCH_CONFIG": str(cwd / "config.toml"),
        "USBENCH_SHARD_SECONDS": "0.02",
    }
    command = [sys.executable, "-m", "usbench", *map(str, arguments)]
    return subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finished(process: subprocess.Popen[bytes], *codes: int) -> str:
    told = process.communicate(timeout=600)[0].decode("utf-8", "replace")
    assert process.returncode in (codes or (0,)), told
    assert "Traceback" not in told
    return told


RUN = ("run", "-e", "pixels", "-t", "breast_lesion", "--data", "subset", "--results", "results")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an undisturbed run gives."""
    folder = tmp_path_factory.mktemp("whole")
    began = time.monotonic()
    finished(usbench(*RUN, cwd=folder))
    (path,) = (folder / "results").glob("*/*.json")
    return {"result": load(path), "folder": folder, "seconds": time.monotonic() - began}


def answer(result: Any) -> Any:
    """Return what a result says, without when and how fast."""
    return result.task, result.dataset, result.encoder, result.units, result.protocols, result.inputs


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no kill here")
@pytest.mark.parametrize("rounds", [2], indirect=True)
@pytest.mark.slow
def test_a_killed_run_continues_and_answers_the_same(rounds: Rounds, whole: dict[str, Any], tmp_path: Path) -> None:
    for number, rng in enumerate(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        for _ in range(2):
            process = usbench(*RUN, cwd=folder)
            try:
                process.communicate(timeout=rng.uniform(0.2, 1.0) * whole["seconds"])
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                rounds.tried["kills of run"] += 1
            assert verify(folder / "cache" / "embeddings") == []
            for path in (folder / "results").glob("*/*.json"):
                load(path)
        finished(usbench(*RUN, cwd=folder))
        (path,) = (folder / "results").glob("*/*.json")
        assert answer(load(path)) == answer(whole["result"])
        shutil.rmtree(folder)


@pytest.mark.parametrize("rounds", [40], indirect=True)
def test_damaged_results_are_never_served(rounds: Rounds, tmp_path: Path) -> None:
    sources = sorted(RESULTS.glob("*/*.json"))
    for rng in rounds:
        source = rng.choice(sources)
        path = tmp_path / source.parent.name / source.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(flipped(source.read_bytes(), rng))
        rounds.tried["damaged results"] += 1
        try:
            found = load(path)
        except UsbenchError as error:
            assert str(path) in str(error)  # noqa: PT017
            rounds.tried["refused"] += 1
            if rng.random() < 0.1:
                with pytest.raises(UsbenchError):
                    render(tmp_path, tmp_path / "none")
        else:
            assert found == load(source)
        path.unlink()


@pytest.mark.parametrize("rounds", [25], indirect=True)
def test_changed_and_resealed_results_break_nothing(rounds: Rounds, tmp_path: Path) -> None:
    """Somebody who seals anew what they changed gets a page, or one message, never a stack trace or another folder."""
    sources = sorted((RESULTS / "breast_lesion@bus-bra-subset").glob("*.json"))
    odd = [None, True, -1, 1e308, 10**30, "", "x" * 3000, "../../x", "\x1b[31m", [], {}, [[]], {"a": {"b": []}}, "NaN"]
    for rng in rounds:
        data = json.loads(rng.choice(sources).read_text("utf-8"))
        del data["digest"]
        for _ in range(rng.randint(1, 3)):
            _change(data, rng, odd)
        text = json.dumps({**data, "digest": digest_of(data)})
        folder = tmp_path / "in" / "results"
        path = folder / "breast_lesion@bus-bra-subset" / "x.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        rounds.tried["resealed results"] += 1
        try:
            path = path.rename(path.with_name(f"{load(path).encoder['name']}.json"))
            render(folder, tmp_path / "none")
            rounds.tried["rendered"] += 1
        except UsbenchError:
            rounds.tried["refused"] += 1
        shutil.rmtree(tmp_path / "in")
        assert not list(tmp_path.iterdir())


def _change(data: dict[str, Any], rng: random.Random, odd: list[Any]) -> None:
    place: Any = data
    while True:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = rng.choice(keys)
        if isinstance(place[key], dict | list) and place[key] and rng.random() < 0.85:
            place = place[key]
            continue
        if rng.random() < 0.2 and isinstance(place, dict):
            del place[key]
        else:
            place[key] = copy.deepcopy(rng.choice(odd))  # or a second change could put a list into itself
        return


@pytest.mark.parametrize("rounds", [40], indirect=True)
def test_damaged_shards_are_found_and_repaired(rounds: Rounds, whole: dict[str, Any], tmp_path: Path) -> None:
    original = whole["folder"] / "cache" / "embeddings"
    files = [p for p in original.glob("*/*") if p.is_file()]
    for rng in rounds:
        root = tmp_path / "embeddings"
        shutil.copytree(original, root)
        path = root / rng.choice(files).relative_to(original)
        content = path.read_bytes()
        path.write_bytes(flipped(content, rng))
        rounds.tried["damaged files of the store"] += 1
        if path.read_bytes() != content and path.suffix == ".safetensors":
            with pytest.raises(UsbenchError, match="verify --repair"):
                read_shard(path)
            assert verify(root, repair=True) == [path]
        list(entries(root))
        verify(root, repair=True)
        assert verify(root) == []
        shutil.rmtree(root)


def weights_files(folder: Path) -> list[Path]:
    import torch
    from safetensors.torch import save_file

    state = {"a.weight": torch.randn(40, 30), "a.bias": torch.randn(40), "b": torch.arange(7)}
    torch.save({"state_dict": state}, folder / "new.pt")
    torch.save(state, folder / "old.pt", _use_new_zipfile_serialization=False)
    save_file(state, folder / "st.safetensors")
    return sorted(folder.iterdir())


@pytest.mark.parametrize("rounds", [60], indirect=True)
def test_damaged_weights_are_one_message(rounds: Rounds, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    files = weights_files(tmp_path / "whole")
    for rng in rounds:
        source = rng.choice(files)
        path = tmp_path / source.name
        path.write_bytes(flipped(source.read_bytes(), rng))
        rounds.tried["damaged weights"] += 1
        try:
            read_state(path)
        except UsbenchError as error:
            assert "\n" not in str(error)  # noqa: PT017
            rounds.tried["refused"] += 1


@pytest.mark.parametrize("rounds", [40], indirect=True)
def test_damaged_vectors_are_one_message(rounds: Rounds, tmp_path: Path) -> None:
    folder = tmp_path / "v"
    index = pd.DataFrame({"path": "a", "frame": range(20), "frame_sha256": [f"{i:064d}" for i in range(20)]})
    vectors = np.random.default_rng(0).standard_normal((20, 8)).astype(np.float32)
    for rng in rounds:
        write_vectors(folder, vectors, index, {"encoder": {"name": "x"}}, rng.choice([".csv", ".parquet"]))
        path = rng.choice(sorted(folder.iterdir()))
        content = path.read_bytes()
        path.write_bytes(flipped(content, rng))
        rounds.tried["damaged folders of vectors"] += 1
        try:
            found = read_vectors(folder)
        except UsbenchError as error:
            assert "\n" not in str(error)  # noqa: PT017
            rounds.tried["refused"] += 1
        else:
            np.testing.assert_array_equal(found.vectors, vectors)


@pytest.mark.parametrize("rounds", [40], indirect=True)
def test_damaged_configuration_is_one_message(rounds: Rounds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.toml"
    monkeypatch.setenv("USBENCH_CONFIG", str(path))
    content = b'[paths]\ndata = ["/a", "/b"]\ncache = "/c"\n[data]\nx = "/x/m.csv"\n[weights]\ny = "/y.pt"\n'
    for rng in rounds:
        path.write_bytes(flipped(content, rng))
        rounds.tried["damaged configurations"] += 1
        try:
            load_settings()
        except UsbenchError as error:
            assert str(path) in str(error)  # noqa: PT017
            rounds.tried["refused"] += 1


@pytest.mark.parametrize("rounds", [40], indirect=True)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(rounds: Rounds, tmp_path: Path) -> None:
    import torch

    from tusa.training.checkpoint import digest_of, load_checkpoint, save_checkpoint

    for rng in rounds:
        path = tmp_path / "checkpoint.pt"
        kept = [{"step": step, "learner": {"w": torch.rand(300)}, "rng": [torch.get_rng_state()]} for step in (1, 2)]
        for content in kept:
            save_checkpoint(path, content)
        path.write_bytes(flipped(path.read_bytes(), rng))
        rounds.tried["damaged checkpoints"] += 1
        found = load_checkpoint(path)
        rounds.tried["taken from the one before"] += found["step"] == 1
        del found["format"]
        assert digest_of(found) == digest_of(kept[found["step"] - 1])
        for file in tmp_path.iterdir():
            file.unlink()


@pytest.mark.parametrize("rounds", [1], indirect=True)
@pytest.mark.slow
def test_garbage_is_collected_beside_runs(rounds: Rounds, whole: dict[str, Any], tmp_path: Path) -> None:
    for number, _ in enumerate(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        run = usbench(*RUN, cwd=folder)
        while run.poll() is None:
            pair = [usbench("cache", "gc", cwd=folder) for _ in range(2)]
            for process in pair:
                finished(process)
                rounds.tried["gc beside a run"] += 1
        finished(run)
        (path,) = (folder / "results").glob("*/*.json")
        assert answer(load(path)) == answer(whole["result"])
        assert verify(folder / "cache" / "embeddings") == []
        shutil.rmtree(folder)


def _full(folder: Path) -> bool:
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    return made.returncode == 0


@pytest.mark.parametrize("rounds", [1], indirect=True)
def test_a_full_disk_is_one_message_and_keeps_what_was_there(
    rounds: Rounds, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk, results = tmp_path / "disk", tmp_path / "results"
    disk.mkdir()
    if not _full(disk):
        pytest.skip("this machine mounts no small disk")
    for board in ("breast_lesion", "covid"):  # their pages are larger than the disk
        shutil.copytree(RESULTS / board, results / board)
    try:
        write: Callable[..., None] = write_vectors
        index = pd.DataFrame({"path": "a", "frame": range(4), "frame_sha256": [f"{i:064d}" for i in range(4)]})
        write(disk / "v", np.ones((4, 10), np.float32), index, {})
        for _ in rounds:
            big = pd.concat([index] * 5000, ignore_index=True)
            with pytest.raises(UsbenchError, match="disk is full"):
                write(disk / "v", np.ones((20_000, 10), np.float32), big, {})
            assert read_vectors(disk / "v").vectors.shape == (4, 10)
            with pytest.raises(SystemExit) as stop:
                main(["leaderboard", "--results", str(results), "--out", str(disk / "pages")])
            assert stop.value.code == 2
            assert "disk is full" in capsys.readouterr().err
            rounds.tried["full disks"] += 2
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=False)


@pytest.mark.parametrize("rounds", [3], indirect=True)
def test_a_full_disk_keeps_the_last_checkpoints(rounds: Rounds, tmp_path: Path) -> None:
    import torch

    from tusa.training.checkpoint import load_checkpoint, save_checkpoint

    disk = tmp_path / "disk"
    disk.mkdir()
    if not _full(disk):
        pytest.skip("this machine mounts no small disk")
    path = disk / "checkpoint.pt"
    try:
        for rng in rounds:
            for step in (1, 2):
                save_checkpoint(path, {"step": step, "w": torch.rand(rng.randrange(15_000))})
            with pytest.raises(OSError, match="No space left"):
                save_checkpoint(path, {"step": 3, "w": torch.rand(rng.randrange(70_000, 200_000))})
            assert sorted(file.name for file in disk.iterdir()) == ["checkpoint.pt", "checkpoint.pt.previous"]
            assert load_checkpoint(path)["step"] == 2
            path.unlink()
            assert load_checkpoint(path)["step"] == 1
            (disk / "checkpoint.pt.previous").unlink()
            rounds.tried["full disks"] += 1
    finally:
        subprocess.run(["umount", str(disk)], capture_output=True, check=False)
