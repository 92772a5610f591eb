"""One plain sentence of what a table says, for tasks that test on data from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.results.division import division_of, told_as
from usbench.results.schema import Result
from usbench.statistics.metrics import METRICS
from usbench.task.kinds import task_kind


def drop_sentence(results: Sequence[Result]) -> str | None:
    """Say which encoder did best on data from elsewhere, and what it lost against data it knows.

    Args:
        results: Results of one board.

    Returns:
        The sentence; ``None`` where nothing was tested on data from elsewhere.
    """
    held = [result for result in results if result.figures.get("drop") and not result.synthetic]
    if not held:
        return None
    protocol = held[0].figures["drop"]["protocol"]
    for name in task_kind(held[0].task["kind"]).primary:
        scored = [
            r for r in held if (e := r.figures["drop"]["metrics"].get(name)) and e["elsewhere"]["value"] is not None
        ]
        if scored:
            break
    else:
        return None
    metric = METRICS[told_as(name, division_of(held[0]))]
    sign = 1 if metric.higher_is_better else -1
    best = max(scored, key=lambda r: sign * r.figures["drop"]["metrics"][name]["elsewhere"]["value"])
    found = best.figures["drop"]["metrics"][name]
    here, within, drop = found["elsewhere"], found["within"], found["drop"]
    where = _where(best)
    others = "of all" if len(scored) > 2 else "of both" if len(scored) == 2 else ""
    sentence = (
        f"{where}, {best.encoder['name']} does best {others}".rstrip()
        + f": {metric.title} {_number(here['value'])}{_interval(here)} by {protocol}, where it has "
        f"{_number(within['value'])} on data it knows"
    )
    if drop["value"] is None or drop["low"] is None:
        return f"{sentence}."
    lost = f"{_number(abs(drop['value']))} {'lost' if drop['value'] > 0 else 'gained'}"
    sure = "" if drop["low"] > 0 or drop["high"] < 0 else ", which may be chance"
    chance = ""
    if metric.chance is not None and here["low"] is not None and here["low"] <= metric.chance <= here["high"]:
        chance = " Its interval includes what guessing gives."
    return f"{sentence}; {lost}{sure}.{chance}"


def _where(result: Result) -> str:
    split = str(result.task["split"])
    return split[:1].upper() + split[1:]


def _number(value: float) -> str:
    return f"{value:.2f}"


def _interval(estimate: dict[str, float | None]) -> str:
    low, high = estimate["low"], estimate["high"]
    return "" if low is None or high is None else f" (95 % interval {low:.2f} to {high:.2f})"
