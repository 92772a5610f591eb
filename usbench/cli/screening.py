"""What a precision that is for screening changes: cosine and figures beside those in float32."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from usbench.cli.terminal_table import Column, print_table
from usbench.core.names import split_variant, with_variant
from usbench.core.settings import DEFAULT_RESULTS
from usbench.errors import ResultError
from usbench.results.board_folder import is_screening
from usbench.results.rows import identity_facts, spelling_of
from usbench.results.schema import Result, file_of, load
from usbench.statistics.metrics import METRICS
from usbench.task.kinds import task_kind


def print_screening(console: Console, results: Sequence[Result], folder: Path) -> None:
    """Print what int8 changed of each result that was made in it; nothing of others.

    Args:
        console: Where to print.
        results: Results of any boards.
        folder: Folder of results in which those in float32 may lie.
    """
    for result in results:
        if is_screening(result.encoder):
            _print_one(console, result, results, folder)


def _print_one(console: Console, result: Result, others: Sequence[Result], folder: Path) -> None:
    name, precision = str(result.encoder["name"]), str(result.encoder["precision"])
    found = result.provenance.get(precision, {})
    cosine = f" Cosine to fp32 at least {found['cosine']:.6f} on its first frames." if "cosine" in found else ""
    told = f"{name} on {result.board}: {precision} is for screening and enters no leaderboard.{cosine}"
    console.print(told, style="yellow", markup=False, highlight=False, soft_wrap=True)
    base, variant = split_variant(spelling_of(result.encoder))
    if variant.pop("precision", None) is None:
        return  # vectors made elsewhere: what made them is not known by name
    twin = with_variant(base, variant)
    exact = _twin(result, twin, others, folder)
    if exact is None:
        command = f"usbench run -e {shlex.quote(twin)} -t {shlex.quote(result.task['name'])}"
        if result.dataset["provision"] in ("subset", "phantom"):
            command += f" --data {result.dataset['provision']}"
        if folder != DEFAULT_RESULTS:
            command += f" --results {shlex.quote(str(folder))}"
        told = f"No result of {twin} in fp32 on the same units is in {folder} to compare with. To make it: {command}"
        console.print(told, markup=False, highlight=False, soft_wrap=True)
        return
    rows = [
        [protocol, METRICS[metric].title, *_figures(metric, after.value, before.value)]
        for protocol, outcome in result.protocols.items()
        for metric in task_kind(result.task["kind"]).terminal
        if (after := outcome.metrics.get(metric)) is not None
        and protocol in exact.protocols
        and (before := exact.protocols[protocol].metrics.get(metric)) is not None
    ]
    columns = [
        Column("protocol"),
        Column("metric"),
        *(Column(text, right=True) for text in (precision, "fp32", "change")),
    ]
    print_table(console, f"{twin} in {precision} and in fp32", columns, rows)


def _twin(result: Result, name: str, others: Sequence[Result], folder: Path) -> Result | None:
    """Return the result of the same network on the same units in float32, if there is one."""
    beside = [other for other in others if other.board == result.board and other.encoder["name"] == name]
    path = file_of(folder, result.board, name)
    if not beside and path.is_file():
        try:
            beside = [load(path)]
        except ResultError:  # damaged: as if it were not there
            return None
    return next((other for other in beside if _same_but_precision(result, other)), None)


def _same_but_precision(one: Result, other: Result) -> bool:
    def network(encoder: Mapping[str, Any]) -> dict[str, str]:
        return {key: value for key, value in identity_facts(encoder).items() if key != "precision"}

    return (
        other.encoder["precision"] == "fp32"
        and network(one.encoder) == network(other.encoder)
        and (one.units.id, one.units.target) == (other.units.id, other.units.target)
    )


def _figures(metric: str, after: float | None, before: float | None) -> list[str]:
    scale, digits = (100.0, 2) if METRICS[metric].unit == "%" else (1.0, 4)
    texts = ["-" if value is None else f"{value * scale:.{digits}f}" for value in (after, before)]
    change = "-" if after is None or before is None else f"{(after - before) * scale:+.{digits}f}"
    return [*texts, change]
