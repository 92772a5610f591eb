"""Time and peak memory of index, store and probe for 10^3 to 10^5 frames, and peak memory of whole runs.

Each size runs in a process of its own, with synthetic vectors. Index: a manifest of so many images, five a patient, is
read, grouped, digested and its frames are chosen; the images are links to those of the embedded subset. Store: vectors
are published in shards as an extraction does it, and read again from disk. Probe: ``svc-nested`` by patient. Libraries
are imported and every part is run on a few frames before the clock starts.

Whole runs: films of 200 frames of 8 x 8 pixels, two a patient, are encoded by a fixed projection to 256 values and
probed with ``svc-nested``; then the same in a new process, with every vector in the store. What the libraries and a run
of 4000 frames take is not counted.

    python benchmarks/growth.py
    python benchmarks/growth.py --memory  # the whole runs alone; the times of the last report stay
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent
IMAGES = HERE.parent / "tasks" / "usbench_tasks" / "data" / "bus_bra_subset" / "Images"
LIMIT_MIB = 2048
SHARD = 1024
FRAMES_A_PATIENT = 5


def peak_kib() -> int:
    """Peak memory of this process; the kernel's own count, because a child inherits `ru_maxrss` from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0])


def peak_mib() -> int:
    """Peak memory of this process in MiB."""
    return peak_kib() // 1024


def labels_of(count: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One label per patient, of two classes in turns."""
    return np.arange(count // FRAMES_A_PATIENT) % 2


def index(count: int, folder: Path) -> float:
    """Read a manifest of ``count`` images and choose their frames; seconds, without the making of the links."""
    from usbench.data.frame_sampling import AllFrames
    from usbench.data.frames import decoding_versions
    from usbench.data.manifest import ManifestDataset
    from usbench.task.cohort import build_cohort, select_frames
    from usbench.task.task import Task

    pictures = sorted(IMAGES.glob("*.png"))
    labels = labels_of(count)
    lines = ["path,subject,label"]
    for number in range(count):
        (folder / f"{number}.png").symlink_to(pictures[number % len(pictures)])
        patient = number // FRAMES_A_PATIENT
        lines.append(f"{number}.png,{patient},{labels[patient]}")
    manifest = folder / "manifest.csv"
    manifest.write_text("\n".join(lines) + "\n")
    task = Task(name="growth", title="Growth", dataset=str(manifest), target="label", positive="1")
    started = time.perf_counter()
    dataset = ManifestDataset(manifest)
    cohort = build_cohort(task, dataset)
    digests = {path: dataset.digest(path) for unit in cohort.units for path in unit.paths}
    refs, _, _ = select_frames(cohort, dataset, AllFrames(), digests, decoding_versions())
    dataset.fingerprint()
    taken = time.perf_counter() - started
    if len(refs) != count:
        raise SystemExit(f"the index chose {len(refs)} of {count} frames")
    return taken


def store(count: int, width: int, folder: Path) -> tuple[float, float, np.ndarray[Any, np.dtype[np.float32]]]:
    """Publish ``count`` vectors and read them again; seconds of both, and the vectors."""
    from usbench.embedding.store import Store
    from usbench.encoder.card import EncoderIdentity

    identity = EncoderIdentity("synthetic", 1, "none", "default", "default", "fp32")
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(count)]
    labels = labels_of(count)
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    writer = Store(folder, identity)
    for first in range(0, count, SHARD):
        some = keys[first : first + SHARD]
        vectors = rng.standard_normal((len(some), width), dtype=np.float32)
        vectors[:, 0] += labels[np.arange(first, first + len(some)) // FRAMES_A_PATIENT]
        writer.put(some, vectors)
    wrote = time.perf_counter() - started
    del writer
    started = time.perf_counter()
    reader = Store(folder, identity)
    if reader.missing(keys):
        raise SystemExit("the store lost vectors")
    embeddings = reader.get(keys)
    return wrote, time.perf_counter() - started, embeddings


def probe(embeddings: np.ndarray[Any, np.dtype[np.float32]]) -> float:
    """Seconds of the nested SVC on one division into folds."""
    from usbench.probes.data import ProbeData
    from usbench.probes.protocols import run_protocol
    from usbench.statistics import repeated_subject_folds

    labels = labels_of(len(embeddings))
    groups = np.arange(len(labels))
    started = time.perf_counter()
    data = ProbeData(embeddings, np.repeat(groups, FRAMES_A_PATIENT), labels, groups)
    splits = repeated_subject_folds(groups, labels, 5, 1, 0)
    run_protocol("svc-nested", data, splits, question="classification", n_jobs=1)
    return time.perf_counter() - started


def one_size(count: int, width: int) -> dict[str, float]:
    """Index, store, read and probe ``count`` frames; meant for a process of its own."""
    report: dict[str, float] = {"frames": count}
    for frames in (50 * FRAMES_A_PATIENT, count):
        with tempfile.TemporaryDirectory() as folder:
            report["index_s"] = index(frames, Path(folder))
        with tempfile.TemporaryDirectory() as folder:
            report["write_s"], report["read_s"], embeddings = store(frames, width, Path(folder))
        report["vectors_mib"] = embeddings.nbytes / 2**20
        report["store_peak_mib"] = peak_mib()
        report["probe_s"] = probe(embeddings)
        report["peak_mib"] = peak_mib()
    report["ms_a_frame"] = 1000 * sum(report[f"{part}_s"] for part in ("index", "write", "read", "probe")) / count
    return {name: round(value, 2) for name, value in report.items()}


RUN_WIDTH = 256
FILM = 200
WARM = 4000  # frames of the run before the one that is measured, with as many patients as folds in each class
PROJECTION = """
import torch
from usbench import Encoder, EncoderCard


class Projection(Encoder):
    card = EncoderCard(name="projection", title="Projection", embedding_dim=256, input_size=(8, 8), parameters=0)

    def load(self):
        return None

    def preprocess(self, frame):
        return torch.from_numpy(frame.astype("float32"))[None]

    def encode(self, batch):
        generator = torch.Generator().manual_seed(0)
        return batch.flatten(1) @ torch.randn(64, 256, generator=generator)
"""


def films(count: int, folder: Path) -> Path:
    """Write ``count`` frames in films, and a manifest of them; return its path."""
    folder.mkdir(exist_ok=True)
    rng, lines = np.random.default_rng(0), ["path,subject,label"]
    for number in range(count // FILM):
        np.save(folder / f"{number}.npy", rng.integers(0, 256, (FILM, 8, 8), dtype=np.uint8))
        lines.append(f"{number}.npy,{number // 2},{number // 2 % 2}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def run_growth(count: int, folder: Path) -> int:
    """Return by how many bytes a run of ``count`` frames raises the peak memory; meant for a process of its own."""
    from usbench import load_encoder
    from usbench.core.settings import load_settings
    from usbench.data.frame_sampling import AllFrames
    from usbench.pipeline.context import Options, prepare
    from usbench.pipeline.experiment import run_prepared
    from usbench.task.task import Task

    (folder / "projection.py").write_text(PROJECTION)
    settings = load_settings(cache_dir=folder / "cache")
    before = 0
    for frames in (WARM, count):
        before = peak_kib()
        manifest = films(frames, folder / str(frames))
        task = Task(
            name="growth",
            title="Growth",
            dataset=str(manifest),
            target="label",
            positive="1",
            frames=AllFrames(),
            protocols=("svc-nested@1",),
        )
        ready = prepare(load_encoder(f"{folder / 'projection.py'}:Projection"), task, Options(), settings)
        run_prepared(ready, Options(), settings)
    return 1024 * (peak_kib() - before)


def whole_runs(sizes: list[int]) -> list[dict[str, float]]:
    """Measure runs of these sizes, encoding and from the store."""
    rows = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, "--run", str(size), folder]
            grown = [int(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout) for _ in range(2)]
        mib = [round(bytes_ / 2**20, 1) for bytes_ in grown]
        rows.append({"frames": size, "encoding_mib": mib[0], "stored_mib": mib[1]})
        print(rows[-1], flush=True)
    return rows


def law(rows: list[dict[str, float]]) -> dict[str, float]:
    """Return KiB per frame between the smallest and the largest run."""
    first, last = rows[0], rows[-1]
    frames = last["frames"] - first["frames"]
    return {
        f"{name}_kib_per_frame": round(1024 * (last[f"{name}_mib"] - first[f"{name}_mib"]) / frames, 2)
        for name in ("encoding", "stored")
    }


def memory_of_runs(report: dict[str, Any]) -> list[str]:
    """Return the lines of the page on the memory of whole runs."""
    encoding, stored = (report[f"{name}_kib_per_frame"] for name in ("encoding", "stored"))
    return [
        "",
        "## Memory of a run",
        "",
        f"Growth of the peak by a whole run of `svc-nested`, {RUN_WIDTH} values a vector, films of {FILM} frames:",
        "",
        "| frames | encoding (MiB) | from the store (MiB) |",
        "|---:|---:|---:|",
        *(f"| {row['frames']} | {row['encoding_mib']:g} | {row['stored_mib']:g} |" for row in report["runs"]),
        "",
        f"**The law**: at most {encoding:g} KiB per frame while encoding and {stored:g} KiB from the store, of which",
        f"the vector itself is {4 * RUN_WIDTH / 1024:g} KiB. A run holds every vector once, and beside it the",
        "reference and the key of its frame. Files are decoded, shards read and units averaged one after the other;",
        "frames on their way to the network take at most 256 MiB, whatever their number. An attention protocol holds",
        "the vectors a second time, padded to the longest unit, as it looks at single frames.",
        "",
        "The rest of the difference does not grow on: training sets of up to 300 patients are solved together, as the",
        "250 of the larger run are and the 25 of the smaller hardly need, in about 120 MiB of working memory.",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--memory", action="store_true", help="measure whole runs alone")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        print(run_growth(int(args.run[0]), Path(args.run[1])))
        return
    if args.size:
        print(json.dumps(one_size(args.size, args.width)))
        return
    runs = whole_runs([size for size in args.sizes if size > WARM])
    report: dict[str, Any] = json.loads((HERE / "growth.json").read_text()) if args.memory else times(args)
    report |= {"runs": runs, **law(runs)}
    (HERE / "growth.json").write_text(json.dumps(report, indent=1) + "\n")
    (HERE / "growth.md").write_text("\n".join(page(report)) + "\n")


def times(args: argparse.Namespace) -> dict[str, Any]:
    """Measure index, store and probe."""
    rows: list[dict[str, float]] = []
    for size in args.sizes:
        command = [sys.executable, __file__, "--size", str(size), "--width", str(args.width)]
        rows.append(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))
        print(rows[-1], flush=True)
    return {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 2),
        "width": args.width,
        "limit_mib": LIMIT_MIB,
        "fits": rows[-1]["peak_mib"] <= LIMIT_MIB,
        "rows": rows,
    }


def page(report: dict[str, Any]) -> list[str]:
    """Return the lines of the page."""
    rows = report["rows"]
    circumstances = f"{report['machine']}, {report['width']} values a vector, load of the machine {report['load']}."
    columns = {
        "frames": "frames",
        "index_s": "index (s)",
        "write_s": "write (s)",
        "read_s": "read (s)",
        "probe_s": "probe (s)",
        "ms_a_frame": "all, a frame (ms)",
        "vectors_mib": "vectors (MiB)",
        "store_peak_mib": "peak of index and store (MiB)",
        "peak_mib": "peak (MiB)",
    }
    lines = ["# Growth", "", f"Written by `benchmarks/growth.py`. {circumstances}", ""]
    lines += [f"| {' | '.join(columns.values())} |", "|" + "---:|" * len(columns)]
    lines += ["| " + " | ".join(f"{row[column]:g}" for column in columns) + " |" for row in rows]
    verdict = "fits" if report["fits"] else "does not fit"
    lines += [
        "",
        f"The largest case {verdict} in {LIMIT_MIB} MiB. The probe is `svc-nested` on one core, five frames a",
    ]
    lines += [
        "patient. It is exact: with fewer patients than values a vector it works in the space of the patients, so"
    ]
    lines += [
        f"that a frame costs less before there are {report['width']} patients in a training fold, and no more beyond."
    ]
    return lines + memory_of_runs(report)


if __name__ == "__main__":
    main()
