"""Whether a GPU gives what the CPU gives: vectors of the embedded images of BUS-BRA, and the scores that follow.

Each encoder runs on both devices, in float32 and, on the GPU, in bfloat16, with a store of its own for each. For every
pair it keeps the smallest cosine of two vectors of an image, and for every metric the largest difference.

    python benchmarks/gpu_parity.py --out gpu_parity.json
    python benchmarks/gpu_parity.py --device cpu --encoders pixels --out parity.json      # the program itself, anywhere
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import usbench
from usbench.core.devices import describe_device, resolve_device
from usbench.core.provenance import revision
from usbench.core.settings import load_settings
from usbench.embedding.precision import lowest_cosine

ENCODERS = ("tusa", "tusa.scratch", "tusa.random", "efficientnet-lite0", "usfm.random", "medsam.random")
TASK = "breast_lesion"
IMAGES = 32
"""Images whose vectors are compared; scores rest on all 354."""


def images(count: int) -> list[Any]:
    """The first images of the embedded subset, grey."""
    dataset = usbench.load_dataset("bus-bra-subset")
    found = []
    for path in dataset.index.table["path"][:count]:
        with dataset.open(path) as media:
            found.append(media.frames([0])[0])
    return found


def scores(name: str, device: str, precision: str) -> tuple[dict[str, float], float]:
    """Metrics of the task by protocol and metric, and the seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        results = usbench.run(
            name, TASK, data="subset", device=device, precision=precision, label_efficiency=False,
            settings=load_settings(cache_dir=Path(folder)),
        )  # fmt: skip
        taken = time.perf_counter() - started
    frame = results.to_frame()
    known = frame.dropna(subset="value")
    return {f"{r.protocol}/{r.metric}": float(r.value) for r in known.itertuples()}, taken


def compared(name: str, device: str, frames: list[Any]) -> list[dict[str, Any]]:
    """Rows of one encoder: the device in float32 and in bfloat16, each against the CPU in float32."""
    reference = usbench.load_encoder(name, device="cpu").encode_frames(frames)
    expected, seconds = scores(name, "cpu", "fp32")
    rows = []
    for precision in ("fp32", "bf16"):
        vectors = usbench.load_encoder(name, device=device, precision=precision).encode_frames(frames)
        found, taken = scores(name, device, precision)
        apart = {key: abs(found.get(key, np.inf) - value) for key, value in expected.items()}
        worst = max(apart, key=apart.__getitem__)
        rows.append(
            {
                "encoder": name,
                "precision": precision,
                "lowest_cosine": round(lowest_cosine(reference, vectors), 7),
                "largest_change": float(f"{np.abs(reference - vectors).max():.3g}"),
                "metric_farthest_apart": worst,
                "apart": round(apart[worst], 6),
                "cpu_seconds": round(seconds, 1),
                "seconds": round(taken, 1),
            }
        )
        print(json.dumps(rows[-1]), flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="auto, cuda, mps, cpu")
    parser.add_argument("--encoders", nargs="*", default=list(ENCODERS))
    parser.add_argument("--images", type=int, default=IMAGES)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    device = resolve_device(args.device)
    report: dict[str, Any] = {"device": describe_device(device), "revision": revision(), "rows": []}
    for name in args.encoders:
        report["rows"] += compared(name, device, images(args.images))
        args.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
