"""The jobs of a sweep: survey a cell, encode a part of its frames, evaluate it, and inspect a machine.

Each can be begun again without harm. Vectors travel through the embedding store, which all workers share, and never
through the engine.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.core.settings import Settings
from usbench.core.types import Frame, Vectors
from usbench.data.frames import FrameRef, frame_key
from usbench.diagnostics.shifts.levels import Level
from usbench.embedding.extract import Shard, extract
from usbench.embedding.store import Store
from usbench.encoder.base import Encoder
from usbench.encoder.card import EncoderIdentity
from usbench.errors import UsbenchError
from usbench.sweep.specs import Cell, EncoderSpec, Source
from usbench.sweep.worker import Handshake, notify, progress

if TYPE_CHECKING:
    from usbench.pipeline.context import Prepared
    from usbench.results.schema import Result

# A network file system may show a new file to other machines only after a while.
VISIBLE_SECONDS = float(os.environ.get("USBENCH_VISIBLE_SECONDS", "60"))


@dataclass(frozen=True)
class Found:
    """What a survey found.

    Attributes:
        board: Name of the board the result belongs to.
        inputs: Digest of everything that decides the outcome.
        answered: Whether a complete result for these inputs exists, so that nothing is to be done.
        identity: Digest of the encoder's identity.
        precision: The precision settled on.
        encoder: What a result would say of the encoder.
        synthetic: Whether the data are simulated.
        frames: Frames of the task.
        passes: How many times each is encoded: once, and once a shift.
        parts: Frames the store lacks, clean ones and then shifted ones, each in the order a single process encodes
            them in, with the position of the level in the levels asked for, -1 for clean.
        step: Frames per forward pass.
        facts: Units, dimension and operations, for estimates.
        said: Messages for the user.
        companions: Digests of the identities of other poolings, whose vectors the same passes give.
    """

    board: str
    inputs: str
    answered: bool
    identity: str = ""
    precision: str = "fp32"
    encoder: Mapping[str, Any] = field(kw_only=True)
    synthetic: bool = field(kw_only=True)
    frames: int = 0
    passes: int = 1
    parts: tuple[tuple[tuple[FrameRef, int], ...], ...] = ()
    step: int = 1
    facts: Mapping[str, Any] = field(default_factory=dict)
    said: tuple[str, ...] = ()
    companions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Survey:
    """Index the data of a cell and find out what is to be encoded.

    Attributes:
        cell: The cell.
        levels: Shifts asked for.
        complete: Inputs of results that are there already, with all that is asked for.
    """

    cell: Cell
    levels: tuple[Level, ...]
    complete: frozenset[str]

    def perform(self, handshake: Handshake) -> Found:
        """Do it; see :class:`usbench.sweep.worker.Job`."""
        from usbench.pipeline.experiment import encoder_facts

        said: list[str] = []
        ready = _prepare(self.cell, handshake, said.append)
        board, synthetic = _board(ready), ready.located.dataset.card.synthetic
        if ready.inputs in self.complete:
            told, said_of = encoder_facts(ready.encoder), _facts(ready)
            return Found(board, ready.inputs, True, encoder=told, synthetic=synthetic, facts=said_of, said=tuple(said))
        encoder = ready.encoder
        refs = ready.frames.refs
        store = Store(handshake.settings.store_dir, encoder.identity())
        shifted = [
            (FrameRef(ref.path, ref.frame, _shifted_key(ready, ref, level)), position)
            for position, level in enumerate(self.levels)
            for ref in refs
        ]
        parts = [[(ref, -1) for ref in refs], shifted] if shifted else [[(ref, -1) for ref in refs]]
        return Found(
            board=board,
            inputs=ready.inputs,
            answered=False,
            identity=encoder.identity().digest(),
            precision=encoder.precision,
            encoder=encoder_facts(encoder),
            synthetic=synthetic,
            frames=len(refs),
            passes=1 + len(self.levels),
            parts=tuple(tuple(in_order(part, store)) for part in parts),
            step=self.cell.encoder.batch_size or encoder.batch_size,
            facts=_facts(ready),
            said=tuple(said),
            companions=tuple(each.digest() for each in encoder.companion_identities().values()),
        )


def in_order(part: list[tuple[FrameRef, int]], *stores: Store) -> list[tuple[FrameRef, int]]:
    """Return what a store lacks, each frame once, in the order in which one process encodes it.

    File after file and frame after frame: cut at multiples of a batch, the parts are then batched exactly as the whole
    is, and the vectors are the same to the last bit, which a network does not promise for other batches.

    Args:
        part: References, with anything that travels along.
        *stores: The store; several, where a pass gives vectors for each of them.
    """
    lacking = {key for store in stores for key in store.missing(ref.key for ref, _ in part)}
    first: dict[bytes, tuple[FrameRef, int]] = {}
    for item in part:
        if item[0].key in lacking:
            first.setdefault(item[0].key, item)
    by_path: dict[str, list[tuple[FrameRef, int]]] = {}
    for item in first.values():
        by_path.setdefault(item[0].path, []).append(item)
    return [item for items in by_path.values() for item in sorted(items, key=lambda item: item[0].frame)]


@dataclass(frozen=True)
class Encode:
    """Encode some frames and publish their vectors.

    Attributes:
        encoder: The encoder, its precision settled.
        identity: Digest that its identity must have.
        source: The data.
        items: Frames, with positions of levels as in :class:`Found`.
        levels: Shifts asked for.
        workers: Decoding threads.
        again: Whether an earlier attempt may have published a part.
        digests: Whether to return digests of the pixels.
    """

    encoder: EncoderSpec
    identity: str
    source: Source
    items: tuple[tuple[FrameRef, int], ...]
    levels: tuple[Level, ...] = ()
    workers: int | None = None
    again: bool = False
    digests: bool = False

    def perform(self, handshake: Handshake) -> Shard:
        """Do it; see :class:`usbench.sweep.worker.Job`."""
        encoder = _encoder(self.encoder)
        if encoder.identity().digest() != self.identity:
            raise UsbenchError(
                f"{platform.node()}: {encoder.name} is another there (weights {encoder.identity().weights[:20]}): its "
                "weights or plugin file differ from those surveyed. Let all machines read the same files."
            )
        root = handshake.settings.store_dir
        store = _Outbox(root, encoder.identity(), look=self.again)
        others = {
            name: _Outbox(root, identity, look=self.again) for name, identity in encoder.companion_identities().items()
        }
        level_of = {ref.key: self.levels[position] for ref, position in self.items if position >= 0}
        pixels: dict[bytes, str] = {}
        done = extract(
            encoder,
            _dataset(self.source, handshake),
            [ref for ref, _ in self.items],
            store,
            batch_size=self.encoder.batch_size,
            workers=self.workers,
            transform=_transform(level_of, pixels if self.digests else None),
            progress=progress(f"{encoder.name} on {self.source}"),
            companions=others,
        )
        published = {other.identity.digest(): tuple(other.published) for other in others.values()}
        return Shard(tuple(store.published), done.encoded, done.seconds, done.network_seconds, pixels, published)


class _Outbox(Store):
    """The store as an encoding job needs it: it publishes, and does not read what others did.

    Reading every shard of an encoder for each part of its frames would cost more than encoding them.
    """

    def __init__(self, root: Path, identity: EncoderIdentity, look: bool) -> None:
        super().__init__(root, identity)
        self._look = look
        self.published: list[str] = []

    def refresh(self) -> None:
        if self._look:
            super().refresh()

    def put(self, keys: Any, vectors: Vectors) -> Path:
        path = super().put(keys, vectors)
        self.published.append(path.name)
        return path


@dataclass(frozen=True)
class Evaluate:
    """Probe and score a cell whose vectors are in the store.

    Attributes:
        cell: The cell, precision settled.
        inputs: Digest that its inputs must have.
        result: A result of these inputs to which only strata or shifts are to be added.
        columns: Columns to score by as well.
        levels: Shifts to test under as well.
        workers: Decoding threads.
        files: Name of the encoder's folder in the store, and of the files in it that others have just published.
        label_efficiency: Whether to score on shares of the training subjects as well.
    """

    cell: Cell
    inputs: str
    result: Result | None
    columns: tuple[str, ...]
    levels: tuple[Level, ...]
    workers: int | None
    files: tuple[str, tuple[str, ...]]
    label_efficiency: bool = True

    def perform(self, handshake: Handshake) -> Result:
        """Do it; see :class:`usbench.sweep.worker.Job`."""
        from usbench.diagnostics.suite import add_extras
        from usbench.pipeline.context import Options
        from usbench.pipeline.experiment import run_prepared

        _await(handshake.settings.store_dir / self.files[0], self.files[1])
        ready = _prepare(self.cell, handshake, lambda message: None)
        if ready.inputs != self.inputs:
            raise UsbenchError(
                f"{self.cell}: its data, weights or packages changed between survey and evaluation, or differ between "
                "machines. Run the same command again."
            )
        options = Options(
            data=self.cell.task.data,
            batch_size=self.cell.encoder.batch_size,
            workers=self.workers,
            notify=notify,
            progress=lambda text, done, total: progress(text)(done, total),
        )
        result = self.result or run_prepared(ready, options, handshake.settings)
        return add_extras(ready, result, self.columns, self.levels, options, handshake.settings, self.label_efficiency)


@dataclass(frozen=True)
class Inspect:
    """Say what a machine has of encoders and data, before anything is begun.

    Attributes:
        encoders: Encoders it may be asked to run.
        sources: Data it may be asked to read.
        reply: File to write beside the probe, by which the driver sees that the machine's writes arrive.
    """

    encoders: tuple[EncoderSpec, ...]
    sources: tuple[Source, ...]
    reply: Path

    def perform(self, handshake: Handshake) -> dict[str, dict[str, tuple[bool, str]]]:
        """Return, by kind and name, whether it can be used, and its identity or what is wrong."""
        from usbench.core.atomic_files import atomic_write

        atomic_write(self.reply, handshake.token.encode())
        # Who an encoder is does not depend on its device, which this machine may lack and need not have.
        plain = {spec.label: replace(spec, device="cpu", precision="fp32") for spec in self.encoders}
        return {
            "encoder": {label: _tried(partial(_identity, spec)) for label, spec in plain.items()},
            "data": {str(s): _tried(partial(_first_digest, s, handshake.settings)) for s in self.sources},
        }


def _tried(question: Callable[[], str]) -> tuple[bool, str]:
    try:
        return True, question()
    except UsbenchError as error:
        return False, " ".join(str(error).split())
    except Exception as error:  # a plugin can fail in any way
        return False, f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def _identity(spec: EncoderSpec) -> str:
    return spec.load().identity().digest()


def _first_digest(source: Source, settings: Settings) -> str:
    dataset = source.open(settings)
    path = str(dataset.index.table["path"].iloc[0])
    return f"{dataset.name} {path} {dataset.digest(path)}"


@lru_cache(maxsize=1)
def _encoder(spec: EncoderSpec) -> Encoder:
    """Keep the network of the last encoder: the next part of the frames needs it again."""
    return spec.load()


@lru_cache(maxsize=8)
def _dataset(source: Source, handshake: Handshake) -> Any:
    return source.open(handshake.settings)


def _prepare(cell: Cell, handshake: Handshake, notify: Callable[[str], None]) -> Prepared:
    from usbench.pipeline.context import Options, prepare

    return prepare(
        _encoder(cell.encoder), cell.task.load(), Options(data=cell.task.data, notify=notify), handshake.settings
    )


def _board(ready: Prepared) -> str:
    from usbench.results import board_name

    task, dataset = ready.task, ready.located.dataset
    return board_name(task.name, task.dataset, dataset.name)


def _facts(ready: Prepared) -> dict[str, Any]:
    from usbench.sweep.cost_model import describe

    return describe(ready.encoder, ready.task, len(ready.cohort.units))


def _shifted_key(ready: Prepared, ref: FrameRef, level: Level) -> bytes:
    from usbench.diagnostics.shifts.catalogue import shift_key

    return frame_key(ready.digests[ref.path], ref.frame, f"{ready.decoding}|{shift_key(level)}")


def _transform(
    level_of: Mapping[bytes, Level], pixels: dict[bytes, str] | None
) -> Callable[[Frame, bytes], Frame] | None:
    if not level_of and pixels is None:
        return None
    from usbench.diagnostics.shifts.catalogue import shift_frame
    from usbench.embedding.vector_folder import frame_sha256

    def transform(frame: Frame, key: bytes) -> Frame:
        if pixels is not None:
            pixels[key] = frame_sha256(frame)
        level = level_of.get(key)
        return frame if level is None else shift_frame(frame, level)

    return transform


def _await(folder: Path, names: tuple[str, ...]) -> None:
    """Wait until files that other machines have published can be seen here.

    Raises:
        UsbenchError: They cannot.
    """
    until = time.monotonic() + VISIBLE_SECONDS
    left = [folder / name for name in names]
    while (left := [path for path in left if not path.exists()]) and time.monotonic() < until:
        time.sleep(0.2)
    if left:
        raise UsbenchError(
            f"{platform.node()}: {len(left)} files of vectors that other workers have published are not seen in "
            f"{folder} after {VISIBLE_SECONDS:g} s. Run the same command again; nothing is lost."
        )
