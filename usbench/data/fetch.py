"""Getting a dataset whose publisher gives direct links: downloaded, compared with its digests, unpacked, and read."""

from __future__ import annotations

import shutil
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from usbench.core.atomic_files import explain_os_error
from usbench.core.download import Remote, retrieve
from usbench.core.limits import DATASET_BYTES
from usbench.errors import DataError

if TYPE_CHECKING:
    from usbench.data.dataset import DatasetCard
    from usbench.data.datasheet import Datasheet, PublishedFile

Progress = Callable[[str, int, int | None], None]
_CHUNK = 1 << 20


def fetch_files(card: DatasetCard, sheet: Datasheet | None, folder: Path, progress: Progress | None = None) -> Path:
    """Download and unpack all files of a dataset.

    What has arrived is kept if the download breaks off, and continued by the next call. The dataset's folder appears
    only when everything is there.

    Args:
        card: The reader's card.
        sheet: Its datasheet.
        folder: The dataset's own folder, which must not exist yet.
        progress: Called with the file's name, bytes done and bytes in all, ``None`` where the server does not say.

    Returns:
        The folder that the reader takes.

    Raises:
        DataError: There is no direct link, a download fails or is not the file, or an archive is damaged or unsafe.
    """
    if sheet is None or not sheet.files:
        raise DataError(f"{card.name}: there is no direct link to download. {how_to_get(card, sheet)}")
    if folder.exists():
        raise DataError(
            f"{folder}: is there already. `usbench data add {card.name} FOLDER` uses it; move it away to download anew."
        )
    work = folder.with_name(f".{folder.name}.part")
    for file in sheet.files:
        told = None if progress is None else (lambda done, total, name=file.filename: progress(name, done, total))
        remote = Remote(card.name, file.url, card.url, file.sha256 or None)
        retrieve(remote, work / "files" / file.filename, DATASET_BYTES, DataError, told)
    unpacked = work / "unpacked"
    try:
        shutil.rmtree(unpacked, ignore_errors=True)  # of an attempt that was cut off
        unpacked.mkdir()
        for file in sheet.files:
            _place(work / "files" / file.filename, file, unpacked)
        if not (unpacked / sheet.root).exists():
            there = ", ".join(sorted(path.name for path in unpacked.iterdir())[:5])
            raise DataError(f"{card.name}: no {sheet.root!r} in what was downloaded, but {there}. See {card.url}.")
        unpacked.replace(folder)
    except OSError as error:
        raise DataError(explain_os_error(folder, error)) from None
    shutil.rmtree(work, ignore_errors=True)
    return folder / sheet.root


def how_to_get(card: DatasetCard, sheet: Datasheet | None) -> str:
    """Say how a dataset without a direct link is had."""
    steps = sheet.obtain if sheet is not None else "Ask its authors."
    page = f" The page is {card.url}." if card.url and card.url not in steps else ""
    done = "`usbench data add" in steps or steps.startswith("Nothing to do")
    return f"{steps}{page}" if done else f"{steps}{page} Then `usbench data add {card.name} FOLDER`."


def _place(path: Path, file: PublishedFile, folder: Path) -> None:
    if not file.archive:
        path.replace(folder / file.filename)
        return
    try:
        with zipfile.ZipFile(path) as archive:
            _check(archive, path)
            for entry in archive.infolist():
                _unpack(archive, entry, folder)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        path.unlink(missing_ok=True)
        raise DataError(f"{path.name}: is no archive that can be unpacked ({error}). Fetch it again.") from None


def _check(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that would write elsewhere, make links, or unpack to more than is allowed."""
    DATASET_BYTES.check(path.name, sum(entry.file_size for entry in archive.infolist()), DataError)
    for entry in archive.infolist():
        parts = PurePosixPath(entry.filename.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in entry.filename:
            raise DataError(f"{path.name}: holds {entry.filename!r}, which would be written elsewhere. It is not used.")
        if stat.S_ISLNK(entry.external_attr >> 16):
            raise DataError(f"{path.name}: holds {entry.filename!r}, which is a link. It is not used.")


def _unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    target = folder / entry.filename.replace("\\", "/")
    if entry.is_dir():
        target.mkdir(parents=True, exist_ok=True)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(entry) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy, _CHUNK)
