"""The folder of a public board's results, and what never enters it."""

from __future__ import annotations

from pathlib import Path

from usbench.core.settings import DEFAULT_RESULTS
from usbench.errors import ResultError


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
