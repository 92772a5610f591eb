"""Ray as the engine: jobs become Ray tasks, and Ray finds machines, reserves CPUs and GPUs, and notices the dead.

Ray was chosen because one program serves a laptop, a Slurm allocation and Kubernetes, it reserves GPUs and says in an
exception of its own that a worker or machine is gone. It is an optional extra: ``pip install "usbench[ray]"``.
"""

from __future__ import annotations

import logging
import os
import socket
from concurrent.futures import Future
from typing import Any

from usbench.errors import UsbenchError
from usbench.sweep.config import EngineSpec
from usbench.sweep.engine import Node
from usbench.sweep.worker import Answer, Handshake, Job, work

# How long a cluster may take to answer the first knock.
CONNECT_SECONDS = 5.0


class RayEngine:
    """Runs jobs as Ray tasks.

    Args:
        spec: Address of the cluster and threads of a job.

    Raises:
        UsbenchError: Ray is not installed, or the cluster cannot be reached.
    """

    name = "ray"
    apart = True
    shared = True

    def __init__(self, spec: EngineSpec) -> None:
        try:
            import ray
        except ImportError:
            raise UsbenchError(
                '--engine ray: Ray is not installed. Install it on every machine: pip install "usbench[ray]".'
            ) from None
        self._ray = ray
        self._threads = spec.threads or 1
        self._address = spec.address or os.environ.get("RAY_ADDRESS")
        self._owned = not ray.is_initialized()
        if self._owned:
            self._connect()
        # Ray queues what no worker is free for; a little more than fits keeps workers from waiting for the driver.
        self.capacity = max(2, 2 * int(sum(node.cpus for node in self.nodes()) // self._threads))
        self._task = ray.remote(work)

    def submit(self, job: Job, handshake: Handshake, gpus: float = 0, node: Node | None = None) -> Future[Answer]:
        """See :class:`usbench.sweep.local_engines.Engine`."""
        # Ray must not begin a job again by itself: the campaign does, tells it that it is the second time, and counts.
        options: dict[str, Any] = {"num_cpus": self._threads, "num_gpus": gpus, "max_retries": 0}
        if node is not None:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            options |= {"scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False), "num_gpus": 0}
        reference = self._task.options(**options).remote(job, handshake, self._threads)
        future: Future[Answer] = reference.future()
        return future

    def lost(self, error: BaseException) -> str | None:
        """See :class:`usbench.sweep.local_engines.Engine`."""
        known = self._ray.exceptions
        if isinstance(error, known.OutOfMemoryError):
            return "a worker was ended for want of memory"
        gone = (known.NodeDiedError, known.LocalRayletDiedError, known.ObjectLostError, known.TaskUnschedulableError)
        if isinstance(error, gone):
            return "a machine was lost"
        if isinstance(error, known.WorkerCrashedError):
            return "a worker was killed"
        return None

    def nodes(self) -> list[Node]:
        """Return the machines that offer CPUs."""
        found = []
        for entry in self._ray.nodes():
            offered = entry.get("Resources", {})
            if entry.get("Alive") and offered.get("CPU", 0) > 0:
                label = f"{entry.get('NodeManagerHostname', '')} ({entry['NodeID'][:8]})".strip()
                found.append(Node(entry["NodeID"], label, float(offered["CPU"]), float(offered.get("GPU", 0))))
        return sorted(found, key=lambda node: node.label)

    def describe(self) -> dict[str, Any]:
        """See :class:`usbench.sweep.local_engines.Engine`."""
        return {"name": self.name, "threads": self._threads, **self._size()}

    def close(self) -> None:
        """Leave the cluster, and stop it when it was started here."""
        if self._owned:
            self._ray.shutdown()

    def _size(self) -> dict[str, Any]:
        nodes = self.nodes() if self._ray.is_initialized() else []
        return {
            "machines": len(nodes),
            "cpus": sum(node.cpus for node in nodes),
            "gpus": sum(node.gpus for node in nodes),
        }

    def _connect(self) -> None:
        address = self._address
        if address and address.startswith("ray://"):
            raise UsbenchError(
                f"--address {address}: usbench shares a folder with the workers, so it must run inside the cluster, "
                "not behind a Ray client. Submit the command as a job: ray job submit -- usbench ..."
            )
        if address and ":" in address:
            _knock(address)
        try:
            # Without an address Ray would join whatever cluster was last started on this machine.
            self._ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, RuntimeError, ValueError, OSError) as error:
            raise self._unreachable(address, error) from None

    def _unreachable(self, address: str | None, error: Exception) -> UsbenchError:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        where = f"--address {address}: no Ray cluster can be reached" if address else "Ray cannot be started here"
        return UsbenchError(f"{where} ({reason}). Start one with `ray start --head`, or leave --address out.")


def _knock(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS):
            return
    except (OSError, ValueError) as error:
        raise UsbenchError(
            f"--address {address}: nothing answers ({error}). Give the host:port that `ray start --head` printed, "
            "or auto on a machine of the cluster."
        ) from None
