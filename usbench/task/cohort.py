"""From the index of a dataset to the units a task decides about, their frames and their splits."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from usbench.core.thread_map import map_in_threads
from usbench.data.dataset import Dataset
from usbench.data.frame_sampling import FramePolicy, FrameSource
from usbench.data.frames import FrameRef, frame_key
from usbench.errors import DataError
from usbench.results.schema import Units
from usbench.task.task import SplitPlan, Task

if TYPE_CHECKING:
    import pandas as pd

    from usbench.statistics.splits import Split

MARK_COLUMNS = ("first_frame", "last_frame")

# Frames in a file by path, content and version of its decoding: the next encoder asks about the same files.
_COUNTED: dict[tuple[str, str, str], int] = {}

# One row of an index, by column name.
Row = dict[Hashable, Any]


@dataclass(frozen=True)
class Unit:
    """One thing to be decided about.

    Attributes:
        id: Subject, case or path.
        subject: The subject it belongs to.
        target: Class as text, or value as float.
        paths: Its images and videos.
        marks: Frame marks of each path, by column name.
        strata: Column name to value; ``"mixed"`` where the unit's files disagree.
        fold: Official fold, or ``None``.
        split: Author's split, or ``None``.
        places: Place that each path fills, where the task gives frames roles.
    """

    id: str
    subject: str
    target: Any
    paths: tuple[str, ...]
    marks: tuple[dict[str, int], ...]
    strata: dict[str, Any]
    fold: str | None
    split: str | None
    places: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cohort:
    """The units of a task on a dataset, in a fixed order, and what was left out on the way.

    Attributes:
        units: Sorted by id.
        classes: Class names in order, the positive one last for binary tasks, grades from low to high; empty for
            regression.
        notes: What was excluded and why, one sentence each.
    """

    units: tuple[Unit, ...]
    classes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def groups(self) -> list[str]:
        """Subject of each unit."""
        return [unit.subject for unit in self.units]

    @property
    def paths(self) -> list[str]:
        """Files of all units, each once, sorted."""
        return sorted({path for unit in self.units for path in unit.paths})

    def labels(self) -> list[Any]:
        """Class numbers for classification, values for regression, in the order of the units."""
        if not self.classes:
            return [unit.target for unit in self.units]
        number = {name: i for i, name in enumerate(self.classes)}
        return [number[unit.target] for unit in self.units]

    def describe(self, frames: Sequence[int]) -> Units:
        """Return the units as they are kept in a result.

        Args:
            frames: Number of frames encoded for each unit.
        """
        names = list(self.units[0].strata)
        return Units(
            id=[u.id for u in self.units],
            subject=self.groups,
            target=[u.target for u in self.units],
            strata={name: [u.strata[name] for u in self.units] for name in names},
            frames=list(frames),
        )


def build_cohort(task: Task, dataset: Dataset) -> Cohort:
    """Group the rows of an index into the units of a task and check the labels.

    Args:
        task: Says what the unit, the target and the strata are.
        dataset: The data.

    Raises:
        DataError: The target column does not exist or is empty everywhere, a unit has contradictory labels, a
            classification task has one class only, or a target is not a number.
    """
    where = f"{dataset.root} ({dataset.name})"
    index = dataset.labelled(task.target)
    known = index.table
    rows: dict[str, list[Row]] = {}
    names = _unit_names(task, known, where).astype(str)
    for name, row in sorted(zip(names, known.to_dict("records"), strict=True), key=lambda pair: pair[1]["path"]):
        rows.setdefault(name, []).append(row)
    units = tuple(_unit(task, name, rows[name], where) for name in sorted(rows))
    notes = index.notes
    if task.units_per_class is not None and len(drawn := _draw(units, task.units_per_class)) < len(units):
        notes = (*notes, f"{len(drawn)} of {len(units)} units drawn, at most {task.units_per_class} a class.")
        units = drawn
    return Cohort(units, _classes(task, units, where), notes)


def select_frames(
    cohort: Cohort, dataset: Dataset, policy: FramePolicy, digests: dict[str, str], decoding: str
) -> tuple[list[FrameRef], list[int], tuple[str, ...]]:
    """Choose the frames of every unit.

    Args:
        cohort: The units.
        dataset: Opens files to count their frames; no pixel is decoded.
        policy: Which frames of a unit.
        digests: SHA-256 of the content behind each path.
        decoding: Version of decoding, for the keys.

    Returns:
        References of all frames, the position of the unit each belongs to, and notes.

    Raises:
        MediaError: A file is damaged.
    """
    paths = cohort.paths

    def count(path: str) -> int:
        content = (path, digests[path], decoding)
        if content not in _COUNTED:
            with dataset.open(path) as media:
                _COUNTED[content] = media.n_frames
        return _COUNTED[content]

    lengths = map_in_threads(count, paths)
    refs: list[FrameRef] = []
    unit_index: list[int] = []
    short: list[str] = []
    for position, unit in enumerate(cohort.units):
        sources = [
            FrameSource(lengths[path], key=path, marks=marks)
            for path, marks in zip(unit.paths, unit.marks, strict=True)
        ]
        selection = policy.select(sources, unit.id)
        if selection.short:
            short.append(unit.id)
        for item, frame in selection:
            path = unit.paths[item]
            refs.append(FrameRef(path, frame, frame_key(digests[path], frame, decoding)))
            unit_index.append(position)
    notes: tuple[str, ...] = ()
    if short:
        notes = (f"{len(short)} units have fewer frames than asked and give all they have, first {short[0]}.",)
    return refs, unit_index, notes


def draw_splits(plan: SplitPlan, cohort: Cohort) -> list[list[Split]]:
    """Return the splits of every repeat.

    Args:
        plan: How subjects are divided.
        cohort: The units.

    Raises:
        DataError: Fewer subjects than folds, a class with fewer subjects than folds, a subject on two sides, or no
            official folds in this dataset.
    """
    from usbench.statistics import splits

    groups, labels = cohort.groups, cohort.labels()
    if plan.kind == "official":
        return [splits.official_folds(_given(cohort, "fold"), groups)]
    if plan.kind == "fixed":
        return [[splits.fixed_split(_given(cohort, "split"), groups)]]
    if plan.kind == "held-out":
        return [splits.official_folds(_held_out(cohort, plan.by), groups)]
    if plan.kind == "leave-one-out":
        return [splits.leave_one_group_out(groups)]
    stratify = bool(cohort.classes)
    if (n_subjects := len(set(groups))) < plan.folds:
        raise DataError(
            f"the task asks for {plan.folds} folds, but the data have {n_subjects} subjects. Add subjects, or run them "
            "as a task of your own with fewer folds: a few lines of TOML, see docs/data.md."
        )
    return [
        splits.subject_folds(groups, labels if stratify else None, plan.folds, seed, stratify=stratify)
        for seed in range(plan.repeats)
    ]


def _held_out(cohort: Cohort, column: str) -> list[str]:
    """Return the value of each unit that decides with which others it is held out."""
    values = [unit.strata.get(column) for unit in cohort.units]
    for unit, value in zip(cohort.units, values, strict=True):
        if value is None or value == "mixed":
            what = "is empty" if value is None else "has several values"
            raise DataError(
                f"column {column!r}, which is held out in turn, {what} for {unit.id!r}. Fill it in, choose a finer "
                "unit, or leave the unit out."
            )
    if len(set(values)) < 2:
        raise DataError(
            f"column {column!r} has one value only ({values[0]!r}), so that nothing can be held out. Add data of "
            "another, or use folds by subject."
        )
    by_subject: dict[str, set[str]] = {}
    for unit, value in zip(cohort.units, values, strict=True):
        by_subject.setdefault(unit.subject, set()).add(str(value))
    both = sorted(subject for subject, found in by_subject.items() if len(found) > 1)
    if both:
        raise DataError(
            f"{len(both)} subjects have several values of {column!r}, which is held out in turn, first {both[0]!r}: "
            f"{', '.join(sorted(by_subject[both[0]]))}. Leave them out, or use folds by subject."
        )
    return [str(value) for value in values]


def _given(cohort: Cohort, column: str) -> list[str]:
    values = [getattr(unit, column) for unit in cohort.units]
    empty = [unit.id for unit, value in zip(cohort.units, values, strict=True) if value is None]
    if empty:
        raise DataError(
            f"column {column!r} is empty for {len(empty)} of {len(values)} units, first {empty[0]!r}. Fill it in, "
            "or use a task that draws its own folds."
        )
    return values


def _draw(units: tuple[Unit, ...], per_class: int) -> tuple[Unit, ...]:
    """Draw units of each class at random, independent of their order, of other classes and of library versions."""
    ranked = sorted(units, key=lambda unit: hashlib.sha256(unit.id.encode()).digest())
    taken: dict[Any, list[Unit]] = {}
    for unit in ranked:
        chosen = taken.setdefault(unit.target, [])
        if len(chosen) < per_class:
            chosen.append(unit)
    return tuple(sorted((unit for chosen in taken.values() for unit in chosen), key=lambda unit: unit.id))


def _unit_names(task: Task, table: pd.DataFrame, where: str) -> pd.Series[str]:
    if task.unit == "subject":
        return table["subject"]
    if task.unit == "image":
        return table["path"]
    if "case" not in table.columns or table["case"].isna().any():
        raise DataError(f"{where}: task {task.name!r} decides by case, but column 'case' is missing or partly empty.")
    case = table["case"].astype(str)
    # One case number may occur in several subjects ("OD, visit 1"); it is then distinguished by the subject.
    repeats = table.groupby(case)["subject"].nunique().max() > 1
    return table["subject"] + "/" + case if repeats else case


def _unit(task: Task, name: str, rows: list[Row], where: str) -> Unit:
    subjects = sorted({row["subject"] for row in rows})
    if len(subjects) > 1:
        raise DataError(f"{where}: {task.unit} {name!r} belongs to several subjects {subjects[:5]}.")
    targets = {_target(task, row[task.target], where) for row in rows}
    if len(targets) > 1:
        raise DataError(
            f"{where}: {task.unit} {name!r} has contradictory values of {task.target!r}: {sorted(targets)[:5]}. "
            "Give one label per unit, or choose a finer unit."
        )
    return Unit(
        id=name,
        subject=str(subjects[0]),
        target=targets.pop(),
        paths=tuple(row["path"] for row in rows),
        marks=tuple(_marks(row) for row in rows),
        strata={column: _common(rows, column) for column in _columns(task) if column in rows[0]},
        fold=_single(rows, "fold", name, where),
        split=_single(rows, "split", name, where),
        places=_places(task, name, rows, where),
    )


def _places(task: Task, name: str, rows: list[Row], where: str) -> tuple[str, ...]:
    """Return the place of each file, and make sure that none is empty and none is unknown."""
    slots = task.slots
    if slots is None:
        return ()
    if slots.column not in rows[0]:
        raise DataError(f"{where}: no column {slots.column!r}, which says what place a file fills.")
    places = tuple(plain_text(row[slots.column]) for row in rows)
    for row, place in zip(rows, places, strict=True):
        if place not in slots.names:
            raise DataError(
                f"{where}: {row['path']!r} has {slots.column} {place!r}, which is no place of task {task.name!r}; its "
                f"places are {', '.join(slots.names)}."
            )
    if missing := [place for place in slots.names if place not in places]:
        raise DataError(
            f"{where}: {task.unit} {name!r} has no image for {', '.join(map(repr, missing))}; every {task.unit} must "
            f"fill {', '.join(slots.names)}. Add the image, or take the {task.unit} out."
        )
    return places


def _columns(task: Task) -> list[str]:
    """Return the columns whose value is kept of each unit."""
    return list(dict.fromkeys((*task.strata, *((task.split.by,) if task.split.by else ()))))


def _target(task: Task, value: Any, where: str) -> Any:
    if task.kind != "regression":
        return plain_text(value)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: column {task.target!r} holds {value!r}, which is not a number.")
    return number


def plain_text(value: Any) -> str:
    """Return a label as text, so that 1, 1.0 and "1" are one class."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, bool):
        return str(int(value))
    return str(value).strip()


def _classes(task: Task, units: tuple[Unit, ...], where: str) -> tuple[str, ...]:
    if task.kind == "ordinal":
        return _grades(task, units, where)
    if task.kind == "regression":
        if len({unit.target for unit in units}) < 2:
            raise DataError(f"{where}: {task.target!r} is constant ({units[0].target}); there is nothing to predict.")
        return ()
    counts: dict[str, int] = {}
    for unit in units:
        counts[unit.target] = counts.get(unit.target, 0) + 1
    told = ", ".join(f"{n} {name!r}" for name, n in sorted(counts.items()))
    if len(counts) < 2:
        raise DataError(f"{where}: column {task.target!r} has one class only ({told}); two are needed.")
    if task.kind != "binary":
        return tuple(sorted(counts))
    if len(counts) > 2:
        raise DataError(
            f"{where}: column {task.target!r} has {len(counts)} classes ({told}); task {task.name!r} is binary."
        )
    positive = _spelled_as_found(task.positive, counts)
    if positive is None:
        raise DataError(f"{where}: column {task.target!r} has no positive class {task.positive!r}; it has {told}.")
    return (*(name for name in counts if name != positive), positive)


def _spelled_as_found(positive: Any, classes: Iterable[str]) -> str | None:
    """Return the class that a task means, where true and 1 are one, as tables and spreadsheets write either."""
    known = {name: name for name in classes}
    text = plain_text(positive)
    truth = {"true": ("1", "True", "TRUE", "true"), "false": ("0", "False", "FALSE", "false")}
    same = next((names for names in truth.values() if text in names), ())
    return next((known[name] for name in (text, *same) if name in known), None)


def _grades(task: Task, units: tuple[Unit, ...], where: str) -> tuple[str, ...]:
    """Return the grades from low to high: as declared, or numbers by size."""
    found = sorted({unit.target for unit in units})
    if len(found) < 2:
        raise DataError(f"{where}: column {task.target!r} has one grade only ({found[0]!r}); two are needed.")
    if task.order:
        unknown = [name for name in found if name not in task.order]
        if unknown:
            raise DataError(
                f"{where}: column {task.target!r} has {', '.join(map(repr, unknown))}, which is not among the grades "
                f"{', '.join(task.order)} of task {task.name!r}. Correct it, or add it to `order` where it belongs."
            )
        return task.order
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        raise DataError(
            f"{where}: the grades {', '.join(map(repr, found))} of {task.target!r} are not numbers, so their order is "
            f'unknown. Say it in the task, from low to high: order = ["{found[0]}", "{found[1]}"].'
        ) from None


def _marks(row: Row) -> dict[str, int]:
    return {column: int(row[column]) for column in MARK_COLUMNS if column in row and not _missing(row[column])}


def _common(rows: list[Row], column: str) -> Any:
    values = {plain_text(row[column]) for row in rows if not _missing(row[column])}
    return None if not values else values.pop() if len(values) == 1 else "mixed"


def _single(rows: list[Row], column: str, name: str, where: str) -> str | None:
    values = {plain_text(row[column]) for row in rows if column in row and not _missing(row[column])}
    if len(values) > 1:
        raise DataError(f"{where}: unit {name!r} is in several {column}s {sorted(values)}; a unit must be in one.")
    return values.pop() if values else None


def _missing(value: Any) -> bool:
    import pandas as pd

    return bool(pd.isna(value))
