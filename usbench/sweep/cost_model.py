"""What a cell will cost, from cards and from what was measured before.

The rate of an encoder is, in this order: what results and benchmarks on the same kind of device say of it; what its
operations would take at the speed at which other encoders did theirs; an assumption, named as one. Each estimate says
which it was, and a sweep compares it with the outcome.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from usbench import results
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    from usbench.encoder.base import Encoder
    from usbench.task.task import Task

# Speeds taken where nothing was measured, in 10^9 operations per second. A core of a recent server does about 50 in
# float32; a data-centre GPU does 60 times 10^12 on paper, of which networks of this size reach about a tenth.
ASSUMED_GFLOPS = {"cpu": 50.0, "cuda": 6000.0}
# Reading and preprocessing one frame where nothing was measured, in seconds.
ASSUMED_DECODE = 0.01
# Length of a vector where the card leaves it open, and bytes of a key in the store.
ASSUMED_WIDTH, KEY_BYTES = 768, 32
# Fixed and growing part of a probe where nothing was measured: seconds, and seconds per unit and protocol.
ASSUMED_PROBE, ASSUMED_PROBE_UNIT = 0.5, 0.005


@dataclass(frozen=True)
class Estimate:
    """The cost of one cell.

    Attributes:
        frames: Frames to encode, shifted ones included.
        encode_seconds: Time of one worker for them.
        probe_seconds: Time of one worker for probes and intervals.
        decode_seconds: What decoding and preprocessing take of the encoding time, where they are the slower part.
        gpu_seconds: Time for which a GPU is held.
        disk_bytes: What the store grows by.
        bottleneck: ``network``, ``decoding`` or ``probes``; ``nothing`` where nothing is to be done.
        source: Where the rate comes from.
        probe_source: Where the time of the probes comes from.
    """

    frames: int
    encode_seconds: float
    probe_seconds: float
    decode_seconds: float
    gpu_seconds: float
    disk_bytes: int
    bottleneck: str
    source: str
    probe_source: str

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, rounded for a report."""
        return {k: round(v, 2) if isinstance(v, float) else v for k, v in asdict(self).items()}


def describe(encoder: Encoder, task: Task, units: int) -> dict[str, Any]:
    """Return the facts that an estimate needs.

    Args:
        encoder: The encoder.
        task: The task.
        units: Number of units it decides about.
    """
    card = encoder.card
    return {
        "encoder": encoder.name,
        "task": task.name,
        "width": card.embedding_dim,
        "gflops": card.gflops,
        "parameters": card.parameters,
        "units": units,
        "protocols": len(task.protocols),
    }


@dataclass(frozen=True)
class _Timing:
    """One measured encoding."""

    encoder: str
    device: str
    precision: str
    rate: float
    decode: float | None
    gflops: float | None
    same_machine: bool
    where: str


class Estimator:
    """Estimates from what lies in folders of results and in benchmark files.

    Args:
        folders: Folders of results, the most relevant first; those that do not exist are passed over.
        benchmarks: Folder with ``encode.json`` and ``scale.json``, if there is one.
    """

    def __init__(self, folders: Iterable[Path], benchmarks: Path | None = None) -> None:
        self._timings: list[_Timing] = []
        self._probes: list[tuple[str, int, int, float]] = []  # board, units, protocols, seconds
        for folder in dict.fromkeys(folders):
            for path in sorted(folder.glob("*/*.json")):
                try:
                    self._learn(results.load(path))
                except UsbenchError:  # `usbench results check` reports damage; an estimate does without
                    continue
        if benchmarks is not None:
            self._read_benchmarks(benchmarks)

    def estimate(
        self, facts: Mapping[str, Any], frames: int, device: str, precision: str, passes: int = 1, gpus: float = 0
    ) -> Estimate:
        """Estimate one cell.

        Args:
            facts: From :func:`describe`.
            frames: Frames to encode, shifted ones included.
            device: torch device.
            precision: ``fp32``, ``bf16`` or ``auto``, which is taken for ``fp32``.
            passes: How often the units are scored: once, and once a shift.
            gpus: GPUs that an encoding job holds.
        """
        kind = device.split(":")[0]
        rate, source = self._rate(facts, kind, "fp32" if precision == "auto" else precision)
        decode = self._decode(kind)
        # Decoding runs beside the network in threads: the slower of the two sets the pace.
        encode = frames * max(1 / rate, decode)
        probe, probe_source = self._probe(facts)
        probe *= passes
        width = facts.get("width") or ASSUMED_WIDTH
        parts = {"network": frames / rate, "decoding": frames * decode, "probes": probe}
        slow = "probes" if probe > encode else "network" if 1 / rate >= decode else "decoding"
        return Estimate(
            frames=frames,
            encode_seconds=encode,
            probe_seconds=probe,
            decode_seconds=parts["decoding"],
            gpu_seconds=encode * gpus if kind == "cuda" else 0.0,
            disk_bytes=frames * (4 * width + KEY_BYTES),
            bottleneck=slow if encode or probe else "nothing",
            source=source if frames else "nothing to encode",
            probe_source=probe_source,
        )

    def nothing(self) -> Estimate:
        """Return the cost of a cell that is answered from its result."""
        return Estimate(0, 0.0, 0.0, 0.0, 0.0, 0, "nothing", "answered from its result", "answered from its result")

    def _rate(self, facts: Mapping[str, Any], device: str, precision: str) -> tuple[float, str]:
        alike = [t for t in self._timings if t.device == device]
        own = [t for t in alike if t.encoder == facts["encoder"] and t.precision == precision]
        if own:
            here = [t for t in own if t.same_machine] or own
            return median(t.rate for t in here), _sources(here, f"{device} {precision}")
        gflops = facts.get("gflops")
        others = [t for t in alike if t.gflops and t.precision == precision and t.decode is not None]
        if gflops and others:
            speed = median(t.rate * t.gflops for t in others if t.gflops)
            told = f"{gflops:g} GFLOP a frame at {speed:.0f} GFLOP/s, as {_names(others)} reached"
            return speed / gflops, told
        if gflops:
            speed = ASSUMED_GFLOPS.get(device, ASSUMED_GFLOPS["cpu"])
            return speed / gflops, f"{gflops:g} GFLOP a frame at an assumed {speed:g} GFLOP/s"
        if facts.get("parameters") == 0:
            return 1 / self._decode(device), "no network: the time of reading a frame"
        return 1.0, "assumed 1 frame per second: the card gives no operations and nothing was measured"

    def _decode(self, device: str) -> float:
        known = [t.decode for t in self._timings if t.decode is not None and t.device == device]
        known = known or [t.decode for t in self._timings if t.decode is not None]
        return median(known) if known else ASSUMED_DECODE

    def _probe(self, facts: Mapping[str, Any]) -> tuple[float, str]:
        same = [p for p in self._probes if p[0].partition("@")[0] == facts["task"] and p[2] == facts["protocols"]]
        if same:
            # Of the measurements, those on sets of about this size say most.
            units = max(1, int(facts["units"]))
            nearest = min(abs(p[1] - units) for p in same)
            close = [p for p in same if abs(p[1] - units) == nearest]
            return median(p[3] * units / max(1, p[1]) for p in close), f"results of {close[0][0]}"
        grow = [p[3] / max(1, p[1] * p[2]) for p in self._probes]
        if grow:
            return median(grow) * facts["units"] * facts["protocols"], "results of other tasks, by number of units"
        told = "assumed, as nothing was measured"
        return ASSUMED_PROBE + ASSUMED_PROBE_UNIT * facts["units"] * facts["protocols"], told

    def _learn(self, result: results.Result) -> None:
        from usbench.core import provenance

        machine = result.provenance.get("machine", {})
        timings = result.provenance.get("timings", {})
        if (rate := timings.get("images_per_second")) and (encoded := timings.get("encoded_now")):
            wait = timings.get("encode_seconds", 0.0) - timings.get("network_seconds", 0.0)
            self._timings.append(
                _Timing(
                    encoder=result.encoder["name"],
                    device=str(machine.get("device", "cpu")).split(":")[0],
                    precision=str(result.encoder.get("precision", "fp32")),
                    rate=float(rate),
                    decode=max(wait, 0.0) / encoded,
                    gflops=result.encoder.get("gflops"),
                    same_machine=machine.get("processor") == provenance.machine()["processor"],
                    where=f"result of {result.board}",
                )
            )
        if (seconds := timings.get("probe_seconds")) is not None:
            self._probes.append((result.board, len(result.units.id), len(result.protocols), float(seconds)))

    def _read_benchmarks(self, folder: Path) -> None:
        for row in _rows(folder / "encode.json", "rows"):
            for precision, rate in row.get("images_per_second", {}).items():
                if precision in ("fp32", "bf16"):
                    told = _Timing(row["encoder"], "cpu", precision, rate, None, None, False, "benchmark")
                    self._timings.append(told)
        for row in _rows(folder / "scale.json", "encoding", "rates"):
            rate, decode = row["images_per_second"], row.get("decode_seconds")
            self._timings.append(_Timing(row["encoder"], "cpu", "fp32", rate, decode, None, False, "benchmark"))


def _rows(path: Path, *keys: str) -> Sequence[Mapping[str, Any]]:
    try:
        found: Any = json.loads(path.read_text("utf-8"))
        for key in keys:
            found = found[key]
    except (OSError, ValueError, KeyError, TypeError):  # an estimate does without
        return []
    return found if isinstance(found, list) else []


def _sources(timings: Sequence[_Timing], device: str) -> str:
    where = ", ".join(dict.fromkeys(t.where for t in timings))
    other = "" if all(t.same_machine for t in timings) else ", another machine"
    return f"measured on {device} ({where}{other})"


def _names(timings: Sequence[_Timing]) -> str:
    return ", ".join(list(dict.fromkeys(t.encoder for t in timings))[:3])
