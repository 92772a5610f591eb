"""The same images, network and question through other benchmarks of frozen encoders, each as its users run it.

The network is timm's ``vit_small_patch16_224`` with random weights from a fixed seed, in one file for all: what is
compared is the harness, not the encoder. The images are a part of BUS-BRA, as many patients of each class in each of
the official folds; the first fold is tested on. What a user writes for each library lies in ``peer_scripts``.

    python benchmarks/peers.py --data DATA_ROOT/busbra --envs FOLDER --make-envs   # several GB
    python benchmarks/peers.py --data DATA_ROOT/busbra --envs FOLDER --patients 12 --repeats 2

Each library is installed from the registry into an environment of its own, with the pins of ``peer_libraries.py`` where
it does not run as it installs. *Cold* begins with empty folders and ends with the process; *again* repeats the same
question with whatever the library has kept; *probe anew* is a new fit on vectors that were kept. Time on the wall,
processor time and the proportional memory (PSS) of all processes of a run are measured. A run during which one of its
processes was stopped from outside is made again.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from peer_libraries import PEERS, SCRIPTS, Peer, counted_lines, environment_of, make_environment, own_vectors
from peer_page import TIMES, page

from usbench.embedding.precision import lowest_cosine

HERE = Path(__file__).resolve().parent
FILES = {"cold": "run.sh", "again": "again.sh", "probe": "probe.sh"}
PATIENCE = 3.0  # seconds between two looks at a run; more, and this script was stopped
TRIES = 3  # of a run that something outside has stopped


def prepare(data: Path, patients: int, work: Path) -> Any:
    """Copy the images of so many patients of each class in each fold, write the tables, and save the weights.

    Returns:
        The table of images, in the order in which every script reads it.
    """
    import pandas as pd
    import timm
    import torch

    manifest = work / "images" / "manifest.csv"
    if manifest.exists():
        return pd.read_csv(manifest)
    table = pd.read_csv(data / "bus_data.csv")
    folds = pd.read_csv(data / "5-fold-cv.csv")
    cases = table.merge(folds[["ID", "kFold"]], on="ID").drop_duplicates("Case")
    kept = cases.groupby(["kFold", "Pathology"]).sample(patients, random_state=0)["Case"]
    table = table[table["Case"].isin(kept)]
    folds = folds[folds["ID"].isin(table["ID"])]
    images = work / "images" / "busbra" / "Images"
    images.mkdir(parents=True)
    table.to_csv(images.parent / "bus_data.csv", index=False)
    folds.to_csv(images.parent / "5-fold-cv.csv", index=False)
    for name in table["ID"]:
        shutil.copy(data / "Images" / f"{name}.png", images)
    joined = table.merge(folds[["ID", "kFold"]], on="ID")
    listed = pd.DataFrame(
        {
            "path": "busbra/Images/" + joined["ID"] + ".png",
            "subject": joined["Case"],
            "label": joined["Pathology"].eq("malignant").astype(int),
            "split": joined["kFold"].eq(1).map({True: "test", False: "train"}),
            "fold": joined["kFold"],
        }
    )
    torch.manual_seed(0)
    torch.save(timm.create_model("vit_small_patch16_224", num_classes=0).state_dict(), work / "vit_small.pt")
    listed.to_csv(manifest, index=False)
    return listed


def tree(root: int) -> list[int]:
    """Return the process and all its descendants that are alive."""
    found, front = [], [root]
    while front:
        pid = front.pop()
        found.append(pid)
        try:
            for task in Path(f"/proc/{pid}/task").iterdir():
                front += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


def memory_and_stop(root: int) -> tuple[float, bool]:
    """Return the proportional memory of a process and its descendants in MB, and whether one of them is stopped."""
    total, stopped = 0.0, False
    for pid in tree(root):
        try:
            rolled = Path(f"/proc/{pid}/smaps_rollup").read_text()
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        stopped |= state == "T"
        total += sum(int(line.split()[1]) / 1024 for line in rolled.splitlines() if line.startswith("Pss:"))
    return total, stopped


def timed(script: Path, environment: dict[str, str], log: Path) -> dict[str, Any]:
    """Run a script of a user and measure it and its descendants."""
    peak, stopped = 0.0, False
    started = looked = time.perf_counter()
    with log.open("wb") as held:
        process = subprocess.Popen(
            ["bash", script.name], cwd=script.parent, env=environment, stdout=held, stderr=subprocess.STDOUT
        )
        while True:
            done, status, used = os.wait4(process.pid, os.WNOHANG)
            if done:
                break
            now, halted = memory_and_stop(process.pid)
            # What stops the run may stop this script too, which then sees nothing but that time has gone by.
            halted |= time.perf_counter() - looked > PATIENCE
            peak, stopped, looked = max(peak, now), stopped or halted, time.perf_counter()
            time.sleep(0.2)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    process.returncode = code
    return {
        "seconds": round(seconds, 2),
        "processor": round(used.ru_utime + used.ru_stime, 2),
        "mb": round(peak),
        "stopped": stopped,
        "code": code,
        "load": round(os.getloadavg()[0], 2),
    }


class Bench:
    """The measurements of one run of this script.

    Args:
        work: Scratch folder, with images and weights.
        envs: Folder of the peers' environments.
        threads: Threads of each numeric library.
    """

    def __init__(self, work: Path, envs: Path, threads: int) -> None:
        self._work = work
        self._envs = envs
        self._threads = threads
        shutil.copytree(SCRIPTS, work / "scripts", dirs_exist_ok=True)
        starter = work / "bin" / "usbench"
        starter.parent.mkdir(exist_ok=True)
        starter.write_text(f'#!/bin/sh\nexec {sys.executable} -m usbench "$@"\n')
        starter.chmod(0o755)

    def out(self, peer: Peer) -> Path:
        """Return the folder for what a peer writes."""
        return self._work / "out" / peer.folder

    def environment(self, peer: Peer) -> dict[str, str]:
        """Return the variables of a run: no network, the same threads, folders of its own."""
        binaries = environment_of(peer, self._envs) / "bin" if peer.requirement else self._work / "bin"
        kept = {key: value for key, value in os.environ.items() if key in ("LANG", "TMPDIR", "LD_LIBRARY_PATH")}
        own = {} if peer.requirement else {"PYTHONPATH": str(HERE.parent)}
        return {
            **kept,
            **own,
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.out(peer) / "home"),
            "IMAGES": str(self._work / "images"),
            "WEIGHTS": str(self._work / "vit_small.pt"),
            "OUT": str(self.out(peer)),
            "OMP_NUM_THREADS": str(self._threads),
            "HF_HUB_OFFLINE": "1",
        }

    def script(self, peer: Peer, kind: str) -> Path | None:
        """Return the script of a kind of run: the first one again, where a peer needs no other."""
        folder = self._work / "scripts" / peer.folder
        named = folder / FILES[kind]
        if named.exists():
            return named
        return folder / FILES["cold"] if kind == "again" else None

    def measure(self, peer: Peer, kind: str) -> dict[str, Any]:
        """Time one run; a cold one from empty folders."""
        script = self.script(peer, kind)
        assert script is not None
        for _ in range(TRIES):
            if kind == "cold":
                shutil.rmtree(self.out(peer), ignore_errors=True)
                (self.out(peer) / "home").mkdir(parents=True)
            found = timed(script, self.environment(peer), self._work / f"{peer.folder}.{kind}.log")
            if not found["stopped"] or found["code"]:
                break
        return found

    def failure(self, peer: Peer, kind: str) -> str:
        """Return the last line that a failed run has printed."""
        lines = (self._work / f"{peer.folder}.{kind}.log").read_text(errors="replace").strip().splitlines()
        return lines[-1].strip()[:200] if lines else "no message"

    def embed(self, peer: Peer) -> None:
        """Write this project's vectors of all images, from its store."""
        encoder = "timm:vit_small_patch16_224,mean=half,fit=squash,resampling=bilinear"
        out, images = self.out(peer), self._work / "images"
        command = ["usbench", "embed", "-e", encoder, "--weights", str(self._work / "vit_small.pt"), "--format", "csv"]
        command += [
            "--data",
            str(images / "manifest.csv"),
            "--cache",
            str(out / "cache"),
            "--out",
            str(out / "vectors"),
        ]
        subprocess.run(command, env=self.environment(peer), check=True, capture_output=True)

    def versions(self, peer: Peer) -> dict[str, str]:
        """Return the Python and the packages that a peer runs on."""
        python = environment_of(peer, self._envs) / "bin" / "python" if peer.requirement else Path(sys.executable)
        asked = "import importlib.metadata as m, json, platform; d = {x.metadata['Name'].lower(): x.version for x in "
        asked += "m.distributions()}; print(json.dumps({'python': platform.python_version(), **{k: d[k] for k in "
        asked += "('torch', 'timm', 'numpy', 'scikit-learn', 'torchvision') if k in d}}))"
        found: dict[str, str] = json.loads(subprocess.check_output([str(python), "-c", asked]))
        return found


def one_probe(vectors: np.ndarray[Any, Any], table: Any) -> float:
    """Return the AUC of one logistic regression on vectors of unit length, whoever made them."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    train = (table["split"] == "train").to_numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    model.fit(unit[train], table["label"][train])
    return float(roc_auc_score(table["label"][~train], model.decision_function(unit[~train])))


def as_mteb(vectors: np.ndarray[Any, Any], table: Any) -> float:
    """Return the accuracy of mteb's protocol, without mteb."""
    from sklearn.linear_model import LogisticRegression

    train = (table["split"] == "train").to_numpy()
    model = LogisticRegression(max_iter=100).fit(vectors[train], table["label"][train])
    return float(model.score(vectors[~train], table["label"][~train]))


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians of the repeats, the highest memory, and every run."""
    return {
        "seconds": round(statistics.median(run["seconds"] for run in runs), 2),
        "processor": round(statistics.median(run["processor"] for run in runs), 2),
        "mb": max(run["mb"] for run in runs),
        "runs": runs,
    }


def measure_all(bench: Bench, table: Any, cold: int, repeats: int, kept: Path) -> list[dict[str, Any]]:
    """Measure every peer, in turns, beyond what ``kept`` holds, and compare their vectors and figures."""
    runs: dict[str, dict[str, list[dict[str, Any]]]] = {peer.folder: {kind: [] for kind in TIMES} for peer in PEERS}
    if kept.exists():
        runs = json.loads(kept.read_text())
    failed: dict[str, str] = {}
    for kind in TIMES:
        for wanted in range(1, 1 + (cold if kind == "cold" else repeats)):
            for peer in PEERS:
                if peer.folder in failed or bench.script(peer, kind) is None:
                    continue
                if len(runs[peer.folder][kind]) < wanted:
                    run = bench.measure(peer, kind)
                    print(peer.folder, kind, run, flush=True)
                    runs[peer.folder][kind].append(run)
                    kept.write_text(json.dumps(runs))
                if runs[peer.folder][kind][-1]["code"]:
                    failed[peer.folder] = bench.failure(peer, kind)
    bench.embed(PEERS[0])
    ours = own_vectors(bench.out(PEERS[0]), table)
    assert ours is not None
    rows = []
    for peer in PEERS:
        row: dict[str, Any] = {
            "title": peer.title,
            "folder": peer.folder,
            "requirement": peer.requirement,
            "pins": list(peer.pins),
            "why": peer.why,
            "versions": bench.versions(peer),
            "lines": counted_lines(SCRIPTS / (peer.lent or peer.folder)),
            "protocol": peer.protocol,
            "better": peer.better,
            "failed": failed.get(peer.folder),
        }
        if peer.folder not in failed:
            row |= {kind: summary(runs[peer.folder][kind]) for kind in TIMES if runs[peer.folder][kind]}
            if peer.probe_is:
                row["probe"] = row[peer.probe_is]
            row["metrics"] = {name: round(value, 4) for name, value in peer.metrics(bench.out(peer)).items()}
            vectors = peer.vectors(bench.out(peer), table)
            if vectors is not None:
                row["cosine"] = lowest_cosine(ours, vectors)
                row["one_probe_auc"] = round(one_probe(vectors, table), 4)
        rows.append(row)
    for row in rows:
        if row["folder"] == "mteb_task" and "metrics" in row:
            row["without_mteb"] = round(as_mteb(ours, table), 4)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of BUS-BRA")
    parser.add_argument("--envs", type=Path, default=Path(tempfile.gettempdir()) / "usbench-peers")
    parser.add_argument("--make-envs", action="store_true", help="install what is missing, and stop")
    parser.add_argument("--python", default=sys.executable, help="interpreter of the environments")
    parser.add_argument("--patients", type=int, default=12, help="of each class in each fold")
    parser.add_argument("--work", type=Path, help="folder that stays, with what has been measured; continues there")
    parser.add_argument("--cold", type=int, default=1, help="cold runs")
    parser.add_argument("--repeats", type=int, default=3, help="runs with what was kept")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    if args.make_envs:
        for peer in PEERS:
            if peer.requirement:
                make_environment(peer, args.envs.resolve(), args.python)
        return
    from usbench.core.provenance import revision

    with tempfile.TemporaryDirectory() as made:
        work = (args.work or Path(made)).resolve()
        work.mkdir(exist_ok=True)
        table = prepare(args.data, args.patients, work)
        bench = Bench(work, args.envs.resolve(), args.threads)
        rows = measure_all(bench, table, args.cold, args.repeats, work / "runs.json")
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "revision": revision(),
        "images": len(table),
        "patients": int(table["subject"].nunique()),
        "test_images": int((table["split"] == "test").sum()),
        "threads": args.threads,
        "cold": args.cold,
        "repeats": args.repeats,
        "rows": rows,
    }
    (HERE / "peers.json").write_text(json.dumps(report, indent=1) + "\n")
    (HERE / "peers.md").write_text(page(report))
    print(page(report))


if __name__ == "__main__":
    main()
