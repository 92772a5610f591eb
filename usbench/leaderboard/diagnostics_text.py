"""What each diagnostic found, in one or two sentences: for the terminal and for the notes of a page."""

from __future__ import annotations

from typing import Any

from usbench.leaderboard import number_format
from usbench.results.schema import Result

Section = dict[str, Any]


def findings(result: Result) -> dict[str, str]:
    """Say what the audits in a result found.

    Args:
        result: A result with instruments.

    Returns:
        Sentences by instrument, in the order in which they are measured.
    """
    found = {}
    for name, text in _TEXTS.items():
        section = result.instruments.get(name)
        if section is not None:
            found[name] = section["note"] if set(section) <= {"version", "note", "column"} else text(result, section)
    return found


def _column(result: Result, metric: str) -> number_format.Column:
    return number_format.column(metric, result.task.get("unit_of_target") or "")


def _with_interval(column: number_format.Column, e: Section) -> str:
    unit = {"%": " %", "": ""}.get(column.unit, f" {column.unit}")
    return f"{column.value(e['value'])}{unit} ({column.interval(e['low'], e['high'])})"


def _change(column: number_format.Column, d: Section) -> str:
    span = f"{column.difference(d['low'])} to {column.difference(d['high'])}"
    return f"{column.difference(d['value'])} ({span}; {number_format.p_statement(d['p'])})"


def _optimism(result: Result, s: Section) -> str:
    column = _column(result, s["metric"])
    e = s["estimate"]
    span = f"{column.difference(e['low'])} to {column.difference(e['high'])}"
    return (
        f"Tuning on the scored folds ({s['flat']}) instead of inside the training folds ({s['nested']}) adds "
        f"{column.difference(e['value'])}{' points' if column.unit == '%' else ''} of {column.title} ({span})."
    )


def _shortcut(result: Result, s: Section) -> str:
    column = _column(result, s["metric"])
    text = (
        f"{s['column'].capitalize()} is read from the embedding with a {column.title.lower()} of "
        f"{_with_interval(column, s['estimate'])}, where chance is {column.value(s['chance'])} % "
        f"({len(s['subjects'])} values, {sum(s['subjects'].values())} subjects)."
    )
    if s["left_out"]:
        text += f" Left out as too few: {', '.join(f'{name} ({n})' for name, n in s['left_out'].items())}."
    within = s["within"]
    if "estimate" in within:
        auc = _column(result, within["metric"])
        text += (
            f" Among pairs of one {s['column']} the {auc.title} is {_with_interval(auc, within['estimate'])}, "
            f"{_change(auc, within['difference'])} against all pairs."
        )
    return text


def _label_efficiency(result: Result, s: Section) -> str:
    column = _column(result, s["metric"])
    parts = [f"{column.value(p['estimate']['value'])} on {p['subjects']:.0f}" for p in s["curve"]]
    first, *others = parts
    return f"{column.title}: {first} training subjects, {', '.join(others)}."


def _budget(result: Result, s: Section) -> str:
    column = _column(result, s["metric"])
    parts = []
    for point in s["curve"]:
        text = f"{column.value(point['estimate']['value'])} on {number_format.plural(point['frames'], 'frame')}"
        if draws := [value for value in point.get("draws", ()) if value is not None]:
            text += f" ({column.value(min(draws))} to {column.value(max(draws))} in {len(draws)} draws)"
        if "difference" in point:
            text += f", {_change(column, point['difference'])}"
        parts.append(text)
    return f"{column.title}: {'; '.join(parts)}."


def _initialisations(result: Result, s: Section) -> str:
    column, values = _column(result, s["metric"]), s["values"]
    return (
        f"{column.title}: {column.value(s['mean'])} ± {column.value(s['sd'])} over {len(values)} seeds of the weights "
        f"({column.value(min(values))} to {column.value(max(values))}); {column.value(values[0])} with the first."
    )


def _duplicates(result: Result, s: Section) -> str:
    if not s["pairs"]:
        return f"No two of {s['files']} files of different subjects share content or look alike (difference hash)."
    text = (
        f"{number_format.plural(s['pairs'], 'pair')} of files of different subjects look alike (at most {s['near']} of "
        f"{s['bits']} bits of their hashes differ; {s['identical']} with equal content); {s['across']} of them are "
        "parted by a split, so that one is trained on when the other is tested."
    )
    if s["examples"]:
        first = s["examples"][0]
        text += f" First: {first['first']} and {first['second']}."
    return text


def _permutation(result: Result, s: Section) -> str:
    column = _column(result, s["statistic"])
    null = s["null"]
    return (
        f"With subjects' labels shuffled {s['n']} times, a kernel probe reaches {column.title} "
        f"{column.value(null['mean'])} ({column.interval(null['low'], null['high'])}); with the true labels "
        f"{column.value(s['observed'])}, {number_format.p_statement(s['p'])}."
    )


_TEXTS = {
    "optimism": _optimism,
    "label_efficiency": _label_efficiency,
    "shortcut": _shortcut,
    "frame_budget": _budget,
    "initialisations": _initialisations,
    "duplicates": _duplicates,
    "permutation": _permutation,
}
