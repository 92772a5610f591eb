"""What several workers gain, what an engine costs, and whether three nodes give the figures of one process.

Run as ``python benchmarks/scale.py``; writes ``scale.json`` and ``scale.md`` beside itself. The cluster is Ray's own
simulation of several nodes on one machine: it shows what the engine costs, and not what more machines would gain.
``--cache`` names a folder whose ``phantoms`` are used instead of being simulated anew.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ENCODERS = ("pixels", "texture", "random-projection", "tusa.random")
TASKS = (
    ("breast_lesion", "subset"),
    ("eye_hemorrhage", "phantom"),
    ("liver_steatosis", "phantom"),
    ("ejection_fraction", "phantom"),
)


def main() -> None:
    """Measure everything, or with ``--no-sweep`` all but the sweep of four by four."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, help="folder with phantoms that are there already")
    parser.add_argument("--no-sweep", action="store_true")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), asked.cache)
        found: dict[str, Any] = {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "load_at_start": round(os.getloadavg()[0], 2),
        }
        found["encoding"], found["rates"] = bench.encoding()
        found["evaluation"] = bench.evaluation()
        found["tiny"] = bench.tiny()
        if not asked.no_sweep:
            found["sweep"] = bench.sweep()
        elif (HERE / "scale.json").exists():
            found["sweep"] = json.loads((HERE / "scale.json").read_text())["sweep"]
        found["load_at_end"] = round(os.getloadavg()[0], 2)
    (HERE / "scale.json").write_text(json.dumps(found, indent=1) + "\n")
    (HERE / "scale.md").write_text(page(found))
    print(page(found))


class Bench:
    """The measurements.

    Args:
        folder: Scratch.
        phantoms: Cache with simulated data, or ``None``.
    """

    def __init__(self, folder: Path, phantoms: Path | None) -> None:
        self._folder = folder
        self._phantoms = phantoms

    def encoding(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Encode the embedded subset with the network of TUSA, with one worker and with two, from an empty store."""
        rows, rates = [], []
        for name, jobs in (("local", 1), ("local", 2), ("ray", 1), ("ray", 2)):
            with self._engine(name, jobs) as (spec, engine):
                cells = self._cells(("tusa.random",), TASKS[:1])
                self._run(self._cells(("pixels",), TASKS[:1]), f"warm-{name}-{jobs}", spec, engine)  # workers import
                started = time.perf_counter()
                records = self._run(cells, f"encode-{name}-{jobs}", spec, engine, fresh_results=True)
                wall = time.perf_counter() - started
            rows.append(
                {
                    "engine": name,
                    "workers": jobs,
                    "frames": records[0].encoded,
                    "wall_seconds": round(wall, 2),
                    "worker_seconds": round(records[0].encode_seconds, 2),
                    "evaluate_seconds": round(records[0].evaluate_seconds, 2),
                }
            )
            print(rows[-1], flush=True)
        with self._engine("local", 1) as (spec, engine):
            for record in self._run(self._cells(ENCODERS, TASKS[:1]), "rates", spec, engine):
                rates.append(
                    {
                        "encoder": record.name,
                        "frames": record.encoded,
                        "images_per_second": round(record.encoded / record.encode_seconds, 2),
                        "decode_seconds": round(
                            max(0.0, record.encode_seconds - record.network_seconds) / record.encoded, 5
                        ),
                    }
                )
        return rows, rates

    def evaluation(self) -> list[dict[str, Any]]:
        """Probe four encoders whose vectors are stored, with one worker and with two."""
        cells = self._cells(ENCODERS, TASKS[2:3])
        with self._engine("local", 1) as (spec, engine):
            self._run(cells, "evaluate", spec, engine)
        rows = []
        for name, jobs in (("local", 1), ("local", 2), ("ray", 1), ("ray", 2)):
            with self._engine(name, jobs) as (spec, engine):
                self._run(self._cells(("pixels",), TASKS[:1]), f"warm-{name}-{jobs}", spec, engine)
                started = time.perf_counter()
                records = self._run(cells, "evaluate", spec, engine, fresh_results=True)
                wall = time.perf_counter() - started
            assert not any(record.encoded for record in records)
            seconds = round(sum(r.evaluate_seconds for r in records), 2)
            rows.append({"engine": name, "workers": jobs, "cells": len(cells), "wall_seconds": round(wall, 2)})
            rows[-1]["worker_seconds"] = seconds
            print(rows[-1], flush=True)
        return rows

    def tiny(self) -> list[dict[str, Any]]:
        """Run one small cell from its stored vectors, engine's start included."""
        cells = self._cells(("pixels",), TASKS[:1])
        with self._engine("local", 1) as (spec, engine):
            self._run(cells, "tiny", spec, engine)
        rows = []
        for name, jobs in (("local", 1), ("local", 2), ("ray", 2)):
            times = []
            for _ in range(3):
                started = time.perf_counter()
                with self._engine(name, jobs) as (spec, engine):
                    self._run(cells, "tiny", spec, engine, fresh_results=True)
                times.append(time.perf_counter() - started)
            rows.append({"engine": name, "workers": jobs, "wall_seconds": round(sorted(times)[1], 2)})
            print(rows[-1], flush=True)
        return rows

    def sweep(self) -> dict[str, Any]:
        """Sweep four encoders over four tasks in one process and on three nodes, and compare every byte."""
        from ray.cluster_utils import Cluster

        from usbench.cluster.engines import open_engine
        from usbench.cluster.grid import EngineSpec

        cells = self._cells(ENCODERS, TASKS)
        started = time.perf_counter()
        with self._engine("local", 1) as (spec, engine):
            local = self._run(cells, "sweep-local", spec, engine)
        local_seconds = time.perf_counter() - started
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        try:
            for _ in range(2):
                cluster.add_node(num_cpus=1)
            cluster.wait_for_nodes()
            spec = EngineSpec(name="ray", address=cluster.address, threads=1, shard_frames=64)
            engine = open_engine(spec)
            try:
                started = time.perf_counter()
                away = self._run(cells, "sweep-ray", spec, engine)
                away_seconds = time.perf_counter() - started
            finally:
                engine.close()
        finally:
            cluster.shutdown()
        one, other = (figures(self._folder / where / "results") for where in ("sweep-local", "sweep-ray"))
        return {
            "cells": len(cells),
            "states": sorted({r.error or r.state for r in [*local, *away]}),
            "frames": sum(record.encoded for record in away),
            "results": len(one),
            "equal": sum(one[name] == other.get(name) for name in one),
            "shards": sum(record.shards for record in away),
            "local_seconds": round(local_seconds, 1),
            "ray_seconds": round(away_seconds, 1),
            "nodes": 3,
        }

    def _cells(self, encoders: Sequence[str], tasks: Sequence[tuple[str, str]]) -> list[Any]:
        from usbench.cluster.specs import Cell, EncoderSpec, TaskSpec

        return [Cell(EncoderSpec(encoder), TaskSpec(*task)) for encoder in encoders for task in tasks]

    def _run(self, cells: Any, where: str, spec: Any, engine: Any, fresh_results: bool = False) -> list[Any]:
        from usbench.cluster.campaign import Campaign, Wish
        from usbench.settings import load_settings

        cache = self._folder / where / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        if self._phantoms is not None and not (cache / "phantoms").exists():
            shutil.copytree(self._phantoms / "phantoms", cache / "phantoms")
        wish = Wish(results=self._folder / where / "results", fresh=fresh_results)
        records = Campaign(cells, wish, spec, engine, load_settings((), cache)).run()
        wrong = [f"{record}: {record.error}" for record in records if record.error]
        if wrong:
            raise SystemExit("\n".join(wrong))
        return records

    @contextmanager
    def _engine(self, name: str, jobs: int) -> Iterator[tuple[Any, Any]]:
        """Open an engine of so many workers with one thread each."""
        import ray

        from usbench.cluster.engines import open_engine
        from usbench.cluster.grid import EngineSpec

        if name == "ray":
            spec = EngineSpec(name="ray", threads=1, shard_frames=64)
            ray.init(num_cpus=jobs, log_to_driver=False, logging_level=40, include_dashboard=False)
        else:
            spec = EngineSpec(jobs=jobs, threads=1, shard_frames=64)
        engine = open_engine(spec)
        try:
            yield spec, engine
        finally:
            engine.close()
            if name == "ray":
                ray.shutdown()


def figures(folder: Path) -> dict[str, str]:
    """Return every result as text, without its provenance."""
    found = {}
    for path in sorted(folder.glob("*/*.json")):
        plain = json.loads(path.read_text())
        del plain["provenance"], plain["digest"]
        found[str(path.relative_to(folder))] = json.dumps(plain, sort_keys=True)
    return found


def page(found: dict[str, Any]) -> str:
    """Return the page."""
    names = {("local", 1): "local, 1 (this process)", ("local", 2): "local, 2 processes"}
    intro = (
        f"Measured by `benchmarks/scale.py` on {found['machine']}, load {found['load_at_start']} at the start and "
        f"{found['load_at_end']} at the end; one thread a worker, parts of 64 frames, workers started and libraries "
        "imported before the clock. Two cores that others use too are no place for a scaling study: read the order of "
        "magnitude."
    )
    lines = ["# Several workers", "", intro, ""]
    lines += ["## Encoding: TUSA's network, embedded BUS-BRA subset, empty store", ""]
    lines += ["| engine, workers | frames | wall | against one | workers' time |", "|---|---:|---:|---:|---:|"]
    base = found["encoding"][0]["wall_seconds"]
    for row in found["encoding"]:
        name = names.get((row["engine"], row["workers"]), f"{row['engine']}, {row['workers']}")
        lines.append(
            f"| {name} | {row['frames']} | {row['wall_seconds']:.1f} s | {base / row['wall_seconds']:.2f} × "
            f"| {row['worker_seconds']:.1f} s |"
        )
    lines += ["", "## Evaluation: liver steatosis, four encoders, vectors stored", ""]
    lines += ["| engine, workers | cells | wall | against one | workers' time |", "|---|---:|---:|---:|---:|"]
    base = found["evaluation"][0]["wall_seconds"]
    for row in found["evaluation"]:
        name = names.get((row["engine"], row["workers"]), f"{row['engine']}, {row['workers']}")
        lines.append(
            f"| {name} | {row['cells']} | {row['wall_seconds']:.1f} s | {base / row['wall_seconds']:.2f} × "
            f"| {row['worker_seconds']:.1f} s |"
        )
    lines += ["", "## A tiny job: one cell, vectors stored, start and end of the engine included", ""]
    lines += ["| engine, workers | wall, median of 3 |", "|---|---:|"]
    for row in found["tiny"]:
        name = names.get((row["engine"], row["workers"]), f"{row['engine']}, {row['workers']}, started for it")
        lines.append(f"| {name} | {row['wall_seconds']:.1f} s |")
    lines += ["", "## Rates of one worker, which `usbench plan` uses", ""]
    lines += ["| encoder | images a second | reading a frame |", "|---|---:|---:|"]
    for row in found["rates"]:
        lines.append(f"| {row['encoder']} | {row['images_per_second']:.1f} | {1e3 * row['decode_seconds']:.1f} ms |")
    if sweep := found.get("sweep"):
        told = (
            f"{sweep['cells']} cells, {sweep['frames']} frames in {sweep['shards']} parts, on Ray's simulation of "
            f"{sweep['nodes']} nodes with one CPU each: **{sweep['equal']} of {sweep['results']} results are equal to "
            f"the last byte** (all but their provenance) to those of one process. One process took "
            f"{sweep['local_seconds']:.0f} s, the cluster {sweep['ray_seconds']:.0f} s on the same two cores."
        )
        lines += ["", "## Four encoders on four tasks: one process against a cluster of three nodes", "", told]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
