"""Where jobs run: in this process, in several processes of this machine, or on a Ray cluster.

An engine starts a job somewhere and returns a future of its answer. It does not decide what to run next, and it does
not run a job again: that is the campaign's, which therefore knows what a lost worker has cost.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from usbench.sweep.config import EngineSpec
from usbench.sweep.engine import Engine, Node
from usbench.sweep.worker import Answer, Handshake, Job, work


class HereEngine:
    """Runs each job at once, in this process.

    Args:
        spec: Threads to use.
        tell: Called with messages, and with progress as (text, done, total).
    """

    name = "local"
    apart = False
    shared = False
    capacity = 1

    def __init__(self, spec: EngineSpec, tell: Callable[..., None] | None = None) -> None:
        self._threads = spec.threads
        self._tell = tell

    def submit(self, job: Job, handshake: Handshake, gpus: float = 0, node: Node | None = None) -> Future[Answer]:
        """Run the job and return its answer as a finished future; see :class:`Engine`."""
        future: Future[Answer] = Future()
        future.set_result(work(job, handshake, self._threads, self._tell))
        return future

    def lost(self, error: BaseException) -> str | None:
        """Return ``None``: who is lost here cannot say so."""
        return None

    def nodes(self) -> list[Node]:
        """Return nothing: there is only this machine."""
        return []

    def describe(self) -> dict[str, Any]:
        """See :class:`Engine`."""
        return {"name": self.name, "jobs": 1, "threads": self._threads}

    def close(self) -> None:
        """See :class:`Engine`."""


class ProcessEngine:
    """Runs jobs in processes of this machine, each with its own interpreter and network.

    Args:
        spec: How many, and their threads.
    """

    name = "local"
    apart = True
    shared = False

    def __init__(self, spec: EngineSpec) -> None:
        self.capacity = spec.jobs
        self._threads = spec.threads or max(1, (os.cpu_count() or 1) // spec.jobs)
        self._pool = self._open()

    def submit(self, job: Job, handshake: Handshake, gpus: float = 0, node: Node | None = None) -> Future[Answer]:
        """See :class:`Engine`."""
        try:
            return self._pool.submit(work, job, handshake, self._threads)
        except BrokenProcessPool:  # a killed process takes the pool with it
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = self._open()
            return self._pool.submit(work, job, handshake, self._threads)

    def lost(self, error: BaseException) -> str | None:
        """See :class:`Engine`."""
        if isinstance(error, BrokenProcessPool | CancelledError):
            return "a process was killed, perhaps for want of memory"
        return None

    def nodes(self) -> list[Node]:
        """Return nothing: there is only this machine."""
        return []

    def describe(self) -> dict[str, Any]:
        """See :class:`Engine`."""
        return {"name": self.name, "jobs": self.capacity, "threads": self._threads}

    def close(self) -> None:
        """See :class:`Engine`."""
        # A running job would be waited for when the interpreter ends, and can be begun again.
        for process in list((getattr(self._pool, "_processes", None) or {}).values()):
            process.terminate()
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _open(self) -> ProcessPoolExecutor:
        import multiprocessing

        # Spawned, not forked: torch and OpenMP do not survive a fork once they have run.
        spawn = multiprocessing.get_context("spawn")
        return ProcessPoolExecutor(self.capacity, mp_context=spawn, initializer=_begin_worker)


def _begin_worker() -> None:
    """Tie a worker to the process that started it.

    It ends when that one is gone, as a kill would leave its workers behind; and it leaves Ctrl-C, which reaches every
    process of a terminal, to that one.
    """
    import multiprocessing
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True, name="follow-parent").start()


def open_engine(spec: EngineSpec, tell: Callable[..., None] | None = None) -> Engine:
    """Return the engine asked for, started.

    Args:
        spec: Which, and its options.
        tell: Called with messages and progress, where worker and driver are one process.

    Raises:
        UsbenchError: It is not installed, or its cluster cannot be reached.
    """
    if spec.name == "ray":
        from usbench.sweep.ray_engine import RayEngine

        return RayEngine(spec)
    return HereEngine(spec, tell) if spec.jobs == 1 else ProcessEngine(spec)
