"""What a worker does with a job: check in, do it, and answer with a value or with one sentence on what went wrong."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from usbench.core.settings import Settings
from usbench.errors import UsbenchError


@dataclass(frozen=True)
class Handshake:
    """What the driver tells every worker, and what a worker must agree with before it works.

    Attributes:
        token: Content of the probe file.
        probe: File beside the store, which the driver wrote.
        settings: Places, absolute.
        folder: Working directory of the driver, for relative paths in names.
        versions: Packages that can move a figure, as the driver has them.
        apart: Whether workers are processes of their own; otherwise everything runs in the driver.
    """

    token: str
    probe: Path
    settings: Settings = field(hash=False)
    folder: str
    versions: Mapping[str, str] = field(hash=False)
    apart: bool = True


@dataclass(frozen=True)
class Answer:
    """What came of a job.

    Attributes:
        value: What it returned, when it went well.
        error: One sentence otherwise.
        unfit: Whether the fault lies with the machine, so that another one may do better.
        node: Name of the machine.
        seconds: Time the job took.
        processor_seconds: CPU time it took, which says more than the clock where machines are shared.
    """

    value: Any = None
    error: str | None = None
    unfit: bool = False
    node: str = ""
    seconds: float = 0.0
    processor_seconds: float = 0.0


class Job(Protocol):
    """A piece of work that can be sent to another process."""

    def perform(self, handshake: Handshake) -> Any:
        """Do it.

        Args:
            handshake: What the driver says.

        Raises:
            UsbenchError: What went wrong, in one message.
        """


def work(job: Job, handshake: Handshake, threads: int | None, tell: Callable[..., None] | None = None) -> Answer:
    """Run one job and turn whatever happens into an answer.

    Args:
        job: The job.
        handshake: What the driver says; checked once a process.
        threads: CPU threads for networks and probes; ``None`` leaves the settings of the process alone.
        tell: Called with a message, or with a text, what is done and what there is to do, where worker and driver are
            one process.
    """
    node = platform.node()
    started, processor = time.perf_counter(), time.process_time()
    try:
        if handshake.apart and (reason := _check_in(handshake)):
            return Answer(error=reason, unfit=True, node=node)
        with _limited(threads), _telling(tell):
            value = job.perform(handshake)
    except UsbenchError as error:
        return Answer(error=" ".join(str(error).split()), node=node, seconds=time.perf_counter() - started)
    except Exception as error:  # a plugin can fail in any way, and must not cost the others their figures
        told = f"{type(job).__name__.lower()}: {type(error).__name__}: {' '.join(str(error).split())[:500]}"
        return Answer(error=told, node=node, seconds=time.perf_counter() - started)
    spent = time.process_time() - processor
    return Answer(value, node=node, seconds=time.perf_counter() - started, processor_seconds=spent)


@lru_cache(maxsize=4)
def _check_in(handshake: Handshake) -> str | None:
    """Take over the driver's places, once a process; return what makes this machine unfit, if anything does."""
    from usbench.core import provenance

    node = platform.node()
    mine = provenance.package_versions()
    apart = [f"{n} {mine.get(n, 'absent')}, not {v}" for n, v in handshake.versions.items() if mine.get(n) != v]
    if apart:
        return (
            f"{node}: other packages than on the machine where the command was typed ({'; '.join(apart[:3])}). "
            "Install the same versions on all: figures must not depend on the machine."
        )
    try:
        seen = handshake.probe.read_text("utf-8")
    except OSError:
        seen = ""
    if seen != handshake.token:
        return (
            f"{node}: does not see {handshake.probe.parent}, the embedding store of this run. Put the store on a "
            "folder that all machines share, with --cache or USBENCH_CACHE."
        )
    settings = handshake.settings
    os.environ["USBENCH_CONFIG"] = str(settings.config_file)
    os.environ["USBENCH_WEIGHTS"] = str(settings.weights_dir)
    os.environ["USBENCH_CACHE"] = str(settings.cache_dir)
    if settings.store is not None:
        os.environ["USBENCH_STORE"] = settings.store
    os.environ["USBENCH_DATA_ROOT"] = os.pathsep.join(map(str, settings.data_roots))
    with contextlib.suppress(OSError):  # names with relative paths then fail by themselves, and say so
        os.chdir(handshake.folder)
    return None


@contextlib.contextmanager
def _limited(threads: int | None) -> Iterator[None]:
    """Let networks and probes use so many threads.

    Their number enters the last bits of a network's sums, and of attention heads trained side by side: jobs that are
    told of the same number agree wherever they run.
    """
    if threads is None:
        yield
        return
    from usbench.probes.threads import torch_threads

    name = "LOKY_MAX_CPU_COUNT"  # probes take as many threads as there are cores, unless joblib is told of fewer
    before = os.environ.get(name)
    os.environ[name] = str(threads)
    try:
        with torch_threads(threads):
            yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


_tell: Callable[..., None] | None = None


@contextlib.contextmanager
def _telling(tell: Callable[..., None] | None) -> Iterator[None]:
    global _tell
    before, _tell = _tell, tell
    try:
        yield
    finally:
        _tell = before


def notify(message: str) -> None:
    """Tell the user, where worker and driver are one process."""
    if _tell is not None:
        _tell(message)


def progress(text: str) -> Callable[[int, int], None]:
    """Return a function that tells how far a job is, where worker and driver are one process."""

    def report(done: int, total: int) -> None:
        if _tell is not None:
            _tell(text, done, total)

    return report
