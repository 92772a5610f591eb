"""One answer with its evidence: the result of one encoder on one task, as versioned JSON that diffs well.

A result holds the predictions of every unit, so that every metric in every table can be recomputed from it, and the
provenance that is needed to produce it again. Leaderboards are a pure function of these files.
"""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import atomic_write
from usbench.core.documents import read_json
from usbench.core.names import inside, name_fault
from usbench.errors import ResultError
from usbench.results.board_folder import refuse_screening, refuse_simulated
from usbench.results.checks import digest_of, dump, form_faults, seal_fault

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Estimate:
    """A metric with its 95 % interval.

    Attributes:
        value: Point estimate, or ``None`` where the metric is undefined.
        low: Lower limit of the subject bootstrap.
        high: Upper limit.
    """

    value: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Repeat:
    """Out-of-fold predictions of one draw of the splits, aligned with ``Result.units``.

    Attributes:
        fold: Fold in which a unit was tested; ``None`` for units that are only trained on.
        score: Decision value or predicted target; ``None`` for units that are only trained on. Multi-class
            protocols give one list per unit.
        predicted: Predicted class, for classification.
        seed: Seed of the draw or of the initialisation.
    """

    fold: list[int | None]
    score: list[Any]
    predicted: list[Any] | None = None
    seed: int = 0


@dataclass(frozen=True)
class ProtocolResult:
    """What one versioned protocol gave.

    Attributes:
        metrics: Metric name to estimate.
        repeats: Predictions, one entry a draw.
        hyperparameters: What was chosen in each fold, for example ``{"C": [...]}``.
        note: What a reader has to know, for example that the interval is only as good as ten subjects.
        uncertainty: Where the intervals come from. ``method`` is ``half-samples`` or ``fixed predictions``; ``reason``
            says why it is the latter; ``rule`` is the number of the rule that makes an error of the halves (1 where it
            is not said); ``halvings`` and ``seed`` say how subjects were halved, ``folds`` how many folds
            a half was cut into (``None`` where the folds are given) and ``draws`` how often the whole was; ``halves``
            holds the scores of both halves of each halving by metric. Empty in results of before there were
            half-samples.
    """

    metrics: dict[str, Estimate]
    repeats: list[Repeat]
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    uncertainty: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Units:
    """What is decided about, one entry per unit in a fixed order.

    Attributes:
        id: Unit name: subject, case or image.
        subject: Subject of each unit; intervals and splits respect it.
        target: True class (text) or value.
        strata: Column name to one value per unit.
        frames: Number of frames encoded for each unit.
    """

    id: list[str]
    subject: list[str]
    target: list[Any]
    strata: dict[str, list[Any]] = field(default_factory=dict)
    frames: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One encoder on one task.

    Attributes:
        task: Task name, kind, target, positive label, unit, frame policy, split plan, threshold.
        dataset: Dataset name, title, provision, whether synthetic, licence, citation, fingerprint, counts, notes.
        encoder: Card fields a table shows, and the identity of the embeddings.
        leakage: ``state`` is clean, overlap or unknown; ``detail`` is one sentence.
        units: What was decided about.
        protocols: Versioned protocol name to its outcome, the headline one first.
        figures: Extra measured tables, for example map quality.
        inputs: Digest of everything that decides the outcome; an equal digest means an equal result.
        provenance: Versions, revision, machine, seeds, timings, date and command.
        diagnostics: What was measured on top of the scores: strata, shifts and audits, by name. They belong to exactly
            these inputs, so that a result computed anew begins without any.
        schema: Version of this layout.
    """

    task: dict[str, Any]
    dataset: dict[str, Any]
    encoder: dict[str, Any]
    leakage: dict[str, str]
    units: Units
    protocols: dict[str, ProtocolResult]
    inputs: str
    provenance: dict[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)
    instruments: dict[str, Any] = field(default_factory=dict)
    schema: int = SCHEMA_VERSION

    @property
    def synthetic(self) -> bool:
        """Whether it was computed on simulated images."""
        return bool(self.dataset.get("synthetic"))

    @property
    def board(self) -> str:
        """Name of the board it belongs to: the task, with ``@dataset`` unless it is the task's own dataset."""
        return board_name(self.task["name"], self.task["dataset"], self.dataset["name"])

    def to_dict(self) -> dict[str, Any]:
        """Return plain data in the order in which it is written."""
        plain = self._plain()
        return {**plain, "digest": digest_of(plain)}

    def digest(self) -> str:
        """Return the SHA-256 of the content: a file that was changed by hand no longer carries its own."""
        return digest_of(self._plain())

    def _plain(self) -> dict[str, Any]:
        data = asdict(self)
        if not data["instruments"]:  # as files of before there were any, whose digest must not change
            del data["instruments"]
        for entry in data["protocols"].values():
            if not entry["uncertainty"]:
                del entry["uncertainty"]
        return {"schema": data.pop("schema"), **data}

    def to_json(self) -> str:
        """Return the JSON text: keys in a fixed order, one line for each list of plain values."""
        return dump(self.to_dict()) + "\n"

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "result") -> Result:
        """Build a result from parsed JSON.

        Args:
            data: Parsed JSON of any known schema version.
            where: File name for messages.

        Raises:
            ResultError: Unknown schema version, or a field is missing.
        """
        data = migrate(data, where)
        try:
            protocols = {
                name: ProtocolResult(
                    metrics={k: Estimate(**v) for k, v in entry["metrics"].items()},
                    repeats=[Repeat(**r) for r in entry["repeats"]],
                    hyperparameters=entry.get("hyperparameters", {}),
                    note=entry.get("note", ""),
                    uncertainty=entry.get("uncertainty", {}),
                )
                for name, entry in data["protocols"].items()
            }
            plain = {k: v for k, v in data.items() if k not in ("units", "protocols", "digest")}
            return cls(units=Units(**data["units"]), protocols=protocols, **plain)
        except (KeyError, TypeError, AttributeError) as error:
            raise ResultError(f"{where}: not a result of schema {SCHEMA_VERSION} ({error}).") from None


MIGRATIONS: dict[int, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {}
"""Schema version to the function that turns a file of it into one of the next version, ``schema`` included."""


def migrate(data: Mapping[str, Any], where: str = "result") -> Mapping[str, Any]:
    """Bring older schema versions up to date, one version at a time.

    Args:
        data: Parsed JSON.
        where: File name for messages.

    Raises:
        ResultError: The version is missing, newer than this program, or too old.
    """
    version = data.get("schema") if isinstance(data, Mapping) else None
    if not isinstance(version, int) or isinstance(version, bool):
        raise ResultError(f"{where}: no schema version; this is not a usbench result.")
    if version > SCHEMA_VERSION:
        raise ResultError(f"{where}: schema {version} is newer than this program ({SCHEMA_VERSION}). Update usbench.")
    while version < SCHEMA_VERSION:
        step = MIGRATIONS.get(version)
        if step is None:
            raise ResultError(f"{where}: schema {version} is too old to be read. Run the task again.")
        data = step(data)
        version = data["schema"]
    return data


def result_path(folder: Path, result: Result) -> Path:
    """Return where a result is kept below the results folder.

    Args:
        folder: The results folder.
        result: The result.

    Raises:
        ResultError: Its names are none, so that no path can be made of them.
    """
    names = (("task", result.task["name"]), ("dataset", result.dataset["name"]), ("encoder", result.encoder["name"]))
    for kind, name in names:
        if fault := name_fault(kind, name):
            raise ResultError(f"{fault}.")
    return file_of(folder, result.board, result.encoder["name"])


def file_of(folder: Path, board: str, encoder: str) -> Path:
    """Return where the result of an encoder on a board is kept below the results folder.

    Args:
        folder: The results folder.
        board: Name of the board.
        encoder: Name of the encoder.
    """
    return folder / board / f"{slug(encoder)}.json"


def board_name(task: str, own: str, dataset: str) -> str:
    """Return the name of a board: the task, with ``@dataset`` unless it is the task's own dataset.

    Args:
        task: Name of the task.
        own: Name of the dataset for which it is declared.
        dataset: Name of the dataset on which it is run.
    """
    return task if dataset == own else f"{task}@{dataset}"


def slug(name: str) -> str:
    """Return ``name`` as a file name: letters, digits, dot, minus and underscore.

    Names that lose something are kept apart by a short digest.
    """
    clean = "".join(c if c.isalnum() or c in "._-" else "-" for c in name)
    return clean if clean == name else f"{clean}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def save(folder: Path, result: Result) -> Path:
    """Write a result atomically and return its path.

    Raises:
        ResultError: A name of the result is none, or the folder is that of a board and its images are simulated or
            its precision is for screening.
        StoreError: The folder cannot be written.
        UsbenchError: A link leads out of the folder.
    """
    refuse_simulated(folder, result.synthetic)
    refuse_screening(folder, result.encoder)
    path = inside(folder, result_path(folder, result))
    atomic_write(path, result.to_json().encode())
    return path


def load(path: Path) -> Result:
    """Read one result, sealed and in form.

    Raises:
        ResultError: The file is not valid JSON or not a result, or its content is not what was sealed.
    """
    data = read_json(path, ResultError, "a result")
    current = migrate(data, str(path))
    if fault := seal_fault(data):
        raise ResultError(
            f"{path}: {fault}. It is not used: run the task again, or take the file from where it came from once more."
        )
    if faults := form_faults(current, SCHEMA_VERSION, every_value=False):
        where, what = faults[0]
        raise ResultError(f"{path}: not a result of schema {SCHEMA_VERSION} ({where}: {what}).")
    return Result.from_dict(current, str(path))


def result_files(folder: Path, board: str | None = None) -> list[Path]:
    """Return the files of every result below ``folder``, in a fixed order.

    Args:
        folder: The results folder.
        board: Name of the only board to look at; all by default.
    """
    return sorted(folder.glob("*/*.json" if board is None else f"{glob.escape(board)}/*.json"))


def load_all(folder: Path, board: str | None = None) -> Iterator[tuple[Path, Result]]:
    """Yield every result below ``folder``, in the order of :func:`result_files`.

    Args:
        folder: The results folder.
        board: Name of the only board to read; all by default.

    Raises:
        ResultError: A file is damaged.
    """
    for path in result_files(folder, board):
        yield path, load(path)


class Results(Sequence[Result]):
    """Results of one run, in the order of computation.

    Args:
        results: The results.
    """

    def __init__(self, results: Sequence[Result]) -> None:
        self._results = list(results)

    def __len__(self) -> int:
        return len(self._results)

    def __getitem__(self, index: Any) -> Any:
        return Results(self._results[index]) if isinstance(index, slice) else self._results[index]

    def to_frame(self) -> Any:
        """Return a pandas table: one row a (task, dataset, encoder, protocol, metric) with value and interval."""
        import pandas as pd

        rows = [
            {
                "task": r.task["name"],
                "dataset": r.dataset["name"],
                "synthetic": r.synthetic,
                "encoder": r.encoder["name"],
                "protocol": protocol,
                "metric": metric,
                "value": estimate.value,
                "low": estimate.low,
                "high": estimate.high,
                "subjects": len(set(r.units.subject)),
                "units": len(r.units.id),
                "leakage": r.leakage["state"],
            }
            for r in self._results
            for protocol, outcome in r.protocols.items()
            for metric, estimate in outcome.metrics.items()
        ]
        return pd.DataFrame(rows)
