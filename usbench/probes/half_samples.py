"""How much a cross-validated score varies with the subjects it was trained *and* tested on.

Resampling subjects under fixed predictions leaves out that other subjects would have trained another probe. Here the
subjects are cut into two halves at random, several times, the protocol is refitted in each half, and the two scores of
a halving are compared: they share no subject, so that their difference holds both kinds of chance.
`usbench.statistics.half_samples` turns the pairs into standard errors.

Halvings depend on nothing but the subjects, their classes and the seed. Two encoders with results on the same units
therefore have the same halvings, and the difference between them needs no refit of its own.

References:
    McCarthy PJ. Pseudo-replication: half samples. Review of the International Statistical Institute 1969;37:239-264.
    Nadeau C, Bengio Y. Inference for the generalization error. Machine Learning 2003;52:239-281.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from usbench.errors import DataError
from usbench.probes.data import FoldChoice, ProbeData
from usbench.probes.protocols import Question, get_protocol, pose
from usbench.statistics._types import AnyArray, BoolArray
from usbench.statistics.half_samples import MIN_OF_A_CLASS, MIN_SUBJECTS
from usbench.statistics.metrics import compute
from usbench.statistics.splits import Split, group_codes, subject_folds

HALVINGS = 12
MOST_DRAWS = 3
"""Most draws of the folds in a half: further ones hardly change what the draws have in common."""


@dataclass(frozen=True)
class HalfSamples:
    """Scores of the halves.

    Attributes:
        metrics: Metric name to the scores of both halves of each halving, None where the metric does not exist there.
        reason: Why there is none, one clause; empty where there are.
    """

    metrics: dict[str, list[tuple[float | None, float | None]]]
    reason: str = ""


def refit_halves(
    protocol: str,
    data: ProbeData,
    splits: Sequence[Split],
    names: Sequence[str],
    *,
    folds: int | None = None,
    draws: int = 1,
    question: Question = "classification",
    positive: object | None = None,
    threshold: float | None = None,
    choices: Sequence[FoldChoice] = (),
    seed: int = 0,
    n_halvings: int = HALVINGS,
    n_jobs: int = 1,
) -> HalfSamples:
    """Refit a protocol in random halves of the subjects.

    Args:
        protocol: Name of the protocol.
        data: Embedded frames, labels and subjects.
        splits: One draw of the splits of the whole; official splits are kept within each half.
        names: Metrics wanted.
        folds: Where folds are drawn: their number, drawn anew in each half; fewer where a class has fewer subjects.
        draws: Where folds are drawn: how often on the whole; at most `MOST_DRAWS` in a half, so that the
            luck of a draw averages out about alike.
        question: "classification", "regression" or "ordinal".
        positive: Two classes: the label that counts as positive.
        threshold: Regression: threshold of the AUC.
        choices: What the protocol chose on the whole; a wide grid is searched near these values only.
        seed: Seed of halvings, folds and the protocol.
        n_halvings: Number of halvings.
        n_jobs: Threads.

    Returns:
        The scores; none, with the reason, where there are too few subjects or a half cannot be trained on.

    Raises:
        UsbenchError: If the protocol is unknown or does not fit the question.
    """
    info = get_protocol(protocol)
    classify = question == "classification"
    _, subject = group_codes(data.groups)
    reason = _too_few(data.y if classify else None, subject)
    if reason:
        return HalfSamples({}, reason)
    halves = [half for pair in _halvings(data.y if classify else None, subject, n_halvings, seed) for half in pair]
    per_half = min(draws, MOST_DRAWS) if folds is not None else 1
    seeds = iter(np.random.SeedSequence([seed, 1]).generate_state(len(halves) * per_half))
    try:
        drawn = [
            _splits_within(half, splits, folds, data, classify, int(next(seeds)))
            for half in halves
            for _ in range(per_half)
        ]
        problem, _ = pose(data, drawn, seed, question, positive, n_jobs)
        predictions, _ = info.refit(problem, choices) if info.refit is not None else info.run(problem)
    except DataError as error:
        return HalfSamples({}, f"half of the subjects is not enough to train on ({error})")
    # The repeats of a half, one per draw of its splits and initialisation, follow each other.
    each = predictions.n_repeats // len(halves)
    parts = [predictions.repeats(k * each, (k + 1) * each).tested(threshold) for k in range(len(halves))]
    metrics = {}
    for name in names:
        values = [compute(name, part) for part in parts]
        metrics[name] = list(zip(values[::2], values[1::2], strict=True))
    return HalfSamples(metrics)


def _too_few(y: AnyArray | None, subject: AnyArray) -> str:
    n = int(subject.max()) + 1
    if n < MIN_SUBJECTS:
        return f"{n} subjects are too few to refit in halves of them ({MIN_SUBJECTS} are needed)"
    if y is not None:
        for label in np.unique(y):
            of_class = len(np.unique(subject[y == label]))
            if of_class < MIN_OF_A_CLASS:
                return f"{of_class} subjects of class {label} are too few to halve ({MIN_OF_A_CLASS} are needed)"
    return ""


def _halvings(y: AnyArray | None, subject: AnyArray, count: int, seed: int) -> list[tuple[BoolArray, BoolArray]]:
    """Cut the subjects in two, class by class; bool [n_units] twice for each halving."""
    n = int(subject.max()) + 1
    stratum = np.zeros(n, dtype=np.int64)
    if y is not None:
        # The class of a subject is the highest among its units.
        np.maximum.at(stratum, subject, np.unique(y, return_inverse=True)[1])
    rng = np.random.default_rng([seed, 0])
    found = []
    for _ in range(count):
        first = np.zeros(n, dtype=bool)
        for label in np.unique(stratum):
            members = rng.permutation(np.flatnonzero(stratum == label))
            # An odd subject goes to either half alike.
            first[members[: (len(members) + int(rng.integers(2))) // 2]] = True
        found.append((first[subject], ~first[subject]))
    return found


def _splits_within(
    half: BoolArray, splits: Sequence[Split], folds: int | None, data: ProbeData, classify: bool, seed: int
) -> list[Split]:
    units = np.flatnonzero(half)
    if folds is None:
        kept = [Split(s.train[half[s.train]], s.test[half[s.test]], s.fold) for s in splits]
        kept = [s for s in kept if len(s.test)]
        if not kept or min(len(s.train) for s in kept) == 0:
            raise DataError("the splits leave nothing to train on or to test")
        return kept
    groups, y = data.groups[units], data.y[units]
    parts = [groups[y == label] for label in np.unique(y)] if classify else [groups]
    fewest = min(len(np.unique(part)) for part in parts)
    found = subject_folds(groups, y if classify else None, max(2, min(folds, fewest)), seed, stratify=classify)
    return [Split(units[s.train], units[s.test], s.fold) for s in found]
