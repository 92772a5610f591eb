"""The long form of a dataset's card: who is in it, how to get it, what is wrong with it, and what it overlaps with.

A datasheet is one TOML file, ``cards/NAME.toml`` beside the module of the reader. The terminal, the Markdown pages and
the Croissant metadata are written from it and from the reader's :class:`~usbench.data.dataset.DatasetCard`, so that
nothing is said twice::

    summary = "What the images show, and why they were taken."
    size = "240 images, PNG"
    images = 240                       # rows of the reader's index, where the number is fixed
    subjects = 120
    labels = ["pathology: malignant or benign"]
    scanners = "one, GE Logiq 7"
    obtain = "Open the page and download the archive."
    faults = ["Four images carry callipers."]
    overlaps = ["40 of its images are part of another set."]

    [[files]]                          # where the publisher gives a direct link
    url = "https://example.org/set.zip"
    sha256 = "..."
    digest_from = "the publisher"
"""

from __future__ import annotations

import re
from dataclasses import MISSING, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from usbench.core.documents import read_toml
from usbench.errors import DataError, did_you_mean

if TYPE_CHECKING:
    from usbench.data.dataset import DatasetCard

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class PublishedFile:
    """A file of a dataset that its publisher gives a direct link to.

    Attributes:
        url: Address that yields the file itself.
        sha256: Its digest; empty where none is known.
        digest_from: Who states the digest; required with one.
        name: Its file name; by default the last part of the address.
    """

    url: str
    sha256: str = ""
    digest_from: str = ""
    name: str = ""

    @property
    def filename(self) -> str:
        """Name under which it is kept."""
        return self.name or PurePosixPath(unquote(urlsplit(self.url).path)).name

    @property
    def archive(self) -> bool:
        """Whether it is unpacked."""
        return self.filename.lower().endswith(".zip")


@dataclass(frozen=True)
class Datasheet:
    """What a user must know of a dataset besides its card.

    Attributes:
        summary: What it shows, in two or three sentences.
        size: Number and form of images or videos, in words.
        subjects: Number of patients or animals; ``None`` where it is not fixed or not known.
        images: Number of rows of the reader's index; ``None`` where it is not fixed.
        subjects_note: What ``subject`` means here.
        labels: Columns that tasks ask for or that stratify, one phrase each.
        scanners: Which machines, in words.
        obtain: How to get the data, in words.
        faults: Known faults, one sentence each.
        overlaps: Which other sets hold the same patients or images, one sentence each.
        files: Files with a direct link; all of them are needed.
        root: Folder inside the unpacked files that the reader takes.
        published: Date of publication, ``YYYY-MM-DD`` or ``YYYY``.
        licence_url: Address of the text of the licence.
    """

    summary: str
    size: str
    labels: tuple[str, ...]
    scanners: str
    obtain: str
    subjects: int | None = None
    images: int | None = None
    subjects_note: str = ""
    faults: tuple[str, ...] = ()
    overlaps: tuple[str, ...] = ()
    files: tuple[PublishedFile, ...] = ()
    root: str = "."
    published: str = ""
    licence_url: str = ""


_TEXT = ("summary", "size", "scanners", "obtain", "subjects_note", "root", "published", "licence_url")
_LISTS = ("labels", "faults", "overlaps")
_NUMBERS = ("subjects", "images")


def read_datasheet(path: Path) -> Datasheet:
    """Read a datasheet.

    Args:
        path: The TOML file.

    Raises:
        DataError: A key is missing, unknown or of the wrong type, or a digest is none; the message names file and key.
    """
    given = read_toml(path)
    known = [f.name for f in fields(Datasheet)]
    for key in given:
        if key not in known:
            raise DataError(f"{path}: unknown key {key!r}.{did_you_mean(key, known)} Keys: {', '.join(known)}.")
    for f in fields(Datasheet):
        if f.default is MISSING and f.name not in given:
            raise DataError(f"{path}: {f.name!r} is missing.")
    found: dict[str, Any] = {}
    for key, value in given.items():
        if key in _TEXT and not isinstance(value, str):
            raise DataError(f"{path}: {key!r} must be text, not {value!r}.")
        if key in _NUMBERS and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise DataError(f"{path}: {key!r} must be a whole number from 1, not {value!r}.")
        if key in _LISTS and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise DataError(f"{path}: {key!r} must be a list of text, not {value!r}.")
        if key == "root" and (PurePosixPath(value).is_absolute() or ".." in PurePosixPath(value).parts):
            raise DataError(f"{path}: 'root' is a folder inside what is unpacked, not {value!r}.")
        found[key] = tuple(value) if key in _LISTS else value
    found["files"] = tuple(_file(item, path) for item in given.get("files", []))
    return Datasheet(**found)


def _file(given: Any, path: Path) -> PublishedFile:
    keys = [f.name for f in fields(PublishedFile)]
    where = f"{path}, [[files]]"
    if not isinstance(given, dict) or not isinstance(given.get("url"), str):
        raise DataError(f"{where}: give the `url` of the file.")
    for key, value in given.items():
        if key not in keys:
            raise DataError(f"{where}: unknown key {key!r}.{did_you_mean(key, keys)} Keys: {', '.join(keys)}.")
        if not isinstance(value, str):
            raise DataError(f"{where}: {key!r} must be text, not {value!r}.")
    found = PublishedFile(**given)
    if not found.url.startswith(("https://", "http://")):
        raise DataError(f"{where}: {found.url!r} is no address of the web.")
    if found.sha256 and not _SHA256.fullmatch(found.sha256):
        raise DataError(f"{where}: sha256 must be 64 hexadecimal digits in lower case.")
    if bool(found.sha256) != bool(found.digest_from):
        raise DataError(f"{where}: a digest says whom it is from in `digest_from`, and nothing else has one.")
    if "/" in found.name or "\\" in found.name:
        raise DataError(f"{where}: {found.name!r} must be the name of a file, without a folder.")
    if not found.filename or found.filename.startswith("."):
        raise DataError(f"{where}: the address ends in no file name. Add `name`.")
    return found


def describe(card: DatasetCard, sheet: Datasheet | None) -> list[tuple[str, list[str]]]:
    """Return what is said of a dataset in one form: label and its lines, those without lines left out.

    Args:
        card: The reader's card.
        sheet: Its datasheet, where there is one.
    """
    lines: list[tuple[str, list[str]]] = [("dataset", [card.name]), ("title", [card.title])]
    if sheet is not None:
        subjects = "" if sheet.subjects is None else f"{sheet.subjects:,}".replace(",", "\u202f")
        lines += [
            ("what", [sheet.summary]),
            ("size", [sheet.size]),
            ("patients", [": ".join(part for part in (subjects, sheet.subjects_note) if part)]),
            ("labels", list(sheet.labels)),
            ("scanners", [sheet.scanners]),
        ]
    lines += [
        ("organ", [card.organ]),
        ("licence", [card.licence]),
        ("citation", [card.citation]),
        ("source", [card.url]),
    ]
    if sheet is not None:
        lines += [
            ("how to get it", [sheet.obtain]),
            ("direct link", [_link(file) for file in sheet.files]),
            ("known faults", list(sheet.faults)),
            ("overlaps", list(sheet.overlaps)),
        ]
    lines += [("note", [card.note]), ("synthetic", ["yes" if card.synthetic else "no"])]
    return [(label, [text for text in texts if text]) for label, texts in lines if any(texts)]


def _link(file: PublishedFile) -> str:
    if not file.sha256:
        return f"{file.url} (no digest is known: what arrives cannot be checked)"
    return f"{file.url} (SHA-256 {file.sha256}, stated by {file.digest_from})"


def as_markdown(card: DatasetCard, sheet: Datasheet) -> str:
    """Return the page of a dataset.

    Args:
        card: The reader's card.
        sheet: Its datasheet.
    """
    parts = [f"# {card.title}", "", sheet.summary, ""]
    for label, texts in describe(card, sheet):
        if label in ("dataset", "title", "what"):
            continue
        if len(texts) == 1:
            parts.append(f"- **{label.capitalize()}**: {texts[0]}")
            continue
        parts.append(f"- **{label.capitalize()}**:")
        parts += [f"  - {text}" for text in texts]
    parts += ["", f"In usbench: `{card.name}`. Machine-readable: [Croissant]({card.name}.json).", ""]
    return "\n".join(parts)
