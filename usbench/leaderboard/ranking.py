"""One ranking over several tasks, for encoders measured on the same ones.

Metrics of unlike tasks have unlike units and spreads: a mean over an AUC and an error in percent of saturation weighs
the tasks by accident. Ranks are free of units. A rank hides by how much one is better, so the interval matters: it
resamples the subjects of every task and the tasks themselves, the latter because another choice of tasks would give
another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from usbench.leaderboard.board import Board
from usbench.leaderboard.comparison import LEVEL
from usbench.leaderboard.rank_groups import groups, names_of
from usbench.statistics._types import FloatArray
from usbench.statistics.bootstrap import percentile_bounds
from usbench.task.kinds import task_kind

MIN_TASKS = 2
MIN_ENCODERS = 2
RESAMPLES = 500
# Above this many boards, subsets are not enumerated; only the encoders measured on all of them are ranked.
_ENUMERATED = 12


@dataclass(frozen=True)
class Ranked:
    """One encoder in the ranking.

    Attributes:
        name: Registry name.
        title: Printed name.
        floor: Whether it is a baseline.
        mean_rank: Mean over the tasks, 1 is best.
        low: Lower end of the 95 % interval.
        high: Upper end.
        ranks: Board to rank.
    """

    name: str
    title: str
    floor: bool
    mean_rank: float
    low: float
    high: float
    ranks: dict[str, float]


@dataclass(frozen=True)
class Ranking:
    """A ranking and what it is over.

    Attributes:
        boards: The boards, one a task.
        rows: The encoders, best first.
        left_out: Titles of encoders that were not measured on all of these boards.
        groups: Names of neighbours in the ranking who are not distinguished from one another, best first.
    """

    boards: tuple[Board, ...]
    rows: tuple[Ranked, ...]
    left_out: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()


def rank(boards: Sequence[Board], n_resamples: int = RESAMPLES) -> Ranking | None:
    """Rank the encoders over the largest block of tasks and encoders that is complete.

    Args:
        boards: All boards; simulated ones and maps are left out, and of a task's boards the one on its own dataset
            counts, or else the one with most encoders.
        n_resamples: Resamples of subjects and tasks.

    Returns:
        The ranking, or ``None`` with fewer than two tasks or two encoders that are not baselines in common.
    """
    candidates = _one_a_task(boards)
    chosen = _largest_block(candidates)
    if chosen is None:
        return None
    block, names = chosen
    titles = {e.name: (e.title, e.floor) for board in block for e in board.entries}
    points = np.stack([_ranks(np.array([[_value(board, name) for name in names]]), _sign(board))[0] for board in block])
    draws = np.stack([_drawn_ranks(board, names, n_resamples) for board in block])
    rng = np.random.default_rng(0)
    picks = rng.integers(0, len(block), (n_resamples, len(block)))
    means = draws[picks, np.arange(n_resamples)[:, None], :].mean(axis=1)
    rows = []
    for i, name in enumerate(names):
        low, high = percentile_bounds(np.round(means[:, i], 9), LEVEL)
        ranks = {board.name: float(points[b, i]) for b, board in enumerate(block)}
        rows.append(Ranked(name, *titles[name], float(points[:, i].mean()), low, high, ranks))
    everyone = {e.name: e.title for board in candidates for e in board.entries if e.file}
    left_out = tuple(sorted(title for name, title in everyone.items() if name not in names))
    rows.sort(key=lambda row: (row.mean_rank, row.title))
    order = [names.index(row.name) for row in rows]
    runs = groups(points.mean(axis=0)[order], means[:, order], LEVEL)
    return Ranking(block, tuple(rows), left_out, names_of([row.name for row in rows], runs))


def _one_a_task(boards: Sequence[Board]) -> list[Board]:
    best: dict[str, Board] = {}
    for board in boards:
        if board.synthetic or not task_kind(board.task.kind).trains or not board.entries or board.primary() is None:
            continue
        other = best.get(board.task.name)
        if other is None or (board.own_dataset, len(board.entries)) > (other.own_dataset, len(other.entries)):
            best[board.task.name] = board
    return list(best.values())


def _rankable(board: Board) -> set[str]:
    """Return who can be ranked on a board: measured, on the same units, with a value of the primary metric."""
    metric = board.primary()
    return {
        e.name
        for e in board.entries
        if e.file and e.comparable and e.estimate(board.headline, metric).value is not None
    }


def _largest_block(boards: Sequence[Board]) -> tuple[tuple[Board, ...], list[str]] | None:
    """Return the boards and encoders with most cells of which none is empty; more tasks win among equals."""
    rankable = {board.name: _rankable(board) for board in boards}
    floors = {e.name for board in boards for e in board.floors}
    sizes = range(MIN_TASKS, len(boards) + 1) if len(boards) <= _ENUMERATED else (len(boards),)
    best: tuple[tuple[int, int], tuple[Board, ...], list[str]] | None = None
    for size in sizes:
        for subset in combinations(boards, size):
            names = set.intersection(*(rankable[board.name] for board in subset))
            if len(names - floors) < MIN_ENCODERS:
                continue
            key = (len(names) * size, size)
            if best is None or key > best[0]:
                best = (key, subset, sorted(names))
    return None if best is None else best[1:]


def _value(board: Board, name: str) -> float:
    value = board.standing().comparator.value(name)
    return float("nan") if value is None else value


def _sign(board: Board) -> float:
    return -1.0 if board.standing().comparator.higher_is_better else 1.0


def _drawn_ranks(board: Board, names: Sequence[str], n_resamples: int) -> FloatArray:
    found = board.standing().comparator.resampled(n_resamples)
    values = np.stack([found[name] for name in names], axis=1)
    # A resample without one of the classes says nothing about the order: the data's own order stands in for it.
    undefined = np.isnan(values).any(axis=1)
    values[undefined] = [_value(board, name) for name in names]
    return _ranks(values, _sign(board))


def _ranks(values: FloatArray, sign: float) -> FloatArray:
    """Return ranks within rows, 1 is best, ties share their mean rank."""
    signed = sign * values
    ahead = (signed[:, None, :] < signed[:, :, None]).sum(axis=2)
    equal = (signed[:, None, :] == signed[:, :, None]).sum(axis=2)
    ranks: FloatArray = ahead + (equal + 1) / 2
    return ranks
