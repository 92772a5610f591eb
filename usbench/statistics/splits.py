"""Train and test splits in which a subject is never on both sides.

All functions work on *units*, the things that are decided about (a patient, an eye at one visit, an image),
and on *groups*, the subject each unit belongs to. Splits hold positions into the units. The assignment is
written out here and not left to a library, because the splits are part of a result: they must not move with a
library's version.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from usbench.errors import DataError
from usbench.statistics._types import AnyArray, FloatArray, IntArray

_NAMED = 5
_SPLIT_ROLES = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True, eq=False)
class Split:
    """One division of the units.

    Attributes:
        train: Positions of the training units, int64 [n_train], ascending.
        test: Positions of the test units, int64 [n_test], ascending.
        fold: Label of the fold, as shown to the reader ("0", "fold 3", "patient_7").
    """

    train: IntArray
    test: IntArray
    fold: str


def subject_folds(
    groups: ArrayLike, y: ArrayLike | None, n_splits: int, seed: int, stratify: bool = True
) -> list[Split]:
    """Cut the units into `n_splits` folds of whole subjects.

    Subjects are taken from the largest to the smallest, in random order among equals, and each goes to the
    fold where it upsets the balance least: the balance of every class when `stratify` is true, otherwise of
    the number of units. With one unit per subject, the folds of a class differ by at most one unit.

    Args:
        groups: Subject of each unit, [n_units]; any values that can be compared for equality.
        y: Class of each unit, [n_units]; may be None when `stratify` is false.
        n_splits: Number of folds, at least 2.
        seed: Seed of the random order.
        stratify: Whether each fold should have the class shares of the whole.

    Returns:
        One split per fold; each unit is tested exactly once.

    Raises:
        DataError: If there are fewer subjects than folds; with `stratify` also if a label is missing, there
            is only one class, or a class has fewer subjects than folds.
    """
    names, code = group_codes(groups)
    if n_splits < 2:
        raise DataError(f"Cannot cut into {n_splits} folds: ask for at least 2.")
    if len(names) < n_splits:
        raise DataError(
            f"{len(names)} subjects cannot fill {n_splits} folds: ask for {_folds(len(names))} or add subjects."
        )
    counts = np.ones((len(code), 1)) if not stratify else _class_indicators(y, code, n_splits)
    per_subject = np.zeros((len(names), counts.shape[1]))
    np.add.at(per_subject, code, counts)

    fold_of_subject = _assign(per_subject, n_splits, np.random.default_rng(seed))
    fold = fold_of_subject[code]
    return [_split(fold == k, str(k)) for k in range(n_splits)]


def repeated_subject_folds(
    groups: ArrayLike, y: ArrayLike | None, n_splits: int, repeats: int, seed: int, stratify: bool = True
) -> list[list[Split]]:
    """Draw `subject_folds` several times with independent seeds derived from `seed`.

    Args:
        groups: Subject of each unit, [n_units].
        y: Class of each unit, [n_units]; may be None when `stratify` is false.
        n_splits: Number of folds in each repeat.
        repeats: Number of repeats, at least 1.
        seed: Seed from which each repeat's own seed is derived.
        stratify: As in `subject_folds`.

    Returns:
        `repeats` lists of `n_splits` splits.

    Raises:
        DataError: As `subject_folds`, or if `repeats` is below 1.
    """
    if repeats < 1:
        raise DataError(f"Cannot repeat the splits {repeats} times: ask for at least 1 repeat.")
    seeds = np.random.SeedSequence(seed).generate_state(repeats)
    return [subject_folds(groups, y, n_splits, int(s), stratify) for s in seeds]


def official_folds(fold_ids: ArrayLike, groups: ArrayLike) -> list[Split]:
    """Use the folds that a dataset's authors published: each is tested once, trained on all the others.

    Args:
        fold_ids: Published fold of each unit, [n_units]; numbers or strings, none missing.
        groups: Subject of each unit, [n_units].

    Returns:
        One split per fold, in ascending order of the fold's identifier.

    Raises:
        DataError: If a fold is missing, there is only one, or a subject is in two folds.
    """
    ids = np.asarray(fold_ids)
    _, code = group_codes(groups)
    _same_length("fold", ids, code)
    missing = _missing(ids)
    if missing.any():
        raise DataError(
            f"{int(missing.sum())} of {len(ids)} units have no official fold "
            f"(first: unit {int(np.argmax(missing))}): "
            "complete the fold column or use folds drawn by subject."
        )
    values = np.unique(ids)
    if len(values) < 2:
        raise DataError("The official folds name a single fold: at least 2 are needed to train and test.")
    _refuse_straddlers(groups, ids, "official fold")
    return [_split(ids == value, str(value)) for value in values]


def leave_one_group_out(groups: ArrayLike) -> list[Split]:
    """Test each subject once, trained on all other subjects.

    Args:
        groups: Subject of each unit, [n_units].

    Returns:
        One split per subject, in sorted order of the subjects, labelled with the subject.

    Raises:
        DataError: If there are fewer than two subjects.
    """
    names, code = group_codes(groups)
    if len(names) < 2:
        raise DataError("Leave-one-subject-out needs at least 2 subjects, found 1.")
    return [_split(code == k, str(name)) for k, name in enumerate(names)]


def fixed_split(split_column: ArrayLike, groups: ArrayLike, validation: Literal["train", "unused"] = "train") -> Split:
    """Use the training and test sets that a dataset's authors published.

    Args:
        split_column: "train", "val" or "test" of each unit, [n_units]; letter case and the usual synonyms
            (training, valid, validation, dev, testing) are accepted.
        groups: Subject of each unit, [n_units].
        validation: Whether validation units join the training units ("train"; probes choose their own inner
            validation subjects) or are left out ("unused").

    Returns:
        The single split, labelled "test".

    Raises:
        DataError: If a value is unknown, the training or test set is empty, or a subject is in two sets.
    """
    raw = np.asarray(split_column)
    _, code = group_codes(groups)
    _same_length("split", raw, code)
    roles = np.empty(len(raw), dtype="U10")
    for value in dict.fromkeys(raw.tolist()):
        role = _SPLIT_ROLES.get(str(value).strip().lower())
        if role is None:
            raise DataError(f"Unknown split {value!r} in the split column: use train, val or test.")
        roles[raw == value] = role
    _refuse_straddlers(groups, roles, "split")
    test = roles == "test"
    train = roles == "train" if validation == "unused" else ~test
    for name, mask in (("training", train), ("test", test)):
        if not mask.any():
            raise DataError(f"The split column leaves no {name} unit: it needs rows of both train and test.")
    return Split(np.flatnonzero(train), np.flatnonzero(test), "test")


def assert_disjoint(split: Split, groups: ArrayLike) -> None:
    """Make sure that no subject of the split is in both training and test set.

    Args:
        split: The split to check.
        groups: Subject of each unit, [n_units].

    Raises:
        DataError: If subjects straddle the split; the message names up to five of them.
    """
    names, code = group_codes(groups)
    both = np.intersect1d(code[split.train], code[split.test])
    if len(both):
        raise DataError(_straddle_message(names[both].tolist(), "both the training and the test set"))


def group_codes(groups: ArrayLike) -> tuple[AnyArray, IntArray]:
    """Number the subjects 0, 1, ... in sorted order.

    Args:
        groups: Subject of each unit, [n_units].

    Returns:
        The distinct subjects [n_subjects] and the number of each unit's subject, int64 [n_units].

    Raises:
        DataError: If there is no unit, or a unit has no subject.
    """
    values = np.asarray(groups)
    if values.ndim != 1 or len(values) == 0:
        raise DataError("No units to split: the list of subjects is empty.")
    missing = _missing(values)
    if missing.any():
        raise DataError(
            f"Unit {int(np.argmax(missing))} has no subject ({int(missing.sum())} in all): fill the subject column."
        )
    if values.dtype == object:
        values = values.astype(str)
    names, code = np.unique(values, return_inverse=True)
    return names, code.astype(np.int64)


def _class_indicators(y: ArrayLike | None, code: IntArray, n_splits: int) -> FloatArray:
    """One column per class: 1 where the unit has the class; refuses what cannot be stratified."""
    if y is None:
        raise DataError("Stratified folds need labels: pass them or ask for folds without stratification.")
    labels = np.asarray(y)
    _same_length("label", labels, code)
    missing = _missing(labels)
    if missing.any():
        raise DataError(
            f"{int(missing.sum())} of {len(labels)} labels are missing "
            f"(first: unit {int(np.argmax(missing))}): "
            "drop these units or complete the labels."
        )
    classes, index = np.unique(labels.astype(str) if labels.dtype == object else labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"Only one class ({classes[0]!s}) among {len(labels)} units: nothing to distinguish.")
    for k, name in enumerate(classes):
        subjects = len(np.unique(code[index == k]))
        if subjects < n_splits:
            raise DataError(
                f"Class {name!s} has {subjects} subjects, fewer than the {n_splits} folds: "
                f"ask for {_folds(subjects)} or merge classes."
            )
    return np.eye(len(classes))[index]


def _assign(per_subject: FloatArray, n_splits: int, rng: np.random.Generator) -> IntArray:
    """Greedy assignment of subjects [n_subjects, n_classes] to folds; returns the fold of each subject."""
    order = rng.permutation(len(per_subject))
    order = order[np.argsort(-per_subject[order].sum(axis=1), kind="stable")]
    share = per_subject / per_subject.sum(axis=0)
    total_share = per_subject.sum(axis=1) / per_subject.sum()
    filled = np.zeros((n_splits, per_subject.shape[1]))
    filled_total = np.zeros(n_splits)
    preference = rng.permutation(n_splits)
    fold_of_subject = np.empty(len(per_subject), dtype=np.int64)
    for subject in order:
        # Growth of the sum of squared class shares; rounded so that equal folds tie despite float sums.
        growth = np.round(filled @ share[subject], 12)
        fold = np.lexsort((preference, np.round(filled_total, 12), growth))[0]
        fold_of_subject[subject] = fold
        filled[fold] += share[subject]
        filled_total[fold] += total_share[subject]
    return fold_of_subject


def _split(test: AnyArray, label: str) -> Split:
    return Split(np.flatnonzero(~test), np.flatnonzero(test), label)


def _missing(values: AnyArray) -> AnyArray:
    """True where a value is NaN, None, or an empty string."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    if values.dtype.kind in "US":
        return np.asarray(np.char.str_len(values) == 0)
    if values.dtype == object:
        return np.array([v is None or v != v or v == "" for v in values.tolist()], dtype=bool)
    return np.zeros(len(values), dtype=bool)


def _same_length(what: str, values: AnyArray, code: IntArray) -> None:
    if len(values) != len(code):
        raise DataError(f"{len(values)} {what} values for {len(code)} units: give exactly one a unit.")


def _refuse_straddlers(groups: ArrayLike, sets: AnyArray, what: str) -> None:
    names, code = group_codes(groups)
    _, set_code = np.unique(sets, return_inverse=True)
    pairs = np.unique(np.stack([code, set_code]), axis=1)
    subjects, n_sets = np.unique(pairs[0], return_counts=True)
    straddling = names[subjects[n_sets > 1]].tolist()
    if straddling:
        raise DataError(_straddle_message(straddling, f"more than one {what}"))


def _straddle_message(subjects: Sequence[object], where: str) -> str:
    shown: Iterable[str] = (str(s) for s in subjects[:_NAMED])
    rest = len(subjects) - _NAMED
    more = f" and {rest} more" if rest > 0 else ""
    noun = "subject is" if len(subjects) == 1 else "subjects are"
    return (
        f"{len(subjects)} {noun} in {where}: {', '.join(shown)}{more}. "
        "Give every subject one place, or the score counts what was learnt by heart."
    )


def _folds(most: int) -> str:
    """Say how many folds to ask for; one is no split."""
    return f"at most {most} folds" if most > 1 else "another split, such as the authors' own,"
