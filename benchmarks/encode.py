"""Encoding the plain way, as the upstream scripts do it, and ours, in one run.

Plain: one image at a time, float32, eager; SAM by ``segment_anything`` itself. Ours: the adapters of this project, in
batches, in float32 and in the precision that ``auto`` settles on. All with the same random weights and the same frames
of COVID-BLUES, preprocessed beforehand; repeats are interleaved. Beside each repeat the speed of a matrix product is
measured, so that a busy machine can be told from slow code.

    python benchmarks/encode.py --data DATA_ROOT/covid_blues --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from usbench.embedding.passes import Passes
from usbench.embedding.precision import COSINE, lowest_cosine
from usbench.encoder import Encoder
from usbench.media import open_media
from usbench.plugins import load_encoder

HERE = Path(__file__).resolve().parent
ENCODERS = {"tusa.random": 16, "usfm.random": 8, "medsam.random": 1, "ultrasam.random": 1}


def frames(folder: Path, count: int) -> list[Any]:
    """Read the first frame of ``count`` videos, by name."""
    videos = sorted(path for path in folder.rglob("*.mp4") if not path.name.startswith("."))[:count]
    if len(videos) < count:
        raise SystemExit(f"{folder}: holds {len(videos)} videos, {count} are needed. Give the COVID-BLUES folder.")
    found = []
    for path in videos:
        with open_media(path) as media:
            found.append(media.frames([0])[0])
    return found


def plain(encoder: Encoder) -> Callable[[torch.Tensor], np.ndarray[Any, Any]]:
    """Return the forward pass of the upstream scripts for one image."""
    network = encoder.network
    if encoder.name.startswith(("medsam", "ultrasam")):
        kept: list[torch.Tensor] = []
        network.blocks[-1].register_forward_hook(lambda module, inputs, output: kept.append(output))

        def pooled(image: torch.Tensor) -> torch.Tensor:
            kept.clear()
            network(image)
            return kept[0].mean(dim=(1, 2))

    elif encoder.name.startswith("usfm"):
        for block in network.blocks:
            block.attn.fused_attn = False

        def pooled(image: torch.Tensor) -> torch.Tensor:
            tokens: torch.Tensor = network.forward_features(image)
            return tokens[:, 1:].mean(dim=1)

    else:

        def pooled(image: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = network(image, normalize=True)[4]
            return states.mean(dim=(2, 3))

    def run(batch: torch.Tensor) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return np.concatenate([pooled(image[None]).numpy() for image in batch])

    return run


def ceiling(dtype: torch.dtype) -> float:
    """Speed of a matrix product of the size that SAM's layers have, in GFLOP/s."""
    left, right = torch.rand(4096, 768).to(dtype), torch.rand(768, 3072).to(dtype)
    left @ right
    started = time.perf_counter()
    for _ in range(3):
        left @ right
    return 3 * 2 * 4096 * 768 * 3072 / (time.perf_counter() - started) / 1e9


def measure(name: str, images: list[Any], repeats: int) -> dict[str, Any]:
    """Time the ways in turns on one encoder."""
    upstream, ours, half = load_encoder(name), load_encoder(name), load_encoder(name, precision="bf16")
    batch = torch.stack([ours.preprocess(image) for image in images])
    for encoder in (upstream, ours, half):
        encoder.prepare()
    single, double = Passes(ours), Passes(half)  # as the extraction engine runs them; the threads end with the program
    ways: dict[str, Callable[[torch.Tensor], Any]] = {
        "plain": plain(upstream),
        "fp32": lambda frames: single.encode(list(frames), name),
        "bf16": lambda frames: double.encode(list(frames), name),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    processor: dict[str, list[float]] = {way: [] for way in ways}
    speeds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    answers: dict[str, Any] = {}
    loads = []
    if len(images) > 1:  # a pass of SAM takes so long that what the first one sets up does not show
        for way in ways.values():
            way(batch[:1])
    for _ in range(repeats):
        loads.append(os.getloadavg()[0])
        for key, way in ways.items():
            started, worked = time.perf_counter(), time.process_time()
            answers[key] = way(batch)
            processor[key].append(time.process_time() - worked)
            seconds[key].append(time.perf_counter() - started)
        speeds["fp32"].append(ceiling(torch.float32))
        speeds["bf16"].append(ceiling(torch.bfloat16))
    rate = {way: len(images) / statistics.median(times) for way, times in seconds.items()}
    cosine = lowest_cosine(answers["plain"], answers["bf16"])
    auto = "bf16" if cosine >= COSINE else "fp32"
    top = statistics.median(speeds[auto])
    return {
        "encoder": name,
        "frames": len(images),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "images_per_second": rate,
        # Less disturbed by other work than the time on the wall.
        "processor_seconds": {way: statistics.median(times) for way, times in processor.items()},
        "ratio_fp32": rate["fp32"] / rate["plain"],
        "ratio_bf16": rate["bf16"] / rate["plain"],
        "auto": auto,
        "cosine_bf16": cosine,
        "apart_fp32": float(np.abs(answers["plain"] - answers["fp32"]).max()),
        "matmul_gflops": {way: statistics.median(values) for way, values in speeds.items()},
        "share_of_matmul": rate[auto] * (ours.card.gflops or 0) / top,
        "load": loads,
    }


PAGE = """# Encoding against the plain way

Written by `benchmarks/encode.py`. {machine}, frames of COVID-BLUES, random weights, medians of interleaved repeats.
Other work ran on the machine: the loads are in the JSON, and the ratios count, not the rates. Plain is one image at a
time in eager float32.

| encoder | threads, repeats | plain (img/s) | ours, fp32 (img/s) | ours, bf16 (img/s) | fp32 ratio | bf16 ratio \
| bf16 cosine | `auto` takes | share of matmul speed |
|---|---|---:|---:|---:|---:|---:|---:|---|---:|
{rows}

The share counts the operations on the encoder's card against the product of matrices in the precision that `auto`
takes. Results that enter a leaderboard are made in fp32, the default.
"""


def write(report: dict[str, Any]) -> None:
    """Write the JSON and the page."""
    (HERE / "encode.json").write_text(json.dumps(report, indent=1) + "\n")
    lines = []
    for row in report["rows"]:
        rate = row["images_per_second"]
        cells = [row["encoder"], f"{row['threads']}, {row['repeats']}"]
        cells += [f"{rate[way]:.3f}" for way in ("plain", "fp32", "bf16")]
        cells += [f"{row['ratio_fp32']:.1f}", f"{row['ratio_bf16']:.1f}", f"{row['cosine_bf16']:.6f}"]
        cells += [row["auto"], f"{row['share_of_matmul']:.0%}"]
        lines.append(f"| {' | '.join(cells)} |")
    (HERE / "encode.md").write_text(PAGE.format(machine=report["machine"], rows="\n".join(lines)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of COVID-BLUES")
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS), choices=list(ENCODERS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    images = frames(args.data, max(ENCODERS.values()))
    path = HERE / "encode.json"
    rows = {row["encoder"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}
    for name in args.encoders:
        rows[name] = measure(name, images[: ENCODERS[name]], args.repeats)
        print(json.dumps(rows[name]), flush=True)
        ordered = [rows[key] for key in ENCODERS if key in rows]
        machine = f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores"
        write({"machine": machine, "rows": ordered})  # at once: SAM takes minutes


if __name__ == "__main__":
    main()
