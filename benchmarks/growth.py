"""Time and peak memory of the store and of a probe for 10^3 to 10^5 frames, with synthetic vectors.

Each size runs in a process of its own: vectors are published in shards as an extraction does it, read again from disk,
and probed by patient, five frames a patient.

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
LIMIT_MIB = 2048
SHARD = 1024


def peak_mib() -> int:
    """Peak memory of this process; the kernel's own count, because a child inherits `ru_maxrss` from its parent."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def one_size(count: int, width: int) -> dict[str, float]:
    """Store, read and probe ``count`` frames; meant for a process of its own."""
    from usbench.embedding.store import Store
    from usbench.encoder import EncoderIdentity
    from usbench.probes.data import ProbeData
    from usbench.probes.protocols import run_protocol
    from usbench.statistics import repeated_subject_folds

    identity = EncoderIdentity("synthetic", 1, "none", "default", "default", "fp32")
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(count)]
    units = count // 5
    labels = np.arange(units) % 2
    rng = np.random.default_rng(0)
    report: dict[str, float] = {"frames": count}
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        writer = Store(Path(folder), identity)
        for first in range(0, count, SHARD):
            some = keys[first : first + SHARD]
            vectors = rng.standard_normal((len(some), width), dtype=np.float32)
            vectors[:, 0] += labels[np.minimum(np.arange(first, first + len(some)) // 5, units - 1)]
            writer.put(some, vectors)
        report["write_s"] = time.perf_counter() - started
        del writer
        started = time.perf_counter()
        reader = Store(Path(folder), identity)
        if reader.missing(keys):
            raise SystemExit("the store lost vectors")
        embeddings = reader.get(keys)
        report["read_s"] = time.perf_counter() - started
    report["vectors_mib"] = embeddings.nbytes / 2**20
    report["store_peak_mib"] = peak_mib()
    del reader
    started = time.perf_counter()
    groups = np.arange(units)
    data = ProbeData(embeddings, np.repeat(groups, 5), labels, groups)
    splits = repeated_subject_folds(groups, labels, 5, 1, 0)
    run_protocol("svc-nested", data, splits, question="classification", n_jobs=1)
    report["probe_s"] = time.perf_counter() - started
    report["peak_mib"] = peak_mib()
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
    columns = ("frames", "write_s", "read_s", "probe_s", "vectors_mib", "store_peak_mib", "peak_mib")
    lines = ["# Growth", "", f"Written by `benchmarks/growth.py`. {circumstances}", ""]
    lines += ["| frames | write (s) | read (s) | probe (s) | vectors (MiB) | peak of the store (MiB) | peak (MiB) |"]
    lines += ["|" + "---:|" * len(columns)]
    lines += ["| " + " | ".join(f"{row[column]:g}" for column in columns) + " |" for row in rows]
    verdict = "fits" if report["fits"] else "does not fit"
    lines += ["", f"The largest case {verdict} in {LIMIT_MIB} MiB. The probe is `svc-nested`, five frames a unit."]
    (HERE / "growth.md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
