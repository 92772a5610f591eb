"""The same images, network and question through other benchmarks of frozen encoders, each as its users run it.

The network is timm's ``vit_small_patch16_224`` with random weights from a fixed seed, in one file for all: what is
compared is the harness, not the encoder. The images are a part of BUS-BRA, as many patients of each class in each of
the official folds; the first fold is tested on. What a user writes for each library lies in ``peer_scripts``.

    python benchmarks/peers.py --data DATA_ROOT/busbra --envs FOLDER --make-envs   # several GB
    python benchmarks/peers.py --data DATA_ROOT/busbra --envs FOLDER --patients 12 --repeats 2

Each library is installed from the registry into an environment of its own, with the pins named in :data:`PEERS` where
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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from usbench.embedding.precision import lowest_cosine

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE / "peer_scripts"
TIMES = ("cold", "again", "probe")
FILES = {"cold": "run.sh", "again": "again.sh", "probe": "probe.sh"}
PATIENCE = 3.0  # seconds between two looks at a run; more, and this script was stopped
TRIES = 3  # of a run that something outside has stopped


@dataclass(frozen=True)
class Peer:
    """A library, or a way of this project.

    Attributes:
        title: Its row in the table.
        folder: Folder of the user's files under ``peer_scripts``.
        requirement: What is installed; empty for this project.
        pins: Further requirements without which it does not run.
        why: What happens without them, as found when this was written.
        protocol: How it comes from vectors to a figure.
        better: What it does better than this project.
        vectors: Reads the vectors of a finished run, in the order of the table of images.
        metrics: Reads its figures.
        probe_is: The time that a new fit takes, where it is the same run as another; ``None`` where there is a script.
        lent: Folder whose lines are the user's, where the own one only makes another run possible.
    """

    title: str
    folder: str
    requirement: str
    protocol: str
    vectors: Callable[[Path, Any], np.ndarray[Any, Any] | None]
    metrics: Callable[[Path], dict[str, float]]
    pins: tuple[str, ...] = ()
    why: str = ""
    better: str = ""
    probe_is: str | None = None
    lent: str | None = None


def _only(folder: Path, pattern: str) -> Path:
    found = sorted(folder.glob(pattern))
    if not found:
        raise SystemExit(f"{folder}: holds no {pattern}; the run has written something else.")
    return found[-1]


def by_split(parts: dict[str, np.ndarray[Any, Any]], splits: Any) -> np.ndarray[Any, Any]:
    """Put the vectors of several splits into the order of the table."""
    found = np.empty((len(splits), next(iter(parts.values())).shape[1]), dtype=np.float32)
    for split, part in parts.items():
        found[np.asarray(splits) == split] = part
    return found


def own_metrics(out: Path) -> dict[str, float]:
    """Read a result of this project."""
    protocols = json.loads(_only(out, "results/*/*.json").read_text())["protocols"]
    found = protocols["svc-nested@2"]["metrics"]
    return {
        "accuracy": found["accuracy"]["value"],
        "balanced accuracy": found["balanced_accuracy"]["value"],
        "AUC": found["fold_auc"]["value"],
    }


def own_vectors(out: Path, table: Any) -> np.ndarray[Any, Any] | None:
    """Read the vectors that ``usbench embed`` has written after the runs."""
    if not (out / "vectors").exists():
        return None
    import pandas as pd
    from safetensors.numpy import load_file

    index = pd.read_csv(out / "vectors" / "index.csv")
    place = {Path(path).name: i for i, path in enumerate(index["path"])}
    vectors = load_file(out / "vectors" / "vectors.safetensors")["vectors"]
    order = [place[Path(path).name] for path in table["path"]]
    ordered: np.ndarray[Any, Any] = vectors[order]
    return ordered


def mteb_vectors(out: Path, table: Any) -> np.ndarray[Any, Any]:
    """Read what the encoder of the script has kept."""
    return by_split({split: np.load(out / f"{split}.npy") for split in ("train", "test")}, table["split"])


def mteb_metrics(out: Path) -> dict[str, float]:
    """Read mteb's result."""
    found = json.loads(_only(out, "cache/results/*/*/BusBra.json").read_text())["scores"]["test"][0]
    return {"accuracy": found["accuracy"], "F1, both classes": found["f1"]}


def clip_vectors(out: Path, table: Any) -> np.ndarray[Any, Any]:
    """Read clip-benchmark's features: of unit length."""
    import torch

    folder = out / "features" / "vit-s"
    parts = {split: torch.load(folder / f"features_{split}.pt").numpy() for split in ("train", "test")}
    return by_split(parts, table["split"])


def clip_metrics(out: Path) -> dict[str, float]:
    """Read what the script has written."""
    found = json.loads((out / "result.json").read_text())
    return {"accuracy": found["lp_acc1"], "balanced accuracy": found["lp_mean_per_class_recall"]}


def eva_vectors(out: Path, table: Any) -> np.ndarray[Any, Any]:
    """Read eva's files, one an image."""
    import torch

    found = [torch.load(out / "embeddings" / Path(path).with_suffix(".pt"))[0] for path in table["path"]]
    stacked: np.ndarray[Any, Any] = torch.stack(found).reshape(len(found), -1).numpy()
    return stacked


def eva_metrics(out: Path) -> dict[str, float]:
    """Read eva's last result."""
    found = json.loads(_only(out, "logs/*/results.json").read_text())["metrics"]["val"][0]
    names = {"accuracy": "BinaryAccuracy", "balanced accuracy": "BinaryBalancedAccuracy", "AUC": "BinaryAUROC"}
    return {name: found[f"val/{key}"]["mean"] for name, key in names.items()}


def thunder_vectors(out: Path, table: Any) -> np.ndarray[Any, Any]:
    """Read thunder's HDF5 files."""
    import h5py

    splits = table["split"].where(table["fold"] != 2, "val")
    parts = {}
    for split in ("train", "val", "test"):
        with h5py.File(out / "embeddings" / "busbra" / "vit-s" / split / "embeddings.h5") as held:
            parts[split] = np.stack([held[str(i)][()] for i in range(len(held))])
    return by_split(parts, splits)


def thunder_metrics(out: Path) -> dict[str, float]:
    """Read thunder's result."""
    found = json.loads(_only(out, "outputs/res/busbra/vit-s/linear_probing/*/outputs.json").read_text())
    names = {"accuracy": "accuracy", "balanced accuracy": "balanced_accuracy", "AUC": "roc_auc"}
    return {name: found[key]["metric_score"] for name, key in names.items() if key in found}


def nothing(out: Path, table: Any) -> None:
    """Return no vectors: there are none."""


PEERS = (
    Peer(
        "usbench, the same split",
        "own_split",
        "",
        "linear SVC on standardised vectors, its C from splits by patient inside the training folds; interval by "
        "refits; again with 5 to 50 % of the patients",
        own_vectors,
        own_metrics,
    ),
    Peer(
        "usbench, `breast_lesion` whole",
        "own_folds",
        "",
        "the same on all five folds, and the paper's protocol beside it",
        own_vectors,
        own_metrics,
    ),
    Peer(
        "mteb 2.26.24",
        "mteb_task",
        "mteb[image]==2.26.24",
        "scikit-learn's logistic regression on vectors as they are, 100 iterations, without tuning or interval",
        mteb_vectors,
        mteb_metrics,
        pins=("timm==1.0.31",),
        better="hundreds of tasks of text, image, audio and video, and a public leaderboard of many models",
    ),
    Peer(
        "kaiko-eva 0.4.5",
        "eva_config",
        "kaiko-eva[vision]==0.4.5",
        "a linear layer by AdamW, 100 epochs at a rate that the user chooses (its own recipes take 12,500 steps); "
        "several initialisations with `n_runs`, no interval over patients",
        eva_vectors,
        eva_metrics,
        probe_is="again",
        better="segmentation and slide-level tasks, heads of several kinds, and any part exchanged in one YAML file",
    ),
    Peer(
        "clip-benchmark 1.6.2",
        "clip_probe",
        "clip-benchmark==1.6.2",
        "a linear layer by AdamW on vectors of unit length, 10 epochs",
        nothing,
        clip_metrics,
        pins=("numpy<2.4",),
        why="its accuracy fails with numpy 2.4: 'only 0-dimensional arrays can be converted to Python scalars'",
        better="zero-shot classification, retrieval and captions of image-text models, data streamed from WebDataset",
    ),
    Peer(
        "clip-benchmark 1.6.2, calls to CUDA left out",
        "clip_probe_cpu",
        "clip-benchmark==1.6.2",
        "the same",
        clip_vectors,
        clip_metrics,
        pins=("numpy<2.4",),
        probe_is="again",
        lent="clip_probe",
    ),
    Peer(
        "thunder-bench 0.2.2",
        "thunder_files",
        "thunder-bench==0.2.2",
        "nine linear layers (three rates, three decays) by Adam, 50 epochs of its 200; the best on the second fold, "
        "which it does not train on; bootstrap interval over images",
        thunder_vectors,
        thunder_metrics,
        pins=("torch==2.11.0",),
        why="its newest torchaudio is built for another CUDA than the newest torch, and does not import",
        better="calibration, adversarial attacks, invariance to transformations, retrieval and LoRA on the same data",
    ),
)


def environment_of(peer: Peer, envs: Path) -> Path:
    """Return the folder of a peer's environment; ways of one library share it."""
    return envs / peer.requirement.partition("=")[0].partition("[")[0]


def make_environment(peer: Peer, envs: Path, python: str) -> None:
    """Install a peer from the registry."""
    folder = environment_of(peer, envs)
    if (folder / "bin" / "python").exists():
        return
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-cache-dir"]
    subprocess.run([*install, peer.requirement, *peer.pins], check=True)


def counted_lines(folder: Path) -> int:
    """Count what a user writes to get a first figure: lines that are neither blank, comment nor docstring alone."""
    count = 0
    for path in sorted(folder.iterdir()):
        if path.suffix not in (".py", ".yaml", ".toml", ".sh") or path.name in ("again.sh", "probe.sh"):
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            text = line.strip()
            documentation = text.startswith('"""') and text.endswith('"""') and len(text) > 5
            if text and not text.startswith("#") and not documentation and "# for the comparison" not in text:
                count += 1
    return count


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


LEGEND = """*Again* is the same question once more with what was kept; *probe anew* is a new fit on kept vectors.
*Processor* is the time of all cores, which other work on the machine disturbs less than the time on the wall. *Lowest
cosine*: of an image's vector to ours. *One probe*: the same logistic regression on everybody's vectors."""


def table_of(report: dict[str, Any]) -> str:
    """Return the table of times, memory, figures and lines."""
    lines = ["| harness | cold (s) | again (s) | probe anew (s) | processor, cold (s) | memory, cold (MB) | lines "]
    lines[0] += "| accuracy, balanced, AUC | lowest cosine | AUC of one probe |"
    lines += ["|---|---:|---:|---:|---:|---:|---:|---|---:|---:|"]
    for row in report["rows"]:
        if row["failed"]:
            told = "does not run without CUDA" if "NVIDIA" in row["failed"] else "fails"
            lines.append(f"| {row['title']} | {told} | | | | | {row['lines']} | | | |")
            continue
        cells = [row["title"], *(f"{row[kind]['seconds']:.1f}" if kind in row else "–" for kind in TIMES)]
        cells += [f"{row['cold']['processor']:.0f}", f"{row['cold']['mb']:,}", str(row["lines"])]
        names = ("accuracy", "balanced accuracy", "AUC")
        cells.append(", ".join(f"{row['metrics'][name]:.3f}" if name in row["metrics"] else "–" for name in names))
        cells.append(f"{row['cosine']:.6f}" if "cosine" in row else "–")
        cells.append(f"{row['one_probe_auc']:.3f}" if "one_probe_auc" in row else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def circumstances(report: dict[str, Any]) -> str:
    """Say what was measured, on what, and how busy the machine was."""
    loads = [run["load"] for row in report["rows"] for kind in TIMES for run in row.get(kind, {}).get("runs", [])]
    return (
        f"{report['images']} images of {report['patients']} patients of BUS-BRA, a ViT-S of timm with random weights, "
        f"{report['machine']}, {report['threads']} threads, no GPU.\nMedians of runs in turns: cold {report['cold']}, "
        f"otherwise {report['repeats']}. Load of the machine, each run's own included, {min(loads)} to {max(loads)}: "
        "small differences in seconds mean nothing."
    )


def page(report: dict[str, Any]) -> str:
    """Return the page beside the JSON."""
    written = "Written by `benchmarks/peers.py`; what a user writes is in [peer_scripts](peer_scripts)."
    told = ["# Beside other benchmarks", "", written, "", circumstances(report), "", table_of(report), LEGEND, ""]
    told += ["## What each does from vectors to a figure", ""]
    told += [f"- **{row['title']}**: {row['protocol']}." for row in report["rows"]]
    told += [
        "",
        "The figures of different probes differ, and with random weights and one fold say nothing of an encoder.",
    ]
    for row in report["rows"]:
        if "without_mteb" in row:
            told.append(
                f"mteb's protocol, repeated with scikit-learn alone on our vectors, gives an accuracy of "
                f"{row['without_mteb']:.3f}; mteb says {row['metrics']['accuracy']:.3f}."
            )
    told += ["", "## What does not run as it installs", ""]
    for row in report["rows"]:
        if row["why"]:
            told.append(f"- **{row['title']}**: {row['why']}; measured with `{' '.join(row['pins'])}`.")
        if row["failed"]:
            told.append(f"- **{row['title']}**: {row['failed']}")
    told += ["", "## What each does better", "", better(report)]
    return "\n".join(told) + "\n"


def better(report: dict[str, Any]) -> str:
    """Say what each does better than this project."""
    return "\n".join(f"- **{row['title']}**: {row['better']}." for row in report["rows"] if row["better"])


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
