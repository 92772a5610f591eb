"""The benchmarks that ``peers.py`` runs: how each is installed, what a user writes, and how its answers are read."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SCRIPTS = Path(__file__).resolve().parent / "peer_scripts"


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
