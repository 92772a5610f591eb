"""What all poolings of an encoder cost beside one of them, from one forward pass and from a pass each.

The same random weights and frames of COVID-BLUES, preprocessed beforehand, in the batches that the extraction engine
takes; repeats are interleaved. CPU time decides, which a busy machine changes least.

    python benchmarks/poolings.py --data DATA_ROOT/covid_blues
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from encode import frames

from usbench.core.provenance import machine, revision
from usbench.encoder.batching import Passes
from usbench.plugins.catalog import load_encoder

HERE = Path(__file__).resolve().parent
# Frames per repeat.
ENCODERS = {"tusa.random": 16, "usfm.random": 4}
MOST = 1.05


def measure(name: str, images: list[Any], repeats: int) -> dict[str, Any]:
    """Time one pooling, all in one pass, and all in a pass each, in turns."""
    one, together = load_encoder(name), load_encoder(name)
    poolings = one.offered_poolings()
    together.companions = poolings[1:]
    tensors = [one.preprocessed(image) for image in images]
    with Passes(one) as alone, Passes(together) as joint:
        others = [Passes(one.in_pooling(pooling)) for pooling in poolings[1:]]

        def apart() -> None:
            for passes in (alone, *others):
                passes.encode(tensors, name)

        ways: dict[str, Callable[[], Any]] = {
            "one": lambda: alone.encode(tensors, name),
            "all in one pass": lambda: joint.encode_poolings(tensors, name),
            "all in a pass each": apart,
        }
        processor: dict[str, list[float]] = {way: [] for way in ways}
        wall: dict[str, list[float]] = {way: [] for way in ways}
        for repeat in range(repeats + 1):
            for way, run in ways.items():
                began, started = time.process_time(), time.perf_counter()
                run()
                if repeat:  # the first sets things up
                    processor[way].append(time.process_time() - began)
                    wall[way].append(time.perf_counter() - started)
        for passes in others:
            passes.__exit__(None, None, None)
    least = {way: min(values) for way, values in processor.items()}
    median = {way: statistics.median(values) for way, values in processor.items()}
    return {
        "encoder": name,
        "poolings": list(poolings),
        "frames": len(images),
        "repeats": repeats,
        "revision": revision(),
        "processor_seconds": median,
        "processor_seconds_least": least,
        "wall_seconds": {way: statistics.median(values) for way, values in wall.items()},
        "ratio_in_one_pass": median["all in one pass"] / median["one"],
        "ratio_of_the_least": least["all in one pass"] / least["one"],
        "ratio_in_a_pass_each": median["all in a pass each"] / median["one"],
        "load": os.getloadavg()[0],
    }


def page(found: dict[str, Any]) -> str:
    """Write the figures for readers."""
    rows = [
        f"| {row['encoder']} | {', '.join(row['poolings'])} | {row['frames']}, {row['repeats']} | "
        f"{row['ratio_in_one_pass']:.3f} | {row['ratio_of_the_least']:.3f} | {row['ratio_in_a_pass_each']:.2f} |"
        for row in found["rows"]
    ]
    return (
        "# All poolings from one pass\n\n"
        "Written by `benchmarks/poolings.py`: CPU time over that of the first pooling alone; medians of interleaved "
        f"repeats, and their least. It is to stay below {MOST}. {found['machine']}.\n\n"
        "| encoder | poolings | frames, repeats | all in one pass | by the least times | all in a pass each |\n"
        "|---|---|---|---:|---:|---:|\n" + "\n".join(rows) + "\n"
    )


def main() -> None:
    """Measure and write ``poolings.json`` and ``poolings.md``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="The COVID-BLUES folder.")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    rows = [measure(name, frames(options.data, count), options.repeats) for name, count in ENCODERS.items()]
    facts = machine()
    found = {"machine": f"{facts['system']}, {facts['cores']} cores", "rows": rows}
    (HERE / "poolings.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (HERE / "poolings.md").write_text(page(found), encoding="utf-8")
    print(page(found))


if __name__ == "__main__":
    main()
