"""BrEaST-Lesions_USG: 256 breast ultrasound images, one per patient, and the reduced copy inside the package."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.limits import TABLE_BYTES
from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed, read_table, row_numbers
from usbench.errors import DataError, UsbenchError

if TYPE_CHECKING:
    import pandas as pd

    from usbench.core.settings import Settings

CITATION = (
    "A. Pawłowska et al., 'Curated benchmark dataset for ultrasound based breast lesion analysis', Scientific Data "
    "11:148, 2024, doi:10.1038/s41597-024-02984-z"
)
CLASSES = ("benign", "malignant", "normal")
IMAGES = "BrEaST-Lesions_USG-images_and_masks"


class BreastLesionsUsg(Dataset):
    """Index of one row per image: ``pathology`` (benign, malignant), ``finding`` (also normal), ``birads`` and others.

    ``pathology`` is empty for the four images of normal tissue, so that it asks what BUS-BRA asks. The folder holds
    ``labels.csv`` with a column ``file``, or, as published, the clinical table as an Excel file beside the folder of
    images and masks.
    """

    card = DatasetCard(
        name="breast-lesions-usg",
        title="BrEaST-Lesions_USG",
        folders=("breast_lesions_usg", "BrEaST-Lesions_USG", "BrEaST"),
        licence="CC BY 4.0",
        citation=CITATION,
        url="https://doi.org/10.7937/9WKK-Q141",
        organ="breast",
        redistributable=True,
        aliases=("breast-lesions", "breastlesionsusg"),
    )

    def read(self) -> Index:
        """Read the clinical table.

        Raises:
            DataError: The table, a column or an image is absent, or a classification is unknown.
        """
        path, table = self._table()
        found = table["Classification"].astype(str).str.strip().str.lower()
        unknown = ~found.isin(CLASSES)
        if unknown.any():
            raise DataError(
                f"{path}, {row_numbers(table, unknown)}: Classification is not one of {', '.join(CLASSES)}."
            )
        absent = ~table["file"].map(lambda name: (self.root / name).is_file()).astype(bool)
        if absent.any():
            raise DataError(f"{path}, {row_numbers(table, absent)}: no such file {listed(table['file'][absent], 3)}.")
        birads = table["BIRADS"].astype(str).str.strip()
        index = table.assign(
            path=table["file"],
            subject=table["CaseID"].map(lambda number: f"case{int(number):03d}"),
            pathology=found.where(found != "normal"),
            finding=found,
            birads=birads.str[0],
            birads_letter=birads,
            verification=table["Verification"],
        )
        columns = ["path", "subject", "pathology", "finding", "birads", "birads_letter", "verification"]
        return Index(index[columns])

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether there is a clinical table."""
        return (folder / "labels.csv").is_file() or bool(_workbooks(folder))

    def _table(self) -> tuple[Path, pd.DataFrame]:
        required = ("CaseID", "BIRADS", "Verification", "Classification")
        path = self.root / "labels.csv"
        if path.is_file() or not (books := _workbooks(self.root)):
            return path, read_table(path, ("file", *required))
        path = books[0]
        table = _workbook(path)
        missing = [column for column in (*required, "Image_filename") if column not in table.columns]
        if missing:
            raise DataError(f"{path}: no column {listed(missing)}. Is it the published clinical table?")
        folder = f"{IMAGES}/" if (self.root / IMAGES).is_dir() else ""
        return path, table.assign(file=folder + table["Image_filename"].astype(str))


class BreastLesionsUsgEmbedded(BreastLesionsUsg):
    """All images, reduced to a longest side of 192 pixels: the copy inside the package."""

    card = DatasetCard(
        name="breast-lesions-usg-embedded",
        title="BrEaST-Lesions_USG (embedded, reduced)",
        cohort="breast-lesions-usg",
        licence="CC BY 4.0",
        citation=CITATION,
        url=BreastLesionsUsg.card.url,
        organ="breast",
        redistributable=True,
        aliases=("breast-lesions-usg", *BreastLesionsUsg.card.aliases),
        note="All 256 images, reduced to a longest side of 192 pixels; not the pixels as published.",
    )

    @classmethod
    def embedded_root(cls, settings: Settings) -> Path:
        """Return where the copy lies inside the package."""
        return Path(__file__).resolve().parent.parent / "data" / "breast_lesions_usg"


def _workbooks(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.xlsx") if "clinical" in path.name.lower() and path.name[0].isalnum())


def _workbook(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        with zipfile.ZipFile(path) as archive:
            TABLE_BYTES.check(path, sum(entry.file_size for entry in archive.infolist()), DataError)
        return pd.read_excel(path)
    except DataError:
        raise
    except ImportError:
        raise UsbenchError(
            f"{path}: reading Excel needs openpyxl, which is not installed. "
            "Install it with: pip install 'usbench[formats]'."
        ) from None
    except Exception as error:  # openpyxl and zipfile each have errors of their own
        raise DataError(f"{path}: not a readable Excel table ({' '.join(str(error).split())[:120]}).") from None
