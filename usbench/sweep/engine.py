"""What an engine is: where jobs run."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Protocol

from usbench.sweep.worker import Answer, Handshake, Job


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        id: How the engine names it.
        label: How a person names it.
        cpus: CPUs it offers.
        gpus: GPUs it offers.
    """

    id: str
    label: str
    cpus: float
    gpus: float


class Engine(Protocol):
    """Runs jobs.

    Attributes:
        name: As on the command line.
        apart: Whether workers are processes of their own.
        shared: Whether workers may be other machines, which have to be asked what they see.
        capacity: Jobs worth handing over at a time; more would only wait elsewhere.
    """

    name: str
    apart: bool
    shared: bool
    capacity: int

    def submit(self, job: Job, handshake: Handshake, gpus: float = 0, node: Node | None = None) -> Future[Answer]:
        """Start a job.

        Args:
            job: The job.
            handshake: What the driver says.
            gpus: GPUs it asks for.
            node: Machine it must run on.
        """

    def lost(self, error: BaseException) -> str | None:
        """Say why a worker was lost, or return ``None`` when the error means something else."""

    def nodes(self) -> list[Node]:
        """Return the machines that can run jobs; empty when there is only this one."""

    def describe(self) -> dict[str, Any]:
        """Return plain facts for the report."""

    def close(self) -> None:
        """Stop what the engine started; running jobs are abandoned."""
