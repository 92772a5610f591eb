"""HarmonicSS: ultrasound of salivary glands in Sjögren's syndrome, from four centres with a scanner maker each."""

from __future__ import annotations

from pathlib import Path

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed, read_table, row_numbers
from usbench.errors import DataError

GRADES = (0, 1, 2, 3)
_RENAMED = {"file": "path", "omeract": "grade", "machine": "device"}


class SalivaryGlands(Dataset):
    """Index of one row per image: OMERACT ``grade`` and ``de_vita``, ``centre``, ``device``, ``gland``, ``pss``.

    ``pss`` is 1 for primary Sjögren's syndrome, 0 without, and empty where the table has another number. Patients are
    inferred by whoever made ``labels.csv``: images in a row with the same centre, sex, age and duration.
    """

    card = DatasetCard(
        name="sgus",
        title="HarmonicSS salivary glands",
        folders=("SGUS", "HarmonicSS", "harmonicss"),
        licence="Published by its authors as a public benchmark; no licence stated",
        citation=(
            "HarmonicSS ultrasound benchmark of salivary glands in primary Sjögren's syndrome, "
            "Frontiers in Medicine 7, 2020, doi:10.3389/fmed.2020.581248"
        ),
        url="https://doi.org/10.3389/fmed.2020.581248",
        organ="salivary gland",
        aliases=("harmonicss", "salivary-gland"),
        note="Patients are inferred from equal centre, sex, age and duration of images in a row.",
    )

    def read(self) -> Index:
        """Read ``labels.csv``.

        Raises:
            DataError: The table, a column or an image is absent, or a grade is not 0, 1, 2 or 3.
        """
        import pandas as pd

        path = self.root / "labels.csv"
        table = read_table(path, ("file", "subject", "centre", "machine", "omeract"), ("file", "subject", "centre"))
        for column in ("omeract", "de_vita"):
            if column in table.columns:
                # One word among the numbers makes text of all of them.
                wrong = table[column].notna() & ~pd.to_numeric(table[column], errors="coerce").isin(GRADES)
                if wrong.any():
                    raise DataError(f"{path}, {row_numbers(table, wrong)}: {column!r} is not a grade 0, 1, 2 or 3.")
        absent = ~table["file"].map(lambda name: (self.root / name).is_file()).astype(bool)
        if absent.any():
            raise DataError(f"{path}, {row_numbers(table, absent)}: no such file {listed(table['file'][absent], 3)}.")
        notes = []
        if "pss" in table.columns:
            unknown = table["pss"].notna() & ~table["pss"].isin((0, 1))
            if unknown.any():
                notes.append(f"pss is neither 0 nor 1 in {int(unknown.sum())} rows and was read as unknown.")
                table["pss"] = table["pss"].astype("Int64").mask(unknown)
        return Index(table.rename(columns=_RENAMED), tuple(notes))

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether there is a table."""
        return (folder / "labels.csv").is_file()
