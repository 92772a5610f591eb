"""Any data of one's own: a table with one row per image or video.

::

    path,subject,label,case,device
    img/a1.png,anna,1,anna-OD-1,Absolu
    img/a2.png,anna,1,anna-OD-1,Absolu
    clips/b1.mp4,boris,0,boris-OS-1,Absolu

CSV, TSV or Parquet. ``path`` (relative to the table, or absolute) and ``subject`` are required; then ``label``, or any
column that a task names as its target. Columns with a meaning are ``case``, ``split``, ``fold``, ``frames``, ``site``,
``device``, ``organ``, ``source`` (the published set that a file comes from) and ``not_pretrained_on`` (true in every
row, where no encoder can have seen the files); all others may serve as targets and strata.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.limits import is_regular
from usbench.core.names import as_name
from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import NO_FILE, SUFFIXES, listed, read_table, row_numbers
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

    from usbench.media import Media

TEXT_COLUMNS = ("path", "subject", "case", "split", "fold", "frames", "site", "device", "organ", "source")
"""Columns kept as text, so that ``007`` and ``1.10`` stay what they are."""

NAMES_IN_FOLDER = tuple(f"manifest{suffix}" for suffix in SUFFIXES)
"""What a manifest is called when only its folder is given."""


class ManifestDataset(Dataset):
    """A dataset that is a table.

    Args:
        path: The table, or a folder with ``manifest.csv`` or ``manifest.parquet`` in it.
        name: Name under which results are kept; by default the one of the table, or of the folder when the table
            is called ``manifest``.

    Raises:
        DataError: There is no such table.
    """

    labels_may_be_missing = False

    def __init__(self, path: str | Path, name: str | None = None) -> None:
        path = Path(path).expanduser()
        if path.is_dir():
            found = [path / file for file in NAMES_IN_FOLDER if (path / file).is_file()]
            if not found:
                raise DataError(
                    f"{path}: no manifest.csv or manifest.parquet in this folder, nor manifest.tsv. Give the path of "
                    "the table itself."
                )
            path = found[0]
        if path.exists() and not path.is_file():
            raise DataError(f"{path}: {NO_FILE}")
        if not path.exists():
            raise DataError(f"{path}: no such manifest. Check the path, or write one: see docs/data.md.")
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(f"{path}: a manifest is a .csv or .parquet file, or .tsv, not {path.suffix or 'this'!r}.")
        own = path.absolute().parent.name if path.stem == "manifest" else path.stem
        if not hasattr(type(self), "card"):
            self.card = DatasetCard(name=name or as_name(own), title=name or own, licence="the owner's")
        super().__init__(path)

    @property
    def folder(self) -> Path:
        """What paths in the table are relative to."""
        return self.root.parent

    def read(self) -> Index:
        """Read and check the table.

        Raises:
            DataError: A column is missing, a ``path``, ``subject`` or ``label`` is empty, a file does not exist or
                is listed twice, or ``frames`` is not a range; the message counts rows as a spreadsheet does.
        """
        from usbench.media.digest import split_key

        table = read_table(self.root, required=("path", "subject"), text=TEXT_COLUMNS)
        if table.empty:
            raise DataError(f"{self.root}: a header but no rows. Add one row for each image or video.")
        for column in ("path", "subject", "label"):
            if column in table.columns:
                self._refuse(table, table[column].isna(), f"{column!r} is empty", "Fill it in, or remove the row")
        table["path"] = table["path"].str.replace("\\", "/", regex=False)  # as written on Windows
        self._refuse(table, table["path"].duplicated(), "a file is listed again", "Keep one row per file")
        absent = ~table["path"].map(lambda path: is_regular(split_key(self.folder / path)[0])).astype(bool)
        first = table.loc[absent, "path"].head(1).tolist()
        self._refuse(
            table,
            absent,
            f"no such file {listed(first)}",
            f"Paths are relative to the folder of the table, {self.folder.absolute()}",
        )
        if "case" in table.columns:
            self._refuse(table, table["case"].isna(), "'case' is empty", "Fill it in everywhere, or drop the column")
        if "frames" in table.columns:
            table = self._with_marks(table)
        for column in ("split", "fold"):
            if column in table.columns and table[column].isna().all():
                table = table.drop(columns=column)
        return Index(table)

    def open(self, path: str) -> Media:
        """Open one file of the table."""
        from usbench.media import open_media

        return open_media(self.folder / path)

    def digest(self, path: str) -> str:
        """Return the SHA-256 of one file of the table."""
        from usbench.media import file_digest

        return file_digest(self.folder / path)

    def known_as(self) -> tuple[tuple[str, ...], bool]:
        """Return the sets named in the column ``source``; the name of a table or its folder is no evidence.

        A table that is simulated is known by its own name.
        """
        if self.card.synthetic:
            return super().known_as()
        table = self.index.table
        if "source" not in table.columns:
            return (), False
        named = table["source"].dropna()
        return tuple(sorted({str(name).lower() for name in named})), len(named) == len(table)

    @property
    def unseen(self) -> bool:
        """Whether the column ``not_pretrained_on`` is true in every row."""
        table = self.index.table
        if "not_pretrained_on" not in table.columns:
            return False
        return bool((table["not_pretrained_on"].astype(str).str.lower().isin(["true", "1", "yes"])).all())

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether this is a table, or a folder with a manifest in it."""
        if folder.is_dir():
            return any((folder / file).is_file() for file in NAMES_IN_FOLDER)
        return folder.suffix.lower() in SUFFIXES

    def _refuse(self, table: pd.DataFrame, wrong: pd.Series[bool], what: str, advice: str) -> None:
        if wrong.any():
            raise DataError(f"{self.root}, {row_numbers(table, wrong)}: {what}. {advice}.")

    def _with_marks(self, table: pd.DataFrame) -> pd.DataFrame:
        """Split ``frames``, such as ``12-48``, into the columns ``first_frame`` and ``last_frame``."""
        ends = table["frames"].str.extract(r"^\s*([0-9]{1,12})\s*-\s*([0-9]{1,12})\s*$")
        wrong = table["frames"].notna() & ends[0].isna()
        self._refuse(table, wrong, "'frames' is not a range", "Write it as FIRST-LAST, counted from 0, such as 12-48")
        marks = {"first_frame": ends[0].astype("Int64"), "last_frame": ends[1].astype("Int64")}
        return table.drop(columns="frames").assign(**marks)
