"""EchoNet-Dynamic: apical four-chamber echocardiograms with ejection fraction and two traced frames each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed, percentages, read_table, require_unique, row_numbers
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

GET = "Both tables and the folder Videos come in one archive, by agreement with the authors."


class EchoNetDynamic(Dataset):
    """Index of one row per video; the subject is the video, as the authors publish one a patient.

    Columns are ``ef`` (%), ``esv`` and ``edv`` (mL), the authors' ``split`` (train, val, test), ``fps``, and
    ``first_frame`` and ``last_frame``: the two traced frames, end-systole and end-diastole, in order of time and
    counted from 0. Videos without two traced frames inside the video are left out, with a note.
    """

    card = DatasetCard(
        name="echonet-dynamic",
        title="EchoNet-Dynamic",
        folders=("EchoNet-Dynamic", "echonet"),
        licence="Stanford University research use agreement; no redistribution",
        citation=(
            "D. Ouyang et al., 'Video-based AI for beat-to-beat assessment of cardiac function', Nature 580:252-256, "
            "2020, doi:10.1038/s41586-020-2145-8"
        ),
        url="https://echonet.github.io/dynamic/",
        organ="cardiac",
        aliases=("echonet", "echonetdynamic"),
    )

    def read(self) -> Index:
        """Join ``FileList.csv`` with the traced frames of ``VolumeTracings.csv`` and the videos in the folder.

        Raises:
            DataError: A table, a column or the video folder is absent, or a value is missing.
        """
        import pandas as pd

        path = self.root / "FileList.csv"
        numbers = ("EF", "ESV", "EDV", "FPS", "NumberOfFrames")
        table = read_table(path, ("FileName", *numbers, "Split"), ("FileName", "Split"))
        for column in (*numbers, "Split", "FileName"):
            values = table[column] if column in ("Split", "FileName") else pd.to_numeric(table[column], errors="coerce")
            if values.isna().any():
                raise DataError(f"{path}, {row_numbers(table, values.isna())}: {column!r} is missing or not a number.")
        percentages(table, "EF", path)
        table["FileName"] = table["FileName"].str.removesuffix(".avi")
        require_unique(table, "FileName", "video", path)
        table = table.merge(self._traced_frames(), on="FileName", how="left", validate="one_to_one")
        notes: list[str] = []
        folder = self.root / "Videos"
        present = {p.stem for p in folder.glob("*.avi")}
        if not present:
            raise DataError(f"{folder}: no .avi videos. {GET}")
        table = _leave_out(table, ~table["FileName"].isin(present), "listed in FileList.csv but absent", notes)
        table = _leave_out(table, table["first_frame"].isna(), "without two traced frames", notes)
        outside = table["last_frame"] >= table["NumberOfFrames"]
        table = _leave_out(table, outside, "traced on a frame beyond their end", notes)
        return Index(
            pd.DataFrame(
                {
                    "path": "Videos/" + table["FileName"] + ".avi",
                    "subject": table["FileName"],
                    "ef": table["EF"].astype(float),
                    "esv": table["ESV"].astype(float),
                    "edv": table["EDV"].astype(float),
                    "fps": table["FPS"].astype(float),
                    "split": table["Split"].str.lower(),
                    "first_frame": table["first_frame"].astype("Int64"),
                    "last_frame": table["last_frame"].astype("Int64"),
                }
            ),
            tuple(notes),
        )

    def _traced_frames(self) -> pd.DataFrame:
        path = self.root / "VolumeTracings.csv"
        if not path.is_file():
            raise DataError(f"{path}: the tracings are missing; they say which frames to use. {GET}")
        tracings = read_table(path, ("FileName", "Frame"), ("FileName",))[["FileName", "Frame"]]
        tracings["FileName"] = tracings["FileName"].str.removesuffix(".avi")
        frames = tracings.groupby("FileName")["Frame"].agg(["min", "max", "nunique"]).reset_index()
        frames = frames[frames["nunique"] > 1].drop(columns="nunique")
        return frames.rename(columns={"min": "first_frame", "max": "last_frame"})


def _leave_out(table: pd.DataFrame, wrong: pd.Series[bool], why: str, notes: list[str]) -> pd.DataFrame:
    if not wrong.any():
        return table
    notes.append(f"{int(wrong.sum())} videos {why} are left out: {listed(table.loc[wrong, 'FileName'], 3)}.")
    return table.loc[~wrong]
