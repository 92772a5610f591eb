"""BUS-BRA: 1,875 breast ultrasound images of 1,064 patients, and the part of it that travels with the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed, read_table, require_unique
from usbench.errors import DataError

if TYPE_CHECKING:
    from usbench.core.settings import Settings

CITATION = (
    "W. Gómez-Flores, M. J. Gregorio-Calas, W. Coelho de Albuquerque Pereira, 'BUS-BRA: A breast ultrasound dataset "
    "for assessing computer-aided diagnosis systems', Medical Physics 51(4):3110-3123, 2024, doi:10.1002/mp.16812"
)


class BusBra(Dataset):
    """Index of one row per image: ``pathology``, ``birads``, ``histology``, ``side``, ``device``, official ``fold``.

    The subject is ``Case``, a patient, who has one image (``-s``, side ``single``) or two (``-l`` and ``-r``); the case
    is the image ``ID``. Class agrees in all patients with two images, so that these may be two views of one lesion.
    """

    card = DatasetCard(
        name="bus-bra",
        title="BUS-BRA",
        folders=("BUS-BRA", "BUSBRA", "busbra"),
        licence="Permissive with notice and citation (see the dataset's LICENSE.txt)",
        citation=CITATION,
        url="https://zenodo.org/records/8231412",
        organ="breast",
        redistributable=True,
        aliases=("busbra", "bus_bra"),
    )

    def read(self) -> Index:
        """Join ``bus_data.csv`` with the official folds of ``5-fold-cv.csv``.

        Raises:
            DataError: A table, a column or the image folder is absent, an image has no fold, or one patient's
                images are in two folds.
        """
        path = self.root / "bus_data.csv"
        table = read_table(path, ("ID", "Case", "Histology", "Pathology", "BIRADS", "Device", "Side"), ("ID", "Case"))
        folds = read_table(self.root / "5-fold-cv.csv", ("ID", "kFold"), ("ID",))[["ID", "kFold"]]
        require_unique(table, "ID", "image", path)
        require_unique(folds, "ID", "image", self.root / "5-fold-cv.csv")
        table = table.merge(folds, on="ID", how="left", validate="one_to_one")
        if table["kFold"].isna().any():
            raise DataError(
                f"{self.root / '5-fold-cv.csv'}: no fold for {listed(table.loc[table['kFold'].isna(), 'ID'])}. "
                "Restore the published file."
            )
        straddling = table.groupby("Case")["kFold"].nunique().loc[lambda n: n > 1].index
        if len(straddling):
            raise DataError(f"{self.root / '5-fold-cv.csv'}: patient {listed(straddling)} is in two folds.")
        table = table.assign(path="Images/" + table["ID"] + ".png")
        present = {p.name for p in (self.root / "Images").glob("*.png")}
        if not present:
            raise DataError(f"{self.root / 'Images'}: no .png images. Unpack the whole archive of the dataset.")
        absent = table.loc[~table["ID"].add(".png").isin(present), "ID"]
        notes = []
        if not absent.empty:
            notes.append(f"{len(absent)} images listed in bus_data.csv are absent: {listed(absent, 3)}.")
            table = table.drop(index=absent.index)
        columns = {
            "path": "path",
            "Case": "subject",
            "ID": "case",
            "Pathology": "pathology",
            "BIRADS": "birads",
            "Histology": "histology",
            "Side": "side",
            "Device": "device",
            "kFold": "fold",
        }
        table = table[list(columns)].rename(columns=columns)
        # 'GE Logiq 7 @10-14MHz' -> 'GE Logiq 7': the probe's band adds nothing, it is one to one with the scanner.
        table["device"] = table["device"].str.split("@").str[0].str.strip()
        table["fold"] = table["fold"].astype(int)
        return Index(table, tuple(notes))


class BusBraSubset(BusBra):
    """The embedded part of BUS-BRA: whole patients, both classes, all four scanners, official folds."""

    card = DatasetCard(
        name="bus-bra-subset",
        title="BUS-BRA (embedded subset)",
        licence=BusBra.card.licence,
        citation=CITATION,
        url=BusBra.card.url,
        organ="breast",
        redistributable=True,
        aliases=("bus-bra", *BusBra.card.aliases),
        cohort="bus-bra",
        note="Embedded subset of BUS-BRA, chosen at random within fold, class and scanner; not the full dataset.",
    )

    @classmethod
    def embedded_root(cls, settings: Settings) -> Path:
        """Return where the subset lies inside the package."""
        return Path(__file__).resolve().parent.parent / "data" / "bus_bra_subset"
