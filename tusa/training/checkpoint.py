"""Checkpoints that survive a kill, and refuse what they do not fit."""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch

from tusa.errors import TusaError

FORMAT = "tusa-checkpoint/1"


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically; the one before stays as ``<name>.previous`` beside it.

    Args:
        path: the file.
        content: tensors, numbers, strings, and lists and dictionaries of these.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    torch.save({"format": FORMAT, **content}, partial)
    if path.exists():
        path.replace(path.with_name(path.name + ".previous"))
    partial.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint, tensors and plain values only; nothing in it is executed.

    Falls back on ``<name>.previous`` when a kill came between the two renames of :func:`save_checkpoint`.

    Raises:
        TusaError: when there is none, or it is not a checkpoint of this trainer.
    """
    previous = path.with_name(path.name + ".previous")
    found = path if path.is_file() else previous
    if not found.is_file():
        raise TusaError(f"No checkpoint at {path}. Start a run there with `tusa train`.")
    unreadable = f"{found} is not a readable checkpoint. Resume from {previous.name} if it exists."
    if not zipfile.is_zipfile(found):  # what torch.save writes; anything else is cut short or another file
        raise TusaError(unreadable)
    try:
        content = torch.load(found, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        raise TusaError(unreadable) from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise TusaError(f"{found} is not a checkpoint of this trainer (no '{FORMAT}' mark).")
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
