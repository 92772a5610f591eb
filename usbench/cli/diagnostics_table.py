"""Instruments on the terminal: strata and shifts as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from usbench.cli.terminal import as_data, printable_result
from usbench.cli.terminal_table import Column, print_table
from usbench.leaderboard import number_format
from usbench.leaderboard.board import LEAKAGE_MARKS
from usbench.results.division import division_of, told_as
from usbench.results.schema import Result


def print_strata(console: Console, result: Result, columns: list[str]) -> None:
    """Print the strata of some columns.

    Args:
        console: Where to print.
        result: A result with ``instruments["strata"]``.
        columns: Columns to show.
    """
    section, told = result.instruments["strata"], printable_result(result)
    metric = _metric(result, section["metric"])
    for column in columns:
        found = section["columns"][column]
        units = f"{result.task['unit']}s" if result.task["unit"] != "subject" else "tested"
        headings = [Column(column), Column("subjects", True), Column(units, True, drop=1), Column(metric.heading, True)]
        rows = []
        for level in found["levels"]:
            e = level["estimate"]
            cells = [str(level["subjects"]), str(level["units"]), metric.value(e["value"])]
            rows.append([level["value"], *cells, metric.interval(e["low"], e["high"]), level["note"]])
        title = f"{_name(result)} on {result.board} by {column}, {section['protocol']}"
        print_table(console, title, [*headings, Column("95 % interval", True), Column("", wraps=True)], rows)
        if found["scope"] == "frames":
            console.print(
                f"[dim]A {told.task['unit']} has frames of several kinds here: probes are trained on all of them and "
                "answer from those of one kind.[/dim]"
            )
        if found["missing"]:
            console.print(f"[dim]{found['missing']} {told.task['unit']}s have no value of {as_data(column)}.[/dim]")


def print_shifts(console: Console, result: Result, names: list[str]) -> None:
    """Print score, difference and drift at the levels asked for.

    Args:
        console: Where to print.
        result: A result with ``instruments["shifts"]``.
        names: Levels, such as ``gain:3``.
    """
    section, told = result.instruments["shifts"], printable_result(result)
    metric = _metric(result, section["metric"])
    columns = [Column("shift"), Column("amount", drop=1), Column(metric.heading, True, wraps=True)]
    columns += [Column(heading, True) for heading in ("Δ clean", "95 % interval", "p", "drift")]
    rows = [["clean", "", metric.value(section["clean"]["value"]), "", "", "", ""]]
    for name in names:
        entry = section["measured"][name]
        d, moved = entry["difference"], entry["drift"]
        figures = [metric.value(entry["estimate"]["value"]), metric.difference(d["value"]), _interval(metric, d)]
        figures.append(number_format.p_value(d["p_adjusted"]))
        figures.append(number_format.DASH if moved["value"] is None else f"{moved['value']:.2f}")
        rows.append([name + (" *" if entry["trained"] else ""), entry["amount"], *figures])
    title = f"{_name(result)} on shifted {result.board}, {section['protocol']}"
    print_table(console, title, columns, rows, rule_after=[0])
    notes = [told.instruments["shifts"]["note"], "p is corrected over all levels in the result (Holm)."]
    notes.append("Drift: how far frames move, as a share of the distance between subjects.")
    if any(section["measured"][name]["trained"] for name in names):
        notes.append("* the encoder was trained to ignore this shift.")
    console.print(f"[dim]{' '.join(notes)}[/dim]")


def _metric(result: Result, name: str) -> number_format.Column:
    return number_format.column(told_as(name, division_of(result)), result.task.get("unit_of_target") or "")


def _name(result: Result) -> str:
    """Return the encoder's name with its mark of leakage."""
    return str(result.encoder["name"]) + LEAKAGE_MARKS.get(result.leakage.get("state", "unknown"), "")


def _interval(metric: number_format.Column, d: dict[str, Any]) -> str:
    if d["low"] is None or d["high"] is None:
        return number_format.DASH
    return f"{metric.difference(d['low'])} to {metric.difference(d['high'])}"
