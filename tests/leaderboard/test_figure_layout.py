"""Figures fit the page they stand on: nothing overlaps, nothing is cut, and both themes have every colour."""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from usbench.leaderboard import Board, gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.figures.forest import NARROW, forest
from usbench.leaderboard.figures.heatmap import heatmap, short
from usbench.leaderboard.figures.overview import overview_figures
from usbench.leaderboard.figures.panels import Key, Panels
from usbench.leaderboard.figures.pareto import pareto
from usbench.leaderboard.figures.ranking import ranking
from usbench.leaderboard.figures.svg import CLASS_COLOURS, Drawing, text_width, wrapped
from usbench.leaderboard.html import write_site
from usbench.leaderboard.html.templating import style
from usbench.leaderboard.rank_groups import groups
from usbench.leaderboard.ranking import rank
from usbench.leaderboard.tables import overview
from usbench.results.schema import Result, save

MakeResult = Callable[..., Result]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def boards(session_board: Path) -> dict[str, Board]:
    return {board.name: board for board in gather(session_board / "results", tasks=())}


def spans(drawing: Drawing) -> list[tuple[float, float, float]]:
    """Line, left and right end of every horizontal text, in pixels."""
    found = []
    for text in ElementTree.fromstring(drawing.render()).iter(f"{SVG}text"):
        if text.get("transform"):
            continue
        classes = (text.get("class") or "").split()
        size = 9 if "xs" in classes else 11 if "s" in classes else 15 if "h" in classes else 13
        width, x = 0.92 * text_width(text.text or "", size), float(text.get("x", "0"))
        left = {"middle": x - width / 2, "end": x - width}.get(text.get("text-anchor", ""), x)
        found.append((float(text.get("y", "0")), left, left + width))
    return found


def overlapping(drawing: Drawing) -> int:
    texts = spans(drawing)
    return sum(
        abs(a[0] - b[0]) < 8 and a[1] < b[2] - 1 and b[1] < a[2] - 1 for i, a in enumerate(texts) for b in texts[:i]
    )


def test_no_words_of_a_forest_plot_overlap_on_screen_or_phone(boards: dict[str, Board]) -> None:
    long = "All images by organ group, a very long title of a dataset that goes on and on and on and on and on"
    for board in boards.values():
        entries = [
            replace(e, result=replace(e.result, dataset={**e.result.dataset, "title": long})) for e in board.entries
        ]
        for narrow in (False, True):
            drawing = forest(replace(board, entries=entries), narrow)
            assert drawing is not None
            assert overlapping(drawing) == 0, (board.name, narrow)
            assert all(left >= -1 and right <= drawing.width + 1 for _, left, right in spans(drawing))
            assert not narrow or drawing.width == NARROW


def test_both_drawings_have_the_same_numbers(boards: dict[str, Board]) -> None:
    for figure in figures_of(boards["covid"]):
        if figure.narrow is not None:
            marks = [re.findall(r"<title>([^<]+, [^<]+)</title>", d.render()) for d in (figure.drawing, figure.narrow)]
            assert marks[0] == marks[1]
            assert len(marks[0]) > 2


def test_text_is_wrapped_at_words() -> None:
    lines = wrapped("one two three four five six seven", 90, 11)
    assert " ".join(lines) == "one two three four five six seven"
    assert len(lines) > 2
    assert all(text_width(line, 11) <= 90 for line in lines)
    assert wrapped("unbreakableunbreakableunbreakable", 20) == ["unbreakableunbreakableunbreakable"]


def test_a_chart_of_compute_needs_three_points_of_unlike_cost(tmp_path: Path, make_result: MakeResult) -> None:
    def drawn(*costs: float) -> Drawing | None:
        folder = tmp_path / "-".join(map(str, costs))
        for i, cost in enumerate(costs):
            save(folder, make_result(f"e{i}", signal=1 + i, seed=i, gflops=cost, n=40))
        return pareto(gather(folder, tasks=())[0])

    assert drawn(1.0, 2.0) is None
    assert drawn(1.0, 1.0, 1.0) is None
    assert drawn(1.0, 2.0, 30.0) is not None


def test_panels_flow_in_a_page_and_stand_side_by_side_in_a_file() -> None:
    panels = []
    for i in range(5):
        panel = Drawing(100, 80, f"panel {i}", "d")
        panel.dots([(10, 10 + i)], "k1", "a")
        panels.append(panel)
    figure = Panels("T", "D", "Heading", "a subtitle", panels, 3, [Key("a", "k1"), Key("b", "e l", "line")])
    page = figure.render(standalone=False)
    assert page.count('<svg class="figure" role="img"') == 5
    assert re.findall(r"<li><svg[^>]*>(<\w+ class=\"[^\"]+\")", page) == [
        '<circle class="spot k1"',
        '<line class="e l"',
    ]
    root = ElementTree.fromstring(figure.render())
    places = [g.get("transform") for g in root.iter(f"{SVG}g")]
    assert len({place.split()[0] for place in places if place}) == 3  # columns
    assert len({place.split()[1] for place in places if place}) == 2  # rows
    assert [path.get("d") for path in root.iter(f"{SVG}path")] == [f"M10 {10 + i}h0" for i in range(5)]
    assert float(root.get("width", 0)) == figure.width


def test_every_colour_has_a_light_and_a_dark_form() -> None:
    file, page = Drawing(1, 1, "", "").render(), style()
    for i in set(range(CLASS_COLOURS)) - {6}:  # that one is the colour of the text
        for text, times in ((file, 2), (page, 3)):
            found = re.findall(rf"--c{i}: ?(#[0-9a-f]{{6}})", text)
            assert len(found) == times
            assert len(set(found)) == 2
        assert f".k{i}{{stroke:var(--c{i});color:var(--c{i})}}" in file


def test_bars_join_neighbours_that_resamples_do_not_separate() -> None:
    rng = np.random.default_rng(0)
    means = np.array([1.0, 1.2, 3.0, 4.0])
    draws = means + rng.normal(0, [0.2, 0.2, 0.01, 0.6], (500, 4))
    assert groups(means, draws, 0.95) == [(0, 1), (2, 3)]
    assert groups(means, means + rng.normal(0, 5, (500, 4)), 0.95) == [(0, 3)]
    assert groups(means, np.tile(means, (500, 1)), 0.95) == []
    assert groups(np.array([1.0, 1.0, 3.0]), np.tile([1.0, 1.0, 3.0], (9, 1)), 0.95) == [(0, 1)]


def test_the_ranking_is_drawn_with_the_bars_it_has(boards: dict[str, Board]) -> None:
    found = rank([board for board in boards.values() if not board.synthetic])
    assert found is not None
    names = [row.name for row in found.rows]
    for group in found.groups:
        first = names.index(group[0])
        assert list(group) == names[first : first + len(group)]
    for narrow in (False, True):
        drawing = ranking(found, narrow)
        root = ElementTree.fromstring(drawing.render())
        assert len([line for line in root.iter(f"{SVG}line") if line.get("class") == "bar"]) == len(found.groups)
        assert overlapping(drawing) == 0
    (line, *_), *_ = [figure.csv.splitlines()[1:] for figure in overview_figures(list(boards.values()), found)]
    assert line.startswith(names[0])


def test_the_heat_map_shades_as_the_table_does_and_cuts_no_title(boards: dict[str, Board]) -> None:
    table = overview.matrix([board for board in boards.values() if not board.synthetic], ())
    assert table is not None
    for narrow in (False, True):
        drawing = heatmap(table, narrow)
        root = ElementTree.fromstring(drawing.render())
        shades = {float(cell.get("fill-opacity", 0)) for cell in root.iter(f"{SVG}rect") if cell.get("class") == "cell"}
        assert max(shades) == 0.5
        words = " ".join(text.text or "" for text in root.iter(f"{SVG}text"))
        assert all(heading.label in words for heading in table.headings[1:])
        assert all(row.cells[0].text in words for row in table.rows)
        assert overlapping(drawing) == 0
    assert [short(text) for text in ("0.799", "96.4", "3.96", "−0.12", "–", "0.999")] == [
        ".80",
        "96",
        "4.0",
        "−.12",
        "–",
        "1.00",
    ]


@pytest.mark.slow
def test_figures_fit_a_phone(session_board: Path, tmp_path: Path, browser: Any) -> None:
    write_site(session_board / "results", tmp_path)
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    )
    for page in ("index.html", "boards/covid.html", "boards/saturation.html"):
        browser.get((tmp_path / page).as_uri())
        wide = browser.execute_script(
            "return [...document.querySelectorAll('figure .scroll')]"
            ".filter((box) => box.scrollWidth > box.clientWidth).length"
        )
        count = browser.execute_script("return document.querySelectorAll('figure .scroll').length")
        assert wide == 0, page
        assert count > 0
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
