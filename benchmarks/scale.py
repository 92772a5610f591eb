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
    ("covid", "phantom"),
    ("ejection_fraction", "phantom"),
)
WORKERS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))


SECTIONS = ("encoding", "evaluation", "tiny", "sweep")


def main() -> None:
    """Measure the sections asked for, all by default, and keep what was measured of the others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", type=Path, help="folder with phantoms that are there already")
    parser.add_argument("--only", nargs="+", choices=SECTIONS, default=SECTIONS)
    asked = parser.parse_args()
    path = HERE / "scale.json"
    found: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    found["machine"] = f"{platform.machine()}, {os.cpu_count()} cores"
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), asked.cache)
        for section in asked.only:
            before = round(os.getloadavg()[0], 2)
            measured = getattr(bench, section)()
            found[section] = {**measured, "load": [before, round(os.getloadavg()[0], 2)]}
            path.write_text(json.dumps(found, indent=1) + "\n")
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

    def encoding(self) -> dict[str, Any]:
        """Encode the embedded subset with the network of TUSA, with one worker and with two, from an empty store."""
        rows = []
        for name, jobs in WORKERS:
            with self._engine(name, jobs) as (spec, engine):
                self._warm(spec, engine, f"{name}-{jobs}")
                cells = self._cells(("tusa.random",), TASKS[:1])
                rows.append(self._timed(name, jobs, cells, f"encode-{name}-{jobs}", spec, engine))
        with self._engine("local", 1) as (spec, engine):
            rates = [
                {
                    "encoder": record.name,
                    "frames": record.encoded,
                    "images_per_second": round(record.encoded / record.encode_seconds, 2),
                    "decode_seconds": round(
                        max(0.0, record.encode_seconds - record.network_seconds) / record.encoded, 5
                    ),
                }
                for record in self._run(self._cells(ENCODERS, TASKS[:1]), "rates", spec, engine)
            ]
        return {"rows": rows, "rates": rates}

    def evaluation(self) -> dict[str, Any]:
        """Probe eight cells whose vectors are stored, with one worker and with two."""
        cells = self._cells(ENCODERS, TASKS[:2])
        with self._engine("local", 1) as (spec, engine):
            self._run(cells, "evaluate", spec, engine)
        rows = []
        for name, jobs in WORKERS:
            with self._engine(name, jobs) as (spec, engine):
                self._warm(spec, engine, f"{name}-{jobs}")
                rows.append(self._timed(name, jobs, cells, "evaluate", spec, engine))
        assert not any(row["frames"] for row in rows)
        return {"rows": rows}

    def tiny(self) -> dict[str, Any]:
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
                    self._run(cells, "tiny", spec, engine, fresh=True)
                times.append(time.perf_counter() - started)
            rows.append({"engine": name, "workers": jobs, "wall_seconds": round(sorted(times)[1], 2)})
            print(rows[-1], flush=True)
        return {"rows": rows}

    def _timed(self, name: str, jobs: int, cells: Any, where: str, spec: Any, engine: Any) -> dict[str, Any]:
        started = time.perf_counter()
        records = self._run(cells, where, spec, engine, fresh=True)
        row = {
            "engine": name,
            "workers": jobs,
            "cells": len(cells),
            "frames": sum(record.encoded for record in records),
            "wall_seconds": round(time.perf_counter() - started, 2),
            "worker_seconds": round(sum(r.encode_seconds + r.evaluate_seconds for r in records), 2),
            "processor_seconds": round(sum(record.processor_seconds for record in records), 2),
        }
        print(row, flush=True)
        return row

    def _warm(self, spec: Any, engine: Any, where: str) -> None:
        """Let every worker import what it needs."""
        self._run(self._cells(("pixels", "texture"), TASKS[:1]), f"warm-{where}", spec, engine)

    def sweep(self) -> dict[str, Any]:
        """Sweep four encoders over four tasks in one process and on three nodes, and compare every byte."""
        from ray.cluster_utils import Cluster

        from usbench.sweep.config import EngineSpec
        from usbench.sweep.local_engines import open_engine

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
        from usbench.sweep.specs import Cell, EncoderSpec, TaskSpec

        return [Cell(EncoderSpec(encoder), TaskSpec(*task)) for encoder in encoders for task in tasks]

    def _run(self, cells: Any, where: str, spec: Any, engine: Any, fresh: bool = False) -> list[Any]:
        from usbench.core.settings import load_settings
        from usbench.sweep.cell_state import SweepRequest
        from usbench.sweep.scheduler import Campaign

        cache = self._folder / where / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        if self._phantoms is not None and not (cache / "phantoms").exists():
            shutil.copytree(self._phantoms / "phantoms", cache / "phantoms")
        request = SweepRequest(results=self._folder / where / "results", fresh=fresh)
        records = Campaign(cells, request, spec, engine, load_settings((), cache)).run()
        wrong = [f"{record}: {record.error}" for record in records if record.error]
        if wrong:
            raise SystemExit("\n".join(wrong))
        return records

    @contextmanager
    def _engine(self, name: str, jobs: int) -> Iterator[tuple[Any, Any]]:
        """Open an engine of so many workers with one thread each."""
        import ray

        from usbench.sweep.config import EngineSpec
        from usbench.sweep.local_engines import open_engine

        if name == "ray":
            spec = EngineSpec(name="ray", threads=1, shard_frames=64)
            ray.init("local", num_cpus=jobs, log_to_driver=False, logging_level=40, include_dashboard=False)
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
    intro = (
        f"Measured by `benchmarks/scale.py` on {found['machine']}; one thread per worker, parts of 64 frames, workers "
        "started and libraries imported before the clock. Others use these two cores too: where the load is above the "
        "number of workers, the clock says how busy the machine was, and the CPU time what the work costs."
    )
    lines = ["# Several workers", "", intro, ""]
    titles = {
        "encoding": "Encoding: TUSA's network, 354 pictures of the embedded subset, empty store",
        "evaluation": "Evaluation: eight cells, vectors stored",
    }
    for section, title in titles.items():
        if section not in found:
            continue
        lines += [f"## {title}", "", f"Load {_load(found[section])}.", ""]
        lines += [
            "| engine, workers | wall | against one | workers' time | CPU time |",
            "|---|---:|---:|---:|---:|",
        ]
        base = found[section]["rows"][0]["wall_seconds"]
        for row in found[section]["rows"]:
            lines.append(
                f"| {_name(row)} | {row['wall_seconds']:.1f} s | {base / row['wall_seconds']:.2f} × "
                f"| {row['worker_seconds']:.1f} s | {row['processor_seconds']:.1f} s |"
            )
        lines.append("")
    if "tiny" in found:
        lines += ["## A tiny job: one cell, vectors stored, start and end of the engine included", ""]
        lines += [f"Load {_load(found['tiny'])}.", "", "| engine, workers | wall, median of 3 |", "|---|---:|"]
        lines += [f"| {_name(row)} | {row['wall_seconds']:.1f} s |" for row in found["tiny"]["rows"]] + [""]
    if "encoding" in found:
        lines += ["## Rates of one worker, which `usbench plan` uses", ""]
        lines += ["| encoder | images per second | reading a frame |", "|---|---:|---:|"]
        for row in found["encoding"]["rates"]:
            lines.append(
                f"| {row['encoder']} | {row['images_per_second']:.1f} | {1e3 * row['decode_seconds']:.1f} ms |"
            )
        lines.append("")
    if sweep := found.get("sweep"):
        told = (
            f"{sweep['cells']} cells, {sweep['frames']} frames in {sweep['shards']} parts, on Ray's simulation of "
            f"{sweep['nodes']} nodes with one CPU each: **{sweep['equal']} of {sweep['results']} results are equal to "
            f"the last byte** (all but their provenance) to those of one process. One process took "
            f"{sweep['local_seconds']:.0f} s, the cluster {sweep['ray_seconds']:.0f} s on the same two cores "
            f"(load {_load(sweep)})."
        )
        lines += ["## Four encoders on four tasks: one process against a cluster of three nodes", "", told, ""]
    return "\n".join(lines)


def _load(section: dict[str, Any]) -> str:
    return " to ".join(str(value) for value in section["load"])


def _name(row: dict[str, Any]) -> str:
    if row["engine"] == "local":
        return "local, this process" if row["workers"] == 1 else f"local, {row['workers']} processes"
    return f"Ray, {row['workers']} CPU" + ("s" if row["workers"] > 1 else "")


if __name__ == "__main__":
    main()
