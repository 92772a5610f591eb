"""Looking at a dataset before trusting a score on it: does every file decode, and is any picture under two subjects?

A split by subject keeps patients apart only if the table does. The same file, or nearly the same picture, under
two names puts one patient on both sides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from usbench.data.table_checks import Straddling, names_alike, straddling
from usbench.errors import UsbenchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from usbench.data.dataset import Dataset

HASH_SIDE = 16
"""A difference hash has this number squared of bits."""

NEAR = 20
"""Hashes that differ in no more bits than this are taken for the same picture, stored twice.

Measured: copies reduced to 70 % and saved as JPEG of quality 70 differ from the original in 10 bits (median; 21 at the
90th percentile); images of different patients of BUS-BRA in 58 or more, lung videos of COVID-BLUES in 25 or more.
"""

FEW_LEVELS = 32
"""A picture with fewer grey values than this is reported: 12-bit values read as 16 bits use 17, 8-bit ones 2."""

SAMPLE = 12
"""Files that a run looks at for that."""

FEATURELESS = 16
"""A hash with fewer bits set comes from an almost empty picture, which resembles every other."""


@dataclass(frozen=True)
class Pair:
    """Two files of different subjects that look alike.

    Attributes:
        first: Path of one.
        second: Path of the other.
        subjects: Subject of each.
        bits: Number of differing bits of their hashes; 0 for files with the same content.
    """

    first: str
    second: str
    subjects: tuple[str, str]
    bits: int


@dataclass(frozen=True)
class DatasetReport:
    """What was found.

    Attributes:
        files: Number of files looked at.
        damaged: Message of every file that does not decode.
        shared: Files with equal content under different subjects.
        alike: Pictures under different subjects that nearly agree; empty unless asked for.
        names: Groups of subjects whose names differ only in zeros, case, ``.0`` or Unicode form.
        straddling: Subjects on several sides of the author's split, or in several folds.
        treated: What was done to pictures or read otherwise than files say, and in how many; empty unless asked for.
        few_levels: Grey levels of the middle frame of each file that has fewer than :data:`FEW_LEVELS`; empty unless
            asked for.
    """

    files: int
    damaged: tuple[str, ...] = ()
    shared: tuple[Pair, ...] = ()
    alike: tuple[Pair, ...] = field(default=())
    names: tuple[tuple[str, ...], ...] = ()
    straddling: tuple[Straddling, ...] = ()
    treated: Mapping[str, int] = field(default_factory=dict)
    few_levels: Mapping[str, int] = field(default_factory=dict)

    @property
    def sound(self) -> bool:
        """Whether nothing was found; what is done to pictures and how many grey levels they use are no faults."""
        return not (self.damaged or self.shared or self.alike or self.names or self.straddling)

    def few_levels_told(self) -> str:
        """Return a sentence such as "12 of 12 files use 2 of 256 grey levels", or an empty string."""
        return told_few_levels(self.few_levels, self.files)


def check_dataset(
    dataset: Dataset, decode: bool = False, progress: Callable[[int, int], None] | None = None
) -> DatasetReport:
    """Compare the files of different subjects, and decode them if asked to.

    Args:
        dataset: The dataset; its index is read, which raises for what is wrong with the table.
        decode: Also decode the middle frame of every file and compare pictures, not only bytes.
        progress: Called with files done and all files.

    Returns:
        The report.
    """
    paths = dataset.index.table["path"].tolist()
    subjects = dataset.index.table["subject"].tolist()

    treated: Counter[str] = Counter()
    levels: dict[str, int] = {}

    def look(path: str) -> tuple[str, npt.NDArray[np.bool_] | None, str]:
        try:
            digest = dataset.digest(path)
            if not decode:
                return digest, None, ""
            frame, notes = _middle(dataset, path)
            treated.update(notes)
            if (used := levels_of(frame)) < FEW_LEVELS:
                levels[path] = used
            return digest, difference_hash(frame), ""
        except UsbenchError as error:
            return "", None, str(error)

    seen = []
    with ThreadPoolExecutor(2) as pool:
        for done, result in enumerate(pool.map(look, paths), start=1):
            seen.append(result)
            if progress:
                progress(done, len(paths))
    owner: dict[str, int] = {}
    shared = []
    for position, (digest, _, _) in enumerate(seen):
        other = owner.setdefault(digest, position)
        if digest and subjects[other] != subjects[position]:
            shared.append(Pair(paths[other], paths[position], (subjects[other], subjects[position]), 0))
    whole = [i for i, (_, code, _) in enumerate(seen) if code is not None and code.sum() >= FEATURELESS]
    alike = _alike([seen[i][1] for i in whole], [paths[i] for i in whole], [subjects[i] for i in whole])
    known = {(pair.first, pair.second) for pair in shared}
    return DatasetReport(
        files=len(paths),
        damaged=tuple(message for _, _, message in seen if message),
        shared=tuple(shared),
        alike=tuple(pair for pair in alike if (pair.first, pair.second) not in known),
        names=tuple(names_alike(dict.fromkeys(subjects))),
        straddling=tuple(straddling(dataset.index.table)),
        treated=dict(sorted(treated.items())),
        few_levels={path: levels[path] for path in paths if path in levels},
    )


def levels_of(image: npt.NDArray[np.uint8]) -> int:
    """Return how many different grey values a picture has."""
    import numpy as np

    return int(np.count_nonzero(np.bincount(image.ravel(), minlength=256)))


def told_few_levels(levels: Mapping[str, int], files: int) -> str:
    """Say how many files use few grey levels, and why that may be.

    Args:
        levels: Grey levels of each such file.
        files: Number of files looked at.

    Returns:
        A sentence, or an empty string if there are none.
    """
    if not levels:
        return ""
    least, most = min(levels.values()), max(levels.values())
    span = f"{least}" if least == most else f"{least} to {most}"
    return (
        f"{len(levels)} of {files} files use {span} of 256 grey levels. If they hold 8- or 12-bit values in 16 bits, "
        "scale them to the full range, or store 8 bits."
    )


def few_levels_of_sample(dataset: Dataset, paths: Sequence[str]) -> str:
    """Look at the first frames of some files, and say so if all of them use few grey levels.

    Args:
        dataset: Opens the files.
        paths: Files; at most :data:`SAMPLE` are opened, evenly spaced among them.

    Returns:
        A sentence, or an empty string.
    """
    step = max(1, -(-len(paths) // SAMPLE))
    levels: dict[str, int] = {}
    for path in paths[::step]:
        with dataset.open(path) as media:
            used = levels_of(media.frames([0])[0])
        if used >= FEW_LEVELS:
            return ""
        levels[path] = used
    return told_few_levels(levels, len(levels))


def difference_hash(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return whether each cell of a coarse grid is brighter than the one to its left; survives resizing and JPEG.

    Args:
        image: uint8 ``[H, W]``.

    Returns:
        bool ``[256]``.
    """
    import numpy as np
    from PIL import Image

    small = Image.fromarray(image).resize((HASH_SIDE + 1, HASH_SIDE), Image.Resampling.BOX)
    cells = np.asarray(small, dtype=np.int16)
    return (cells[:, 1:] > cells[:, :-1]).ravel()


def _middle(dataset: Dataset, path: str) -> tuple[npt.NDArray[np.uint8], tuple[str, ...]]:
    with dataset.open(path) as media:
        (frame,) = media.frames([media.n_frames // 2])
        return frame, tuple(media.notes)


def _alike(codes: Sequence[npt.NDArray[np.bool_] | None], paths: Sequence[str], subjects: Sequence[str]) -> list[Pair]:
    import numpy as np

    if not codes:
        return []
    signs = np.where(np.stack([code for code in codes if code is not None]), 1, -1).astype(np.float32)
    owners = np.asarray(subjects)
    pairs = []
    for start in range(0, len(signs), 1024):  # a block of rows at a time bounds the memory
        # The product of two sign vectors is (bits that agree) - (bits that differ).
        differing = (signs.shape[1] - signs[start : start + 1024] @ signs.T) / 2
        for row, column in np.argwhere(differing <= NEAR):
            first, second = start + int(row), int(column)
            if first < second and owners[first] != owners[second]:
                bits = int(differing[row, column])
                pairs.append(Pair(paths[first], paths[second], (subjects[first], subjects[second]), bits))
    return pairs
