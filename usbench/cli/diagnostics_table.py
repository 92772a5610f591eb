"""Instruments on the terminal: strata and shifts as tables."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from usbench.cli.terminal import printable_result
from usbench.leaderboard import number_format
from usbench.results.schema import Result


def print_strata(console: Console, result: Result, columns: list[str]) -> None:
    """Print the strata of some columns.

    Args:
        console: Where to print.
        result: A result with ``instruments["strata"]``.
        columns: Columns to show.
    """
    result = printable_result(result)
    section = result.instruments["strata"]
    metric = number_format.column(section["metric"], result.task.get("unit_of_target") or "")
    for column in columns:
        found = section["columns"][column]
        table = _table(f"{result.encoder['name']} on {result.board} by {column}, {section['protocol']}")
        table.add_column(column, no_wrap=True)
        headings = ["subjects", f"{result.task['unit']}s" if result.task["unit"] != "subject" else "tested"]
        for heading in (*headings, metric.heading, "95 % interval"):
            table.add_column(heading, justify="right", no_wrap=True)
        table.add_column("")
        for level in found["levels"]:
            e = level["estimate"]
            cells = [str(level["subjects"]), str(level["units"]), metric.value(e["value"])]
            table.add_row(level["value"], *cells, metric.interval(e["low"], e["high"]), level["note"])
        console.print(table)
        if found["scope"] == "frames":
            console.print(
                f"[dim]A {result.task['unit']} has frames of several kinds here: probes are trained on all of them and "
                "answer from those of one kind.[/dim]"
            )
        if found["missing"]:
            console.print(f"[dim]{found['missing']} {result.task['unit']}s have no value of {column}.[/dim]")


def print_shifts(console: Console, result: Result, names: list[str]) -> None:
    """Print score, difference and drift at the levels asked for.

    Args:
        console: Where to print.
        result: A result with ``instruments["shifts"]``.
        names: Levels, such as ``gain:3``.
    """
    result = printable_result(result)
    section = result.instruments["shifts"]
    metric = number_format.column(section["metric"], result.task.get("unit_of_target") or "")
    table = _table(f"{result.encoder['name']} on shifted {result.board}, {section['protocol']}")
    table.add_column("shift", no_wrap=True)
    table.add_column("amount", no_wrap=True)
    for heading in (metric.heading, "Δ clean", "95 % interval", "p", "drift"):
        table.add_column(heading, justify="right", no_wrap=True)
    clean = section["clean"]
    table.add_row("clean", "", metric.value(clean["value"]), "", "", "", "")
    for name in names:
        entry = section["measured"][name]
        d, moved = entry["difference"], entry["drift"]
        table.add_row(
            name + (" *" if entry["trained"] else ""),
            entry["amount"],
            metric.value(entry["estimate"]["value"]),
            metric.difference(d["value"]),
            _interval(metric, d),
            number_format.p_value(d["p_adjusted"]),
            number_format.DASH if moved["value"] is None else f"{moved['value']:.2f}",
        )
    console.print(table)
    notes = [section["note"], "p is corrected over all levels in the result (Holm)."]
    notes.append("Drift: how far frames move, as a share of the distance between subjects.")
    if any(section["measured"][name]["trained"] for name in names):
        notes.append("* the encoder was trained to ignore this shift.")
    console.print(f"[dim]{' '.join(notes)}[/dim]")


def _interval(metric: number_format.Column, d: dict[str, Any]) -> str:
    if d["low"] is None or d["high"] is None:
        return number_format.DASH
    return f"{metric.difference(d['low'])} to {metric.difference(d['high'])}"


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
