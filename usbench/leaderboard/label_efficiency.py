"""Scores on fewer training subjects, and how many of them an encoder needs to reach the best baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log
from typing import Any

from usbench.leaderboard.board import Board, Entry
from usbench.leaderboard.number_format import Column
from usbench.results.schema import Estimate


@dataclass(frozen=True)
class Point:
    """One size of the training set.

    Attributes:
        share: Share of the training subjects.
        subjects: Their number in a fold.
        values: Score of each draw of them.
        estimate: Score over all draws, with its interval.
    """

    share: float
    subjects: float
    values: tuple[float | None, ...]
    estimate: Estimate


@dataclass(frozen=True)
class Curve:
    """The sizes of one encoder, from the smallest to the whole."""

    entry: Entry
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Needed:
    """How many training subjects reach a score.

    Attributes:
        subjects: Their number, interpolated on a logarithmic scale; ``None`` where all of them do not.
        at_most: Whether the smallest size measured reaches it already, so that fewer may do.
        low: Fewest among the draws.
        high: Most among the draws.
    """

    subjects: float | None
    at_most: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Efficiency:
    """All curves of a board that can stand beside each other.

    Attributes:
        protocol: Their protocol.
        metric: Their metric.
        curves: One per encoder that was measured, in the order of the board.
        best_floor: Name of the best baseline on all training subjects; ``None`` without one.
        goal: Its score.
    """

    protocol: str
    metric: str
    curves: tuple[Curve, ...]
    best_floor: str | None
    goal: float | None

    def needed(self, curve: Curve, column: Column) -> Needed | None:
        """Return how many training subjects an encoder needs to reach the best baseline; ``None`` without one."""
        if self.goal is None or curve.entry.name == self.best_floor:
            return None
        return subjects_needed(curve.points, self.goal, column)


def efficiency_of(board: Board) -> Efficiency | None:
    """Return the curves of a board, ``None`` where none was measured.

    Args:
        board: The board.
    """
    held = [(e, s) for e in board.entries if "curve" in (s := e.result.instruments.get("label_efficiency", {}))]
    if not held:
        return None
    protocol = next((p for p in board.protocols if any(s["protocol"] == p for _, s in held)), None)
    metric = board.primary(protocol) if protocol else None
    alike = [(e, s) for e, s in held if s["protocol"] == protocol and s["metric"] == metric]
    if protocol is None or metric is None or not alike:
        return None
    best = board.standing(protocol).best_floor
    goal = next((e.estimate(protocol, metric).value for e in board.entries if e.name == best), None)
    return Efficiency(protocol, metric, tuple(Curve(e, _points(s)) for e, s in alike), best, goal)


def _points(section: dict[str, Any]) -> tuple[Point, ...]:
    points = [Point(p["share"], p["subjects"], tuple(p["values"]), Estimate(**p["estimate"])) for p in section["curve"]]
    return tuple(sorted(points, key=lambda point: point.share))


def subjects_needed(points: Sequence[Point], goal: float, column: Column) -> Needed:
    """Say from how many training subjects on a score is reached, and stays reached.

    Args:
        points: Sizes in ascending order, the whole last.
        goal: The score.
        column: The metric, which says what is better.

    Returns:
        The number by the mean scores, and its range over the draws.
    """
    means = [(p.subjects, p.estimate.value) for p in points if p.estimate.value is not None]
    number, at_most = _reached(means, goal, column)
    if number is None:
        return Needed(None)
    draws = max((len(p.values) for p in points[:-1]), default=0)
    each = []
    for k in range(draws):
        drawn = [(p.subjects, p.values[k % len(p.values)]) for p in points[:-1] if p.values]
        curve = [(n, v) for n, v in (*drawn, (points[-1].subjects, points[-1].estimate.value)) if v is not None]
        found, _ = _reached(curve, goal, column)
        each += [] if found is None else [found]
    return Needed(number, at_most, min(each, default=None), max(each, default=None))


def _reached(curve: Sequence[tuple[float, float]], goal: float, column: Column) -> tuple[float | None, bool]:
    """Return where a curve comes to the goal for good, and whether it does so at its first point."""
    below = [k for k, (_, value) in enumerate(curve) if column.better(goal, value)]
    last = below[-1] if below else -1
    if last == len(curve) - 1:
        return None, False
    if last < 0:
        return curve[0][0], True
    (few, worse), (many, better) = curve[last], curve[last + 1]
    share = (goal - worse) / (better - worse)
    return exp(log(few) + share * (log(many) - log(few))), False
