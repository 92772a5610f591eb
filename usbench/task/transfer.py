"""A task of two datasets: trained on one, tested on the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from usbench.data.label_table import SUFFIXES
from usbench.errors import UsbenchError, did_you_mean


@dataclass(frozen=True)
class Side:
    """One of the two datasets.

    Attributes:
        dataset: Name of a dataset, or path of a manifest.
        target: Its column of the label, where it is not called as the task's target.
        labels: Pairs of a label as it stands there and as the other dataset has it.
        fallback: Dataset used when this one is not found, such as an embedded copy.
    """

    dataset: str
    target: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    fallback: str | None = None

    @property
    def name(self) -> str:
        """Short name: of a manifest its own, as :class:`usbench.data.manifest.ManifestDataset` names it."""
        path = Path(self.dataset)
        if path.suffix.lower() not in SUFFIXES:
            return self.dataset
        return path.absolute().parent.name if path.stem == "manifest" else path.stem

    @classmethod
    def from_toml(cls, given: Any, key: str, folder: Path) -> Side:
        """Build from a value of TOML: the name of a dataset, a manifest beside the file, or a table.

        Args:
            given: The value.
            key: ``train`` or ``test``, for messages.
            folder: Folder of the file.

        Raises:
            UsbenchError: A key is unknown or missing, or of the wrong type.
        """
        table = {"dataset": given} if isinstance(given, str) else given
        keys = ("dataset", "target", "labels", "fallback")
        if not isinstance(table, dict) or not isinstance(table.get("dataset"), str):
            raise UsbenchError(f'{key} is a dataset, such as {key} = "bus-bra", or a table with a `dataset`.')
        for name, value in table.items():
            if name not in keys:
                raise UsbenchError(f"{key}: unknown key {name!r}.{did_you_mean(name, keys)} Keys: {', '.join(keys)}.")
            if name != "labels" and not isinstance(value, str):
                raise UsbenchError(f"{key}: {name!r} must be text, not {value!r}.")
        labels = table.get("labels", {})
        if not isinstance(labels, Mapping):
            raise UsbenchError(f'{key}: `labels` is a table, such as {{ "1" = "malignant", "0" = "benign" }}.')
        dataset = table["dataset"]
        if dataset.lower().endswith(SUFFIXES):
            dataset = str(folder / dataset)
        pairs = tuple((str(a), str(b)) for a, b in labels.items())
        return cls(dataset, table.get("target", ""), pairs, table.get("fallback"))


@dataclass(frozen=True)
class Transfer:
    """The two datasets.

    Attributes:
        train: Trained on.
        test: Tested on.
        local_subjects: Whether equal subject names in the two mean nothing, because each set numbers its own; by
            default they are taken for the same patient, and refused.
    """

    train: Side
    test: Side
    local_subjects: bool = field(default=False)

    def describe(self) -> str:
        """Return one phrase for tables."""
        return f"trained on {self.train.name}, tested on {self.test.name}"

    @property
    def name(self) -> str:
        """Name of the pair."""
        return f"{self.train.name}-to-{self.test.name}"
