"""Which boards decide about the same patients, and resamples that they share.

Two tasks on one dataset, such as the infection and the oxygen saturation of the same people, are not two samples: who
is lucky with these patients is lucky twice. Boards are of one cohort where their results name the same one (a dataset
and its embedded part have one cohort between them, and a task of two datasets has that of the one it is tested on);
patients are the same where the cohort and their name are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from usbench.leaderboard.board import Board
from usbench.leaderboard.number_format import plural
from usbench.results.schema import Result
from usbench.statistics._types import FloatArray
from usbench.statistics.bootstrap import subject_counts
from usbench.statistics.splits import group_codes

PAIR = "-to-"
"""What the name of a pair of datasets has between the two."""


@dataclass(frozen=True)
class Cohort:
    """Boards on the patients of one dataset.

    Attributes:
        name: Name of the dataset.
        title: Its title; where boards are on several datasets of one cohort, that of the first.
        boards: The boards, in the order of the page.
        subjects: Names of the patients of each board, in the order in which outcomes number them.
    """

    name: str
    title: str
    boards: tuple[Board, ...]
    subjects: tuple[tuple[str, ...], ...]

    @property
    def everyone(self) -> list[str]:
        """Every patient that some board decides about, sorted."""
        return sorted({name for names in self.subjects for name in names})

    @property
    def shared(self) -> int:
        """Number of patients that all its boards decide about."""
        return len(reduce(set.intersection, (set(names) for names in self.subjects)))

    def draws(self, n_resamples: int, seed: int) -> list[FloatArray]:
        """Resample the patients of all boards at once.

        Args:
            n_resamples: How many resamples.
            seed: Seed of this cohort.

        Returns:
            For each board, how often each of its patients occurs in each resample, float64 ``[n_resamples,
            n_subjects]``. A patient occurs equally often on every board.
        """
        everyone = self.everyone
        place = {name: i for i, name in enumerate(everyone)}
        counts = np.concatenate(list(subject_counts(len(everyone), n_resamples, seed, len(everyone))))
        return [counts[:, [place[name] for name in names]] for names in self.subjects]

    def describe(self) -> str:
        """Return who shares patients with whom, one clause; empty for a board of its own."""
        if len(self.boards) < 2:
            return ""
        names = ", ".join(board.name for board in self.boards)
        return f"{self.title} ({names}: {self.shared} of {plural(len(self.everyone), 'patient')} on all of them)"


def cohort_of(result: Result) -> str:
    """Return the name of the cohort that a result decides about; of a result that names none, its dataset."""
    stated = result.dataset.get("cohort")
    if stated:
        return str(stated)
    name = str(result.dataset["name"])
    return name.rpartition(PAIR)[2]


def patients(result: Result, protocol: str) -> tuple[str, ...]:
    """Return the patients that a protocol was tested on.

    Args:
        result: The result.
        protocol: One of its protocols, with predictions.

    Returns:
        Their names in the order in which the outcome numbers them, without the name of the dataset that a task of two
        datasets puts before them.
    """
    fold = result.protocols[protocol].repeats[0].fold
    tested = [subject for subject, f in zip(result.units.subject, fold, strict=True) if f is not None]
    names, _ = group_codes(tested)
    return tuple(_own_name(str(name), str(result.dataset["name"])) for name in names)


def cohorts_of(boards: Sequence[Board]) -> list[Cohort]:
    """Gather boards by the patients they decide about.

    Args:
        boards: Boards with results.

    Returns:
        Cohorts in the order of their first board.
    """
    found: dict[str, list[tuple[Board, Result]]] = {}
    for board in boards:
        result = next(e.result for e in board.entries if e.comparable and board.headline in e.result.protocols)
        found.setdefault(cohort_of(result), []).append((board, result))
    return [
        Cohort(
            name,
            next((str(r.dataset["title"]) for _, r in items if PAIR not in r.dataset["name"]), name),
            tuple(board for board, _ in items),
            tuple(patients(result, board.headline) for board, result in items),
        )
        for name, items in found.items()
    ]


def weights_by_board(cohorts: Sequence[Cohort]) -> Mapping[str, float]:
    """Return the weight of each board in a mean over boards in which every cohort counts once; they add up to 1."""
    return {board.name: 1 / (len(cohorts) * len(cohort.boards)) for cohort in cohorts for board in cohort.boards}


def _own_name(subject: str, dataset: str) -> str:
    source, _, own = subject.partition("/")
    return own if own and dataset.endswith(PAIR + source) else subject
