"""Gathering: from result files, registered tasks and reported values to boards, the model behind every page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from usbench.core.types import Progress, silent
from usbench.errors import ResultError
from usbench.evaluation.scoring import predictions_of
from usbench.leaderboard import number_format
from usbench.leaderboard.bundled import bundled_tasks
from usbench.leaderboard.comparison import Comparator, Standing, stand
from usbench.leaderboard.constant_baseline import NAME as CONSTANT
from usbench.leaderboard.constant_baseline import constant_floor
from usbench.leaderboard.device_note import note_of_devices
from usbench.leaderboard.published_values import Reported, load_reported
from usbench.probes.facts import flat_and_nested
from usbench.results.board_folder import is_screening, refuse_screening
from usbench.results.division import Division, division_of, told_as
from usbench.results.rows import base_of, spelling_of
from usbench.results.schema import Estimate, Result, load, result_files, result_path
from usbench.results.similarity import Similarity, load_similarity
from usbench.results.text import shown
from usbench.statistics.thresholds import threshold_of
from usbench.task.kinds import KINDS, shown_metrics, task_kind
from usbench.task.task import Task

LEAKAGE_MARKS = {"overlap": " ⚠", "unknown": " ⚠?"}


@dataclass(frozen=True)
class TaskFacts:
    """What a page says of a task; taken from the registry, or from results of tasks that are not bundled."""

    name: str
    title: str
    kind: str
    dataset: str
    unit: str
    frames: str
    split: str
    protocols: tuple[str, ...]
    reported: str | None
    unit_of_target: str = ""
    threshold: float | None = None
    description: str = ""
    registered: bool = False
    further_thresholds: tuple[float, ...] = ()

    @classmethod
    def of(cls, task: Task) -> TaskFacts:
        """Take the facts from a registered task."""
        return cls(
            name=task.name,
            title=task.title,
            kind=task.kind,
            dataset=task.dataset,
            unit=task.unit,
            frames=task.frames.describe(),
            split=task.transfer.describe() if task.transfer else task.split.describe(),
            protocols=task.protocols,
            reported=task.reported,
            unit_of_target=task.unit_of_target,
            threshold=task.threshold,
            description=task.description,
            registered=True,
            further_thresholds=task.further_thresholds,
        )

    @classmethod
    def from_result(cls, result: Result) -> TaskFacts:
        """Take the facts from a result."""
        task = result.task
        return cls(
            name=task["name"],
            title=task["title"],
            kind=task["kind"],
            dataset=task["dataset"],
            unit=task["unit"],
            frames=str(task.get("frames", "")),
            split=str(task.get("split", "")),
            protocols=tuple(result.protocols),
            reported=task.get("reported"),
            unit_of_target=task.get("unit_of_target") or "",
            threshold=task.get("threshold"),
            further_thresholds=tuple(task.get("further_thresholds", ())),
        )

    @property
    def thresholds(self) -> str:
        """The thresholds of the AUC in words, such as ``50 and 40 %``; empty where there is none."""
        values = [] if self.threshold is None else [f"{t:g}" for t in (self.threshold, *self.further_thresholds)]
        return f"{' and '.join(values)} {self.unit_of_target}".rstrip() if values else ""


@dataclass(frozen=True)
class Entry:
    """One encoder on one board.

    Attributes:
        result: Its result.
        file: Path of the result file relative to the results folder; empty for the constant answer.
        comparable: Whether it decided about the same units as the others, so that paired tests are possible.
    """

    result: Result
    file: str
    comparable: bool = True

    @property
    def name(self) -> str:
        """Name of the row: the encoder's, with what differs from it as it comes, or what the user calls it."""
        return str(self.result.encoder["name"])

    @property
    def base(self) -> str:
        """Registry name of the encoder of which the row is a variant; its own as a rule."""
        return base_of(self.result.encoder)

    @property
    def spelling(self) -> str:
        """Name by which commands take this very variant."""
        return spelling_of(self.result.encoder)

    @property
    def title(self) -> str:
        """Printed name."""
        return str(self.result.encoder.get("title") or self.name)

    @property
    def mark(self) -> str:
        """What follows its name wherever it stands: nothing where its pre-training is known not to hold these data."""
        return LEAKAGE_MARKS.get(self.result.leakage.get("state", "unknown"), "")

    @property
    def floor(self) -> bool:
        """Whether it is a reference that a foundation model has to beat."""
        return bool(self.result.encoder.get("floor"))

    def estimate(self, protocol: str, metric: str | None) -> Estimate:
        """Return a metric with its interval; empty where it does not exist."""
        entry = self.result.protocols.get(protocol)
        nothing = Estimate(None)
        return nothing if entry is None or metric is None else entry.metrics.get(metric, nothing)


@dataclass
class Board:
    """All results of one task on one dataset.

    Attributes:
        name: The task's name, with ``@dataset`` unless it is the task's own dataset.
        task: Facts of the task.
        entries: Results; foundation models first, best first, then baselines.
        reported: Published values that may stand beside, only on the task's own dataset.
        similarity: How alike its encoders are, where it has been measured.
    """

    name: str
    task: TaskFacts
    entries: list[Entry]
    reported: Reported | None = None
    similarity: Similarity | None = None
    _standings: dict[str, Standing] = field(default_factory=dict)

    @property
    def first(self) -> Result | None:
        """Any result of the board, for facts that all share."""
        return self.entries[0].result if self.entries else None

    @property
    def synthetic(self) -> bool:
        """Whether its images are simulated."""
        return any(entry.result.synthetic for entry in self.entries)

    @property
    def own_dataset(self) -> bool:
        """Whether it is the task on the dataset it is declared for."""
        return self.name == self.task.name

    @property
    def protocols(self) -> list[str]:
        """Protocols with results, the task's order first; without results, those the task declares."""
        present = dict.fromkeys(p for entry in self.entries for p in entry.result.protocols)
        if not present:
            return list(self.task.protocols)
        declared = [p for p in self.task.protocols if p in present]
        found = declared + [p for p in present if p not in declared]
        if self.task.protocols and self.task.protocols[0] not in present:
            # Results of before the newest version: an earlier one ranks meanwhile, never a protocol of another kind.
            family = self.task.protocols[0].partition("@")[0]
            found.sort(key=lambda p: p.partition("@")[0] != family)
        return found

    @property
    def headline(self) -> str:
        """The protocol that ranks."""
        return self.protocols[0]

    @property
    def encoders(self) -> list[Entry]:
        """Entries that are not baselines."""
        return [entry for entry in self.entries if not entry.floor]

    @property
    def floors(self) -> list[Entry]:
        """Entries that are baselines."""
        return [entry for entry in self.entries if entry.floor]

    def primary(self, protocol: str | None = None) -> str | None:
        """Return the metric a protocol is ranked by: the first of the kind's that some entry has."""
        protocol = protocol or self.headline
        for metric in task_kind(self.task.kind).primary:
            if any(entry.estimate(protocol, metric).value is not None for entry in self.encoders or self.entries):
                return metric
        return None

    def shown(self, protocol: str) -> list[str]:
        """Return the metrics a table of this protocol shows."""
        present = {
            m for e in self.entries if protocol in e.result.protocols for m in e.result.protocols[protocol].metrics
        }
        if self.task.kind not in KINDS:
            return sorted(present)
        known = shown_metrics(self.task.kind, sorted(present))
        if self.division is not None and "fold_auc" in known:
            known = [m for m in known if m != "auc"]  # the same figure, as there is one decision function
        return known

    def optional(self, protocol: str) -> list[str]:
        """Return the metrics that a reader may add to the table of this protocol."""
        held = [e.result.protocols[protocol].metrics for e in self.entries if protocol in e.result.protocols]
        return [name for name in task_kind(self.task.kind).optional if any(name in metrics for metrics in held)]

    def column(self, metric: str) -> number_format.Column:
        """Return how a metric is printed here; an AUC with its threshold where there is more than one."""
        found = number_format.column(metric, self.task.unit_of_target)
        shown = told_as(metric, self.division)
        if shown != metric:
            found = replace(found, title=number_format.column(shown).title)
        threshold = self.task.threshold if metric in ("auc", "fold_auc") else threshold_of(metric)
        if not self.task.further_thresholds or threshold is None:
            return found
        title = "AUC within folds" if shown == "fold_auc" else "AUC"
        return replace(found, title=f"{title} at {threshold:g} {self.task.unit_of_target}".rstrip())

    @cached_property
    def division(self) -> Division | None:
        """What was trained on and what was tested on, where that is one test set; ``None`` where there are folds."""
        return None if self.first is None else division_of(self.first)

    def optimism(self, entry: Entry) -> float | None:
        """Return how much better the paper's protocol looks than the nested one, in the metric that was tuned.

        Positive means that the paper's protocol flatters. ``None`` unless both were run, or an audit measured it.
        """
        metric = task_kind(self.task.kind).tuned
        pair = flat_and_nested(self.protocols)
        if metric is None:
            return None
        if pair is None:
            measured = entry.result.instruments.get("optimism", {})
            estimate = measured.get("estimate", {}) if measured.get("metric") == metric else {}
            value: float | None = estimate.get("value")
            return value
        flat, nested = pair
        a, b = entry.estimate(flat, metric).value, entry.estimate(nested, metric).value
        if a is None or b is None:
            return None
        return a - b if self.column(metric).higher_is_better else b - a

    def standing(self, protocol: str | None = None) -> Standing:
        """Return the paired comparisons of a protocol; computed once."""
        protocol = protocol or self.headline
        if protocol not in self._standings:
            self._standings[protocol] = self._compare(protocol)
        return self._standings[protocol]

    @cached_property
    def notes(self) -> list[str]:
        """What results say of their dataset, and whether they come from several kinds of device, each sentence once."""
        found: dict[str, None] = {}
        for entry in self.entries:
            for note in (entry.result.dataset.get("note"), *entry.result.dataset.get("notes", ())):
                if note:
                    found[str(note)] = None
        if told := note_of_devices((entry.title, entry.result) for entry in self.entries):
            found[told] = None
        return list(found)

    def _compare(self, protocol: str) -> Standing:
        metric = self.primary(protocol)
        if metric is None:
            return Standing(None, Comparator("accuracy", {}), None, {}, frozenset(), {}, None)
        found = {
            e.name: predictions_of(e.result, protocol, e.file or e.name)
            for e in self.entries
            if e.comparable and metric in getattr(e.result.protocols.get(protocol), "metrics", {})
        }
        comparator = Comparator(metric, found)
        spelt = {e.name: e.spelling for e in self.entries}
        return stand(comparator, [e.name for e in self.encoders], [e.name for e in self.floors], spelt)


def files_of(*boards: Board) -> list[str]:
    """Return the result files of boards, for messages."""
    return [entry.file for board in boards for entry in board.entries if entry.file]


def gather(
    results: Path,
    reported: Path | None = None,
    tasks: Iterable[Task] | None = None,
    only: str | None = None,
    screening: bool = False,
    progress: Progress = silent,
) -> list[Board]:
    """Read everything and sort it into boards.

    Args:
        results: Folder of result files; it need not exist.
        reported: Folder of reported values; none by default.
        tasks: Tasks that get a page even without results; the bundled ones by default.
        only: Name of the one board whose results are read; all by default.
        screening: Whether results in a precision that is for screening are taken, too: to compare, never for a page.
        progress: Told what is being done, how many results or boards are done, and how many there are.

    Returns:
        Boards of bundled tasks in the order of their names, each followed by its boards on other datasets; then
        boards of other tasks. Boards on simulated images are last.

    Raises:
        ResultError: A file is damaged, or lies where its content does not belong, or is for screening and stands on
            a public board.
    """
    known = {task.name: TaskFacts.of(task) for task in (bundled_tasks() if tasks is None else tasks)}
    published = load_reported(reported) if reported is not None else {}
    groups: dict[str, list[tuple[str, Result]]] = {name: [] for name in known}
    files = result_files(results, only)
    for done, path in enumerate(files):
        progress("reading results", done, len(files))
        result = load(path)
        file, belongs = path.relative_to(results).as_posix(), result_path(Path(), result).as_posix()
        if file != belongs:
            raise ResultError(f"{path}: belongs at {results / belongs}. Move it there, or away.")
        if is_screening(result.encoder):
            refuse_screening(results, result.encoder)
            if not screening:
                continue
        groups.setdefault(result.board, []).append((file, shown(result)))
    _refuse_alike(groups)
    boards = []
    for done, (name, items) in enumerate(groups.items()):
        progress("comparing encoders", done, len(groups))
        boards.append(_board(name, items, known, published))
    for board in boards:
        board.similarity = load_similarity(results, board.name)
    return sorted(boards, key=lambda b: (b.synthetic, not b.task.registered, b.task.name, not b.own_dataset, b.name))


def _refuse_alike(names: Iterable[str]) -> None:
    """Refuse two boards whose pages would be one file where the file system does not tell cases apart."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise ResultError(f"boards {other!r} and {name!r} differ only in upper and lower case. Rename one task.")


def _board(
    name: str, items: Sequence[tuple[str, Result]], known: dict[str, TaskFacts], published: dict[str, Reported]
) -> Board:
    task = known.get(name.partition("@")[0]) or TaskFacts.from_result(items[0][1])
    if items and items[0][1].dataset.get("provision") == "own":
        task = replace(task, split=str(items[0][1].task.get("split", task.split)))  # of the user's table
    entries = [Entry(result, file) for file, result in items]
    entries = _mark_comparable(entries)
    constant = _constant(entries)
    board = Board(name, task, entries + constant)
    if board.own_dataset and task.reported:
        board.reported = published.get(task.reported)
    headline, metric = board.headline, board.primary()
    column = board.column(metric) if metric else None

    def order(entry: Entry) -> tuple[Any, ...]:
        key = column.rank_key(entry.estimate(headline, metric).value) if column else 0.0
        return (entry.floor, not entry.comparable, key, entry.title)

    board.entries.sort(key=order)
    return board


def _mark_comparable(entries: list[Entry]) -> list[Entry]:
    """Mark the entries that decided about the same units as most others."""
    if len(entries) < 2:
        return entries
    keys = [_units_key(entry.result) for entry in entries]
    usual = max(sorted(set(keys)), key=keys.count)
    return [Entry(e.result, e.file, key == usual) for e, key in zip(entries, keys, strict=True)]


def _units_key(result: Result) -> str:
    return repr((result.units.id, result.units.subject, [str(t) for t in result.units.target]))


def _constant(entries: list[Entry]) -> list[Entry]:
    usual = [entry for entry in entries if entry.comparable]
    if not usual or any(entry.name == CONSTANT for entry in entries):
        return []
    most = max(usual, key=lambda entry: len(entry.result.protocols))
    result = constant_floor(most.result)
    return [] if result is None else [Entry(result, "")]
