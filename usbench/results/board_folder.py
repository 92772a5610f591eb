"""The folder of a public board's results, and what never enters it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from usbench.core.settings import DEFAULT_RESULTS
from usbench.errors import ResultError

SCREENING = frozenset({"int8"})
"""Precisions that are for screening: their results stand beside others on the terminal alone."""


def is_board(folder: Path) -> bool:
    """Say whether results in a folder stand on a public board: in a clone, the reported values lie beside them.

    Args:
        folder: A folder of results.
    """
    return (folder.resolve().parent / "reported").is_dir()


def refuse_simulated(folder: Path, synthetic: bool) -> None:
    """Refuse to put a result on simulated images on a public board.

    Args:
        folder: Where it would be written.
        synthetic: Whether its images are simulated.

    Raises:
        ResultError: It would stand on a board.
    """
    if synthetic and is_board(folder):
        raise ResultError(
            f"{folder}: holds the results of a public board, and simulated images never enter one. Leave --results out "
            f"({DEFAULT_RESULTS.as_posix()}), or name a folder of your own."
        )


def is_screening(encoder: Mapping[str, Any]) -> bool:
    """Say whether a result is for screening, by the precision of its vectors.

    Args:
        encoder: What it says of its encoder.
    """
    return encoder.get("precision") in SCREENING


def why_no_board(encoder: Mapping[str, Any]) -> str:
    """Say why a result that is for screening enters no leaderboard.

    Args:
        encoder: What it says of its encoder.
    """
    return (
        f"{encoder.get('name')} was encoded in {encoder.get('precision')}, which is for screening and enters no "
        "leaderboard. Run it without --precision"
    )


def refuse_screening(folder: Path, encoder: Mapping[str, Any]) -> None:
    """Refuse to put a result that is for screening on a public board.

    Args:
        folder: Where it would be written.
        encoder: What it says of its encoder.

    Raises:
        ResultError: It would stand on a board.
    """
    if is_screening(encoder) and is_board(folder):
        raise ResultError(
            f"{folder}: holds the results of a public board, and {why_no_board(encoder)}; to screen, leave --results "
            f"out ({DEFAULT_RESULTS.as_posix()}), or name a folder of your own."
        )
