"""What is asked of the cells of a sweep, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from usbench import results
from usbench.diagnostics.shifts.levels import Level
from usbench.sweep.jobs import Found
from usbench.sweep.specs import Cell


@dataclass
class Record:
    """What became of one cell.

    Attributes:
        cell: The cell; its precision is settled by the survey.
        name: Name of the row, by which its results are kept: that of the encoder, which for a plugin file is on its
            card, and what differs from it as it comes.
        state: One of :data:`STATES`.
        error: One sentence, when it failed.
        found: What the survey found.
        shards: Encoding jobs begun for this cell; those it shares with an earlier cell are counted there.
        shards_done: How many of them are done.
        encoded: Frames encoded for it.
        encode_seconds: Time that workers spent encoding them, added up.
        network_seconds: Part of it in the network.
        evaluate_seconds: Time of the evaluation.
        processor_seconds: CPU time of all its jobs.
        lost: Jobs that were begun again because a worker was lost.
        notes: Messages for the user.
        result: The result.
        waits: Shards it waits for, its own and those of earlier cells.
        files: Files of the store that hold its frames and were published by this campaign.
    """

    cell: Cell
    name: str
    state: str = "waiting"
    error: str | None = None
    found: Found | None = None
    shards: int = 0
    shards_done: int = 0
    encoded: int = 0
    encode_seconds: float = 0.0
    network_seconds: float = 0.0
    evaluate_seconds: float = 0.0
    processor_seconds: float = 0.0
    lost: int = 0
    notes: tuple[str, ...] = ()
    result: results.Result | None = None
    waits: set[int] = field(default_factory=set)
    files: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name} on {self.cell.task.label}"

    @property
    def over(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state in ("done", "unchanged", "failed")


@dataclass(frozen=True)
class SweepRequest:
    """What is asked of every cell.

    Attributes:
        levels: Shifts to test under as well.
        columns: Columns to score by as well.
        results: Folder of results; ``None`` keeps nothing.
        workers: Decoding threads of one job.
        fresh: Whether to probe again although an equal result exists.
        command: What was typed, for the provenance of results.
        label_efficiency: Whether to score on shares of the training subjects as well.
        replace: Whether results may take the place of those of another network of the same name.
    """

    levels: tuple[Level, ...] = ()
    columns: tuple[str, ...] = ()
    results: Path | None = None
    workers: int | None = None
    fresh: bool = False
    command: str = ""
    label_efficiency: bool = True
    replace: bool = False
