"""Sentences about differences: what the tests support, and nothing that they do not.

Pages, reports and ``usbench compare`` speak through these functions, so that the same difference is told in the same
way everywhere. A claim goes by the corrected p-value; without one, nothing is said to be equal, only not shown to
differ, unless the whole interval is small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from usbench.leaderboard import number_format
from usbench.leaderboard.comparison import ALPHA, MARGIN, Difference, Standing
from usbench.leaderboard.number_format import Column
from usbench.statistics.metrics import find_metric

Claim = Literal["better", "worse", "different", "equivalent", "open"]


def claim(difference: Difference, column: Column) -> Claim:
    """Return what a difference supports.

    Args:
        difference: First minus second, corrected for what it is read together with.
        column: The metric.

    Returns:
        ``better`` or ``worse`` of the first; ``different`` in a metric that is best at a value in between;
        ``equivalent`` where the whole interval is within the margin; ``open`` where nothing is shown.
    """
    if difference.p_adjusted < ALPHA:
        if column.higher_is_better is None:
            return "different"
        return "better" if column.better(difference.value, 0.0) else "worse"
    margin = margin_of(column)
    return "equivalent" if margin is not None and difference.within(margin) else "open"


def margin_of(column: Column) -> float | None:
    """Return the margin of equivalence of a metric, ``None`` where none is agreed upon."""
    known = find_metric(column.metric)
    return MARGIN if known is not None and known.scale == "share" else None


def between_two(a: str, b: str, difference: Difference | None, column: Column, subjects: int, family: int = 1) -> str:
    """Say in one sentence what a comparison of two encoders found.

    Args:
        a: Title of the first.
        b: Title of the second.
        difference: First minus second; ``None`` where there is none.
        column: The metric.
        subjects: Number of subjects.
        family: Number of comparisons read together.
    """
    if difference is None:
        return f"{a} and {b} cannot be compared in {column.title}: there is no value, or no variation to test it by."
    p = number_format.p_value(difference.p_adjusted)
    told_p = f"p {p if p.startswith('<') else f'= {p}'}"
    corrected = f", Holm over {family} comparisons" if family > 1 else ""
    evidence = (
        f"difference {column.difference(difference.value)}, 95 % interval {column.difference(difference.low)} to "
        f"{column.difference(difference.high)}, {told_p}, {difference.test}{corrected}, "
        f"{number_format.plural(subjects, 'subject')}"
    )
    found = claim(difference, column)
    if found == "open":
        return f"No difference in {column.title} is shown between {a} and {b} ({evidence})."
    if found == "equivalent":
        return f"{a} and {b} are equivalent in {column.title} within {_margin(column)} ({evidence})."
    size = f"{column.value(abs(difference.value))}{unit_of(column)}"
    if found == "different":
        return f"{a} and {b} differ by {size} in {column.title} ({evidence}); more of it is not better by itself."
    winner, loser = (a, b) if found == "better" else (b, a)
    return f"{winner} is better than {loser} by {size} in {column.title} ({evidence})."


def of_board(standing: Standing, titles: Mapping[str, str], column: Column, subjects: int) -> str:
    """Say in a few sentences what the paired tests of a board support.

    Args:
        standing: Its tests.
        titles: Encoder name to printed name.
        column: The metric that ranks.
        subjects: Number of subjects.
    """
    parts = []
    if standing.best_floor is not None and standing.differences:
        parts += _best_baseline(standing, titles, column)
    parts += _named_beforehand(standing, titles, column)
    if standing.leaders:
        parts.append(
            f"Bold: the best and those that a comparison with the best does not tell from it ({len(standing.leaders)})."
        )
    else:
        parts.append("Nothing is bold: a comparison with the best tells nobody apart from it.")
    if standing.detectable is not None:
        size = column.value(standing.detectable)
        parts.append(
            f"With {number_format.plural(subjects, 'subject')}, a true difference to the best baseline of "
            f"{size}{unit_of(column)} is found in 80 % of such cohorts, a smaller one more seldom."
        )
    return " ".join(parts)


def of_one(standing: Standing, name: str, titles: Mapping[str, str], column: Column) -> str:
    """Say in a sentence or two what the paired tests of a board support about one encoder.

    Args:
        standing: The tests.
        name: Name of the encoder.
        titles: Encoder name to printed name.
        column: The metric that ranks.

    Returns:
        The sentences; nothing for a baseline that nobody judged and that is not among the best.
    """
    parts = []
    found = standing.differences.get(name)
    if found is not None:
        words = {
            "better": "shown to beat",
            "worse": "shown to be worse than",
            "different": "shown to differ from",
            "equivalent": f"equivalent, within {_margin(column)}, to",
            "open": "not shown to differ from",
        }
        interval = f"95 % interval {column.difference(found.low)} to {column.difference(found.high)}"
        p = number_format.p_value(found.p_adjusted)
        parts.append(
            f"It is {words[claim(found, column)]} the best baseline, {titles[found.against]} (difference "
            f"{column.difference(found.value)}, {interval}; corrected p {p if p.startswith('<') else f'= {p}'})."
        )
    if name in standing.leaders:
        best = name == standing.comparator.best()
        said = "has the best score here" if best else "is not told from the best score by a comparison with it"
        parts.append(f"It {said}.")
    return " ".join(parts)


def unit_of(column: Column) -> str:
    """Return what is printed after a difference of a metric."""
    return {"%": " points", "": ""}.get(column.unit, f" {column.unit}")


def _best_baseline(standing: Standing, titles: Mapping[str, str], column: Column) -> list[str]:
    found = {name: claim(d, column) for name, d in standing.differences.items()}
    best = titles[standing.best_floor or ""]
    above = [titles[name] for name, told in found.items() if told == "better"]
    below = [titles[name] for name, told in found.items() if told == "worse"]
    equal = [titles[name] for name, told in found.items() if told == "equivalent"]
    parts = [
        f"Shown to beat the best baseline ({best}): {listed(above)}."
        if above
        else f"No encoder is shown to beat the best baseline ({best})."
    ]
    apart = [titles[name] for name, told in found.items() if told == "different"]
    if apart:
        parts.append(f"Shown to differ from it: {listed(apart)}.")
    if below:
        parts.append(f"Shown to be worse than it: {listed(below)}.")
    if equal:
        parts.append(f"Equivalent to it within {_margin(column)}: {listed(equal)}.")
    return parts


def _named_beforehand(standing: Standing, titles: Mapping[str, str], column: Column) -> list[str]:
    """One clause for each baseline that was named beforehand and is not the best one anyway."""
    told: dict[tuple[str, Claim], list[str]] = {}
    for name, differences in standing.references.items():
        for d in differences:
            if d.against != standing.best_floor:
                told.setdefault((d.against, claim(d, column)), []).append(titles[name])
    words = {
        "better": "better than",
        "worse": "worse than",
        "different": "different from",
        "equivalent": f"equivalent within {_margin(column)} to",
        "open": "not told from",
    }
    clauses = [f"{listed(names)} {words[found]} {titles[against]}" for (against, found), names in told.items()]
    return [f"Against the baselines named beforehand: {'; '.join(clauses)}."] if clauses else []


def _margin(column: Column) -> str:
    return f"{column.value(MARGIN)}{unit_of(column)}"


def listed(names: Sequence[str]) -> str:
    """Return ``A, B and C``."""
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]
