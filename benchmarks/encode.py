"""Encoding the plain way, as the upstream scripts do it, and ours, in one run, on every device that there is.

Plain: one image at a time, float32, eager; SAM by ``segment_anything`` itself. Ours: the adapters of this project, in
the batches that the extraction engine takes, in float32 and, where the device has instructions for it, in bfloat16.
The plain way runs in a process of its own: the engine tells the C library to keep freed memory, which a script of one's
own does not, and which would make it faster too. Both with the same weights, random but those of `tusa`, and the same
frames of COVID-BLUES, preprocessed beforehand; repeats are interleaved.
Beside each repeat the speed of a matrix product is measured: the share of it that is reached, and the ratio that all of
it would give, tell slow code from a limit of the machine.

    python benchmarks/encode.py --data DATA_ROOT/covid_blues
    python benchmarks/encode.py --data DATA_ROOT/covid_blues --devices cuda --encoders medsam.random
    python benchmarks/encode.py --data DATA_ROOT/covid_blues --devices cpu --precisions bf16 int8

Rows of other machines stay in ``encode.json`` with the revision that they were measured at.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch

import tusa
from usbench.core.provenance import revision
from usbench.embedding.precision import COSINE, lowest_cosine, multiplies_bfloat16
from usbench.encoder.base import Encoder
from usbench.encoder.batching import Passes
from usbench.encoder.int8 import multiplies_int8
from usbench.media import open_media
from usbench.plugins.catalog import load_encoder

HERE = Path(__file__).resolve().parent
# Frames per repeat on a CPU, and so many times as many on a GPU.
ENCODERS = {"tusa": 16, "tusa.random": 16, "usfm.random": 8, "medsam.random": 1, "ultrasam.random": 1}
ON_GPU = 16

Way = Callable[[torch.Tensor], np.ndarray[Any, Any]]
# Seconds on the wall, CPU seconds, vectors of shape (frames, values).
Timed = tuple[float, float, np.ndarray[Any, Any]]


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


def plain(encoder: Encoder) -> Way:
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
        # The network of the upstream script is MONAI's, with these very weights.
        monai = tusa.Tusa().unet.swinViT.eval().requires_grad_(False)
        monai.load_state_dict(network.state_dict())
        monai.to(encoder.device)

        def pooled(image: torch.Tensor) -> torch.Tensor:
            states: torch.Tensor = monai(image, normalize=True)[4]
            return states.mean(dim=(2, 3))

    def run(batch: torch.Tensor) -> np.ndarray[Any, Any]:
        with torch.no_grad():
            return np.concatenate([pooled(image[None].to(encoder.device)).cpu().numpy() for image in batch])

    return run


def timed(way: Way, batch: torch.Tensor) -> Timed:
    """Run one way once, with its clocks."""
    started, worked = time.perf_counter(), time.process_time()
    answer = way(batch)
    return time.perf_counter() - started, time.process_time() - worked, answer


def answer_plainly(name: str, device: str, threads: int, images: list[Any], pipe: Connection) -> None:
    """Run the plain way once for each message that is true; the first answer says that the network is ready."""
    torch.set_num_threads(threads)
    encoder = load_encoder(name, device=device)
    encoder.prepare()
    way, batch = plain(encoder), torch.stack([encoder.preprocess(image) for image in images])
    pipe.send(None)
    while pipe.recv():
        pipe.send(timed(way, batch))


@contextmanager
def plain_elsewhere(name: str, device: str, images: list[Any]) -> Iterator[Callable[[], Timed]]:
    """Yield what runs the plain way once in a process that holds nothing else."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    child = context.Process(
        target=answer_plainly, args=(name, device, torch.get_num_threads(), images, there), daemon=True
    )
    child.start()
    there.close()  # so that a child that fails ends the wait
    here.recv()

    def once() -> Timed:
        here.send(True)
        found: Timed = here.recv()
        return found

    yield once
    here.send(False)
    child.join()


def ceiling(dtype: torch.dtype, device: str) -> float:
    """Speed of a matrix product of the size that SAM's layers have, in GFLOP/s."""
    left, right = torch.rand(4096, 768, device=device).to(dtype), torch.rand(768, 3072, device=device).to(dtype)
    times = 3 if device == "cpu" else 100

    def products() -> None:
        for _ in range(times):
            left @ right
        if device != "cpu":
            torch.cuda.synchronize()

    products()
    started = time.perf_counter()
    products()
    return times * 2 * 4096 * 768 * 3072 / (time.perf_counter() - started) / 1e9


def able(device: str) -> list[str]:
    """Return the precisions that a device has instructions for."""
    found = {"bf16": multiplies_bfloat16(device), "int8": device == "cpu" and multiplies_int8()}
    return ["fp32", *(precision for precision, there in found.items() if there)]


def measure(name: str, images: list[Any], repeats: int, device: str, asked: Sequence[str]) -> dict[str, Any]:
    """Time the ways in turns on one encoder; float32, against which others are held, is always among them."""
    # Of int8 no ceiling is measured: products alone are in it, and torch multiplies by a function of its own.
    types = {"fp32": torch.float32, "bf16": torch.bfloat16}
    precisions = [precision for precision in able(device) if precision == "fp32" or precision in asked]
    encoders = {precision: load_encoder(name, device=device, precision=precision) for precision in precisions}
    for encoder in encoders.values():
        encoder.prepare()
    batch = torch.stack([encoders["fp32"].preprocess(image) for image in images])

    def ours(precision: str) -> Callable[[], Timed]:
        passes = Passes(encoders[precision])  # as the extraction engine runs them; the threads end with the program
        return lambda: timed(lambda frames: passes.encode(list(frames), name), batch)

    runs: dict[str, list[Timed]] = {}
    speeds: dict[str, list[float]] = {precision: [] for precision in precisions if precision in types}
    loads = []
    with plain_elsewhere(name, device, images) as plainly:
        ways = {"plain": plainly} | {precision: ours(precision) for precision in precisions}
        if len(images) > 1:  # a pass of SAM takes so long that what the first one sets up does not show
            for once in ways.values():
                once()
        for _ in range(repeats):
            loads.append(round(os.getloadavg()[0], 2))
            for key, once in ways.items():
                runs.setdefault(key, []).append(once())
            for precision, rates in speeds.items():
                rates.append(ceiling(types[precision], device))
    answers = {way: found[-1][2] for way, found in runs.items()}
    each = {way: statistics.median(seconds for seconds, _, _ in found) / len(images) for way, found in runs.items()}
    cosine = lowest_cosine(answers["plain"], answers["bf16"]) if "bf16" in ways else None
    work = encoders["fp32"].card.gflops or 0.0
    top = {precision: statistics.median(values) for precision, values in speeds.items()}
    return {
        "encoder": name,
        "frames": len(images),
        "threads": torch.get_num_threads(),
        "repeats": repeats,
        "revision": revision(),
        "images_per_second": {way: 1 / value for way, value in each.items()},
        # Less disturbed by other work than the time on the wall.
        "processor_seconds": {way: statistics.median(worked for _, worked, _ in found) for way, found in runs.items()},
        "ratio": {precision: each["plain"] / each[precision] for precision in precisions},
        "cosine_bf16": cosine,
        **({"cosine_int8": lowest_cosine(answers["plain"], answers["int8"])} if "int8" in ways else {}),
        "auto": "bf16" if cosine is not None and cosine >= COSINE else "fp32",
        "apart_fp32": float(np.abs(answers["plain"] - answers["fp32"]).max()),
        "matmul_gflops": top,
        "share_of_matmul": {precision: work / each[precision] / top[precision] for precision in top},
        "ratio_at_matmul": {precision: each["plain"] * top[precision] / work for precision in top},
        "load": loads,
    }


PAGE = """# Encoding against the plain way

Written by `benchmarks/encode.py`: frames of COVID-BLUES, medians of interleaved repeats; weights are random but those
of `tusa`. Plain is one image at a time in eager float32, in a process of its own. Loads of the machine are in the
JSON; the ratios count, not the rates.
"""

END = """
- *of matmul*: the operations on the encoder's card per second, over those of a product of matrices on the same machine.
- *at 100 %*: the ratio that an encoder would have if it ran as fast as that product and did nothing else. It is what
  this machine allows in this precision, whatever the code.
- *auto*: what `--precision auto` takes: bf16 where the device has instructions for it and the cosine to float32 is at
  least 0.9999. Results that enter a leaderboard are made in fp32, the default.
"""


def write(report: dict[str, Any]) -> None:
    """Write the JSON and the page."""
    (HERE / "encode.json").write_text(json.dumps(report, indent=1) + "\n")
    lines = []
    for machine in report["machines"]:
        revisions = ", ".join(sorted({row["revision"] for row in machine["rows"]}))
        lines += ["", f"## {machine['machine']}", "", f"Measured at revision {revisions}.", ""]
        lines += ["| encoder | threads, repeats | plain (img/s) | precision | ours (img/s) | **ratio** | of matmul "]
        lines[-1] += "| at 100 % | cosine to fp32 | auto |"
        lines += ["|---|---|---:|---|---:|---:|---:|---:|---:|---|"]
        for row in machine["rows"]:
            for precision, ratio in row["ratio"].items():
                rate, cosine = row["images_per_second"], row.get(f"cosine_{precision}")
                share, most = row["share_of_matmul"].get(precision), row["ratio_at_matmul"].get(precision)
                cells = [row["encoder"], f"{row['threads']}, {row['repeats']}", f"{rate['plain']:.3f}", precision]
                cells += [f"{rate[precision]:.3f}", f"**{ratio:.1f}**", "–" if share is None else f"{share:.0%}"]
                cells += ["–" if most is None else f"{most:.1f}", "–" if cosine is None else f"{cosine:.6f}"]
                lines.append(f"| {' | '.join(cells)} | {'taken' if row['auto'] == precision else ''} |")
    (HERE / "encode.md").write_text(PAGE + "\n".join(lines) + "\n" + END)


def machine_name(device: str) -> str:
    """Name what the rates depend on."""
    if device != "cpu":
        return f"{torch.cuda.get_device_name(device)}, torch {torch.__version__}"
    told = "with" if multiplies_bfloat16("cpu") else "without"
    kind = torch.backends.cpu.get_cpu_capability().replace("AVX512", "AVX-512")
    return f"{platform.machine()}, {os.cpu_count()} cores, {kind}, {told} bfloat16 instructions"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of COVID-BLUES")
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS), choices=list(ENCODERS))
    found = ["cpu"] + (["cuda"] if torch.cuda.is_available() else [])
    parser.add_argument("--devices", nargs="*", default=found, help="by default all that there are")
    parser.add_argument(
        "--precisions", nargs="*", default=["bf16"], choices=["fp32", "bf16", "int8"],
        help="beside float32, where the device has instructions for them; int8 is not measured unless asked",
    )  # fmt: skip
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    path = HERE / "encode.json"
    report: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {"machines": []}
    for device in args.devices:
        machine = machine_name(device)
        known = {entry["machine"]: entry for entry in report["machines"]}
        if machine not in known:
            report["machines"].append({"machine": machine, "rows": []})
            known[machine] = report["machines"][-1]
        rows = {row["encoder"]: row for row in known[machine]["rows"]}
        for name in args.encoders:
            images = frames(args.data, ENCODERS[name] * (1 if device == "cpu" else ON_GPU))
            rows[name] = measure(name, images, args.repeats, device, args.precisions)
            print(json.dumps(rows[name]), flush=True)
            known[machine]["rows"] = [rows[key] for key in ENCODERS if key in rows]
            write(report)  # at once: SAM takes minutes


if __name__ == "__main__":
    main()
