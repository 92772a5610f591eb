"""A user's runs and the board of a clone: where commands write and read, and how a result gets onto the board."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from usbench.cli import main
from usbench.core.settings import BOARD_RESULTS, DEFAULT_RESULTS
from usbench.errors import ResultError
from usbench.leaderboard import write_pages
from usbench.results import Result, load, save
from usbench.results.places import enter, readable, result_file

REPOSITORY = Path(__file__).resolve().parents[2]
BOARD = "breast_lesion@bus-bra-subset"
Command = Callable[..., tuple[int, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    """Run ``usbench`` in this process: exit status, and all that it says on one line."""

    def run(*arguments: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as stop:
            main(arguments)
        told = capsys.readouterr()
        return int(stop.value.code or 0), " ".join((told.out + told.err).split())

    return run


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with the committed results of one board, in which commands are typed."""
    shutil.copytree(REPOSITORY / BOARD_RESULTS / BOARD, tmp_path / BOARD_RESULTS / BOARD)
    shutil.copytree(REPOSITORY / "leaderboards/reported", tmp_path / "leaderboards/reported")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_a_run_in_a_clone_leaves_the_board_alone_and_can_be_compared(clone: Path, command: Command) -> None:
    board = clone / "leaderboards"
    before = {path: (board / path).read_bytes() for path in files(board)}
    status, told = command("run", "-e", "pixels", "-e", "texture", "-t", "breast_lesion", "--data", "subset")
    assert status == 0
    assert "Results are in runs/results. `usbench leaderboard --results runs/results` renders" in told
    assert {path: (board / path).read_bytes() for path in files(board)} == before
    assert {path.split("/")[0] for path in files(clone)} <= {"leaderboards", "runs", "usbench-home"}
    status, told = command("compare", "pixels", "texture", "-t", "breast_lesion")
    assert status == 0
    assert "Results of runs/results." in told
    assert command("results", "show", "breast_lesion@bus-bra-subset/pixels")[0] == 0
    assert command("leaderboard", "--results", "runs/results")[0] == 0
    assert (clone / "runs/breast_lesion@bus-bra-subset.md").is_file()


def test_what_own_runs_do_not_have_is_read_from_the_board(clone: Path, command: Command) -> None:
    status, told = command("compare", "pixels", "texture", "-t", "breast_lesion@bus-bra-subset")
    assert status == 0
    assert "Results of leaderboards/results." in told
    own = result_file(Path("breast_lesion@bus-bra-subset/pixels"))
    save(DEFAULT_RESULTS, load(own))
    assert readable(None, "breast_lesion", ["pixels"]) == DEFAULT_RESULTS
    assert readable(None, "breast_lesion", ["pixels", "texture"]) == BOARD_RESULTS
    assert readable(None, "breast_lesion", ["nobody"]) == DEFAULT_RESULTS
    assert readable(Path("elsewhere"), "breast_lesion") == Path("elsewhere")
    with pytest.raises(ResultError, match="no such result file, nor one of board and encoder in runs/results or"):
        result_file(Path("breast_lesion/nobody"))


def test_entering_the_board_is_a_step_of_its_own(clone: Path, command: Command) -> None:
    source = BOARD_RESULTS / "breast_lesion@bus-bra-subset/pixels.json"
    save(DEFAULT_RESULTS, load(source))
    source.unlink()
    status, told = command("results", "add", "breast_lesion@bus-bra-subset/pixels")
    assert status == 0
    assert source.is_file()
    assert source.as_posix() in told
    damaged = DEFAULT_RESULTS / "breast_lesion@bus-bra-subset/pixels.json"
    damaged.write_text(damaged.read_text().replace("bus-bra", "bus-bro"))
    source.unlink()
    status, told = command("results", "add", str(damaged))
    assert status == 2
    assert "Nothing was entered" in told
    assert not source.exists()


def test_simulated_images_never_enter(clone: Path, command: Command, make_result: Callable[..., Result]) -> None:
    result = make_result("tusa", "eye_hemorrhage", synthetic=True, provision="phantom", dataset="phantom-eye")
    with pytest.raises(ResultError, match="simulated images never enter one"):
        enter(BOARD_RESULTS, result)
    with pytest.raises(ResultError, match="simulated images never enter one"):
        save(BOARD_RESULTS, result)
    file = save(DEFAULT_RESULTS, result)
    status, told = command("results", "add", str(file))
    assert status == 2
    assert "simulated images never enter one" in told
    # Refused before anything is simulated at length, encoded or trained.
    for more in ((), ("--jobs", "2")):
        status, told = command(
            "run", "-e", "pixels", "-t", "liver_steatosis", "--data", "phantom", "--results", str(BOARD_RESULTS), *more
        )
        assert status == 2
        assert "simulated images never enter one" in told
    assert not list(BOARD_RESULTS.glob("liver_steatosis*"))


def test_notes_beside_rendered_pages_are_kept(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# Mine\n")
    (tmp_path / "old.md").write_text("<!-- Generated by `usbench leaderboard` from the result files: ... -->\n")
    write_pages({"README.md": "new\n"}, tmp_path)
    assert files(tmp_path) == ["README.md", "notes.md"]
