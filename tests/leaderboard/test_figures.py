import csv
import io
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from usbench.leaderboard import Board, find_drift, gather, render
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.figures.pareto import Point, frontier
from usbench.leaderboard.figures.svg import Drawing, nice_ticks
from usbench.leaderboard.number_format import column
from usbench.results.schema import Result, save

MakeResult = Callable[..., Result]


@pytest.fixture(scope="module")
def boards(session_board: Path) -> dict[str, Board]:
    return {board.name: board for board in gather(session_board / "results", tasks=())}


def test_every_figure_is_well_formed_and_named_for_screen_readers(boards: dict[str, Board]) -> None:
    names = set()
    for board in boards.values():
        for figure in figures_of(board):
            root = ElementTree.fromstring(figure.drawing.render())
            tags = [child.tag.rpartition("}")[2] for child in root]
            assert tags[:2] == ["title", "desc"]
            assert root.get("role") == "img"
            names.add(figure.name)
    assert {"covid-forest", "saturation-scatter", "eye_hemorrhage@phantom-eye-forest"} <= names


def test_the_csv_holds_the_numbers_of_the_results(boards: dict[str, Board]) -> None:
    board = boards["covid"]
    rows = list(csv.DictReader(io.StringIO(figures_of(board)[0].csv)))
    row = next(r for r in rows if r["encoder"] == "usfm" and r["protocol"] == "svc-nested@1")
    estimate = next(e for e in board.entries if e.name == "usfm").estimate("svc-nested@1", "fold_auc")
    assert (float(row["value"]), float(row["low"]), float(row["high"])) == pytest.approx(
        (estimate.value, estimate.low, estimate.high)
    )
    assert len(rows) == 2 * len(board.entries)


def test_marks_stand_where_their_values_are(boards: dict[str, Board]) -> None:
    root = ElementTree.fromstring(figures_of(boards["covid"])[0].drawing.render())
    space = "{http://www.w3.org/2000/svg}"
    filled = [c for c in root.iter(f"{space}circle") if c.get("class") == "e"]
    at = {c.find(f"{space}title").text.split(",")[0]: float(c.get("cx", "nan")) for c in filled}  # type: ignore[union-attr]
    entries = {e.title: e.estimate("svc-nested@1", "fold_auc").value or 0 for e in boards["covid"].encoders}
    (a, xa), (b, xb), (c, xc) = at.items()
    slope = (xb - xa) / (entries[b] - entries[a])
    assert slope > 0
    assert xa + slope * (entries[c] - entries[a]) == pytest.approx(xc, abs=0.2)


def test_simulated_figures_say_so(boards: dict[str, Board]) -> None:
    for figure in figures_of(boards["eye_hemorrhage@phantom-eye"]):
        assert "SIMULATED IMAGES" in figure.drawing.render()


def test_names_from_results_cannot_inject_markup(tmp_path: Path, make_result: MakeResult) -> None:
    save(tmp_path, make_result("evil", title="<script>alert('x')</script> & co", seed=1))
    board = gather(tmp_path, tasks=())[0]
    for figure in figures_of(board):
        text = figure.drawing.render()
        assert "<script" not in text
        ElementTree.fromstring(text)


def test_an_edited_figure_is_drift(board_folder: Path) -> None:
    from usbench.leaderboard import write_pages

    pages = render(board_folder / "results", None)
    write_pages(pages, board_folder)
    figure = board_folder / "figures" / "covid-forest.svg"
    lines = figure.read_text("utf-8").split("\n")
    number = next(i for i, line in enumerate(lines) if "<circle" in line)
    lines[number] = lines[number].replace("cy=", "cy ='1' data-y=")
    figure.write_text("\n".join(lines), "utf-8")
    (drift,) = find_drift(pages, board_folder)
    assert (drift.path, drift.line) == (figure, number + 1)
    (board_folder / "figures" / "stray.svg").write_text("<svg/>", "utf-8")
    assert len(find_drift(pages, board_folder)) == 2


def test_the_frontier_holds_those_that_no_cheaper_one_matches(boards: dict[str, Board]) -> None:
    entry = boards["covid"].entries[0]
    points = [Point(entry, g, v) for g, v in ((1, 0.6), (2, 0.5), (3, 0.8), (3, 0.9), (9, 0.9))]
    assert [(p.gflops, p.value) for p in frontier(points, column("auc"))] == [(1, 0.6), (3, 0.9)]
    assert [(p.gflops, p.value) for p in frontier(points, column("mae"))] == [(1, 0.6), (2, 0.5)]


@pytest.mark.parametrize(("low", "high"), [(0.45, 0.97), (0, 1), (-3.2, 12.5), (0.5, 0.5), (1e-4, 2e-4), (95, 100)])
def test_ticks_cover_the_values_with_few_round_numbers(low: float, high: float) -> None:
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-12
    assert ticks[-1] >= high - 1e-12
    assert 2 <= len(ticks) <= 9


def test_coordinates_are_rounded_so_that_bytes_do_not_depend_on_the_machine() -> None:
    drawing = Drawing(10, 10, "a", "b")
    drawing.line(1 / 3, 2 / 3, -0.01, 5.0, "grid")
    assert 'x1="0.3" y1="0.7" x2="0" y2="5"' in drawing.render()
