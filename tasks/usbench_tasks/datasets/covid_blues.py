"""COVID-BLUES: lung ultrasound videos at BLUE points of 63 patients suspected of COVID-19."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed, percentages, read_table
from usbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

SENTINELS = (-99, -96)
"""Numbers that stand for a missing value; no variable of the study can take them."""

VIDEO_NAME = re.compile(r"patient_(?P<patient>\d+)_(?P<point>[LR][1-3])(?:_(?P<take>\d+))?")
"""``patient_15_L2_2``: patient 15, second point of the left lung, filmed a second time."""

SATURATION = "oxygen_saturation_without_ox"
AGE_BANDS = {"under 50": 50, "50-69": 70, "70 and over": 200}
"""Stratum and the age in years below which it ends."""


class CovidBlues(Dataset):
    """Index of one row per video; every clinical variable is a column of its published name.

    Besides those, the columns are ``bluepoint`` (``L1`` to ``R3``), ``side``, ``take`` (2 where a point was filmed
    again), ``sex``, ``age`` (years), ``age_group``, ``severity`` (0 to 3, of the video), ``a_lines`` and ``b_lines``
    (``yes``/``no``, of the video). A case is one BLUE point, so that a point filmed twice counts once.
    """

    card = DatasetCard(
        name="covid-blues",
        title="COVID-BLUES",
        folders=("COVID-BLUES", "COVID-BLUeS-dataset", "COVID-BLUES-dataset"),
        licence="CC BY-NC-ND 4.0",
        citation=(
            "N. Wiedemann et al., 'COVID-BLUeS - A Prospective Study on the Value of AI in Lung Ultrasound Analysis', "
            "IEEE J. Biomed. Health Inform. 29(9):6301-6310, 2025, doi:10.1109/JBHI.2025.3543686"
        ),
        url="https://github.com/NinaWie/COVID-BLUES",
        organ="lung",
        aliases=("covid-blues", "covidblues", "covid-bluepoint"),
    )

    def read(self) -> Index:
        """Join the videos in the folder with the patients' variables and the experts' scores.

        Raises:
            DataError: A table or the video folder is absent, a video's name cannot be read, or its patient is
                not in ``clinical_variables.csv``.
        """
        patients, notes = self._patients()
        videos = self._videos()
        unknown = sorted(set(videos["patient_id"]) - set(patients["patient_id"]), key=int)
        if unknown:
            raise DataError(
                f"{self.root / 'clinical_variables.csv'}: no row for patient {listed(unknown)}, whose videos are in "
                "lus_videos. Is the table of the same release as the videos?"
            )
        scores = self._scores()
        notes += self._absences(patients, videos, scores)
        table = videos.merge(patients, on="patient_id", validate="many_to_one")
        table = table.merge(scores, on="video", how="left", validate="one_to_one")
        unscored = int(table["severity"].isna().sum())
        if unscored:
            notes.append(f"{unscored} of {len(table)} videos have no row in severity.csv.")
        table = table.rename(columns={"patient_id": "subject"})
        return Index(table.drop(columns="video"), tuple(notes))

    def _videos(self) -> pd.DataFrame:
        import pandas as pd

        folder = self.root / "lus_videos"
        names = sorted(p.name for p in folder.glob("*.mp4") if not p.name.startswith("."))
        if not names:
            raise DataError(f"{folder}: no .mp4 videos. Download the whole repository; a partial copy lacks them.")
        rows = []
        for name in names:
            stem = name.removesuffix(".mp4")
            match = VIDEO_NAME.fullmatch(stem)
            if match is None:
                raise DataError(
                    f"{folder / name}: the name is not patient_<number>_<L1..R3>.mp4. Move files of your own elsewhere."
                )
            patient, point = str(int(match["patient"])), match["point"]
            rows.append(
                {
                    "path": f"lus_videos/{name}",
                    "video": stem,
                    "patient_id": patient,
                    "case": f"{patient}_{point}",
                    "bluepoint": point,
                    "side": {"L": "left", "R": "right"}[point[0]],
                    "take": int(match["take"] or 1),
                }
            )
        return pd.DataFrame(rows)

    def _patients(self) -> tuple[pd.DataFrame, list[str]]:
        import pandas as pd

        path = self.root / "clinical_variables.csv"
        table = read_table(path, ("patient_id", "cov_test", "pat_sex", "pat_age", SATURATION), ("patient_id",))
        if table["patient_id"].duplicated().any():
            twice = table.loc[table["patient_id"].duplicated(), "patient_id"]
            raise DataError(f"{path}: patient {listed(twice)} has two rows. Restore the published file.")
        notes: list[str] = []
        cleaned = {"patient_id": table["patient_id"]}
        for column in table.columns.drop("patient_id"):
            values, ranges = _numbers(table[column], f"{path}: column {column!r}")
            cleaned[column] = values
            if ranges:
                notes.append(f"{column}: {listed(ranges)} is a range and was read as its middle.")
        clean = pd.DataFrame(cleaned)
        if clean["cov_test"].isna().any():
            who = clean.loc[clean["cov_test"].isna(), "patient_id"]
            raise DataError(f"{path}: cov_test is missing for patient {listed(who)}. Restore the published file.")
        absent = int(clean[SATURATION].isna().sum())
        if absent:
            notes.append(f"{SATURATION} is missing for {absent} of {len(clean)} patients.")
        clean["cov_test"] = clean["cov_test"].astype(int)
        clean["sex"] = clean["pat_sex"].map({0.0: "female", 1.0: "male"})
        clean["age"] = clean["pat_age"]
        clean["age_group"] = pd.cut(clean["age"], [0, *AGE_BANDS.values()], right=False, labels=list(AGE_BANDS)).astype(
            "object"
        )
        for column in (SATURATION, "oxygen_saturation_with_ox"):
            if column in clean.columns:
                percentages(clean, column, path)
        return clean, notes

    def _scores(self) -> pd.DataFrame:
        path = self.root / "severity.csv"
        table = read_table(path, ("video_file", "Severity Score", "A-lines", "B-lines"), ("video_file",))
        video = table["video_file"].str.removesuffix(".mp4")
        if video.duplicated().any():
            raise DataError(f"{path}: {listed(video[video.duplicated()])} has two rows. Restore the published file.")
        severity, _ = _numbers(table["Severity Score"], f"{path}: column 'Severity Score'")
        return table.assign(
            video=video,
            severity=severity.astype("Int64"),
            a_lines=table["A-lines"].str.strip().str.lower(),  # some cells read 'yes '
            b_lines=table["B-lines"].str.strip().str.lower(),
        )[["video", "severity", "a_lines", "b_lines"]]

    @staticmethod
    def _absences(patients: pd.DataFrame, videos: pd.DataFrame, scores: pd.DataFrame) -> list[str]:
        notes = []
        missing = sorted(set(scores["video"]) - set(videos["video"]))
        if missing:
            notes.append(f"{len(missing)} videos listed in severity.csv are absent: {listed(missing, 3)}.")
        without = sorted(set(patients["patient_id"]) - set(videos["patient_id"]), key=int)
        if without:
            notes.append(f"{len(without)} patients have no video and are left out: {listed(without)}.")
        return notes


def _numbers(column: pd.Series, where: str) -> tuple[pd.Series[float], list[str]]:
    """Turn a published column into numbers; sentinels become missing and a range such as ``90-92`` its middle."""
    import pandas as pd

    text = column.astype("string").str.strip()
    numbers = pd.to_numeric(text, errors="coerce").astype("float64")
    # Nearly every cell is one number: only the others are worth a regular expression, in a hundred columns.
    others = text[text.notna() & numbers.isna()]
    ends = others.str.extract(r"^(\d+(?:\.\d+)?)\s*-\s*(\d+(?:\.\d+)?)$").astype("Float64")
    middle = ends.mean(axis=1, skipna=False).astype("float64")
    if middle.isna().any():
        raise DataError(f"{where} has {others[middle.isna()].iloc[0]!r}, which is not a number.")
    numbers.update(middle)
    return numbers.mask(numbers.isin(SENTINELS)), others.tolist()
