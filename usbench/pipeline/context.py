"""What a run is about: an encoder and a task on its dataset, indexed and checked, but not yet encoded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core import provenance
from usbench.core.names import check_name, label_fault
from usbench.core.settings import Settings
from usbench.core.thread_map import map_in_threads
from usbench.core.types import Progress, silent
from usbench.data.dataset import Dataset
from usbench.data.frames import decoding_versions
from usbench.encoder.base import Encoder
from usbench.errors import DataError, UsbenchError
from usbench.pipeline.prechecks import check_encoder
from usbench.plugins.data_sources import Located, dataset_for
from usbench.results.board_folder import refuse_screening, refuse_simulated
from usbench.task.task import Task

if TYPE_CHECKING:
    from usbench.pipeline.vectors import SelectedFrames
    from usbench.task.cohort import Cohort


# Raised when the orchestration, the pairing of frames and units, or the meaning of a field changes.
RUNNER_VERSION = 1


# What is said while running: a message.
Notify = Callable[[str], None]


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes:
        data: ``phantom``, ``subset``, a path, or ``None`` to search.
        results: Folder of results; ``None`` keeps nothing on disk.
        batch_size: Frames per forward pass; the encoder's own by default.
        workers: Decoding threads.
        fresh: Whether to probe again although an equal result exists.
        replace: Whether a result may take the place of one of another network that has its name.
        notify: Called with messages for the user.
        progress: Called while frames are encoded.
    """

    data: str | None = None
    results: Path | None = None
    batch_size: int | None = None
    workers: int | None = None
    fresh: bool = False
    replace: bool = False
    notify: Notify = field(default=lambda message: None)
    progress: Progress = silent

    def reporting_to(self, notify: Notify | None, progress: Progress | None) -> Options:
        """Return the same options with other listeners, where they are given."""
        return replace(self, notify=notify or self.notify, progress=progress or self.progress)


@dataclass(frozen=True)
class Prepared:
    """An encoder and a task on its dataset, indexed and checked, but not yet encoded.

    Attributes:
        encoder: The encoder.
        task: The task.
        located: Its dataset.
        cohort: The units to decide about.
        digests: SHA-256 of the content behind each path.
        decoding: Versions of everything between file and pixels, for the keys of frames.
        inputs: Digest of everything that decides the outcome.
    """

    encoder: Encoder
    task: Task
    located: Located
    cohort: Cohort
    digests: Mapping[str, str]
    decoding: str
    inputs: str

    @cached_property
    def frames(self) -> SelectedFrames:
        """The frames that the task asks for; files are opened to count theirs once, whoever asks.

        Raises:
            MediaError: A file is damaged.
        """
        from usbench.pipeline.vectors import frames_of

        return frames_of(self)


def prepare(encoder: Encoder, task: Task, options: Options, settings: Settings) -> Prepared:
    """Find and index the dataset of a task.

    Args:
        encoder: The encoder.
        task: The task.
        options: How to run.
        settings: Places to use.

    Raises:
        UsbenchError: The encoder is not ready, or the dataset is absent or does not fit the task.
    """
    from usbench.data.table_checks import names_alike, note_of_alike
    from usbench.embedding.precision import resolve_precision
    from usbench.encoder.variants import row_name
    from usbench.task.cohort import build_cohort, draw_splits, select_frames

    check_name("encoder", encoder.name)
    check_name("task", task.name)
    check_encoder(encoder)
    for remark in encoder.remarks():
        options.notify(remark)
    if options.results is not None:
        refuse_screening(options.results, {"name": encoder.name, "precision": encoder.precision_of_vectors()})
        # Before anything is simulated; of a task that falls back on its twin, before anything is encoded.
        refuse_simulated(options.results, options.data == "phantom")
    located = dataset_for(task, settings, options.data)
    if options.results is not None:
        refuse_simulated(options.results, located.dataset.card.synthetic)
    _announce(task, located, options.notify)
    dataset = located.dataset
    check_name("dataset", dataset.name)
    cohort = build_cohort(task, dataset)
    if fault := next(filter(None, map(label_fault, cohort.classes)), ""):
        raise DataError(f"{dataset.root}, column {task.target!r}: {fault}.")
    if task.kind != "map":
        # A subject on both sides, or too few of them, is found before anything is encoded.
        draw_splits(task.split, cohort)
    if alike := names_alike(dict.fromkeys(cohort.groups)):
        options.notify(note_of_alike(alike))
    paths = cohort.paths
    digests = map_in_threads(dataset.digest, paths)
    dataset.check_digests(digests)
    decoding = decoding_versions()
    if told := _few_grey_levels(dataset, paths):
        options.notify(told)
        cohort = replace(cohort, notes=(*cohort.notes, told))
    if encoder.precision == "auto":
        refs, _, _ = select_frames(cohort, dataset, task.frames, digests, decoding)
        decision = resolve_precision(encoder, dataset, refs)
        if decision is not None:
            options.notify(f"{encoder.name}: {decision.describe()}")
    inputs = inputs_digest(encoder, task, located, digests, decoding)
    check_name("encoder", row_name(encoder))
    return Prepared(encoder, task, located, cohort, digests, decoding, inputs)


def _few_grey_levels(dataset: Dataset, paths: Sequence[str]) -> str:
    from usbench.data.integrity import few_levels_of_sample

    try:
        return few_levels_of_sample(dataset, paths)
    except UsbenchError:
        return ""  # a damaged file is told where its frames are wanted


def _announce(task: Task, located: Located, notify: Notify) -> None:
    card = located.dataset.card
    if located.provision == "phantom":
        notify(
            f"[bold yellow]PHANTOM DATA[/bold yellow]: {task.name} runs on simulated images ({card.title}). "
            "The figures say that the pipeline works; they say nothing about patients, and they enter no leaderboard."
        )
    elif located.provision == "subset":
        names = (task.transfer.train.name, task.transfer.test.name) if task.transfer else (task.dataset,)
        whole = " and ".join(f"`usbench data add {name} FOLDER`" for name in names)
        notify(f"{task.name} runs on {card.title}, embedded real data. For the whole set: {whole}.")


def inputs_digest(encoder: Encoder, task: Task, located: Located, digests: Mapping[str, str], decoding: str) -> str:
    """Digest everything that decides the figures: equal digests mean equal results."""
    from usbench.evaluation.drop import DROP_VERSION, measures_drop
    from usbench.evaluation.scoring import EVALUATION_VERSION

    parts = [
        encoder.identity().digest(),
        repr(replace(task, description="", title="", twin=None)),  # the data themselves are named below
        located.dataset.name,
        located.dataset.fingerprint(),
        json.dumps(dict(digests), sort_keys=True),
        decoding,
        f"{RUNNER_VERSION}.{EVALUATION_VERSION}",
        json.dumps(provenance.package_versions(), sort_keys=True),
    ]
    if measures_drop(task):
        parts.append(f"drop {DROP_VERSION}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
