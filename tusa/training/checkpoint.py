"""Checkpoints that survive a kill, and refuse what they do not fit."""

from __future__ import annotations

import hashlib
import json
import logging
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from tusa.errors import TusaError
from tusa.files import regular, save_tensors, written_whole

FORMAT = "tusa-checkpoint/2"
WITHOUT_DIGEST = "tusa-checkpoint/1"
_log = logging.getLogger("tusa")


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint whole or not at all; the one before stays as ``<name>.previous`` beside it.

    Args:
        path: the file.
        content: tensors, numbers, strings, and lists and dictionaries of these.

    Raises:
        OSError: when it cannot be written, as on a full disk; what was there before stays.
    """
    with written_whole(path, _previous(path)) as partial:
        save_tensors({"format": FORMAT, "sha256": digest_of(content), **content}, partial)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, tensors and plain values only; nothing in it is executed.

    Falls back on ``<name>.previous`` when the newest is cut short or damaged, which is said in one line, and when a
    kill came between the two renames of :func:`save_checkpoint`. What is damaged is set aside as ``<name>.damaged``,
    so that the next checkpoint does not take the place of the good one.

    Raises:
        TusaError: when there is none, or none of the two is a checkpoint of this trainer.
    """
    previous = _previous(path)
    regular(path)
    if not path.is_file():
        if not previous.is_file():
            raise TusaError(f"No checkpoint at {path}. Start a run there with `tusa train`.")
        return _read(previous)
    try:
        return _read(path)
    except TusaError as damaged:
        if not previous.is_file():
            raise
        try:
            content = _read(previous)
        except TusaError:
            raise damaged from None
        _log.warning("%s The one before it, of step %s, is taken.", damaged, content.get("step"))
        with suppress(OSError):  # a folder that may only be read is still a good place to start from
            path.replace(path.with_name(path.name + ".damaged"))
        return content


def digest_of(content: Any) -> str:
    """Return the SHA-256 of tensors and plain values, however deep they are nested."""
    digest = hashlib.sha256()
    _feed(digest, content)
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, value: Any) -> None:
    if isinstance(value, Mapping):
        digest.update(f"{{{len(value)}".encode())
        for key, item in value.items():
            _feed(digest, key)
            _feed(digest, item)
    elif isinstance(value, list | tuple):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype}{list(value.shape)}".encode())
        flat = value.detach().cpu().contiguous().reshape(-1)
        digest.update(flat.view(torch.uint8).numpy().data)
    else:
        digest.update(repr(value).encode() + b"\0")


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def _read(path: Path) -> dict[str, Any]:
    unreadable = f"{path} is cut short or damaged, or no checkpoint."
    try:
        if not zipfile.is_zipfile(path):  # what torch.save writes; anything else is cut short or another file
            raise zipfile.BadZipFile
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # of a damaged file torch and its zip reader raise errors of many kinds
        raise TusaError(unreadable) from error
    if not isinstance(content, dict) or content.get("format") not in (FORMAT, WITHOUT_DIGEST):
        raise TusaError(f"{path} is not a checkpoint of this trainer (no '{FORMAT}' mark).")
    stated, earlier = content.pop("sha256", None), content["format"] == WITHOUT_DIGEST
    own = digest_of({key: item for key, item in content.items() if key != "format"})
    if stated != own and not (earlier and stated is None):
        raise TusaError(f"{path} is damaged: its content is not what was saved.")
    return content


def require_same(saved: dict[str, Any], given: dict[str, Any], path: Path) -> None:
    """Refuse a checkpoint of another configuration, and name the first differences.

    Raises:
        TusaError: when the two dictionaries differ.
    """
    differences = [
        f"{name}: {json.dumps(saved.get(name))} there, {json.dumps(given.get(name))} here"
        for name in sorted({*saved, *given})
        if saved.get(name) != given.get(name)
    ]
    if differences:
        raise TusaError(
            f"{path} belongs to another configuration ({'; '.join(differences[:2])}). "
            "Resume with its own, or train into a new folder."
        )
