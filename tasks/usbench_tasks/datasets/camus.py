"""CAMUS: apical two- and four-chamber views of 500 patients at end-diastole and end-systole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed, percentages, read_table, row_numbers
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

VIEWS, PHASES = ("2CH", "4CH"), ("ED", "ES")
PLACES = tuple(f"{view} {phase}" for view in VIEWS for phase in PHASES)
SPLITS = {"training": "train", "validation": "val", "testing": "test"}
FROM_MASKS = (
    "Ejection fraction recomputed from the reference masks (biplane Simpson, 20 discs), not the official value: "
    "1.5 to 2.5 percentage points above it in the five patients where both are known."
)
OFFICIAL = "Ejection fraction as the authors publish it."


class Camus(Dataset):
    """Index of one row per image: ``ef`` (%), ``view`` (2CH, 4CH), ``phase`` (ED, ES), ``place`` (both) and ``split``.

    Two layouts are read. As published, a folder ``patientXXXX`` holds ``Info_2CH.cfg`` and ``Info_4CH.cfg`` and the
    images ``patientXXXX_2CH_ED.nii.gz`` and so on; lists of patients in ``database_split`` or ``subgroup_*.txt`` give
    the split, and ``ef`` is the official value. A folder of pictures with ``labels.csv`` (columns file, subject, view,
    phase, split and ``ef``, or ``ef_mask_biplane``) has the value named there. The index notes say which it is.
    """

    card = DatasetCard(
        name="camus",
        title="CAMUS",
        folders=("CAMUS", "CAMUS_public", "database_nifti"),
        licence="CC BY-NC-SA 4.0",
        citation=(
            "S. Leclerc et al., 'Deep Learning for Segmentation Using an Open Large-Scale Dataset in 2D "
            "Echocardiography', IEEE Trans. Med. Imaging 38(9):2198-2210, 2019, doi:10.1109/TMI.2019.2900516"
        ),
        url="https://www.creatis.insa-lyon.fr/Challenge/camus/",
        organ="cardiac",
    )

    def read(self) -> Index:
        """Read whichever layout the folder has.

        Raises:
            DataError: Neither layout is found, a view or a table's column is missing, or an ejection fraction is not
                a number from 0 to 100.
        """
        if (self.root / "labels.csv").is_file():
            return self._pictures()
        return self._published()

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Say whether there is a table or a patient's folder."""
        return folder.is_dir() and ((folder / "labels.csv").is_file() or bool(_patients(folder)))

    def _pictures(self) -> Index:
        path = self.root / "labels.csv"
        table = read_table(path, ("file", "subject", "view", "phase"), ("file", "subject", "view", "phase", "split"))
        official = "ef" in table.columns
        column = "ef" if official else "ef_mask_biplane"
        if column not in table.columns:
            raise DataError(
                f"{path}: no column 'ef' (official) or 'ef_mask_biplane' (from the masks). Add one of them."
            )
        table["view"] = table["view"].str.upper()
        table["phase"] = table["phase"].str.upper()
        unknown = ~(table["view"].isin(VIEWS) & table["phase"].isin(PHASES))
        if unknown.any():
            raise DataError(f"{path}, {row_numbers(table, unknown)}: view is 2CH or 4CH and phase is ED or ES.")
        absent = ~table["file"].map(lambda name: (self.root / name).is_file()).astype(bool)
        if absent.any():
            raise DataError(f"{path}, {row_numbers(table, absent)}: no such file {listed(table['file'][absent], 3)}.")
        table = table.assign(path=table["file"], ef=percentages(table, column, path), **_own_views(table))
        table["place"] = table["view"] + " " + table["phase"]
        columns = ["path", "subject", "view", "phase", "place", "ef", *_own_views(table), "split"]
        return Index(table[[c for c in columns if c in table.columns]], (OFFICIAL if official else FROM_MASKS,))

    def _published(self) -> Index:
        import pandas as pd

        patients = _patients(self.root)
        if not patients:
            raise DataError(
                f"{self.root}: neither labels.csv nor folders patient0001, patient0002, ... Give the unpacked folder "
                f"of CAMUS ({self.card.url})."
            )
        split = _splits(self.root)
        rows = []
        for folder in patients:
            info = {view: _info(folder / f"Info_{view}.cfg") for view in VIEWS}
            ef = _official(info, folder)
            for view in VIEWS:
                for phase in PHASES:
                    image = _image(folder, f"{folder.name}_{view}_{phase}")
                    rows.append(
                        {
                            "path": image.relative_to(self.root).as_posix(),
                            "subject": folder.name,
                            "view": view,
                            "phase": phase,
                            "place": f"{view} {phase}",
                            "ef": ef,
                            "quality": info[view].get("imagequality"),
                            "sex": info[view].get("sex"),
                            "split": split.get(folder.name),
                        }
                    )
        table = pd.DataFrame(rows)
        notes = [OFFICIAL]
        if table["split"].isna().all():
            table = table.drop(columns="split")
            notes.append("No list of a split was found (database_split/subgroup_training.txt and the like).")
        return Index(table.astype({"ef": "float64"}), tuple(notes))


def _patients(root: Path) -> list[Path]:
    """Return the patients' folders, directly below or in the folders the archives unpack to."""
    places = [root, *(root / name for name in ("database_nifti", "training", "testing"))]
    found = [folder for place in places if place.is_dir() for folder in place.glob("patient[0-9]*") if folder.is_dir()]
    return sorted(found, key=lambda folder: folder.name)


def _splits(root: Path) -> dict[str, str]:
    split: dict[str, str] = {}
    for folder in (root, root / "database_split", root.parent / "database_split"):
        for word, name in SPLITS.items():
            path = folder / f"subgroup_{word}.txt"
            if path.is_file():
                for patient in path.read_text("utf-8").split():
                    if split.setdefault(patient, name) != name:
                        raise DataError(f"{path}: {patient} is in the lists of two splits.")
    return split


def _info(path: Path) -> dict[str, str]:
    """Read ``Key: value`` lines; keys in lower case."""
    if not path.is_file():
        raise DataError(f"{path}: no such file; a view of {path.parent.name} is missing. Unpack the archive again.")
    lines = path.read_text("utf-8", errors="replace").splitlines()
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip().lower(): value.strip() for key, value in pairs}


def _official(info: dict[str, dict[str, str]], folder: Path) -> float | None:
    """Return the ejection fraction of a patient, which both views' files state; ``None`` where neither does."""
    values: dict[str, float] = {}
    for view, facts in info.items():
        text = facts.get("ef", facts.get("lvef"))
        if text in (None, ""):
            continue
        try:
            values[view] = float(str(text))
        except ValueError:
            values[view] = float("nan")
        if not 0 <= values[view] <= 100:
            raise DataError(f"{folder / f'Info_{view}.cfg'}: ejection fraction {text!r} is not a number from 0 to 100.")
    if len(set(values.values())) > 1:
        raise DataError(f"{folder}: the two views state different ejection fractions {values}.")
    return next(iter(values.values()), None)


def _image(folder: Path, stem: str) -> Path:
    for suffix in (".nii.gz", ".nii"):
        if (path := folder / f"{stem}{suffix}").is_file():
            return path
    raise DataError(f"{folder}: the image {stem}.nii.gz is missing. Unpack the archive again, or remove the folder.")


def _own_views(table: pd.DataFrame) -> dict[str, pd.Series[float]]:
    """Ejection fraction of each view alone, where the table has it."""
    return {
        f"ef_{view.lower()}": table[f"ef_mask_{view.lower()}"] for view in VIEWS if f"ef_mask_{view.lower()}" in table
    }
