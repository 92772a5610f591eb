"""One ranking over several tasks, for encoders measured on the same ones.

Metrics of unlike tasks have unlike units and spreads: a mean over an AUC and an error in percent of saturation weighs
the tasks by accident. Ranks are free of units. Several tasks on the same patients are one sample of patients: a cohort
counts once, as the mean over its tasks. A rank hides by how much one is better, so the interval matters: it resamples
the patients of every cohort, jointly for all tasks on them, and cohorts and their tasks, because another choice of
these would give another order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import and_

import numpy as np

from usbench.leaderboard.board import Board
from usbench.leaderboard.cohorts import Cohort, cohort_of, cohorts_of, weights_by_board
from usbench.leaderboard.comparison import LEVEL
from usbench.leaderboard.rank_groups import groups, names_of
from usbench.statistics._types import FloatArray
from usbench.statistics.bootstrap import percentile_bounds
from usbench.task.kinds import task_kind

MIN_COHORTS = 2
MIN_ENCODERS = 2
RESAMPLES = 500
# Above this many boards, subsets are not enumerated; only the encoders measured on all of them are ranked.
_ENUMERATED = 16


@dataclass(frozen=True)
class Ranked:
    """One encoder in the ranking.

    Attributes:
        name: Registry name.
        title: Printed name.
        floor: Whether it is a baseline.
        mean_rank: Mean over the cohorts, of each the mean over its tasks; 1 is best.
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
        cohorts: The same boards by whose patients they decide about.
        rows: The encoders, best first.
        left_out: Titles of encoders that were not measured on all of these boards.
        groups: Names of neighbours in the ranking who are not distinguished from one another, best first.
    """

    boards: tuple[Board, ...]
    cohorts: tuple[Cohort, ...]
    rows: tuple[Ranked, ...]
    left_out: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...] = ()


def rank(boards: Sequence[Board], n_resamples: int = RESAMPLES) -> Ranking | None:
    """Rank the encoders over the largest block of tasks and encoders that is complete.

    Args:
        boards: All boards; simulated ones and maps are left out, and of a task's boards the one on its own dataset
            counts, or else the one with most encoders.
        n_resamples: Resamples of patients, cohorts and tasks.

    Returns:
        The ranking, or ``None`` with fewer than two cohorts or two encoders that are not baselines in common.
    """
    candidates = _one_a_task(boards)
    chosen = _largest_block(candidates)
    if chosen is None:
        return None
    block, names = chosen
    titles = {e.name: (e.title, e.floor) for board in block for e in board.entries}
    points = np.stack([_ranks(np.array([[_value(board, name) for name in names]]), _sign(board))[0] for board in block])
    cohorts = tuple(cohorts_of(block))
    weights = np.array([weights_by_board(cohorts)[board.name] for board in block])
    means = _drawn_means(cohorts, names, n_resamples)
    rows = []
    for i, name in enumerate(names):
        low, high = percentile_bounds(np.round(means[:, i], 9), LEVEL)
        ranks = {board.name: float(points[b, i]) for b, board in enumerate(block)}
        rows.append(Ranked(name, *titles[name], float(weights @ points[:, i]), low, high, ranks))
    everyone = {e.name: e.title for board in candidates for e in board.entries if e.file}
    left_out = tuple(sorted(title for name, title in everyone.items() if name not in names))
    rows.sort(key=lambda row: (row.mean_rank, row.title))
    order = [names.index(row.name) for row in rows]
    runs = groups((weights @ points)[order], means[:, order], LEVEL)
    return Ranking(block, cohorts, tuple(rows), left_out, names_of([row.name for row in rows], runs))


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
    """Return the boards and encoders with most cells of which none is empty.

    Boards of one cohort count once, so that a second task on the same patients outweighs no encoder; among equals more
    cohorts win, then more tasks.
    """
    rankable = [_rankable(board) for board in boards]
    names = sorted(set().union(*rankable))
    floors = _bits(names, {e.name for board in boards for e in board.floors})
    has = [_bits(names, there) for there in rankable]
    cohorts = [cohort_of(board.entries[0].result) for board in boards]
    everything = range(len(boards))
    sizes = range(MIN_COHORTS, len(boards) + 1) if len(boards) <= _ENUMERATED else (len(boards),)
    best: tuple[tuple[int, int, int], tuple[int, ...], int] | None = None
    for size in sizes:
        for subset in combinations(everything, size):
            common = reduce(and_, (has[i] for i in subset))
            n_cohorts = len({cohorts[i] for i in subset})
            if (common & ~floors).bit_count() < MIN_ENCODERS or n_cohorts < MIN_COHORTS:
                continue
            key = (common.bit_count() * n_cohorts, n_cohorts, size)
            if best is None or key > best[0]:
                best = (key, subset, common)
    if best is None:
        return None
    _, subset, common = best
    return tuple(boards[i] for i in subset), [name for k, name in enumerate(names) if common >> k & 1]


def _bits(names: Sequence[str], there: set[str]) -> int:
    """Return a set of names as the bits of a number."""
    return sum(1 << k for k, name in enumerate(names) if name in there)


def _value(board: Board, name: str) -> float:
    value = board.standing().comparator.value(name)
    return float("nan") if value is None else value


def _sign(board: Board) -> float:
    return -1.0 if board.standing().comparator.higher_is_better else 1.0


def _drawn_means(cohorts: Sequence[Cohort], names: Sequence[str], n_resamples: int) -> FloatArray:
    """Return the mean rank of each encoder in each resample of patients, cohorts and tasks, ``[n_resamples, n]``."""
    row = np.arange(n_resamples)[:, None]
    by_cohort = []
    for seed, cohort in enumerate(cohorts):
        drawn = cohort.draws(n_resamples, seed)
        ranks = np.stack([_drawn_ranks(*pair, names) for pair in zip(cohort.boards, drawn, strict=True)])
        # A stream of its own, so that a further task on one cohort moves nothing in the others.
        picks = np.random.default_rng([0, seed]).integers(0, len(ranks), (n_resamples, len(ranks)))
        by_cohort.append(ranks[picks, row, :].mean(axis=1))
    picks = np.random.default_rng(0).integers(0, len(cohorts), (n_resamples, len(cohorts)))
    means: FloatArray = np.stack(by_cohort)[picks, row, :].mean(axis=1)
    return means


def _drawn_ranks(board: Board, counts: FloatArray, names: Sequence[str]) -> FloatArray:
    found = board.standing().comparator.weighted(counts)
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
