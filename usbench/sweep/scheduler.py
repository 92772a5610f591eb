"""A sweep as it runs: which job is next, what became of each cell, and what a lost worker has cost.

A cell goes through three kinds of jobs: a survey indexes its data and names the frames that the store lacks; encoding
jobs take a part of those each; an evaluation probes and scores. A failure costs its cell, a lost worker costs the job
it had in hand, and both are written down.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from usbench import results
from usbench.core.settings import Settings
from usbench.diagnostics.label_efficiency import DIAGNOSTIC_VERSION
from usbench.diagnostics.shifts.levels import Level
from usbench.embedding.extract import Shard
from usbench.errors import UsbenchError
from usbench.results.board_folder import refuse_screening, refuse_simulated
from usbench.results.rows import refuse_another
from usbench.sweep.cell_state import Record, SweepRequest
from usbench.sweep.config import EngineSpec
from usbench.sweep.dispatcher import Dispatcher, Ticket
from usbench.sweep.engine import Engine
from usbench.sweep.jobs import Encode, Evaluate, Found, Survey
from usbench.sweep.preflight import handshake, inspect
from usbench.sweep.specs import Cell, EncoderSpec, Source
from usbench.sweep.worker import Answer
from usbench.task.kinds import task_kind

# Frames of one encoding job: what a lost worker can cost. On a GPU they go by faster, and its process is new each time.
SHARD_FRAMES, SHARD_FRAMES_GPU = 256, 4096


@dataclass(eq=False, kw_only=True)
class _CellTicket(Ticket):
    """A job of a cell; ``shard`` is its number, for encoding jobs."""

    record: Record
    shard: int | None = None


class Campaign:
    """Runs cells on an engine.

    Args:
        cells: The cells, those of one encoder after another.
        request: What is asked of each.
        spec: Size of jobs and number of attempts.
        engine: Where jobs run.
        settings: Places to use.
        watch: Called whenever the state of a cell has changed.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        request: SweepRequest,
        spec: EngineSpec,
        engine: Engine,
        settings: Settings,
        watch: Callable[[Record], None] = lambda record: None,
    ) -> None:
        names = {cell.encoder: _name(cell.encoder) for cell in cells}
        for name in names.values():
            if len(same := [encoder.label for encoder in names if names[encoder] == name]) > 1:
                told = " and ".join(same)
                raise UsbenchError(f"{told} are both called {name!r}, and results are kept by name. Rename one.")
        self.records = [Record(cell, names[cell.encoder]) for cell in cells]
        self._wish, self._spec, self._engine, self._settings, self._watch = request, spec, engine, settings, watch
        self._queues: tuple[deque[_CellTicket], ...] = (deque(), deque(), deque())  # evaluate, encode, survey
        self._scheduled: dict[str, dict[bytes, int]] = {}
        self._waiting: dict[int, list[Record]] = {}
        # What each shard published, by identity.
        self._files: dict[int, Mapping[str, tuple[str, ...]]] = {}
        self._shards = 0
        self._dispatcher = Dispatcher(engine, spec.attempts, self._next, self._take, self._again, self._fail)

    @property
    def losses(self) -> list[dict[str, Any]]:
        """Jobs that were begun again because a worker was lost."""
        return self._dispatcher.losses

    def run(self) -> list[Record]:
        """Run all cells; a cell that fails says so in its record and stops no other.

        Raises:
            UsbenchError: The engine, or the places that all cells share, cannot be used.
        """
        self._locate()
        with handshake(self._engine, self._settings) as self._handshake:
            if self._engine.shared:
                self._inspect()
            for record in self.records:
                self._survey(record)
            self._dispatcher.run(self._handshake)
        return self.records

    # What is next -----------------------------------------------------------------------------------------------

    def _next(self) -> _CellTicket | None:
        for queue in self._queues:
            while queue:
                ticket = queue.popleft()
                if ticket.shard is not None and not self._wanted(ticket.shard):
                    self._forget(ticket.shard)
                    continue
                if isinstance(ticket.job, Survey):
                    if ticket.record.over:
                        continue
                    self._move(ticket.record, "surveying")
                return ticket
        return None

    def _wanted(self, shard: int) -> bool:
        return any(not record.over for record in self._waiting.get(shard, ()))

    def _again(self, ticket: _CellTicket) -> None:
        ticket.record.lost += 1
        kinds = (Evaluate, Encode, Survey)
        queue = next(queue for kind, queue in zip(kinds, self._queues, strict=True) if isinstance(ticket.job, kind))
        queue.appendleft(ticket)
        self._watch(ticket.record)

    # What came of it --------------------------------------------------------------------------------------------

    def _take(self, ticket: _CellTicket, answer: Answer) -> None:
        record = ticket.record
        record.processor_seconds += answer.processor_seconds
        if isinstance(answer.value, Found):
            record.found = answer.value
            record.notes = answer.value.said
            for other in self._siblings(record):
                if other.cell.encoder.precision == "auto" and not answer.value.answered:
                    settled = replace(other.cell.encoder, precision=answer.value.precision)
                    other.cell = replace(other.cell, encoder=settled)
            self._plan_in_order(record)
        elif isinstance(answer.value, Shard):
            assert ticket.shard is not None
            self._encoded(record, ticket.shard, answer.value)
        elif isinstance(answer.value, results.Result):
            record.evaluate_seconds = answer.seconds
            record.result = self._told(record, answer.value)
            try:
                if self._wish.results is not None:
                    results.save(self._wish.results, record.result)
            except UsbenchError as error:
                self._fail(ticket, str(error))
            else:
                self._move(record, "done")

    def _encoded(self, record: Record, number: int, shard: Shard) -> None:
        record.shards_done += 1
        record.encoded += shard.encoded
        record.encode_seconds += shard.seconds
        record.network_seconds += shard.network_seconds
        assert record.found is not None
        self._files[number] = {record.found.identity: shard.files, **shard.companions}
        self._watch(record)
        for waiting in self._waiting.pop(number, []):
            waiting.waits.discard(number)
            assert waiting.found is not None
            waiting.files += self._files[number].get(waiting.found.identity, ())
            self._evaluate_when_ready(waiting)

    def _fail(self, ticket: _CellTicket, message: str) -> None:
        records = [ticket.record]
        if ticket.shard is not None:
            records = self._forget(ticket.shard)
        for record in records:
            self._broken(record, message)
        self._plan_in_order(ticket.record)

    def _forget(self, number: int) -> list[Record]:
        """Take a shard off the books, so that a later cell may try its frames again; return the cells that waited."""
        for keys in self._scheduled.values():
            for key in [key for key, shard in keys.items() if shard == number]:
                del keys[key]
        return self._waiting.pop(number, [])

    def _broken(self, record: Record, message: str) -> None:
        if not record.over:
            record.error = message
            self._move(record, "failed")

    # A cell's way -----------------------------------------------------------------------------------------------

    def _survey(self, record: Record) -> None:
        """Queue the survey of a cell; where the precision is still to be settled, only that of the first cell."""
        if record.over or (record.cell.encoder.precision == "auto" and self._settling(record)):
            return
        encoder = record.cell.encoder
        # Who an encoder is does not depend on its device; only a check of precision needs the device itself.
        plain = encoder if encoder.precision == "auto" else replace(encoder, device="cpu")
        job = Survey(replace(record.cell, encoder=plain), self._wish.levels, self._complete(record))
        gpus = (encoder.gpus or 0) if encoder.precision == "auto" else 0
        self._queues[2].append(_CellTicket(job=job, label=str(record), gpus=gpus, record=record))

    def _settling(self, record: Record) -> bool:
        return any(not other.over for other in self._siblings(record)[: self._siblings(record).index(record)])

    def _siblings(self, record: Record) -> list[Record]:
        return [other for other in self.records if other.name == record.name]

    def _plan_in_order(self, record: Record) -> None:
        """Plan what can be planned of an encoder's cells, in their order.

        A frame that two tasks share is encoded for the first of them, in the company it would have in a single process.
        """
        for sibling in self._siblings(record):
            if sibling.state == "waiting" and not self._queued(sibling):  # was held back until the precision is settled
                self._survey(sibling)
            if sibling.state in ("waiting", "surveying"):
                if sibling.found is None:
                    return
                self._plan(sibling)

    def _queued(self, record: Record) -> bool:
        return any(ticket.record is record for ticket in self._queues[2])

    def _plan(self, record: Record) -> None:
        found = record.found
        assert found is not None
        kept = self._cached(record, found)
        if found.answered and kept is not None:
            record.result = kept
            self._move(record, "unchanged")
            return
        if reason := self._taken(record, found):
            self._broken(record, reason)
            return
        scheduled = self._scheduled.setdefault(found.identity, {})
        encoder = record.cell.encoder
        size = shard_size(self._spec, encoder, found.step)
        self._move(record, "encoding")
        for part in found.parts:
            shared = {scheduled[ref.key] for ref, _ in part if ref.key in scheduled}
            record.waits |= shared & self._waiting.keys()
            record.files += [name for shard in shared for name in self._files.get(shard, {}).get(found.identity, ())]
            new = [item for item in part if item[0].key not in scheduled]
            for start in range(0, len(new), size):
                self._shard(record, encoder, found, tuple(new[start : start + size]))
        for shard in record.waits:
            if record not in self._waiting[shard]:
                self._waiting[shard].append(record)
        self._evaluate_when_ready(record)

    def _shard(self, record: Record, encoder: EncoderSpec, found: Found, items: tuple[Any, ...]) -> None:
        number = self._shards = self._shards + 1
        for identity in (found.identity, *found.companions):
            self._scheduled.setdefault(identity, {}).update({ref.key: number for ref, _ in items})
        self._waiting[number] = [record]
        record.waits.add(number)
        record.shards += 1
        source = Source(task=record.cell.task)
        job = Encode(encoder, found.identity, source, items, self._wish.levels, self._wish.workers)
        gpus = encoder.gpus or 0
        self._queues[1].append(_CellTicket(job=job, label=str(record), gpus=gpus, record=record, shard=number))

    def _evaluate_when_ready(self, record: Record) -> None:
        found = record.found
        if record.waits or record.state != "encoding" or found is None:
            return
        self._move(record, "evaluating")
        cell = replace(record.cell, encoder=replace(record.cell.encoder, device="cpu"))  # vectors are all there
        job = Evaluate(
            cell,
            found.inputs,
            self._cached(record, found),
            self._wish.columns,
            self._wish.levels,
            self._wish.workers,
            (found.identity[:32], tuple(record.files)),
            self._wish.label_efficiency,
        )
        self._queues[0].append(_CellTicket(job=job, label=str(record), record=record))

    def _move(self, record: Record, state: str) -> None:
        record.state = state
        self._watch(record)

    # What is there already --------------------------------------------------------------------------------------

    def _complete(self, record: Record) -> frozenset[str]:
        """Return the inputs of results of an encoder that hold all that is asked for."""
        if self._wish.results is None or self._wish.fresh:
            return frozenset()
        names = [record.name]
        if record.cell.encoder.precision == "auto":
            names.append(_name(replace(record.cell.encoder, precision="bf16")))
        paths = [path for name in names for path in self._wish.results.glob(f"*/{results.slug(name)}.json")]
        kept = [result for path in paths if (result := _load(path)) is not None]
        wish = self._wish
        return frozenset(r.inputs for r in kept if holds_all(r, wish.columns, wish.levels, wish.label_efficiency))

    def _cached(self, record: Record, found: Found) -> results.Result | None:
        if self._wish.results is None or self._wish.fresh:
            return None
        kept = _load(results.file_of(self._wish.results, found.board, found.encoder["name"]))
        return kept if kept is not None and kept.inputs == found.inputs else None

    def _taken(self, record: Record, found: Found) -> str:
        """Say why a result cannot be written, where another network's has its place or the place is a board's."""
        if self._wish.results is None:
            return ""
        path = results.file_of(self._wish.results, found.board, found.encoder["name"])
        there = _load(path)
        try:
            refuse_simulated(self._wish.results, found.synthetic)
            refuse_screening(self._wish.results, found.encoder)
            if there is not None and not self._wish.replace:
                refuse_another(path, there.encoder, found.encoder)
        except UsbenchError as error:
            return str(error)
        return ""

    def _told(self, record: Record, result: results.Result) -> results.Result:
        """Complete the provenance by what the evaluating worker could not know."""
        before: Mapping[str, Any] = result.provenance
        timings = dict(before.get("timings", {}))
        if record.encoded:
            timings["encoded_now"] = record.encoded + int(timings.get("encoded_now", 0))
            timings["encode_seconds"] = round(record.encode_seconds, 2)
            timings["network_seconds"] = round(record.network_seconds, 2)
            # Of one worker, so that it says the same of an encoder whatever their number.
            timings["images_per_second"] = round(record.encoded / max(record.encode_seconds, 1e-9), 2)
        machine = {**before.get("machine", {}), "device": record.cell.encoder.device}
        told = {**before, "machine": machine, "timings": timings}
        if self._wish.command:
            told["command"] = self._wish.command
        told["engine"] = self._engine.describe()
        return replace(result, provenance=told)

    # Before anything is begun -----------------------------------------------------------------------------------

    def _locate(self) -> None:
        """Find all data from here; a simulated set is made now, once, and not by several workers at a time."""
        from usbench.plugins.data_sources import dataset_for

        for task in dict.fromkeys(record.cell.task for record in self.records):
            try:
                if self._wish.results is not None:
                    refuse_simulated(self._wish.results, task.data == "phantom")
                dataset_for(task.load(), self._settings, task.data)
            except UsbenchError as error:
                self._refuse([r for r in self.records if r.cell.task == task], str(error))

    def _inspect(self) -> None:
        for record in self.records:
            try:
                record.cell = replace(record.cell, encoder=record.cell.encoder.for_cluster())
            except UsbenchError as error:
                self._refuse([record], str(error))
        encoders = list(dict.fromkeys(r.cell.encoder for r in self.records if not r.over))
        sources = list(dict.fromkeys(Source(task=r.cell.task) for r in self.records if not r.over))
        wrong = inspect(self._engine, self._handshake, encoders, sources, self._spec.threads or 1)
        for record in self.records:
            reason = wrong.get(("encoder", record.cell.encoder.label)) or wrong.get(
                ("data", str(Source(task=record.cell.task)))
            )
            if reason:
                self._refuse([record], reason)

    def _refuse(self, records: Iterable[Record], message: str) -> None:
        for record in records:
            self._broken(record, message)


def shard_size(spec: EngineSpec, encoder: EncoderSpec, step: int) -> int:
    """Return the number of frames of one encoding job: whole batches, see :func:`usbench.sweep.jobs.in_order`.

    Args:
        spec: What was asked for.
        encoder: The encoder, for its device.
        step: Frames per forward pass.
    """
    size = spec.shard_frames or (SHARD_FRAMES_GPU if encoder.device != "cpu" else SHARD_FRAMES)
    return max(1, size // step) * step


def _name(spec: EncoderSpec) -> str:
    from usbench.encoder.variants import row_name

    try:
        return row_name(spec.load())
    except UsbenchError:  # its cells will say why
        return spec.label


def holds_all(result: results.Result, columns: Sequence[str], levels: Sequence[Level], label_efficiency: bool) -> bool:
    """Say whether a result holds the strata and shifts asked for, and the scores on fewer training subjects."""
    curve = result.instruments.get("label_efficiency", {})
    if label_efficiency and task_kind(result.task["kind"]).trains and curve.get("version") != DIAGNOSTIC_VERSION:
        return False
    strata = result.instruments.get("strata", {}).get("columns", {})
    shifts = result.instruments.get("shifts", {}).get("measured", {})
    return all(column in strata for column in columns) and all(str(level) in shifts for level in levels)


def _load(path: Path) -> results.Result | None:
    if not path.exists():
        return None
    try:
        return results.load(path)
    except UsbenchError:  # damaged or of another schema: compute it again
        return None
