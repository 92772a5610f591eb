"""What int8 changes: speed, vectors and figures beside float32, on real images and a real task.

Speed and cosine on the first images of the embedded subset of BUS-BRA, repeats interleaved, passes as the extraction
engine runs them; figures of breast_lesion on all of it. An encoder named under ``--speed-only`` gets no figures.

    python benchmarks/int8.py
    python benchmarks/int8.py --encoders usfm.random --speed-only medsam.random --threads 1

Rows of encoders that are not measured again stay in ``int8.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

import torch

import usbench
from usbench.core.provenance import revision
from usbench.core.settings import load_settings
from usbench.embedding.precision import lowest_cosine
from usbench.encoder.batching import Passes
from usbench.plugins.catalog import load_encoder, load_task
from usbench.plugins.data_sources import dataset_for

HERE = Path(__file__).resolve().parent
TASK = "breast_lesion"
METRICS = ("fold_auc", "accuracy")
PRECISIONS = ("fp32", "int8")
# Images of a repeat; a pass of SAM takes so long that one will do.
FRAMES = {"medsam.random": 1, "ultrasam.random": 1}


def speed(name: str, repeats: int) -> dict[str, Any]:
    """Encode the first images in both precisions in turns."""
    encoders = {precision: load_encoder(name, device="cpu", precision=precision) for precision in PRECISIONS}
    dataset = dataset_for(load_task(TASK), load_settings(), "subset").dataset
    tensors = []
    for path in dataset.index.table["path"].head(FRAMES.get(name, 8)):
        with dataset.open(path) as media:
            tensors.append(encoders["fp32"].preprocess(media.frames([0])[0]))
    seconds: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    answers, loads = {}, []
    with Passes(encoders["fp32"]) as exact, Passes(encoders["int8"]) as rounded:
        ways = {"fp32": exact, "int8": rounded}
        for precision in PRECISIONS if len(tensors) > 1 else ():
            ways[precision].encode(tensors, name)
        for _ in range(repeats):
            loads.append(round(os.getloadavg()[0], 2))
            for precision in PRECISIONS:
                started = time.perf_counter()
                answers[precision] = ways[precision].encode(tensors, name)
                seconds[precision].append((time.perf_counter() - started) / len(tensors))
    each = {precision: statistics.median(times) for precision, times in seconds.items()}
    return {
        "frames": len(tensors),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "load": loads,
        "images_per_second": {precision: 1 / value for precision, value in each.items()},
        "ratio": statistics.median(a / b for a, b in zip(seconds["fp32"], seconds["int8"], strict=True)),
        "cosine": lowest_cosine(answers["fp32"], answers["int8"]),
    }


def figures(name: str, cache: Path | None) -> dict[str, dict[str, dict[str, float]]]:
    """Return the metrics of every protocol in both precisions."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for precision in PRECISIONS:
        (result,) = usbench.run(
            name, TASK, data="subset", device="cpu", precision=precision, label_efficiency=False,
            settings=load_settings((), cache),
        )  # fmt: skip
        for protocol, outcome in result.protocols.items():
            for metric in METRICS:
                found.setdefault(protocol, {}).setdefault(metric, {})[precision] = outcome.metrics[metric].value
    return found


PAGE = """# int8 beside float32

Written by `benchmarks/int8.py`: precision `int8`, which is for screening and enters no leaderboard, on images of the
embedded subset of BUS-BRA. The ratio is the median over interleaved repeats; the cosine is the lowest of the frames.

| encoder | frames, threads, repeats | fp32 (img/s) | int8 (img/s) | **ratio** | cosine to fp32 |
|---|---|---:|---:|---:|---:|
"""

BOARD = """
## What it does to figures

`breast_lesion` on the 354 images of 204 patients. Both columns come from the same folds, so that a change is that
of the vectors alone.

| encoder | protocol | metric | fp32 | int8 | change |
|---|---|---|---:|---:|---:|
"""


def write(report: dict[str, Any]) -> None:
    """Write the JSON and the page."""
    (HERE / "int8.json").write_text(json.dumps(report, indent=1) + "\n")
    lines, changes = [], []
    for row in report["rows"]:
        rate = row["images_per_second"]
        cells = [row["encoder"], f"{row['frames']}, {row['threads']}, {row['repeats']}"]
        cells += [f"{rate['fp32']:.3f}", f"{rate['int8']:.3f}", f"**{row['ratio']:.2f}**", f"{row['cosine']:.6f}"]
        lines.append(f"| {' | '.join(cells)} |")
        for protocol, metrics in row.get("figures", {}).items():
            for metric, values in metrics.items():
                a, b = values["fp32"], values["int8"]
                changes.append(f"| {row['encoder']} | {protocol} | {metric} | {a:.4f} | {b:.4f} | {b - a:+.4f} |")
    (HERE / "int8.md").write_text(PAGE + "\n".join(lines) + "\n" + BOARD + "\n".join(changes) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoders", nargs="*", default=["tusa", "tusa.random", "usfm.random"])
    parser.add_argument("--speed-only", nargs="*", default=["medsam.random"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--cache", type=Path, help="store of vectors, by default the usual one")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = HERE / "int8.json"
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"rows": []}
    rows = {row["encoder"]: row for row in report["rows"]}
    for name in (*args.encoders, *args.speed_only):
        repeats = args.repeats if name not in FRAMES else min(2, args.repeats)
        rows[name] = {**rows.get(name, {}), "encoder": name, "revision": revision(), **speed(name, repeats)}
        report["rows"] = list(rows.values())
        write(report)
        print(json.dumps(rows[name]), flush=True)
    for name in args.encoders:
        rows[name]["figures"] = figures(name, args.cache)
        write(report)


if __name__ == "__main__":
    main()
