"""Liver B-modes of 55 patients with biopsy-proven steatosis, all in one MATLAB file."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usbench.data.dataset import Dataset, DatasetCard, Index
from usbench.data.label_table import listed
from usbench.errors import DataError
from usbench.media.base import Media
from usbench.media.matlab_tags import check_tags

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

FILE = "dataset_liver_bmodes_steatosis_assessment_IJCARS.mat"
FIELDS = ("id", "class", "fat", "images")
"""Fields of the struct array ``data``, one element per patient; ``images`` is uint8 ``[10, 434, 636]``."""


class ByraLiver(Dataset):
    """Index of one row per patient, whose ten frames are read as one clip.

    Columns are ``fat`` (% of hepatocytes with fat, from biopsy) and ``steatosis`` (the authors' class, 1 above 5 %).
    The ``path`` is ``patient/<id>`` and stands for a place inside the file.
    """

    card = DatasetCard(
        name="byra-liver",
        title="Liver steatosis (Byra et al.)",
        folders=("byra_liver", FILE),
        licence="CC BY 4.0",
        citation=(
            "M. Byra et al., 'Transfer learning with deep convolutional neural network for liver steatosis assessment "
            "in ultrasound images', Int. J. CARS 13:1895-1903, 2018, doi:10.1007/s11548-018-1843-2"
        ),
        url="https://zenodo.org/records/1009146",
        organ="abdominal",
        aliases=("byra", "liver-steatosis"),
    )

    def __init__(self, root: str | Path) -> None:
        super().__init__(root)
        self._lock = threading.Lock()

    @property
    def file(self) -> Path:
        """The MATLAB file."""
        return self.root if self.root.is_file() else self.root / FILE

    def read(self) -> Index:
        """Read the patients of the MATLAB file.

        Raises:
            DataError: The file is absent, is of version 7.3 or damaged, or is not laid out as published.
        """
        import pandas as pd

        rows = [
            {"path": f"patient/{key}", "subject": key, "fat": record["fat"], "steatosis": record["class"]}
            for key, record in self._load().items()
        ]
        return Index(pd.DataFrame(rows))

    def open(self, path: str) -> Media:
        """Open the frames of one patient."""
        return _Stack(self.file, self._images(path))

    def digest(self, path: str) -> str:
        """Return the SHA-256 of the shape and pixels of one patient's frames."""
        images = self._images(path)
        return hashlib.sha256(repr(images.shape).encode() + images.tobytes()).hexdigest()

    @classmethod
    def recognises(cls, folder: Path) -> bool:
        """Notify whether this is the file, or a folder."""
        return folder.exists()

    def _images(self, path: str) -> npt.NDArray[np.uint8]:
        key = path.removeprefix("patient/")
        records = self._load()
        if key not in records:
            raise DataError(f"{self.file}: no patient {key!r}; it has {listed(records, 3)}.")
        images: npt.NDArray[np.uint8] = records[key]["images"]
        return images

    def _load(self) -> dict[str, dict[str, Any]]:
        with self._lock:  # frames are opened from several threads, and the file is read once for all
            return self._records

    @cached_property
    def _records(self) -> dict[str, dict[str, Any]]:
        import numpy as np

        data = np.atleast_1d(_load_struct(self.file))
        records: dict[str, dict[str, Any]] = {}
        for position, element in enumerate(data, start=1):
            absent = [field for field in FIELDS if not hasattr(element, field)]
            if absent:
                raise DataError(f"{self.file}: element {position} of 'data' has no field {listed(absent)}.")
            images = np.asarray(element.images)
            if images.dtype != np.uint8 or images.ndim != 3:
                raise DataError(
                    f"{self.file}: images of element {position} are {images.dtype} {list(images.shape)}, not uint8 "
                    "[frames, height, width]."
                )
            key = str(int(element.id))
            if key in records:
                raise DataError(f"{self.file}: patient {key} occurs twice in 'data'.")
            if not 0 <= float(element.fat) <= 100:  # also false for a value that is no number
                raise DataError(f"{self.file}: 'fat' of patient {key} is not a number from 0 to 100 (percent).")
            records[key] = {
                "fat": float(element.fat),
                "class": int(getattr(element, "class")),
                "images": np.ascontiguousarray(images),
            }
        return records


class _Stack(Media):
    """Frames that are in memory already."""

    def __init__(self, path: Path, images: npt.NDArray[np.uint8]) -> None:
        super().__init__(path)
        self._images = images

    @property
    def n_frames(self) -> int:
        return len(self._images)

    def _decode(self, wanted: Sequence[int]) -> Iterator[npt.NDArray[np.uint8]]:
        for index in wanted:
            yield self._images[index]


def _load_struct(path: Path) -> Any:
    """Return the struct array ``data`` as objects with attributes.

    ``loadmat`` reads numbers, text and structs; MATLAB objects and functions stay undecoded, so nothing is executed.
    """
    import scipy.io

    if not path.is_file():
        raise DataError(f"{path}: no such file. Download {FILE} from {ByraLiver.card.url}.")
    with path.open("rb") as file:
        head = file.read(128)
    if head.startswith(b"MATLAB 7.3"):
        raise DataError(
            f"{path}: saved as MATLAB 7.3 (HDF5); the published file is version 5. Download it again, or save it "
            "from MATLAB with save(..., '-v7')."
        )
    check_tags(path)
    try:
        content = scipy.io.loadmat(path, struct_as_record=False, squeeze_me=True)
    except Exception as error:  # scipy lets struct, zlib and value errors through from damaged files
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{path}: not a readable MATLAB version 5 file ({reason}). Download it again.") from None
    if "data" not in content:
        names = [name for name in content if not name.startswith("__")]
        raise DataError(f"{path}: no variable 'data'; it has {listed(names)}. Is it the published file?")
    return content["data"]
