"""Reading ``grid.toml``: which encoders are asked which tasks, and where everything lies.

Relative paths in a grid are relative to the folder in which the command is typed, as on the command line::

    encoders = ["tusa", "tusa.random", "texture", {name = "medsam", device = "cuda", precision = "bf16"}]
    # {name = "tusa", pooling = "all"}: one cell per pooling, encoded in one pass
    tasks = ["covid", {name = "breast_lesion", data = "subset"}]
    protocols = ["svc-nested@2", "ridge-nested@2"]    # in place of the tasks' own; optional
    shifts = ["gain:1..5"]                            # optional, as for `usbench run --shift`
    by = ["device"]                                   # optional, as for `usbench run --by`
    results = "runs/results"
    cache = "/shared/usbench"

    [engine]
    name = "ray"
    address = "auto"
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from usbench.core.documents import read_toml
from usbench.core.settings import DEFAULT_RESULTS
from usbench.diagnostics.shifts.levels import Level, parse_shifts
from usbench.errors import UsbenchError, did_you_mean
from usbench.sweep.specs import Cell, EncoderSpec, TaskSpec, pick

ENGINES = ("local", "ray")

_ENCODER: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "weights": (str,),
    "device": (str,),
    "precision": (str,),
    "pooling": (str,),
    "preprocessing": (str,),
    "batch_size": (int,),
    "gpus": (int, float),
    "called": (str,),
}
_TASK: dict[str, tuple[type, ...]] = {"name": (str,), "data": (str,)}
_GRID: dict[str, tuple[type, ...]] = {
    "encoders": (list,),
    "tasks": (list,),
    "protocols": (list,),
    "shifts": (list,),
    "by": (list,),
    "data": (str,),
    "data_root": (str, list),
    "results": (str,),
    "cache": (str,),
    "store": (str,),
    "device": (str,),
    "precision": (str,),
    "batch_size": (int,),
    "workers": (int,),
    "engine": (dict,),
    "label_efficiency": (bool,),
}
_ENGINE: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "address": (str,),
    "jobs": (int,),
    "threads": (int,),
    "shard_frames": (int,),
    "attempts": (int,),
}


@dataclass(frozen=True)
class EngineSpec:
    """Where jobs run.

    Attributes:
        name: ``local`` or ``ray``.
        address: Of a running Ray cluster: ``auto`` or ``host:port``; without one, Ray is started on this machine.
        jobs: Processes of the local engine; 1 runs everything in this process.
        threads: CPU threads of one job, which a cluster reserves for it; by default the cores shared out among the
            local jobs, and one on a cluster.
        shard_frames: Frames of one encoding job; by default 256, and 4096 where it holds a GPU.
        attempts: How often a job is begun when workers are lost under it.
    """

    name: str = "local"
    address: str | None = None
    jobs: int = 1
    threads: int | None = None
    shard_frames: int | None = None
    attempts: int = 4

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            UsbenchError: An unknown engine, a number below one, or an option of the other engine.
        """
        if self.name not in ENGINES:
            hint = did_you_mean(self.name, ENGINES)
            raise UsbenchError(f"unknown engine {self.name!r}.{hint} There are {' and '.join(ENGINES)}.")
        for name in ("jobs", "threads", "shard_frames", "attempts"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UsbenchError(f"engine: {name} = {value} must be at least 1.")
        if self.address is not None and self.name != "ray":
            raise UsbenchError(f"address {self.address!r} is for --engine ray; the local engine takes none.")
        if self.jobs != 1 and self.name != "local":
            raise UsbenchError("jobs is for the local engine; on a Ray cluster, its CPUs and GPUs decide.")


@dataclass(frozen=True)
class Grid:
    """A sweep as asked for.

    Attributes:
        encoders: Each name once.
        tasks: Each name and data once.
        levels: Shifts to test under as well.
        columns: Columns to score by as well.
        results: Folder of results.
        data_roots: Folders in which datasets are found by name.
        cache: Folder of the embedding store and of phantoms, when not the configured one.
        store: Folder or address of the embedding store, when not below the cache.
        workers: Decoding threads of one job.
        engine: Where jobs run.
        name: Name of the file, for the report.
        label_efficiency: Whether to score on shares of the training subjects as well.
    """

    encoders: tuple[EncoderSpec, ...]
    tasks: tuple[TaskSpec, ...]
    levels: tuple[Level, ...] = ()
    columns: tuple[str, ...] = ()
    results: Path = DEFAULT_RESULTS
    data_roots: tuple[Path, ...] = ()
    cache: Path | None = None
    store: str | None = None
    workers: int | None = None
    engine: EngineSpec = EngineSpec()
    name: str = "grid"
    label_efficiency: bool = True

    def __post_init__(self) -> None:
        """Refuse an empty grid, and one whose results would overwrite one another.

        Raises:
            UsbenchError: Nothing to do, or something is listed twice.
        """
        for what, items in (("encoder", self.encoders), ("task", self.tasks)):
            if not items:
                raise UsbenchError(f"{self.name}: names no {what}. See `usbench list {what}s`.")
        _once("encoder", [encoder.label for encoder in self.encoders], self.name)
        _once("task", [f"{task.name} with data {task.data}" for task in self.tasks], self.name)

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every encoder on every task, encoder after encoder, so that its network is built once."""
        return tuple(Cell(e, task) for encoder in self.encoders for e in encoder.in_poolings() for task in self.tasks)


def read_grid(path: Path) -> Grid:
    """Read a grid.

    Args:
        path: A TOML file.

    Raises:
        UsbenchError: The file cannot be read, or holds something that is not understood.
    """
    try:
        table = read_toml(path)
    except FileNotFoundError:
        raise UsbenchError(f"{path}: no such file. A grid names encoders and tasks; see docs/cluster.md.") from None
    try:
        return _grid(pick(table, _GRID, str(path)), path)
    except UsbenchError as error:
        told = str(error)
        raise UsbenchError(told if told.startswith(str(path)) else f"{path}: {told}") from None


def with_engine(grid: Grid, **options: Any) -> Grid:
    """Return the grid with options of its engine replaced by those given on the command line.

    Args:
        grid: The grid.
        **options: Fields of :class:`EngineSpec`; ``None`` leaves one as it is.
    """
    given = {name: value for name, value in options.items() if value is not None}
    unknown = set(given) - {field.name for field in fields(EngineSpec)}
    if unknown:
        raise TypeError(f"no option of an engine: {sorted(unknown)}")
    if given.get("name") not in (None, grid.engine.name):  # options in the file were meant for the other engine
        kept = {"threads": grid.engine.threads, "shard_frames": grid.engine.shard_frames}
        return replace(grid, engine=EngineSpec(**{**kept, **given}))
    return replace(grid, engine=replace(grid.engine, **given))


def _grid(table: dict[str, Any], path: Path) -> Grid:
    common = {name: table[name] for name in ("device", "precision", "batch_size") if name in table}
    encoders = [_entry(item, _ENCODER, f"{path}: encoders") for item in table.get("encoders", [])]
    tasks = [_entry(item, _TASK, f"{path}: tasks") for item in table.get("tasks", [])]
    protocols = tuple(_texts(table, "protocols", path))
    _check_protocols(protocols)
    roots = table.get("data_root", [])
    return Grid(
        encoders=tuple(EncoderSpec(**(common | item)) for item in encoders),
        tasks=tuple(TaskSpec(item["name"], item.get("data", table.get("data")), protocols) for item in tasks),
        levels=tuple(parse_shifts(_texts(table, "shifts", path))),
        columns=tuple(dict.fromkeys(_texts(table, "by", path))),
        results=Path(table.get("results", DEFAULT_RESULTS)).expanduser(),
        data_roots=tuple(Path(root) for root in ([roots] if isinstance(roots, str) else roots)),
        cache=Path(table["cache"]).expanduser() if "cache" in table else None,
        store=table.get("store"),
        workers=table.get("workers"),
        engine=EngineSpec(**pick(table.get("engine", {}), _ENGINE, f"{path}: [engine]")),
        name=path.stem,
        label_efficiency=table.get("label_efficiency", True),
    )


def _entry(item: Any, allowed: dict[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    if isinstance(item, str):
        return {"name": item}
    if not isinstance(item, dict) or "name" not in item:
        raise UsbenchError(f'{where}: {item!r} must be a name, or a table with one, such as {{name = "texture"}}.')
    return pick(item, allowed, where)


def _texts(table: dict[str, Any], key: str, path: Path) -> list[str]:
    values: list[Any] = table.get(key, [])
    for value in values:
        if not isinstance(value, str):
            raise UsbenchError(f"{path}: {key} must be a list of texts, but holds {value!r}.")
    return values


def _check_protocols(names: Iterable[str]) -> None:
    if not (names := list(names)):
        return
    from usbench.probes import PROTOCOLS

    for name in names:
        if name not in PROTOCOLS:
            hint = did_you_mean(name, PROTOCOLS)
            raise UsbenchError(f"protocols: unknown {name!r}.{hint} There are {', '.join(PROTOCOLS)}.")


def _once(what: str, names: list[str], where: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsbenchError(
            f"{where}: {what} {twice[0]} is listed twice, and results are kept by name: one would overwrite the other. "
            "List each once; variants of an encoder differ in pooling, preprocessing, precision, weights or `called`."
        )
