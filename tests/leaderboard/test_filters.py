"""What the site can be filtered by, how cells are shaded, and what is missing."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from usbench.leaderboard.board import Entry, gather
from usbench.leaderboard.bundled import bundled_encoders
from usbench.leaderboard.facets import facets, licence_class, size_class
from usbench.leaderboard.html import render_site, write_site
from usbench.leaderboard.tables import overview
from usbench.leaderboard.tables.coverage import MEASURED, TO_RUN, coverage
from usbench.leaderboard.tables.model import Cell, Heading, Row, Table
from usbench.plugins.catalog import ENCODERS
from usbench.results.schema import Result

MakeResult = Callable[..., Result]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Apache-2.0", "open"),
        ("MIT (code and weights)", "open"),
        ("code of the authors: not stated; this implementation: Apache-2.0", "open"),
        ("AGPL-3.0", "open"),
        ("CC BY-SA 4.0", "open"),
        ("Apache-2.0 (code); weights: no separate statement", "not stated"),
        ("that of the package; trained from weights under MIT (SSCD) and Apache-2.0 (timm)", "not stated"),
        ("not stated for the weights", "not stated"),
        ("the owner's", "not stated"),
        ("", "not stated"),
        ("AGPL-3.0 (code); CC BY-NC-SA 4.0 (weights)", "restricted"),
        ("academic software licence of Cedars-Sinai", "restricted"),
        ("MIT; CC BY-NC 4.0", "restricted"),  # of two parts of one encoder, the least open one
    ],
)
def test_a_licence_is_as_open_as_that_of_the_weights(text: str, expected: str) -> None:
    assert licence_class(text) == expected


def test_sizes() -> None:
    sizes = [None, 0, 9_999_999, 10_000_000, 99_000_000, 100_000_000]
    assert [size_class(n) for n in sizes] == [
        "not stated",
        "under 10 M",
        "under 10 M",
        "10 to 100 M",
        "10 to 100 M",
        "over 100 M",
    ]


def test_facets_come_from_the_result_and_else_from_the_bundled_card(make_result: MakeResult) -> None:
    older = facets(Entry(make_result("sscd", leakage="unknown", licence="MIT"), "covid/sscd.json"))
    assert older == {
        "leakage": "unknown",
        "licence": "open",
        "size": "under 10 M",
        "year": "2022",
        "training": "self-supervised",
        "modality": "photographs",
    }
    stated = make_result("mine", year=2024, pretraining_kind="supervised", pretraining_modality="ultrasound")
    assert {key: facets(Entry(stated, "x"))[key] for key in ("year", "training", "modality")} == {
        "year": "2024",
        "training": "supervised",
        "modality": "ultrasound",
    }
    assert facets(Entry(make_result("mine"), "x"))["year"] == "not stated"


def test_cards_of_bundled_encoders_say_how_they_were_trained() -> None:
    for name in ENCODERS.bundled():
        card = ENCODERS.get(name).value.card
        assert card.pretraining_modality, name
        assert (card.pretraining_note == "No training.") == (card.pretraining_kind == "none"), name
        if card.year is not None and card.floor is False:
            assert str(card.year) in card.citation, name


def test_shades_rise_to_the_best_and_floors_below_are_white() -> None:
    headings = [Heading("encoder", "Encoder"), Heading("error", "MAE ↓", numeric=True, ascending=True, shaded=True)]
    values = [("a", 2.0, False), ("b", 3.0, False), ("c", 2.5, False), ("floor", 9.0, True), ("none", None, True)]
    table = Table("t", "T", headings, [Row([Cell(n), Cell(str(v), v)], floor) for n, v, floor in values])
    assert [table.share(1, row.cells[1]) for row in table.rows] == [1.0, 0.0, 0.5, 0.0, None]
    assert table.share(0, table.rows[0].cells[0]) is None


def test_the_overview_is_sorted_by_score_within_its_groups(session_board: Path) -> None:
    boards = [b for b in gather(session_board / "results") if b.entries and not b.synthetic]
    table = overview.matrix(boards, ())
    assert table is not None
    assert [row.cells[0].text for row in table.upper] == ["TUSA", "USFM", "MedSAM"]
    assert table.lower[0].cells[0].text == "TUSA, untrained"
    assert "Title of saturation" in [heading.label for heading in table.headings]


def test_what_is_missing_tells_measured_from_to_run_and_weights(session_board: Path) -> None:
    boards = [b for b in gather(session_board / "results") if not b.synthetic]
    table = coverage(boards, bundled_encoders())
    cells = {row.cells[0].text: dict(zip(table.headings, row.cells, strict=True)) for row in table.rows}
    column = {heading.key: heading for heading in table.headings}
    assert cells["TUSA"][column["covid"]].text == MEASURED
    assert cells["TUSA"][column["camus_view"]].note == "its weights are for you to get"
    assert cells["Texture"][column["camus_view"]].text == TO_RUN
    assert cells["USF-MAE (ViT-B)"][column["count"]].value == 0
    assert column["camus_view"].small == "not run yet"
    assert not any(title.endswith("(ViT-B), untrained") for title in cells)


def test_rows_and_cells_carry_what_they_are_filtered_by(session_board: Path) -> None:
    pages = render_site(session_board / "results")
    row = re.search(r"<tr([^>]*)>\s*<th[^>]*><a href=\"encoders/medsam.html\"", pages["index.html"])
    assert row is not None
    assert 'data-modality="several modalities"' in row[1]
    assert 'data-year="2024"' in row[1]
    assert len(re.findall(r'<td[^>]*data-leakage="overlap"', pages["index.html"])) == 1
    assert len(pages["index.html"].encode()) < 300_000


# In a browser ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def site(session_board: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(session_board / "results", folder)
    return folder


SCRIPT = """
const sheet = document.querySelector("[data-sheet=measured]");
const choose = (label, value) => {
  const held = [...sheet.querySelectorAll("label")].find((l) => l.textContent.startsWith(label));
  const select = held.querySelector("select");
  select.value = value === null ? "" : [...select.options].find((o) => o.textContent === value).value;
  select.dispatchEvent(new Event("change"));
};
const rows = () => [...sheet.querySelectorAll("tbody tr:not(.rule)")].filter((row) => !row.hidden);
const names = () => rows().map((row) => row.cells[0].innerText);
const veiled = () => sheet.querySelectorAll("td.veiled").length;
const found = {};
choose("Suite", "clean only"); found.clean = [names(), veiled()];
choose("Pre-trained on", "ultrasound"); found.own = names();
choose("Suite", "all encoders"); found.all = [names().length, veiled()];
choose("Pre-trained on", "several modalities"); choose("Pre-training", "self-supervised");
const nothing = sheet.querySelector(".nothing");
found.none = [names(), nothing.hidden];
nothing.querySelector("button").click();
found.cleared = [names().length, nothing.hidden];
return found;
"""


@pytest.mark.slow
def test_filters_suites_and_the_message_when_nothing_is_left(site: Path, browser: Any) -> None:
    browser.get((site / "index.html").as_uri())
    found = browser.execute_script(SCRIPT)
    assert found["clean"][1] == 2  # TUSA's cell with overlap and MedSAM's unknown one; their other cells stay
    assert set(found["clean"][0]) >= {"TUSA", "USFM", "MedSAM", "Texture"}
    assert found["own"][:2] == ["TUSA", "USFM"]
    assert "MedSAM" not in found["own"]
    assert found["all"] == [7, 0]
    assert not {"TUSA", "USFM", "MedSAM"} & set(found["none"][0])
    assert found["none"][1] is False
    assert found["cleared"] == [7, True]
