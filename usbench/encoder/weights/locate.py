"""Where the weight file of an encoder lies.

Looked for in this order: the folder that ``USBENCH_WEIGHTS`` names, what ``usbench weights add``
registered, the folder of the configuration or the platform's usual one, and the Python package that ships the file.
In a folder per file is found by the name under which the authors publish it, or by the encoder's name.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from usbench.core.limits import is_regular
from usbench.core.settings import Settings, load_settings
from usbench.encoder.card import EncoderCard
from usbench.encoder.weights.packaged import install_line, other_version, packaged_paths
from usbench.errors import WeightsError

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")


@dataclass(frozen=True)
class Place:
    """One place where weights are looked for.

    Attributes:
        path: A file or a folder.
        why: What makes it a place to look: the variable, the configuration entry, the default.
        found: The file there, if there is one.
    """

    path: Path
    why: str
    found: Path | None


def locate(name: str, card: EncoderCard) -> list[Place]:
    """List the places in which weights are looked for, the first to be used first.

    Args:
        name: Registry name of the encoder.
        card: Its card.

    Raises:
        UsbenchError: The configuration file is malformed.
    """
    settings = load_settings()
    folder = Place(settings.weights_dir, _why(settings), _in_folder(settings.weights_dir, name, card))
    places = [folder]
    if name in settings.weights:
        path = settings.weights[name]
        entry = Place(path, f"registered in {settings.config_file}", path if path.exists() else None)
        places.insert(1 if os.environ.get("USBENCH_WEIGHTS") else 0, entry)
    if card.weights is not None and card.weights.packages:
        paths = packaged_paths(card.weights)
        names = ", ".join(part.distribution for part in card.weights.packages)
        where = paths[0] if paths else Path(card.weights.packages[0].path)
        places.append(Place(where, f"package {names}", paths[0] if paths else None))
    return places


def find(name: str, card: EncoderCard) -> Path | None:
    """Return the weight file of an encoder, or ``None`` when there is none.

    Args:
        name: Registry name of the encoder.
        card: Its card.

    Raises:
        WeightsError: A file is registered but no longer there.
    """
    for place in locate(name, card):
        if place.found is not None:
            return place.found
        if place.why.startswith("registered"):
            raise WeightsError(
                f"{name}: the weights {place.why} are no longer at {place.path}. "
                f"Register them anew with `usbench weights add {name} FILE`."
            )
    return None


def require(name: str, card: EncoderCard) -> Path:
    """Return the weight file of an encoder.

    Args:
        name: Registry name of the encoder.
        card: Its card.

    Raises:
        WeightsError: There is none; the message says from where and under which licence people get it.
    """
    path = find(name, card)
    if path is None:
        raise WeightsError(absent(name, card))
    return path


def absent(name: str, card: EncoderCard) -> str:
    """Say that weights are absent, where the authors publish them and what to do with the file.

    Args:
        name: Registry name of the encoder.
        card: Its card.
    """
    message = f"{name}: no weights found."
    source = card.weights
    if source is not None and source.packages:
        older = other_version(source)
        message += f" {older[0].upper()}{older[1:]}." if older else ""
        message += f" Run `{install_line(source)}` (licence: {source.licence})."
        return f"{message} {source.terms}".rstrip() + (
            f" A file of your own: `usbench weights add {name} FILE`, or --weights FILE."
        )
    if source is not None:
        message += f" Get {source.filename} from {source.page} (licence: {source.licence})"
        if source.direct_url:
            message += f", or fetch it with `usbench weights fetch {name}`"
        message += "."
    message += f" Then run `usbench weights add {name} FILE`, or give --weights FILE."
    if card.citation:
        message += f" Please cite {card.citation.rstrip('.')}."
    return message


def _in_folder(folder: Path, name: str, card: EncoderCard) -> Path | None:
    names = [card.weights.filename] if card.weights else []
    names += [name + suffix for suffix in SUFFIXES]
    return next((folder / each for each in names if is_regular(folder / each)), None)


def _why(settings: Settings) -> str:
    if os.environ.get("USBENCH_WEIGHTS"):
        return "folder named by USBENCH_WEIGHTS"
    return "folder of weights" + (f" of {settings.config_file}" if settings.config_file.exists() else ", the default")
