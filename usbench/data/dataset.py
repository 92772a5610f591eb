"""The dataset contract: a folder as published in, one table of labelled images and videos out.

A dataset names its files and what is known of each. It does not decode pixels, choose frames or split patients;
media, tasks and statistics do that. A reader is a card and one method::

    class Mine(Dataset):
        card = DatasetCard(name="mine", title="My data", licence="CC BY 4.0")

        def read(self) -> Index:
            table = pandas.read_csv(self.root / "labels.csv")
            return Index(table.assign(path="images/" + table["file"], subject=table["patient"]))
"""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.data.table_checks import names_alike, note_of_alike
from usbench.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from usbench.core.settings import Settings
    from usbench.data.datasheet import Datasheet
    from usbench.media import Media


@dataclass(frozen=True)
class DatasetCard:
    """What a reader must know of a dataset.

    Attributes:
        name: Registry name; also the spelling used by ``EncoderCard.pretraining``.
        title: Name as printed.
        folders: Folder names under a data root by which it is found, besides ``name``.
        licence: Licence of the data.
        citation: How to cite it.
        url: Where people get it.
        organ: Organ group, for maps.
        redistributable: Whether images may be shown or shipped.
        synthetic: Whether it is simulated; such results never enter a table beside real ones.
        aliases: Other names under which pre-training lists may mention it.
        note: A sentence printed with every result, for example that it is a subset.
        cohort: Name of the dataset whose patients these are, where it is a part or a copy of another one; by default
            its own. Rankings count a cohort once.
    """

    name: str
    title: str
    folders: tuple[str, ...] = ()
    licence: str = "not stated"
    citation: str = ""
    url: str = ""
    organ: str = ""
    redistributable: bool = False
    synthetic: bool = False
    aliases: tuple[str, ...] = ()
    note: str = ""
    cohort: str = ""


@dataclass(frozen=True)
class Index:
    """The table of a dataset, and what a reader should know of how it came about.

    Attributes:
        table: One row per image or video. Required columns: ``path`` (POSIX, relative to the root) and ``subject``
            (patient or animal). Known optional ones: ``case`` (unit below the subject, such as one eye at one
            visit), ``split`` (author's train/val/test), ``fold`` (author's cross-validation fold),
            ``first_frame``, ``last_frame``, ``site``, ``device``, ``organ``. All others are labels or strata.
        notes: What was skipped or repaired, one sentence each, for example videos that are listed but absent.
    """

    table: pd.DataFrame
    notes: tuple[str, ...] = field(default=())


class Dataset(abc.ABC):
    """A dataset in a folder as published.

    Args:
        root: The folder (or, for a manifest, the file).

    Raises:
        DataError: The root does not exist.
    """

    card: DatasetCard  # an attribute of the class, except for manifests, which are named when they are opened
    labels_may_be_missing: bool = True  # as published by others; in a table of one's own a gap is a mistake

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root).expanduser()
        if not self.root.exists():
            raise DataError(f"{self.root}: no such folder for {self.name}. Check the path or use `usbench data add`.")

    @property
    def name(self) -> str:
        """Registry name."""
        return self.card.name

    def constituents(self) -> tuple[str, ...]:
        """Names of the sets that this one is composed of, spelt as on encoders' cards; empty for a set of its own."""
        return ()

    @classmethod
    def datasheet(cls) -> Datasheet | None:
        """Return the long form of the card: by default ``cards/NAME.toml`` beside the reader's module.

        Raises:
            DataError: The file is malformed.
        """
        import sys

        from usbench.data.datasheet import read_datasheet

        module = getattr(sys.modules.get(cls.__module__), "__file__", None)
        path = Path(module).with_name("cards") / f"{cls.card.name}.toml" if module else None
        return read_datasheet(path) if path is not None and path.is_file() else None

    def known_as(self) -> tuple[tuple[str, ...], bool]:
        """Return the names under which lists of pre-training sets may mention the data.

        Returns:
            The names, and whether they account for all of the data: those of a table of one's own do only if the table
            says where each file comes from.
        """
        return (self.card.name, *self.card.aliases, *self.constituents()), True

    @property
    def unseen(self) -> bool:
        """Whether their owner declares that no encoder was trained on them."""
        return False

    @abc.abstractmethod
    def read(self) -> Index:
        """Read the labels and list the files.

        Raises:
            DataError: A file, column or value is missing or wrong; the message says which and where.
        """

    @cached_property
    def index(self) -> Index:
        """The checked index: required columns present and filled, subjects as text, no path listed twice."""
        return _checked(self.read(), self)

    def labelled(self, target: str) -> Index:
        """Return the index without the rows whose target is missing; what was left out is added to the notes.

        Args:
            target: Column of the label or value.

        Raises:
            DataError: There is no such column, nothing is labelled, or labels are missing from a table of one's own.
        """
        index = self.index
        where = f"{self.root} ({self.name})"
        if target not in index.table.columns:
            columns = [str(column) for column in index.table.columns]
            hint = did_you_mean(target, columns)
            raise DataError(f"{where}: no column {target!r} for the target.{hint} It has {', '.join(columns)}.")
        values = index.table[target]
        missing = values.isna() | (values.astype(str).str.strip() == "")
        if not missing.any():
            return index
        rows, subjects = int(missing.sum()), index.table.loc[missing, "subject"].nunique()
        first = index.table.loc[missing, "path"].iloc[0]
        if missing.all() or not self.labels_may_be_missing:
            raise DataError(
                f"{where}: {target!r} is missing in {rows} of {len(missing)} rows, first {first!r}. "
                "Fill them in, or take those rows out."
            )
        note = f"{target} is missing for {rows} of {len(missing)} files of {subjects} subjects, which are left out."
        return Index(index.table.loc[~missing].reset_index(drop=True), (*index.notes, note))

    def open(self, path: str) -> Media:
        """Open one file of the index; override when several images share a container.

        Args:
            path: Value of the ``path`` column.
        """
        from usbench.media import open_media

        return open_media(self.root / path)

    def digest(self, path: str) -> str:
        """Return the SHA-256 of the content behind one ``path``; override together with :meth:`open`."""
        from usbench.media import file_digest

        return file_digest(self.root / path)

    def check_digests(self, digests: Mapping[str, str]) -> None:  # noqa: B027 - most have nothing to refuse
        """Refuse files before anything is encoded; by default none.

        Args:
            digests: SHA-256 of the content behind each path.
        """

    def fingerprint(self) -> str:
        """Return a digest of the index table: labels, subjects, splits and paths, but not pixels.

        Pixels enter through the digests of the frames themselves.
        """
        table = self.index.table
        ordered = table.reindex(columns=sorted(table.columns)).sort_values("path")
        return hashlib.sha256(ordered.to_csv(index=False).encode()).hexdigest()

    @classmethod
    def at(cls, root: str | Path, settings: Settings) -> Dataset:
        """Open at a root found under these settings, which only data made of other datasets need to know."""
        return cls(root)

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether ``folder`` looks like this dataset; by default any folder found by its name does."""
        return folder.is_dir()

    @classmethod
    def embedded_root(cls, settings: Settings) -> Path | None:
        """Return where the dataset lies without having been brought by the user, or ``None``.

        Overridden by data that travels with a package, or is made from other data or by a simulator. It must be
        quick and change nothing: it is asked whenever datasets are listed. What has to be made is made when the
        dataset is constructed.

        Args:
            settings: Where things lie.
        """
        return None


def _checked(index: Index, dataset: Dataset) -> Index:
    table = index.table
    where = f"{dataset.root} ({dataset.name})"
    for column in ("path", "subject"):
        if column not in table.columns:
            raise DataError(
                f"{where}: the index has no column {column!r}; it has {', '.join(map(str, table.columns))}."
            )
        empty = table[column].isna()
        if empty.any():
            raise DataError(
                f"{where}: column {column!r} is empty in {int(empty.sum())} rows, "
                f"first row {int(empty.to_numpy().argmax()) + 1}."
            )
    if table.empty:
        raise DataError(f"{where}: the index lists no images. {' '.join(index.notes)}".rstrip())
    repeated = table.loc[table["path"].duplicated(), "path"]
    if not repeated.empty:
        raise DataError(
            f"{where}: {len(repeated)} paths are listed twice, first {repeated.iloc[0]!r}. Keep one row for each image."
        )
    table = table.assign(path=table["path"].astype(str), subject=table["subject"].astype(str)).reset_index(drop=True)
    alike = names_alike(table["subject"].unique())
    return Index(table, (*index.notes, note_of_alike(alike)) if alike else index.notes)
