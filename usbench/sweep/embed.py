"""Encoding the frames of ``usbench embed`` in parts."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from usbench.core.settings import Settings
from usbench.core.types import Progress
from usbench.data.frames import FrameRef
from usbench.embedding.extract import Shard, companion_stores
from usbench.embedding.store import Store
from usbench.encoder.base import Encoder
from usbench.errors import UsbenchError
from usbench.sweep.config import EngineSpec
from usbench.sweep.dispatcher import Dispatcher, Ticket
from usbench.sweep.engine import Engine
from usbench.sweep.jobs import Encode, in_order
from usbench.sweep.preflight import handshake, inspect
from usbench.sweep.scheduler import shard_size
from usbench.sweep.specs import EncoderSpec, Source
from usbench.sweep.worker import Answer


def spread(
    encoder: Encoder,
    refs: Sequence[FrameRef],
    asked: EncoderSpec,
    source: Source,
    engine: Engine,
    spec: EngineSpec,
    settings: Settings,
    workers: int | None,
    progress: Progress,
) -> Shard:
    """Encode on an engine what the store lacks.

    Args:
        encoder: The encoder, its precision settled.
        refs: Frames wanted.
        asked: How it was asked for.
        source: The data.
        engine: Where jobs run.
        spec: Size of jobs and number of attempts.
        settings: Places to use.
        workers: Decoding threads of one job.
        progress: Called with a text, frames done and frames to do.

    Returns:
        What all jobs together did, with the digests of the frames they decoded.

    Raises:
        UsbenchError: A part could not be encoded; what others have published stays.
    """
    from dataclasses import replace

    settled = replace(asked, precision=encoder.precision)
    settled = settled.for_cluster() if engine.shared else settled
    size = shard_size(spec, settled, settled.batch_size or encoder.batch_size)
    stores = companion_stores(settings.store_dir, encoder).values()
    todo = in_order([(ref, -1) for ref in refs], Store(settings.store_dir, encoder.identity()), *stores)
    identity, label = encoder.identity().digest(), f"{encoder.name} on {source}"
    queue: deque[Ticket] = deque()
    for start in range(0, len(todo), size):
        items = tuple(todo[start : start + size])
        job = Encode(settled, identity, source, items, workers=workers, digests=True)
        queue.append(Ticket(job=job, label=label, gpus=settled.gpus or 0))
    done: list[Shard] = []
    errors: list[str] = []

    def following() -> Ticket | None:
        return queue.popleft() if queue and not errors else None

    def taken(ticket: Ticket, answer: Answer) -> None:
        done.append(answer.value)
        progress(label, sum(len(shard.digests) for shard in done), len(todo))

    def failed(ticket: Ticket, message: str) -> None:
        errors.append(message)

    with handshake(engine, settings) as greeting:
        if engine.shared and todo:
            wrong = inspect(engine, greeting, [settled], [source], spec.threads or 1)
            if wrong:
                raise UsbenchError(next(iter(wrong.values())))
        Dispatcher(engine, spec.attempts, following, taken, queue.appendleft, failed).run(greeting)
    if errors:
        raise UsbenchError(errors[0])
    digests = {key: digest for shard in done for key, digest in shard.digests.items()}
    return Shard(
        files=tuple(name for shard in done for name in shard.files),
        encoded=sum(shard.encoded for shard in done),
        seconds=sum(shard.seconds for shard in done),
        network_seconds=sum(shard.network_seconds for shard in done),
        digests=digests,
    )
