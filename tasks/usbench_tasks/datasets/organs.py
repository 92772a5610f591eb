"""Images by organ group: a table of many small sets, and everything else that is found, in one index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.settings import Settings, load_settings
from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import read_table
from usbench.errors import DataError

if TYPE_CHECKING:
    from usbench.media import Media

PARTS = (
    "pretrain160",
    "covid-blues",
    "bus-bra",
    "echonet-dynamic",
    "byra-liver",
    "spinal-cord-injury",
    "eye-hemorrhage",
)
"""Datasets that join the map when they are found; each has an organ on its card or in its table."""


SPELLINGS = {"pocovid": "covid19-ultrasound", "hc18-test": "hc18", "stu": "stu-hospital", "abdominalus": "abdominal-us"}
"""Sources whose name on encoders' cards is another than the lower-case name in the table."""


class Pretrain160(Dataset):
    """Small public sets in one folder; ``manifest.csv`` has the columns file, dataset, organ, subject and licence."""

    card = DatasetCard(
        name="pretrain160",
        title="Public images by organ",
        folders=("pretrain160",),
        licence="mixed, by row",
        note="A collection of public sets; licences differ by row, and some forbid passing images on.",
    )

    def read(self) -> Index:
        """Read the table; subjects are distinguished by dataset."""
        names = ("file", "dataset", "organ", "subject")
        table = read_table(self.root / "manifest.csv", names, names)
        table["subject"] = table["dataset"] + "/" + table["subject"]
        return Index(table.rename(columns={"file": "path", "dataset": "source"}))

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Notify whether the folder has a manifest with a column of files."""
        return (folder / "manifest.csv").is_file()


class Organs(Dataset):
    """All images with a known organ, from every dataset of :data:`PARTS` that is found.

    Columns are ``organ`` and ``source``; paths and subjects begin with the name of the dataset they come from.

    Args:
        root: A folder that holds dataset folders.
        settings: Further places; the configured ones by default.
    """

    card = DatasetCard(
        name="organs",
        title="All images by organ group",
        licence="that of each part",
        note="Composed of the datasets found on the machine; the note names them.",
    )

    def __init__(self, root: str | Path, settings: Settings | None = None) -> None:
        super().__init__(root)
        self._settings = settings or load_settings([self.root])
        self._parts: dict[str, Dataset] = {}

    @classmethod
    def at(cls, root: str | Path, settings: Settings) -> Organs:
        """Open under settings that say where the parts lie."""
        return cls(root, settings)

    @classmethod
    def embedded_root(cls, settings: Settings) -> Path | None:
        """Return the folder of the first part that is found."""
        from usbench.plugins.data_sources import dataset_root

        roots = (dataset_root(name, settings) for name in PARTS)
        return next((root.parent for root in roots if root is not None), None)

    def read(self) -> Index:
        """Read the index of every part found and put them below each other.

        Raises:
            DataError: A part is damaged, or all parts together show one organ only.
        """
        import pandas as pd

        tables, notes = [], []
        for name, part in self._open_parts().items():
            table = part.index.table
            if "organ" not in table.columns:
                table = table.assign(organ=part.card.organ)
            if "source" not in table.columns:
                table = table.assign(source=name)
            table = table[["path", "subject", "organ", "source"]].astype(str)
            table["path"] = f"{name}/" + table["path"]
            table["subject"] = f"{name}/" + table["subject"]
            tables.append(table)
            notes.append(f"{name}: {len(table)} files of {', '.join(sorted(set(table['organ'])))}.")
        if not tables or len({organ for table in tables for organ in table["organ"]}) < 2:
            raise DataError(
                f"{self.root}: datasets of at least two organs are needed, found {' '.join(notes) or 'none'} "
                f"Add others with `usbench data add NAME FOLDER`: {', '.join(PARTS)}."
            )
        return Index(pd.concat(tables, ignore_index=True), tuple(notes))

    def constituents(self) -> tuple[str, ...]:
        """Names of all parts and of their sources, so that an encoder which saw one of them is not called clean."""
        sources = {str(name).lower() for name in self.index.table["source"]}
        aliases = {alias for part in self._open_parts().values() for alias in (part.name, *part.card.aliases)}
        return tuple(sorted(aliases | {SPELLINGS.get(name, name) for name in sources}))

    def open(self, path: str) -> Media:
        """Open one file of the part it comes from."""
        part, inner = self._resolve(path)
        return part.open(inner)

    def digest(self, path: str) -> str:
        """Return the digest that the part gives."""
        part, inner = self._resolve(path)
        return part.digest(inner)

    def _open_parts(self) -> dict[str, Dataset]:
        from usbench.plugins.data_sources import dataset_root, load_dataset

        if not self._parts:
            found = [name for name in PARTS if dataset_root(name, self._settings) is not None]
            self._parts = {name: load_dataset(name, settings=self._settings) for name in found}
        return self._parts

    def _resolve(self, path: str) -> tuple[Dataset, str]:
        name, _, inner = path.partition("/")
        parts = self._open_parts()
        if name not in parts:
            raise DataError(f"{self.root}: {path!r} belongs to no dataset of {', '.join(parts)}.")
        return parts[name], inner
