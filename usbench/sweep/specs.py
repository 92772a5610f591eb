"""What a job is told of an encoder and of data: names and options, from which any machine builds the same objects."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from usbench.core.devices import AUTO, resolve_device
from usbench.core.names import with_variant
from usbench.errors import UsbenchError
from usbench.task.kinds import task_kind

if TYPE_CHECKING:
    from usbench.core.settings import Settings
    from usbench.data.dataset import Dataset
    from usbench.encoder.base import Encoder
    from usbench.task.task import Task


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder by name, with its options.

    Attributes:
        name: As for ``usbench run -e``.
        weights: Weight file that is not registered.
        device: torch device; ``auto`` is what it is where the plan is made.
        precision: ``fp32``, ``bf16`` or ``auto``; ``int8`` for screening on a CPU.
        pooling: Variant of its card.
        preprocessing: Variant of its card.
        batch_size: Frames per forward pass; the encoder's own by default.
        gpus: GPUs that one of its encoding jobs asks a cluster for; by default one where the device is cuda and the
            card speaks of a network.
        called: Name under which its results are kept, in place of its own.
        companions: Other poolings whose vectors each of its forward passes gives too.
    """

    name: str
    weights: str | None = None
    device: str = "cpu"
    precision: str = "fp32"
    pooling: str | None = None
    preprocessing: str | None = None
    batch_size: int | None = None
    gpus: float | None = None
    called: str | None = None
    companions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.device != AUTO:
            return
        # Costs and places of jobs depend on it, so that it must be known beforehand; an encoder may not run there.
        found = resolve_device(AUTO)
        with contextlib.suppress(UsbenchError):  # a name that nobody knows is told when the encoder is needed
            found = found if found == "cpu" else self.load().device
        object.__setattr__(self, "device", found)

    @property
    def label(self) -> str:
        """Name as shown, with what was asked for beside it: no two encoders of a sweep have the same."""
        precision = "" if self.precision in ("fp32", "auto") else self.precision
        weights = "" if self.weights is None else self.weights.rpartition("/")[2]
        asked = (("weights", weights), ("preprocessing", self.preprocessing), ("pooling", self.pooling))
        said = {key: value for key, value in (*asked, ("precision", precision)) if value}
        return self.called or with_variant(self.name, said)

    def load(self) -> Encoder:
        """Return the encoder; nothing heavy happens before its first use.

        Raises:
            UsbenchError: No such encoder, or an option it does not offer.
        """
        from usbench.plugins.catalog import load_encoder

        encoder = load_encoder(
            self.name,
            weights=self.weights,
            device=self.device,
            precision=self.precision,
            pooling=self.pooling,
            preprocessing=self.preprocessing,
            called=self.called,
        )
        encoder.companions = self.companions
        return encoder

    @property
    def network(self) -> EncoderSpec:
        """The same without its poolings, which one forward pass gives together."""
        return replace(self, pooling=None, companions=())

    def in_poolings(self) -> list[EncoderSpec]:
        """Return the encoder once per pooling that ``pooling`` names, ``mean,stages`` or ``all``.

        Raises:
            UsbenchError: No such encoder or pooling; for ``all``, it cannot be used; or it is called by one name and
                asked for in several poolings.
        """
        from usbench.plugins.catalog import poolings_asked

        names = poolings_asked(self.pooling, lambda: self.network.load().offered_poolings(), self.called)
        several = [replace(self, pooling=n, companions=tuple(o for o in names if o != n)) for n in names]
        return several or [replace(self, pooling=None)]

    def for_cluster(self) -> EncoderSpec:
        """Return the same encoder as a cluster should run it, with the GPUs it asks for filled in.

        An encoder without a network gains nothing from a GPU, and does not hold one.

        Raises:
            UsbenchError: The device names one GPU of a machine, which a cluster chooses itself.
        """
        if self.device == "cpu":
            if self.gpus:
                raise UsbenchError(f"encoder {self.name!r}: asks for {self.gpus:g} GPUs but runs on device cpu.")
            return replace(self, gpus=0)
        if ":" in self.device:
            raise UsbenchError(
                f"encoder {self.name!r}: device {self.device!r} names one GPU, but a cluster chooses which. Use cuda."
            )
        if self.load().card.parameters == 0:
            return replace(self, device="cpu", gpus=0)
        return replace(self, gpus=1 if self.gpus is None else self.gpus)


@dataclass(frozen=True)
class TaskSpec:
    """A task by name, with the data it is asked of.

    Attributes:
        name: As for ``usbench run -t``.
        data: As for ``usbench run --data``.
        protocols: Protocols in place of the task's own; empty for its own.
    """

    name: str
    data: str | None = None
    protocols: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """Name as shown: that of a file without its folder."""
        return self.name.rpartition("/")[2].removesuffix(".toml")

    def load(self) -> Task:
        """Return the task.

        Raises:
            UsbenchError: No such task, or none of the protocols answers its question.
        """
        from usbench.plugins.catalog import load_task

        task = load_task(self.name)
        if not self.protocols:
            return task
        from usbench.probes import PROTOCOLS

        question = task_kind(task.kind).question
        fitting = tuple(p for p in self.protocols if p in PROTOCOLS and question in PROTOCOLS[p].questions)
        if not fitting:
            raise UsbenchError(
                f"task {task.name!r} ({task.kind}): none of the protocols {', '.join(self.protocols)} suits it. Add "
                f"one that does, such as {task.protocols[0]}, or leave `protocols` out."
            )
        return replace(task, protocols=fitting)


@dataclass(frozen=True)
class Source:
    """Data to encode: those of a task, or data named for ``usbench embed``.

    Attributes:
        task: The task whose data they are.
        data: Data named, when there is no task.
    """

    task: TaskSpec | None = None
    data: str | None = None

    def open(self, settings: Settings) -> Dataset:
        """Return the dataset.

        Args:
            settings: Places to search.

        Raises:
            UsbenchError: It is not found.
        """
        if self.task is not None:
            from usbench.plugins.data_sources import dataset_for

            return dataset_for(self.task.load(), settings, self.task.data).dataset
        from usbench.plugins.data_sources import data_named

        return data_named(str(self.data), settings)

    def __str__(self) -> str:
        return self.task.label if self.task is not None else str(self.data)


@dataclass(frozen=True)
class Cell:
    """One encoder on one task: one result.

    Attributes:
        encoder: The encoder.
        task: The task.
    """

    encoder: EncoderSpec
    task: TaskSpec

    def __str__(self) -> str:
        return f"{self.encoder.label} on {self.task.label}"


_SPOKEN: dict[type, str] = {str: "text", int: "a whole number", float: "a number", list: "a list", dict: "a table"}


def pick(table: dict[str, Any], allowed: Mapping[str, tuple[type, ...]], where: str) -> dict[str, Any]:
    """Return the entries of a table after checking their names and types.

    Args:
        table: What was read.
        allowed: Name to types.
        where: What messages begin with.

    Raises:
        UsbenchError: An unknown name, or a value of the wrong type.
    """
    from usbench.errors import did_you_mean

    for name, value in table.items():
        if name not in allowed:
            hint = did_you_mean(name, allowed)
            raise UsbenchError(f"{where}: unknown key {name!r}.{hint} Known are {', '.join(sorted(allowed))}.")
        if type(value) not in allowed[name]:  # a bool is an int to isinstance
            told = " or ".join(_SPOKEN.get(kind, kind.__name__) for kind in allowed[name])
            raise UsbenchError(f"{where}: {name} = {value!r} must be {told}.")
    return dict(table)
