"""What is asked of machines before anything is begun: do they share the store, the data, the weights, the packages?"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import TimeoutError as NoAnswer
from dataclasses import replace
from pathlib import Path
from typing import Any

from usbench.core import provenance
from usbench.core.atomic_files import atomic_write
from usbench.core.object_store import is_address
from usbench.core.settings import Settings
from usbench.errors import UsbenchError
from usbench.sweep.engine import Engine, Node
from usbench.sweep.jobs import Inspect
from usbench.sweep.specs import EncoderSpec, Source
from usbench.sweep.worker import Handshake

# How long a machine may take to say what it has: it imports torch and may have to read weights of gigabytes.
ANSWER_SECONDS = 600.0
# How long a cluster may take to notice that a machine is gone.
GONE_SECONDS = 30.0


@contextlib.contextmanager
def handshake(engine: Engine, settings: Settings) -> Iterator[Handshake]:
    """Write the probe file beside the store, and remove it afterwards.

    Args:
        engine: Says whether workers are processes of their own.
        settings: Places; made absolute, as workers start elsewhere.

    Raises:
        StoreError: The store cannot be written.
    """
    ours = replace(
        settings,
        config_file=settings.config_file.absolute(),
        data_roots=tuple(root.absolute() for root in settings.data_roots),
        weights_dir=settings.weights_dir.absolute(),
        cache_dir=settings.cache_dir.absolute(),
        store=_absolute(settings.store),
        data={name: path.absolute() for name, path in settings.data.items()},
        weights={name: path.absolute() for name, path in settings.weights.items()},
    )
    token = secrets.token_hex(16)
    probe = ours.store_dir / f".probe-{token[:12]}"
    if engine.apart:
        atomic_write(probe, token.encode())
    versions = provenance.package_versions()
    try:
        yield Handshake(token, probe, ours, str(Path.cwd()), versions, engine.apart)
    finally:
        for path in probe.parent.glob(f"{probe.name}*"):
            path.unlink(missing_ok=True)


def _absolute(store: str | None) -> str | None:
    return store if store is None or is_address(store) else str(Path(store).expanduser().absolute())


def inspect(
    engine: Engine, greeting: Handshake, encoders: Sequence[EncoderSpec], sources: Sequence[Source], threads: int
) -> dict[tuple[str, str], str]:
    """Ask every machine that can run jobs what it sees.

    Args:
        engine: A cluster.
        greeting: Where the probe file is.
        encoders: Encoders to be run.
        sources: Data to be read.
        threads: CPUs that one job asks for.

    Returns:
        By kind and name, such as ``("encoder", "medsam")``, what keeps it from running on every machine.

    Raises:
        UsbenchError: A machine does not see the store, or has other packages, or there is none that can run a job.
    """
    nodes = [node for node in engine.nodes() if node.cpus >= threads]
    if not nodes:
        offered = ", ".join(f"{node.label}: {node.cpus:g}" for node in engine.nodes()) or "none"
        raise UsbenchError(
            f"no machine of the cluster offers the {threads} CPUs that a job asks for (CPUs {offered}). "
            "Start workers, or ask for fewer with --threads."
        )
    wrong: dict[tuple[str, str], str] = {}
    most = max(node.gpus for node in nodes)
    for spec in encoders:
        if (spec.gpus or 0) > most:
            wrong["encoder", spec.label] = (
                f"{spec.label} asks for {spec.gpus:g} GPUs, and no machine of the cluster has more than {most:g}. Use "
                "device cpu, or add such a machine."
            )
    replies = {node: greeting.probe.with_name(f"{greeting.probe.name}-{i}") for i, node in enumerate(nodes)}
    asked = {
        node: engine.submit(
            Inspect(tuple(s for s in encoders if (s.gpus or 0) <= node.gpus), tuple(sources), replies[node]),
            greeting,
            node=node,
        )
        for node in nodes
    }
    answers: dict[Node, dict[str, dict[str, tuple[bool, str]]]] = {}
    for node, future in asked.items():
        if (found := _answer(engine, node, future)) is None:
            continue
        answers[node] = found
        if not replies[node].exists():
            raise UsbenchError(
                f"{node.label}: what it writes beside {greeting.probe.parent} does not arrive here. Put the store on a "
                "folder that all machines share, with --cache or USBENCH_CACHE."
            )
    for kind in ("encoder", "data"):
        for name in sorted({name for answer in answers.values() for name in answer[kind]}):
            told = {node: answer[kind][name] for node, answer in answers.items() if name in answer[kind]}
            if reason := _disagreement(kind, name, told):
                wrong.setdefault((kind, name), reason)
    return wrong


def _answer(engine: Engine, node: Node, future: Any) -> Any:
    """Return what a machine has, or ``None`` when it has left the cluster meanwhile."""
    try:
        answer = future.result(timeout=ANSWER_SECONDS)
    except NoAnswer:
        raise UsbenchError(f"{node.label}: no answer within {ANSWER_SECONDS:g} s. Is it busy, or cut off?") from None
    except Exception as error:  # the engine's
        if engine.lost(error) and _gone(engine, node):
            return None
        reason = engine.lost(error) or f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise UsbenchError(f"{node.label}: {reason}. It was asked what it sees; look at its log.") from None
    if answer.error:
        raise UsbenchError(answer.error)
    return answer.value


def _gone(engine: Engine, node: Node) -> bool:
    until = time.monotonic() + GONE_SECONDS
    while node in engine.nodes():
        if time.monotonic() > until:
            return False
        time.sleep(0.5)
    return True


def _disagreement(kind: str, name: str, told: dict[Node, tuple[bool, str]]) -> str | None:
    bad = {node: text for node, (good, text) in told.items() if not good}
    if bad:
        node, text = next(iter(bad.items()))
        who = "no machine" if len(bad) == len(told) else f"{node.label} and {len(bad) - 1} more"
        if len(bad) == 1 and len(told) > 1:
            who = f"{node.label} alone of {len(told)} machines"
        what = "can use the weights" if kind == "encoder" else "can read the data"
        told_who = f"{who} {what}" if who == "no machine" else f"{who} cannot {what[4:]}"
        return f"{told_who}: {text}"
    different = sorted({text for _, text in told.values()})
    if len(different) > 1:
        a, b = (next(node.label for node, (_, text) in told.items() if text == one) for one in different[:2])
        what = "weights or plugin file" if kind == "encoder" else "data"
        return f"{name}: {a} and {b} have different {what} under this name. Let all machines read the same files."
    return None
