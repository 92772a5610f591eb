"""From files to a leaderboard entry: ``covid`` with TUSA from an empty store, and where the time goes.

Three ways in turns, each in a process of its own, on all videos of COVID-BLUES:

- *plain*: for each frame of the same sample the video is opened and decoded up to it, the frame preprocessed and put
  through MONAI's network by itself, in eager float32. No probe.
- *ours*: ``usbench run`` from an empty store, until the process ends: index, decoding, encoding, probes, intervals.
- *network alone*: the same frames, decoded and preprocessed beforehand, through the same passes.

The share of time outside the network is told twice. By the engine's own clock it is the time in which no frame was in
the network: start-up, reading, storing, probing. Against *network alone* it is all that ``usbench run`` takes longer:
also what decoding beside the network costs on the same cores.

    python benchmarks/pipeline.py --data-root DATA_ROOT
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WAYS = ("plain", "ours", "network alone")


def sample(data_root: Path) -> tuple[Any, Any, list[Any]]:
    """Return encoder, dataset and the frames that the task asks for."""
    from usbench.core.settings import load_settings
    from usbench.data.frames import decoding_versions
    from usbench.plugins.catalog import load_encoder, load_task
    from usbench.plugins.data_sources import dataset_for
    from usbench.task.cohort import build_cohort, select_frames

    task = load_task("covid")
    dataset = dataset_for(task, load_settings([data_root]), None).dataset
    cohort = build_cohort(task, dataset)
    digests = {path: path for unit in cohort.units for path in unit.paths}  # keys of a store that is not used
    refs, _, _ = select_frames(cohort, dataset, task.frames, digests, decoding_versions())
    return load_encoder("tusa"), dataset, refs


def plain(data_root: Path) -> dict[str, float]:
    """Decode and encode frame by frame."""
    import torch

    import tusa

    started = time.perf_counter()
    encoder, dataset, refs = sample(data_root)
    # The network of a script of one's own is MONAI's, with these very weights.
    network = tusa.Tusa().unet.swinViT.eval().requires_grad_(False)
    network.load_state_dict(encoder.network.state_dict())
    with torch.no_grad():
        for ref in refs:
            with dataset.open(ref.path) as media:
                frame = media.frames([ref.frame])[0]
            network(encoder.preprocess(frame)[None], normalize=True)[4].mean(dim=(2, 3)).numpy()
    return {"seconds": time.perf_counter() - started, "frames": len(refs)}


def network_alone(data_root: Path) -> dict[str, float]:
    """Encode frames that are ready."""
    from usbench.embedding.prefetch import prepared_frames
    from usbench.encoder.batching import Passes

    encoder, dataset, refs = sample(data_root)
    ready = [tensor for _, tensor in prepared_frames(encoder, dataset, refs)]
    with Passes(encoder) as passes:
        passes.encode(ready[: passes.frames], "the first frames")
        started = time.perf_counter()
        passes.encode(ready, "all frames")
        return {"seconds": time.perf_counter() - started, "frames": len(refs)}


def ours(data_root: Path, folder: Path) -> dict[str, float]:
    """Run the command on an empty store, and return its wall time and what it recorded itself."""
    environment = {**os.environ, "USBENCH_CACHE": str(folder / "cache"), "USBENCH_CONFIG": str(folder / "c.toml")}
    command = [sys.executable, "-m", "usbench", "run", "-e", "tusa", "-t", "covid"]
    command += ["--data-root", str(data_root), "--results", str(folder / "results")]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise SystemExit(f"usbench run failed with {done.returncode}: {done.stderr.strip()[-400:]}")
    kept = json.loads((folder / "results" / "covid" / "tusa.json").read_text())["provenance"]["timings"]
    return {
        "seconds": seconds,
        "frames": kept["frames"],
        "encode": kept["encode_seconds"],
        "network": kept["network_seconds"],
        "probe": kept["probe_seconds"],
    }


def once(way: str, data_root: Path) -> dict[str, float]:
    """Take one way in a process of its own."""
    if way == "ours":
        with tempfile.TemporaryDirectory() as folder:
            return ours(data_root, Path(folder))
    command = [sys.executable, __file__, "--data-root", str(data_root), "--way", way]
    found: dict[str, float] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def page(report: dict[str, Any]) -> str:
    """The figures as Markdown."""
    seconds, rate = report["seconds"], {way: report["frames"] / report["seconds"][way] for way in WAYS}
    rows = "\n".join(
        f"| {way} | {seconds[way]:.1f} | {rate[way]:.1f} | {seconds['plain'] / seconds[way]:.1f} |" for way in WAYS
    )
    return f"""# From files to a leaderboard entry

Written by `benchmarks/pipeline.py`: `covid` with TUSA from an empty store, {report["frames"]} frames of all videos.
{report["machine"]}, medians of {report["repeats"]} interleaved repeats, load of the machine before each
{", ".join(map(str, report["load"]))}.

| way | seconds | frames per second | ratio |
|---|---:|---:|---:|
{rows}

Of the {seconds["ours"]:.1f} s of `usbench run`, **{report["outside"]:.0%} are outside the network** by the engine's own
clock, and {report["beyond_network"]:.0%} are more than the network takes alone: decoding beside it uses the same cores.
{report["encode_seconds"]:.1f} s are from the beginning of the extraction to its end, the import of torch included, and
{report["probe_seconds"]:.1f} s are probes with their intervals; the rest is start-up, index and digests.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", type=Path, required=True, help="folder that holds covid_blues")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print(json.dumps((plain if args.way == "plain" else network_alone)(args.data_root)))
        return
    found: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
    loads = []
    for _ in range(args.repeats):
        loads.append(round(os.getloadavg()[0], 2))
        for way in WAYS:
            found[way].append(once(way, args.data_root))
            print(way, found[way][-1], flush=True)
    seconds = {way: statistics.median(run["seconds"] for run in runs) for way, runs in found.items()}
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "repeats": args.repeats,
        "load": loads,
        "frames": int(found["ours"][0]["frames"]),
        "seconds": seconds,
        "encode_seconds": statistics.median(run["encode"] for run in found["ours"]),
        "probe_seconds": statistics.median(run["probe"] for run in found["ours"]),
        "network_seconds": statistics.median(run["network"] for run in found["ours"]),
        "outside": statistics.median(1 - run["network"] / run["seconds"] for run in found["ours"]),
        "beyond_network": 1 - seconds["network alone"] / seconds["ours"],
    }
    (HERE / "pipeline.json").write_text(json.dumps(report, indent=1) + "\n")
    (HERE / "pipeline.md").write_text(page(report))
    print(page(report))


if __name__ == "__main__":
    main()
