"""Small tasks on real and on simulated pictures, and ways to compare what two engines made of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import usbench
from usbench.core.settings import load_settings
from usbench.sweep.cell_state import SweepRequest
from usbench.sweep.config import EngineSpec, Grid, read_grid
from usbench.sweep.engine import Engine
from usbench.sweep.local_engines import open_engine
from usbench.sweep.scheduler import Campaign

TASK = """\
name = "{name}"
title = "Malignant or benign"
dataset = "{manifest}"
target = "label"
positive = "malignant"
unit = "image"
protocols = ["svc-nested@1"]
frames = "all"

[split]
kind = "grouped"
folds = 3
repeats = 2
"""


@pytest.fixture
def patients(bus_bra_subset: Path) -> pd.DataFrame:
    """Rows of the embedded subset: ten patients a class, with absolute paths."""
    table = usbench.load_dataset("bus-bra-subset").index.table
    chosen = [s for subjects in table.groupby("pathology")["subject"].unique() for s in subjects[:10]]
    rows = table[table["subject"].isin(chosen)].copy()
    rows["path"] = [str((bus_bra_subset / path).resolve()) for path in rows["path"]]
    rows["device"] = ["AB"[sum(map(ord, subject)) % 2] for subject in rows["subject"]]
    return rows[["path", "subject", "pathology", "device"]].rename(columns={"pathology": "label"})


@pytest.fixture
def make_task(tmp_path: Path, patients: pd.DataFrame) -> Callable[..., str]:
    """Write a task on some of the rows, and return its file."""

    def make(name: str, rows: pd.DataFrame | None = None) -> str:
        folder = tmp_path / "tasks"
        folder.mkdir(exist_ok=True)
        (patients if rows is None else rows).to_csv(folder / f"{name}.csv", index=False)
        path = folder / f"{name}.toml"
        path.write_text(TASK.format(name=name, manifest=folder / f"{name}.csv"))
        return str(path)

    return make


@pytest.fixture
def make_grid(tmp_path: Path) -> Callable[..., Grid]:
    """Write a grid and read it again; results and store lie in folders named by ``where``."""

    def make(encoders: list[Any], tasks: list[str], where: str = "a", more: str = "") -> Grid:
        path = tmp_path / f"{where}.toml"
        listed = ", ".join(e if e.startswith("{") else json.dumps(e) for e in encoders)
        path.write_text(
            f"encoders = [{listed}]\ntasks = {json.dumps(tasks)}\n"
            f'results = "{tmp_path / where / "results"}"\ncache = "{tmp_path / where / "cache"}"\n{more}'
        )
        return read_grid(path)

    return make


@pytest.fixture
def launch() -> Callable[..., Campaign]:
    """Run a grid and return the campaign, over."""

    def run(grid: Grid, engine: Engine | None = None, watch: Any = None, **options: Any) -> Campaign:
        spec = replace(grid.engine, **options) if options else grid.engine
        started = engine or open_engine(spec)
        try:
            request = SweepRequest(grid.levels, grid.columns, grid.results, grid.workers)
            settings = load_settings(grid.data_roots, grid.cache)
            campaign = Campaign(grid.cells, request, spec, started, settings, watch or (lambda record: None))
            campaign.run()
        finally:
            if engine is None:
                started.close()
        return campaign

    return run


@pytest.fixture
def engine_spec() -> type[EngineSpec]:
    return EngineSpec


def figures(folder: Path) -> dict[str, str]:
    """Return every result as text without its provenance: what must not depend on who computed it."""
    found = {}
    for path in sorted(folder.glob("*/*.json")):
        plain = json.loads(path.read_text())
        del plain["provenance"], plain["digest"]
        found[str(path.relative_to(folder))] = json.dumps(plain, sort_keys=True)
    return found
