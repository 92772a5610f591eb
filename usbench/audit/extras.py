"""Strata and shifts that are asked for together with a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from usbench import results
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    from usbench.results import Result
    from usbench.runner import Options, Prepared
    from usbench.settings import Settings
    from usbench.shifts import Level


def add_extras(
    ready: Prepared,
    result: Result,
    columns: Sequence[str],
    levels: Sequence[Level],
    options: Options,
    settings: Settings,
) -> Result:
    """Add strata and shifts to a result, and keep it on disk after each, as shifts can take long.

    Args:
        ready: Encoder, task and data that the result was computed from.
        result: The result.
        columns: Columns to score by.
        levels: Shifts to test under.
        options: How to run, and where results are kept.
        settings: Places to use.

    Raises:
        UsbenchError: A column makes no strata, or a shifted frame cannot be encoded.
    """
    if ready.task.kind == "map" and (columns or levels):
        raise UsbenchError(f"{ready.task.name} is a map: nothing is trained that strata or shifts could be asked of.")
    if columns:
        from usbench.audit.strata import measure_strata

        result = measure_strata(ready, result, columns, options, settings)
        if options.results is not None:
            results.save(options.results, result)
    if levels:
        from usbench.shifts.measure import measure_shifts

        result = measure_shifts(ready, result, levels, options, settings)
        if options.results is not None:
            results.save(options.results, result)
    return result
