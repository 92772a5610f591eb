import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from usbench.leaderboard import gather, render
from usbench.leaderboard.board import Board
from usbench.leaderboard.markdown.table import table
from usbench.leaderboard.published_values import load_reported
from usbench.results.schema import Result, save

MakeResult = Callable[..., Result]
REPORTED = Path(__file__).resolve().parents[2] / "leaderboards" / "reported"


@pytest.fixture(scope="module")
def pages(session_board: Path) -> dict[str, str]:
    return render(session_board / "results", REPORTED)


def rows(page: str, heading: str) -> dict[str, list[str]]:
    """First table after a heading: first cell without emphasis to all cells."""
    text = page.split(heading, 1)[1]
    lines = [line for line in text.split("\n## ")[0].splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {row[0].strip("| *—"): [c.strip("| ") for c in row] for row in cells}


def test_every_bundled_task_has_a_page_even_when_nobody_ran_it(pages: dict[str, str]) -> None:
    assert "Not yet reproduced" in pages["eye_hemorrhage.md"]
    assert "95.8" in pages["eye_hemorrhage.md"]


def test_rows_carry_value_interval_difference_and_p(pages: dict[str, str], session_board: Path) -> None:
    board = next(b for b in gather(session_board / "results", REPORTED) if b.name == "covid")
    entry = next(e for e in board.entries if e.name == "usfm")
    estimate = entry.estimate("svc-nested@1", "fold_auc")
    row = rows(pages["covid.md"], "(`svc-nested@1`)")["USFM"]
    assert row[1].strip("*") == f"{estimate.value:.3f}"
    assert row[2] == f"{estimate.low:.3f} to {estimate.high:.3f}"
    difference = board.standing().differences["usfm"]
    floor = next(e for e in board.entries if e.name == board.standing().best_floor)
    assert estimate.value is not None
    assert difference.value == pytest.approx(
        estimate.value - (floor.estimate("svc-nested@1", "fold_auc").value or 0), abs=1e-5
    )
    assert row[3] == f"{difference.value:+.3f}"


def test_floors_stand_in_italics_below_the_rule_and_encoders_above(pages: dict[str, str]) -> None:
    lines = [line for line in pages["covid.md"].splitlines() if line.startswith("|")]
    rule = next(i for i, line in enumerate(lines) if "baselines" in line)
    assert any("USFM" in line for line in lines[:rule])
    below = lines[rule + 1 : rule + 5]
    assert all(line.startswith(("| *", "| **")) for line in below)


def test_simulated_results_enter_no_real_table(pages: dict[str, str]) -> None:
    simulated = pages["eye_hemorrhage@phantom-eye.md"]
    assert "Simulated images, not patients" in simulated
    measured = pages["README.md"].split("## Measured")[1].split("## Simulated")[0]
    assert "phantom" not in measured
    assert "Not yet reproduced" in pages["eye_hemorrhage.md"]


def test_tasks_without_a_result_are_folded_away_below_the_others(pages: dict[str, str]) -> None:
    tasks = pages["README.md"].split("## Tasks")[1].split("\n## ")[0]
    shown, folded = tasks.split("<details>")
    assert "(covid.md)" in shown
    assert "(spinal_hematoma.md)" not in shown
    assert re.search(r"<summary>\d+ tasks without a result</summary>\n\n", folded)
    assert re.search(r"\(spinal_hematoma\.md\) +\| `spinal-cord-injury` +\| on the page ", folded)
    assert folded.endswith("</details>\n")


def test_the_subset_has_a_page_of_its_own(pages: dict[str, str]) -> None:
    assert "breast_lesion@bus-bra-subset.md" in pages
    assert "Not yet reproduced" in pages["breast_lesion.md"]
    assert "--data subset" in pages["breast_lesion@bus-bra-subset.md"]


def test_reported_values_are_never_among_measured_ones(pages: dict[str, str]) -> None:
    measured, reported = pages["covid.md"].split("## Reported in the paper, not measured here")
    assert "75.1" in reported.split("## ")[0]
    assert "(reported)" not in measured


def test_leakage_is_flagged(pages: dict[str, str]) -> None:
    page = pages["breast_lesion@bus-bra-subset.md"]
    assert rows(page, "## Encoders")["TUSA ⚠"][1] == "⚠ overlap"
    named = [line for line in page.splitlines() if re.match(r"\| \**TUSA\** ", line)]
    assert len(named) >= 3
    assert all("TUSA** ⚠ " in line or "TUSA ⚠ " in line for line in named)  # in every table in which it stands
    assert "⚠: pre-trained on the data it is tested on." in page
    assert "Made-up detail of tusa." in page
    assert "⚠" in pages["README.md"].split("| TUSA ")[1].splitlines()[0]


def test_rendering_twice_gives_equal_bytes(pages: dict[str, str], session_board: Path) -> None:
    assert render(session_board / "results", REPORTED) == pages


def test_tied_encoders_share_the_bold_and_worse_ones_do_not(tmp_path: Path, make_result: MakeResult) -> None:
    results = tmp_path / "results"
    save(results, make_result("a", signal=2.0, seed=1, n=120))
    save(results, make_result("b", signal=2.0, seed=2, n=120))
    save(results, make_result("weak", signal=0.0, seed=3, n=120))
    board = next(b for b in gather(results) if b.name == "covid")
    assert board.standing().leaders == {"a", "b"}
    page = render(results, REPORTED)["covid.md"]
    assert "| **A**" in page
    assert "| **B**" in page
    assert "| Weak " in page


def test_who_is_shown_to_be_worse_than_the_best_floor_is_never_bold(
    tmp_path: Path, make_result: MakeResult, committed_boards: list[Board]
) -> None:
    save(tmp_path, make_result("a", signal=2.0, seed=1, n=120))
    save(tmp_path, make_result("b", signal=2.0, seed=2, n=120))
    save(tmp_path, make_result("weak", signal=0.0, seed=3, n=120))
    comparator = gather(tmp_path, tasks=())[0].standing().comparator
    assert comparator.leaders() == {"a", "b"}
    # The committed boards hold what this is about: tests against baselines and against the best, of unequal strength.
    for board in committed_boards:
        standing = board.standing()
        for name, found in standing.differences.items():
            better = board.column(standing.metric or "").better
            assert found.p_adjusted >= 0.05 or better(found.value, 0.0) or name not in standing.leaders


def test_nothing_is_bold_where_the_test_tells_nobody_apart(tmp_path: Path, make_result: MakeResult) -> None:
    results = tmp_path / "results"
    for i, name in enumerate(("a", "b", "c")):
        save(results, make_result(name, signal=0.0, seed=i, n=40))
    page = render(results, REPORTED)["covid.md"]
    table_lines = [line for line in page.splitlines() if line.startswith("|")]
    assert not any("**" in line for line in table_lines)
    assert "No encoder is shown to beat the best baseline" in page


def test_results_on_other_units_are_left_out_of_the_tests(tmp_path: Path, make_result: MakeResult) -> None:
    results = tmp_path / "results"
    save(results, make_result("a", seed=1))
    save(results, make_result("b", seed=2))
    save(results, make_result("odd", seed=3, n=50))
    board = next(b for b in gather(results) if b.name == "covid")
    assert "odd" not in board.standing().differences
    assert "left out of the tests: Odd" in render(results, REPORTED)["covid.md"]


def test_every_reported_cell_of_the_two_tables_is_there() -> None:
    reported = load_reported(REPORTED)
    assert {key: len(item.rows) for key, item in reported.items()} == {
        "covid": 4,
        "ejection_fraction": 3,
        "eye_hemorrhage": 4,
        "liver_steatosis": 4,
        "oxygen_saturation": 4,
        "spinal_hematoma": 4,
    }
    cells = [cell for item in reported.values() for row in item.rows for cell in row.metrics.values()]
    assert len(cells) == 3 * 4 * 5 + (4 + 3 + 4) * 3
    assert sum(cell.sd is not None for cell in cells) == 33
    for cell in cells:
        printed = float(cell.printed.split(" ")[0])
        assert cell.value == pytest.approx(printed if cell.sd is not None else printed / 100)


def test_tables_are_padded_and_bars_escaped() -> None:
    text = table(["a", "b"], ["left", "right"], [["x|y", "1.0"], ["long name", "10.0"]])
    assert len({len(line.replace("\\|", "\\|")) for line in text.splitlines()}) == 1
    assert "x\\|y" in text
    with pytest.raises(ValueError, match="one cell per column"):
        table(["a"], ["left"], [["1", "2"]])


def test_a_page_says_which_rows_come_from_a_gpu_where_devices_are_mixed(session_board: Path) -> None:
    board = next(b for b in gather(session_board / "results") if b.entries and not b.synthetic)
    assert not any("kinds of device" in note for note in board.notes)
    entry = next(e for e in board.entries if e.result.encoder["parameters"] != 0)
    machine = {**entry.result.provenance["machine"], "device": "cuda:1"}
    moved = replace(entry.result, provenance={**entry.result.provenance, "machine": machine})
    mixed = replace(board, entries=[replace(e, result=moved) if e is entry else e for e in board.entries])
    (note,) = (note for note in mixed.notes if "kinds of device" in note)
    assert f"CUDA: {entry.title})" in note
    assert "CPU: " in note
    # A generic network has a colon in its name as well; vectors from a file were encoded who knows where.
    for name, told in (("timm:resnet18", True), ("precomputed:vectors", False)):
        called = replace(moved, encoder={**moved.encoder, "name": name})
        other = replace(board, entries=[replace(e, result=called) if e is entry else e for e in board.entries])
        assert any("CUDA: " in note for note in other.notes) == told
