"""The task contract: which probe is asked which question of which dataset.

A task is a declaration. Code belongs to readers, probes and statistics, so that adding a task is filling in a form::

    task = Task(
        name="breast_lesion", title="Breast lesion: malignant or benign", dataset="bus-bra", target="pathology",
        positive="malignant", unit="image", frames=AllFrames(), split=SplitPlan("official"),
        protocols=("svc-nested@2", "svc-paper@1"),
    )
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from usbench.data.frame_sampling import AllFrames, FramePolicy
from usbench.errors import UsbenchError
from usbench.task.slots import Slots
from usbench.task.transfer import Transfer

Kind = Literal["binary", "multiclass", "regression", "ordinal", "map"]
Unit = Literal["subject", "case", "image"]
MOST_THRESHOLDS = 10
SplitKind = Literal["grouped", "official", "leave-one-out", "fixed", "held-out", "none"]


@dataclass(frozen=True)
class SplitPlan:
    """How subjects are divided.

    Attributes:
        kind: ``grouped`` draws folds by subject, stratified by class; ``official`` takes the dataset's ``fold``
            column; ``leave-one-out`` leaves one subject out at a time; ``fixed`` takes its ``split`` column;
            ``held-out`` tests each value of column ``by``, such as a centre or a scanner, on what all others taught;
            ``none`` is for maps.
        folds: Number of folds for ``grouped``, and for the comparison by subject beside ``held-out``.
        repeats: How many times ``grouped`` folds are drawn anew, from seeds 0, 1, ...; the luck of one draw is as
            large as the difference between encoders on small sets.
        by: Column for ``held-out``.
    """

    kind: SplitKind = "grouped"
    folds: int = 5
    repeats: int = 5
    by: str = ""

    def __repr__(self) -> str:
        """Return the plan; ``by`` only where it is used, as a digest of this text decides whether results are valid."""
        return _compact(self, later=("by",))

    def __post_init__(self) -> None:
        """Refuse a plan that cannot be carried out.

        Raises:
            UsbenchError: ``by`` is missing, or has no meaning.
        """
        if (self.kind == "held-out") != bool(self.by):
            raise UsbenchError(
                "split: `by` names the column whose values are held out in turn, with kind 'held-out' only; "
                f"this is kind {self.kind!r} with by {self.by!r}."
            )

    def describe(self) -> str:
        """Return one phrase for tables."""
        return {
            "grouped": f"{self.folds} folds by subject, {self.repeats} draw{'s' if self.repeats > 1 else ''}",
            "official": "the dataset's official folds",
            "leave-one-out": "leave one subject out",
            "fixed": "the authors' train/test split",
            "held-out": f"each {self.by} held out in turn",
            "none": "none, as nothing is trained",
        }[self.kind]


@dataclass(frozen=True)
class Task:
    """A benchmark task.

    Attributes:
        name: Registry name.
        title: Name as printed.
        dataset: Name of the dataset asked.
        target: Column of the index that holds the label or value.
        kind: What is predicted; a ``map`` is projected, and its classes are named by neighbours without training.
        positive: Label of the positive class, for ``binary``.
        unit: What one decision is about: a subject, a case, or a single image or video.
        frames: Which frames of a unit are encoded.
        units_per_class: At most so many units of each class, drawn by a hash of their names; ``None`` for all.
        split: How subjects are divided.
        protocols: Versioned probe protocols, the headline one first.
        strata: Columns by which scores can be broken down.
        threshold: Clinical threshold of a regression target, for its AUC; in TOML one number, or a list of them.
        unit_of_target: Physical unit of a regression target, for printing.
        fallback: Dataset used when ``dataset`` is not found: a redistributable subset of real data.
        twin: Synthetic dataset used by ``--data phantom``, and unasked only where the real data are not published.
        reported: Key of the paper's rows in ``leaderboards/reported``.
        description: Two or three sentences for the page.
        slots: Named places that the frames of a unit fill, and how they are joined; by default they are averaged.
        transfer: The two datasets of a task that is trained on one and tested on the other; ``dataset`` then names
            the pair.
        order: Grades of an ordinal target from low to high; by default numbers, by size.
        further_thresholds: Further clinical thresholds of a regression target, each with an AUC of its own.
        source: Published sets from which a table of one's own was made, as encoders' cards spell them.
        not_pretrained_on: Whether the owner of the data declares that no encoder can have been trained on them.
    """

    name: str
    title: str
    dataset: str
    target: str
    kind: Kind = "binary"
    positive: str = "1"
    unit: Unit = "subject"
    frames: FramePolicy = AllFrames()  # noqa: RUF009 - frozen
    units_per_class: int | None = None
    split: SplitPlan = SplitPlan()
    protocols: tuple[str, ...] = ("svc-nested@2", "svc-paper@1")
    strata: tuple[str, ...] = ()
    threshold: float | None = None
    unit_of_target: str = ""
    fallback: str | None = None
    twin: str | None = None
    reported: str | None = None
    description: str = ""
    slots: Slots | None = None
    transfer: Transfer | None = None
    order: tuple[str, ...] = ()
    further_thresholds: tuple[float, ...] = ()
    source: tuple[str, ...] = ()
    not_pretrained_on: bool = False

    def __repr__(self) -> str:
        """Return the declaration; fields that came later are told only where they are used.

        A digest of this text decides whether a stored result is still valid, and so it must not change for tasks that
        do not use them.
        """
        return _compact(self, later=("slots", "transfer", "order", "further_thresholds", "source", "not_pretrained_on"))

    def __post_init__(self) -> None:
        """Refuse a declaration that cannot run.

        Raises:
            UsbenchError: A field is missing for the kind of task.
        """
        if not self.protocols:
            raise UsbenchError(f"task {self.name}: name at least one protocol, for example 'svc-nested@2'.")
        if self.kind == "regression" and any(p.startswith("svc") for p in self.protocols):
            raise UsbenchError(f"task {self.name}: a regression task cannot use an SVC protocol; try 'ridge-nested@2'.")
        if self.order and self.kind != "ordinal":
            raise UsbenchError(f"task {self.name}: `order` has a meaning for kind 'ordinal' only, not {self.kind!r}.")
        if self.order and (len(self.order) < 2 or len(set(self.order)) < len(self.order)):
            raise UsbenchError(
                f"task {self.name}: `order` names at least two different grades, not {list(self.order)}."
            )
        self._check_thresholds()
        if self.transfer is not None and (self.split.kind != "fixed" or self.kind == "map"):
            raise UsbenchError(
                f"task {self.name}: a task of two datasets trains on one and tests on the other; it has no "
                "other split, and is no map."
            )
        if (self.kind == "map") != (self.split.kind == "none"):
            raise UsbenchError(
                f"task {self.name}: a map has no splits and everything else needs them: "
                f"kind {self.kind!r} with split {self.split.kind!r}."
            )

    def _check_thresholds(self) -> None:
        if not self.further_thresholds:
            return
        from usbench.statistics.thresholds import auc_name, threshold_of  # imports NumPy

        every = [self.threshold, *self.further_thresholds]
        if self.kind != "regression" or self.threshold is None:
            raise UsbenchError(
                f"task {self.name}: several thresholds have a meaning for kind 'regression' only, not {self.kind!r}."
            )
        if len(set(every)) < len(every) or len(every) > MOST_THRESHOLDS:
            raise UsbenchError(f"task {self.name}: give 1 to {MOST_THRESHOLDS} different thresholds, not {every}.")
        for threshold in self.further_thresholds:
            if threshold_of(auc_name(threshold)) != threshold:
                raise UsbenchError(f"task {self.name}: threshold {threshold!r} has more digits than a metric's name.")


def _compact(declaration: Any, later: tuple[str, ...]) -> str:
    """Return what ``dataclass`` would, without those of the fields ``later`` that have their default."""
    told = [
        f"{f.name}={getattr(declaration, f.name)!r}"
        for f in fields(declaration)
        if f.name not in later or getattr(declaration, f.name) != f.default
    ]
    return f"{type(declaration).__qualname__}({', '.join(told)})"
