from pathlib import Path

import pytest

from usbench.cli import main
from usbench.errors import UnknownNameError
from usbench.leaderboard import gather
from usbench.leaderboard.pairwise import compare_pair


def test_the_page_and_the_command_give_the_same_difference(session_board: Path) -> None:
    results = session_board / "results"
    board = next(b for b in gather(results, tasks=()) if b.name == "covid")
    floor = board.standing().best_floor
    assert floor is not None
    row = compare_pair(results, "usfm", floor, "covid").rows[0]
    page = board.standing().differences["usfm"]
    assert row.difference is not None
    assert (row.difference.value, row.difference.low, row.difference.p) == (page.value, page.low, page.p)


def test_interval_and_p_agree_and_swapping_changes_the_sign(session_board: Path) -> None:
    results = session_board / "results"
    there = compare_pair(results, "tusa", "medsam", "covid")
    back = compare_pair(results, "medsam", "tusa", "covid")
    for a, b in zip(there.rows, back.rows, strict=True):
        assert a.difference is not None
        assert b.difference is not None
        assert a.difference.value == pytest.approx(-b.difference.value)
        assert a.difference.p == pytest.approx(b.difference.p)
        assert a.difference.low <= a.difference.value <= a.difference.high
    assert there.sentence.startswith("TUSA is better than MedSAM by 0.")
    assert back.sentence.startswith("TUSA is better than MedSAM by 0.")


def test_lower_errors_win(session_board: Path) -> None:
    assert compare_pair(session_board / "results", "medsam", "tusa", "saturation").sentence.startswith(
        "TUSA is better than MedSAM ⚠? by"
    )


def test_a_difference_that_is_not_shown_is_called_so(session_board: Path) -> None:
    pair = compare_pair(session_board / "results", "pixels", "texture", "covid")
    assert pair.sentence.startswith("No difference in AUC within folds is shown between Pixels 16x16 and Texture")


def test_a_task_stands_for_its_only_board(session_board: Path) -> None:
    pair = compare_pair(session_board / "results", "tusa", "usfm", "breast_lesion")
    assert pair.board.name == "breast_lesion@bus-bra-subset"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tusa", "usfn", "covid"), "Did you mean 'usfm'"),
        (("tusa", "usfm", "covit"), "Did you mean 'covid'"),
        (("tusa", "usfm", "covid", "svc@9"), "svc-nested@1"),
        (("tusa", "usfm", "covid", None, ["acuracy"]), "Did you mean 'accuracy'"),
    ],
)
def test_wrong_names_are_one_line_that_helps(session_board: Path, arguments: tuple[str, ...], told: str) -> None:
    with pytest.raises(UnknownNameError, match=told):
        compare_pair(session_board / "results", *arguments)


def test_the_command_prints_table_and_sentence(session_board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "tusa", "medsam", "--task", "covid", "--results", str(session_board / "results")])
    told = " ".join(capsys.readouterr().out.split())
    assert "TUSA is better than MedSAM by 0." in told
    assert "DeLong" in told
