"""Build a corpus from folders: grey squares on disk, near-duplicates dropped, and a report of what was dropped."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tusa.errors import TusaError
from tusa.files import written_whole
from tusa.training.sources import Frame, frames, square

FLAT = 3.0
"""Standard deviation of grey levels (of 255) below which a picture shows nothing."""


@dataclass(frozen=True)
class Dropped:
    """A frame that did not enter the corpus.

    Attributes:
        name: its file, and its number in a video.
        reason: ``unreadable``, ``small``, ``flat`` or ``duplicate``.
        of: the kept image that it repeats, for duplicates.
    """

    name: str
    reason: str
    of: str = ""


@dataclass
class BuildReport:
    """What became of every frame that was found.

    Attributes:
        kept: images written.
        organs: images of each organ group.
        subjects: number of patients or videos.
        dropped: every frame left out, with the reason.
        conflicts: pairs of near-duplicates that lie under different organs: one of the labels is wrong.
        crossing: pairs of near-duplicates of different subjects: the same patient under two names, perhaps.
    """

    kept: int = 0
    organs: dict[str, int] = field(default_factory=dict)
    subjects: int = 0
    dropped: list[Dropped] = field(default_factory=list)
    conflicts: list[tuple[str, str]] = field(default_factory=list)
    crossing: list[tuple[str, str]] = field(default_factory=list)

    def reasons(self) -> dict[str, int]:
        """How many frames were dropped for each reason."""
        return dict(Counter(item.reason for item in self.dropped))

    def to_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        return {**asdict(self), "reasons": self.reasons()}


class _Seen:
    """Perceptual hashes of what was kept, searched by Hamming distance."""

    def __init__(self) -> None:
        self._hashes = np.empty(1024, dtype=np.uint64)
        self._count = 0

    def nearest(self, code: np.uint64) -> tuple[int, int]:
        """Row and distance in bits of the nearest hash; distance 65 when there is none."""
        if not self._count:
            return -1, 65
        distances = np.bitwise_count(self._hashes[: self._count] ^ code)
        row = int(distances.argmin())
        return row, int(distances[row])

    def add(self, code: np.uint64) -> None:
        if self._count == len(self._hashes):
            self._hashes = np.concatenate([self._hashes, np.empty_like(self._hashes)])
        self._hashes[self._count] = code
        self._count += 1


def build_corpus(
    sources: Sequence[Path],
    out: Path,
    *,
    size: int = 160,
    distance: int = 4,
    smallest: int = 64,
    subject_pattern: str = "",
    report: Callable[[str], None] | None = None,
) -> BuildReport:
    r"""Turn folders, videos, shards and manifests into one folder that :func:`read_corpus` and everybody can read.

    Written are ``images/<organ>/<number>.png`` (grey, ``size`` x ``size``, aspect ignored as in training),
    ``manifest.csv`` (columns file, organ, subject, dataset, source) and ``report.json``. The manifest is written
    last, so a folder with one is whole.

    Args:
        sources: what :func:`tusa.training.sources.frames` takes. Simulated images are one more folder.
        out: a folder that does not exist yet, or is empty.
        size: side of the squares in pixels.
        distance: two frames whose 64-bit perceptual hashes differ in so few bits are the same picture; the later
            one is dropped. Negative keeps everything. Frames of one video that hardly move fall to this too.
        smallest: frames with a shorter side than this, in pixels, are dropped.
        subject_pattern: regular expression searched in a file's subject name; its first group (or the whole match)
            becomes the subject, so that the images of one patient stay together: ``r"(patient\d+)_"``.
        report: called with a line of progress every 500 frames.

    Returns:
        What was kept and what was dropped, and why.

    Raises:
        TusaError: when ``out`` is in use, a source is missing, the pattern is wrong, or nothing is left.

    Source:
        The hash is ``imagehash.phash``: signs of the low DCT frequencies (Zauner, 2010).
    """
    import imagehash

    try:
        pattern = re.compile(subject_pattern) if subject_pattern else None
    except re.error as error:
        raise TusaError(f"subject pattern {subject_pattern!r} is not a regular expression: {error}.") from error
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise TusaError(f"{out} is not an empty folder. Give another --out, or remove it first.")
    result, seen, matched, first = BuildReport(), _Seen(), False, ""
    rows: list[dict[str, str]] = []
    for number, frame in enumerate(frame for source in sources for frame in frames(source)):
        if report and number % 500 == 499:
            report(f"{number + 1} frames read, {len(rows)} kept")
        reason = _unfit(frame.pixels, smallest)
        if reason or frame.pixels is None:
            result.dropped.append(Dropped(frame.name, reason))
            continue
        picture = square(frame.pixels, size)
        subject = _subject(frame, pattern)
        first = first or frame.subject
        matched = matched or (pattern is not None and pattern.search(frame.subject) is not None)
        if distance >= 0:
            bits = imagehash.phash(Image.fromarray(picture)).hash.ravel()
            code = np.packbits(bits).view(np.uint64)[0]
            row, bits_apart = seen.nearest(code)
            if bits_apart <= distance:
                other = rows[row]
                result.dropped.append(Dropped(frame.name, "duplicate", other["source"]))
                if other["organ"] != frame.organ:
                    result.conflicts.append((other["source"], frame.name))
                elif other["subject"] != subject or other["dataset"] != frame.dataset:
                    result.crossing.append((other["source"], frame.name))
                continue
            seen.add(code)
        file = Path("images") / _safe(frame.organ) / f"{len(rows):06d}.png"
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(out / file)
        rows.append(
            {
                "file": file.as_posix(),
                "organ": frame.organ,
                "subject": subject,
                "dataset": frame.dataset,
                "source": frame.name,
            }
        )
    if not rows:
        found = f"{len(result.dropped)} frames were found and dropped: {result.reasons()}" if result.dropped else "none"
        raise TusaError(f"The corpus would be empty (images found: {found}). Check the sources.")
    if pattern is not None and not matched:
        raise TusaError(
            f"subject pattern {subject_pattern!r} matches no name of the corpus (the first is {first!r}), so that no "
            f"images would be kept together. Correct the pattern or leave it out, and remove {out}."
        )
    result.kept = len(rows)
    result.organs = dict(sorted(Counter(row["organ"] for row in rows).items()))
    result.subjects = len({(row["dataset"], row["subject"]) for row in rows})
    (out / "report.json").write_text(json.dumps(result.to_dict(), indent=1, ensure_ascii=False), encoding="utf-8")
    with (
        written_whole(out / "manifest.csv") as partial,
        partial.open("w", newline="", encoding="utf-8") as file_object,
    ):
        writer = csv.DictWriter(file_object, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return result


def _unfit(pixels: NDArray[np.uint8] | None, smallest: int) -> str:
    if pixels is None:
        return "unreadable"
    if min(pixels.shape) < smallest:
        return "small"
    return "flat" if float(pixels.std()) < FLAT else ""


def _subject(frame: Frame, pattern: re.Pattern[str] | None) -> str:
    match = pattern.search(frame.subject) if pattern else None
    if match is None:
        return frame.subject
    return match.group(1) if match.re.groups else match.group()


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name) or "unknown"
