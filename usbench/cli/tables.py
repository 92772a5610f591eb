"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from usbench.results import Estimate, Result
from usbench.statistics.metrics import METRICS

# The metrics a person reads first, per kind of task; the others are in the result file and on the pages.
SHOWN: dict[str, tuple[str, ...]] = {
    "binary": ("fold_auc", "auc", "accuracy", "balanced_accuracy", "f1", "sensitivity", "specificity"),
    "multiclass": ("accuracy", "balanced_accuracy", "macro_f1", "auc"),
    "regression": ("pearson_r", "mae", "auc"),
}


def print_board(console: Console, results: Sequence[Result]) -> None:
    """Print the results of one board: a table a protocol, foundation models first, floors below in italics.

    Args:
        console: Where to print.
        results: Results of one task on one dataset.
    """
    first = results[0]
    ordered = sorted(results, key=lambda r: (bool(r.encoder["floor"]), r.encoder["name"]))
    for protocol in dict.fromkeys(p for r in ordered for p in r.protocols):
        rows = [r for r in ordered if protocol in r.protocols]
        names = [
            name
            for name in SHOWN.get(first.task["kind"], ())
            if any(name in r.protocols[protocol].metrics for r in rows)
        ]
        table = Table(
            title=_title(first, protocol),
            caption=_caption(first),
            title_justify="left",
            caption_justify="left",
        )
        table.add_column("encoder", no_wrap=True)
        for name in names:
            metric = METRICS[name]
            arrow = "higher" if metric.higher_is_better else "lower"
            unit = f", {metric.unit}" if metric.unit == "%" else ""
            table.add_column(f"{metric.title}\n({arrow} is better{unit})", justify="right")
        table.add_column("leakage")
        split_done = False
        for row in rows:
            if row.encoder["floor"] and not split_done and row is not rows[0]:
                table.add_section()
            split_done = split_done or bool(row.encoder["floor"])
            style = "italic" if row.encoder["floor"] else "bold"
            cells = [_cell(row.protocols[protocol].metrics.get(name), METRICS[name].unit) for name in names]
            table.add_row(f"[{style}]{row.encoder['name']}[/{style}]", *cells, row.leakage["state"])
        console.print(table)


def _title(result: Result, protocol: str) -> str:
    mark = "[bold yellow]PHANTOM, not patients:[/bold yellow] " if result.synthetic else ""
    return f"{mark}[bold]{result.task['title']}[/bold] ({result.dataset['title']}), protocol {protocol}"


def _caption(result: Result) -> str:
    counts = result.dataset["counts"]
    classes = ", ".join(f"{n} {name}" for name, n in counts.get("classes", {}).items())
    unit = f"{counts['units']} {result.task['unit']}s" + (f" ({classes})" if classes else "")
    subjects = "" if result.task["unit"] == "subject" else f" of {counts['subjects']} subjects"
    return f"{unit}{subjects}; {result.task['split']}; 95 % intervals resample subjects; italics: floors"


def _cell(estimate: Estimate | None, unit: str) -> str:
    if estimate is None or estimate.value is None:
        return "-"
    scale, digits = (100.0, 1) if unit == "%" else (1.0, 2)
    text = f"{estimate.value * scale:.{digits}f}"
    if estimate.low is None or estimate.high is None:
        return text
    return f"{text} [dim]({estimate.low * scale:.{digits}f}–{estimate.high * scale:.{digits}f})[/dim]"
