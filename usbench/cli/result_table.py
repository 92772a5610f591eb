"""Tables on the terminal: the headline protocol with intervals, the others beside it, baselines below a rule."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from usbench.cli.terminal import printable_result
from usbench.core.names import split_variant
from usbench.probes.facts import with_plain_words
from usbench.results.division import division_of, told_as
from usbench.results.schema import Result
from usbench.statistics.metrics import METRICS, Metric
from usbench.task.kinds import task_kind

SHORT = {"fold_auc": "Fold AUC", "fold_pearson_r": "Fold r", "accuracy": "Acc.", "balanced_accuracy": "Bal. acc."}


def print_board(console: Console, results: Sequence[Result]) -> None:
    """Print the results of one board.

    Args:
        console: Where to print.
        results: Results of one task on one dataset.
    """
    results = [printable_result(result) for result in results]
    headline, *others = dict.fromkeys(p for r in results for p in r.protocols)
    # An older version of the headline stays in the result and on the page; here it would cost the width of its figures.
    others = [protocol for protocol in others if protocol.partition("@")[0] != headline.partition("@")[0]]
    ordered = sorted(results, key=_by_score(results, headline))
    first = ordered[0]
    shown = task_kind(first.task["kind"]).terminal
    division = division_of(first)
    beside = task_kind(first.task["kind"]).terminal_beside
    table = Table(
        title=_title(first),
        caption=_caption(first, headline, others),
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),  # two metrics with intervals and another protocol fit a terminal of 80 columns
        pad_edge=False,
    )
    names = {row.encoder["name"]: _in_lines(row) for row in ordered}
    width = max(len(line) for name in names.values() for line in name.splitlines())
    table.add_column("encoder", no_wrap=True, min_width=width)
    for name in shown:
        heading = _heading(METRICS[told_as(name, division)])
        table.add_column(f"{heading}\n[dim]95 % interval[/dim]", justify="right", no_wrap=True)
    for protocol in others:
        heading = " / ".join(_heading(METRICS[name], arrow=False) for name in beside)
        table.add_column(f"{heading}\n[dim]{protocol.partition('@')[0]}[/dim]", justify="right", no_wrap=True)
    table.add_column("leakage", no_wrap=True)
    for position, row in enumerate(ordered):
        if position and row.encoder["floor"] and not ordered[position - 1].encoder["floor"]:
            table.add_section()
        style = "italic" if row.encoder["floor"] else "bold"
        cells = [_cell(row, headline, name, interval=True) for name in shown]
        cells += [" / ".join(_cell(row, protocol, name) for name in beside) for protocol in others]
        table.add_row(f"[{style}]{names[row.encoder['name']]}[/{style}]", *cells, row.leakage["state"])
    console.print(table)


def _in_lines(result: Result) -> str:
    """Break the name of a variant, so that its figures keep their place: what differs stands on lines of its own."""
    base, variant = split_variant(result.encoder["name"])
    return "\n".join([base, *(f" @{key}={value}" for key, value in variant.items())])


def _by_score(results: Sequence[Result], headline: str) -> Callable[[Result], tuple[bool, float, str]]:
    """Return the key that sorts as the pages do: encoders, then baselines, the best of each first."""

    def value(result: Result, metric: str) -> float | None:
        outcome = result.protocols.get(headline)
        return outcome.metrics[metric].value if outcome and metric in outcome.metrics else None

    primary = task_kind(results[0].task["kind"]).primary
    ranks = next((m for m in primary if any(value(r, m) is not None for r in results)), None)

    def key(result: Result) -> tuple[bool, float, str]:
        score = value(result, ranks) if ranks else None
        place = math.inf if score is None or ranks is None else score * (-1 if METRICS[ranks].higher_is_better else 1)
        return bool(result.encoder["floor"]), place, result.encoder["name"]

    return key


def _title(result: Result) -> str:
    mark = "[bold yellow]PHANTOM, not patients:[/bold yellow] " if result.synthetic else ""
    return f"{mark}[bold]{result.task['title']}[/bold] · {result.dataset['title']}"


def _caption(result: Result, headline: str, others: Sequence[str]) -> str:
    counts = result.dataset["counts"]
    division = division_of(result)
    held = counts.get("classes", {}) if division is None else division.tested.classes
    classes = ", ".join(f"{number} {_class_name(result, name)}" for name, number in held.items())
    subjects = "" if result.task["unit"] == "subject" else f" of {counts['subjects']} subjects"
    beside = f"; beside it {', '.join(map(with_plain_words, others))}" if others else ""
    shares = f" ({classes})" if classes else ""
    if division is None:
        sample = f"{counts['units']} {result.task['unit']}s{subjects}{shares}; {result.task['split']}"
    else:
        unit = result.task["unit"]
        sample = f"trained on {division.trained.told(unit)}, tested on {division.tested.told(unit)}{shares}"
        sample = f"{sample[0].upper()}{sample[1:]}; {result.task['split']}"
    return f"{sample}. {with_plain_words(headline)} with 95 % intervals{beside}. Baselines in italics."


def _class_name(result: Result, name: str) -> str:
    if result.task["kind"] == "binary" and name in ("0", "1"):
        return "positive" if name == result.task["positive"] else "negative"
    return name


def _heading(metric: Metric, arrow: bool = True) -> str:
    unit = " %" if metric.unit == "%" else ""
    direction = f" {'↑' if metric.higher_is_better else '↓'}" if arrow else ""
    return f"{SHORT.get(metric.name, metric.title)}{unit}{direction}"


def _cell(row: Result, protocol: str, name: str, interval: bool = False) -> str:
    outcome = row.protocols.get(protocol)
    estimate = outcome.metrics.get(name) if outcome else None
    if estimate is None or estimate.value is None:
        return "-"
    scale, digits = (100.0, 1) if METRICS[name].unit == "%" else (1.0, 2)
    text = f"{estimate.value * scale:.{digits}f}"
    if not interval or estimate.low is None or estimate.high is None:
        return text
    return f"{text} [dim]({estimate.low * scale:.{digits}f}–{estimate.high * scale:.{digits}f})[/dim]"
