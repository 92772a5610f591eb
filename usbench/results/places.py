"""Where results lie: a user's own runs, and the board of a clone, which they enter by a step of its own."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from usbench.core.settings import BOARD_RESULTS, DEFAULT_RESULTS
from usbench.errors import ResultError
from usbench.results.board_folder import is_screening, refuse_simulated, why_no_board
from usbench.results.rows import refuse_another
from usbench.results.schema import Result, load, result_path, save, slug


def readable(given: Path | None, task: str | None = None, encoders: Iterable[str] = ()) -> Path:
    """Return the folder of results to read: the one given, else the user's runs, else the board of a clone.

    Args:
        given: Folder named by the user.
        task: Task or board that it should have results of; any by default.
        encoders: Encoders that it should have results of.

    Returns:
        The first that has results of all of them. Where none has, the first that exists, so that what is missing can be
        said; where none exists, that of the user's runs.
    """
    if given is not None:
        return given
    there = [folder for folder in (DEFAULT_RESULTS, BOARD_RESULTS) if folder.is_dir()]
    fitting = (folder for folder in there if _holds(folder, task, list(encoders)))
    return next(fitting, there[0] if there else DEFAULT_RESULTS)


def _holds(folder: Path, task: str | None, encoders: list[str]) -> bool:
    boards = [board for board in folder.iterdir() if task is None or board.name.partition("@")[0] == task.split("@")[0]]
    if not encoders:
        return any(file for board in boards for file in board.glob("*.json"))
    if task is None:
        return all(any((board / f"{slug(name)}.json").is_file() for board in boards) for name in encoders)
    return any(all((board / f"{slug(name)}.json").is_file() for name in encoders) for board in boards)


def result_file(named: Path) -> Path:
    """Return a result file by its path, or by board and encoder: ``covid/tusa``.

    Args:
        named: A path, or a path below the user's runs or the board of a clone, ``.json`` left out or not.

    Raises:
        ResultError: There is no such file.
    """
    if named.is_file():
        return named
    board, name = named.parent, named.name.removesuffix(".json")
    places = [folder / board / f"{slug(name)}.json" for folder in (DEFAULT_RESULTS, BOARD_RESULTS)]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = f"{DEFAULT_RESULTS.as_posix()} or {BOARD_RESULTS.as_posix()}"
        raise ResultError(f"{named}: no such result file, nor one of board and encoder in {looked}.")
    return found


def enter(board: Path, result: Result, replace: bool = False) -> Path:
    """Write a result onto a board.

    Args:
        board: Folder of the board's results.
        result: A valid result.
        replace: Whether it may take the place of one of another network that has its name.

    Returns:
        Where it lies.

    Raises:
        ResultError: Its images are simulated, its precision is for screening, or another network's result of this
            name lies there.
    """
    if is_screening(result.encoder):
        raise ResultError(f"{why_no_board(result.encoder)}.")
    refuse_simulated(board, result.synthetic)
    path = result_path(board, result)
    if path.is_file() and not replace:
        refuse_another(path, load(path).encoder, result.encoder)
    return save(board, result)
