"""Handing jobs to an engine and taking their answers, with a second attempt for what a lost worker had in hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from usbench.sweep.engine import Engine
from usbench.sweep.jobs import Encode
from usbench.sweep.worker import Answer, Handshake, Job


@dataclass(eq=False, kw_only=True)
class Ticket:
    """A job on its way.

    Attributes:
        job: The job.
        label: What it is for, as a person would say it.
        gpus: GPUs it asks for.
        attempt: How often it was begun before.
    """

    job: Job
    label: str
    gpus: float = 0
    attempt: int = 0


T = TypeVar("T", bound=Ticket)


class Dispatcher(Generic[T]):
    """Runs tickets on an engine until there are none.

    Args:
        engine: Where jobs run.
        attempts: How often a job is begun when workers are lost under it.
        following: Returns the next ticket, or ``None`` when there is none at the moment.
        taken: Called with a ticket and its answer.
        again: Called with a ticket that has to be queued once more.
        failed: Called with a ticket and one sentence on what went wrong.

    Attributes:
        losses: Jobs that were begun again, or given up, because a worker was lost; one entry each.
    """

    def __init__(
        self,
        engine: Engine,
        attempts: int,
        following: Callable[[], T | None],
        taken: Callable[[T, Answer], None],
        again: Callable[[T], None],
        failed: Callable[[T, str], None],
    ) -> None:
        self.losses: list[dict[str, Any]] = []
        self._engine, self._attempts = engine, attempts
        self._following, self._taken, self._again, self._failed = following, taken, again, failed
        self._started = time.monotonic()

    def run(self, handshake: Handshake) -> None:
        """Run all tickets.

        Args:
            handshake: What workers are told.
        """
        running: dict[Future[Answer], T] = {}
        while True:
            while len(running) < self._engine.capacity and (ticket := self._following()) is not None:
                running[self._engine.submit(ticket.job, handshake, ticket.gpus)] = ticket
            if not running:
                return
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                self._finish(running.pop(future), future)

    def _finish(self, ticket: T, future: Future[Answer]) -> None:
        try:
            answer = future.result()
        except Exception as error:  # the engine's, as a job answers with its own
            reason = self._engine.lost(error)
            told = reason or f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            answer = Answer(error=told, unfit=reason is not None)
        if answer.error is None:
            self._taken(ticket, answer)
        elif answer.unfit:
            self._lost(ticket, answer.error)
        else:
            self._failed(ticket, answer.error)

    def _lost(self, ticket: T, reason: str) -> None:
        ticket.attempt += 1
        self.losses.append(
            {
                "cell": ticket.label,
                "job": type(ticket.job).__name__.lower(),
                "frames": len(ticket.job.items) if isinstance(ticket.job, Encode) else 0,
                "reason": reason,
                "after_seconds": round(time.monotonic() - self._started, 2),
            }
        )
        if ticket.attempt >= self._attempts:
            self._failed(ticket, f"given up after {ticket.attempt} attempts, the last: {reason}")
            return
        if isinstance(ticket.job, Encode):
            ticket.job = replace(ticket.job, again=True)  # the lost worker may have published a part
        self._again(ticket)
