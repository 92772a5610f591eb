"""``usbench run`` in several processes or on a cluster: the jobs of a sweep, without its report."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from usbench.cli.sweep_table import SweepTable
from usbench.core.settings import Settings
from usbench.errors import UsbenchError
from usbench.sweep.cell_state import SweepRequest
from usbench.sweep.config import EngineSpec
from usbench.sweep.local_engines import open_engine
from usbench.sweep.scheduler import Campaign
from usbench.sweep.specs import Cell

if TYPE_CHECKING:
    from usbench.results.schema import Result


def run_distributed(
    cells: Sequence[Cell], request: SweepRequest, spec: EngineSpec, settings: Settings, console: Console
) -> tuple[list[Result], list[str]]:
    """Run cells on an engine under a live table.

    Args:
        cells: The cells, those of one encoder after another.
        request: What is asked of each.
        spec: Where they run.
        settings: Places to use.
        console: Where the table is drawn.

    Returns:
        Results, those of one task after another, and one sentence per cell that failed.

    Raises:
        UsbenchError: The engine cannot be used, or the only cell failed.
    """
    with contextlib.closing(open_engine(spec)) as engine:
        tables: list[SweepTable] = []  # campaign and table need one another
        campaign = Campaign(cells, request, spec, engine, settings, lambda record: tables[0].update(record))
        tables.append(SweepTable(console, campaign.records))
        with tables[0]:
            records = campaign.run()
    if len(records) == 1 and records[0].error is not None:
        raise UsbenchError(records[0].error)
    tasks = dict.fromkeys(record.cell.task for record in records)
    ordered = [record for task in tasks for record in records if record.cell.task == task]
    finished = [record.result for record in ordered if record.result is not None]
    return finished, [f"{record}: {record.error}" for record in ordered if record.error is not None]
