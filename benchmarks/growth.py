"""Time and peak memory of index, store and probe for 10^3 to 10^5 frames, with synthetic vectors.

Each size runs in a process of its own. Index: a manifest of so many images, five a patient, is read, grouped, digested
and its frames are chosen; the images are links to those of the embedded subset. Store: vectors are published in shards
as an extraction does it, and read again from disk. Probe: ``svc-nested`` by patient. Libraries are imported and every
part is run on a few frames before the clock starts.

    python benchmarks/growth.py
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


def peak_mib() -> int:
    """Peak memory of this process; the kernel's own count, because a child inherits `ru_maxrss` from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000])
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.size:
        print(json.dumps(one_size(args.size, args.width)))
        return
    rows: list[dict[str, float]] = []
    for size in args.sizes:
        command = [sys.executable, __file__, "--size", str(size), "--width", str(args.width)]
        rows.append(json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout))
        print(rows[-1], flush=True)
    report: dict[str, Any] = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load": round(os.getloadavg()[0], 2),
        "width": args.width,
        "limit_mib": LIMIT_MIB,
        "fits": rows[-1]["peak_mib"] <= LIMIT_MIB,
        "rows": rows,
    }
    (HERE / "growth.json").write_text(json.dumps(report, indent=1) + "\n")
    circumstances = f"{report['machine']}, {args.width} values a vector, load of the machine {report['load']}."
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
    lines += [f"that a frame costs less before there are {args.width} patients in a training fold, and no more beyond."]
    (HERE / "growth.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
