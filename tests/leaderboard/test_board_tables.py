"""Tables as data: each is built once, and both forms of the pages show what it holds."""

import html
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from usbench.leaderboard import gather
from usbench.leaderboard.board import Board
from usbench.leaderboard.bundled import bundled_encoders
from usbench.leaderboard.html.templating import environment
from usbench.leaderboard.markdown.diagnostics import write_section
from usbench.leaderboard.markdown.table import with_footnotes, write
from usbench.leaderboard.ranking import rank
from usbench.leaderboard.tables import diagnostics, overview, task_page
from usbench.leaderboard.tables.model import Bullets, Cell, Heading, Link, Paragraph, Row, Section, Span, Table

LEADERBOARDS = Path(__file__).resolve().parents[2] / "leaderboards"
TEMPLATE = '{% import "macros.html" as ui %}'


def as_html(table: Table) -> str:
    return environment().from_string(TEMPLATE + "{{ ui.table(table, '') }}").render(table=table)


def section_as_html(section: Section) -> str:
    return environment().from_string(TEMPLATE + "{{ ui.section(section, '') }}").render(section=section)


@pytest.fixture(scope="module")
def every_table(committed_boards: list[Board], session_board: Path) -> Sequence[Table]:
    known, made = bundled_encoders(), gather(session_board / "results", LEADERBOARDS / "reported")
    found: list[Table | None] = []
    for group in (committed_boards, made):
        filled = [board for board in group if board.entries]
        found += [overview.matrix(filled, known), overview.ranking(rank(group)), overview.tasks(group)]
        found += [overview.reported(group), overview.unmeasured_table(group, known)]
        found += [task_page.reported(board) for board in group]
        for board in filled:
            found += [task_page.scores(board, name, i == 0) for i, name in enumerate(board.protocols)]
            found += [task_page.encoders(board)]
            found += [block for s in diagnostics.sections(board) for block in s.blocks if isinstance(block, Table)]
    tables = [table for table in found if table is not None]
    assert len(tables) > 50
    return tables


def test_both_forms_show_every_text_of_every_table(every_table: Sequence[Table]) -> None:
    cells = 0
    for table in every_table:
        markdown = write(table).replace("\\|", "|")
        page = html.unescape(re.sub(r"<[^>]+>", "", as_html(table)))
        for heading, column in zip(table.headings, zip(*(row.cells for row in table.rows), strict=True), strict=True):
            for form, text in (("markdown", markdown), ("html", page)):
                if heading.only in ("", form):
                    assert heading.label in text
                    assert all(" ".join(cell.text.split()) in " ".join(text.split()) for cell in column)
                    cells += len(column)
    assert cells > 2000


def test_numbers_are_sorted_by_the_value_behind_the_text(every_table: Sequence[Table]) -> None:
    for table in every_table:
        for row in table.rows:
            for heading, cell in zip(table.headings, row.cells, strict=True):
                if heading.numeric and cell.value is not None:
                    assert float(cell.sort) == pytest.approx(float(cell.value), rel=1e-8)


def test_a_row_needs_a_cell_per_column() -> None:
    with pytest.raises(ValueError, match="table t: 2 cells for 1 columns"):
        Table("t", "", [Heading("a", "A")], [Row([Cell("1"), Cell("2")])])


def toy(interval: str) -> Table:
    headings = [Heading("name", "Name"), Heading("auc", "AUC ↑", numeric=True, interval=interval)]
    best = [Cell("A|B", link=Link("encoder", "a"), bold=True), Cell("0.81", 0.8123, "0.70 to 0.90", bold=True)]
    floor = [Cell("Zero", italic=True), Cell("–", note="never run")]
    return Table("t", "Toy", headings, [Row(best), Row(floor, floor=True)])


@pytest.mark.parametrize(
    ("interval", "line"),
    [
        ("", "| **A\\|B** | **0.81** |"),
        ("brackets", "| **A\\|B** | **0.81** (0.70 to 0.90) |"),
        ("small", "| **A\\|B** | **0.81** <sub>0.70 to 0.90</sub> |"),
        ("Interval", "| **A\\|B** | **0.81** | 0.70 to 0.90 |"),
    ],
)
def test_markdown_places_the_interval_as_its_heading_says(interval: str, line: str) -> None:
    lines = [re.sub(" +", " ", text) for text in write(toy(interval)).splitlines()]
    assert lines[2] == line
    assert lines[3].startswith("| ——— *baselines* ———")
    assert lines[4].startswith("| *Zero* | –")
    assert "<small>0.70 to 0.90</small>" in as_html(toy(interval))


def test_the_site_links_names_and_sorts_by_value() -> None:
    page = as_html(toy(""))
    assert '<th scope="row" data-sort=""><a href="encoders/a.html"><strong>A|B</strong></a></th>' in page
    assert '<td class="number" data-sort="0.8123"><strong>0.81</strong>' in page
    assert '<tr class="rule"><th scope="rowgroup" colspan="2">Baselines</th></tr>' in page
    assert 'title="never run"' in page


def test_an_empty_cell_with_a_reason_gets_a_footnote() -> None:
    marked, notes = with_footnotes(toy(""))
    assert notes == {"–a": "never run"}
    assert marked.rows[1].cells[1].text == "–a"


def test_a_column_for_one_form_stays_out_of_the_other() -> None:
    headings = [
        Heading("a", "Here"),
        Heading("b", "Page only", only="markdown"),
        Heading("c", "Site only", only="html"),
    ]
    table = Table("t", "", headings, [Row([Cell("1"), Cell("2"), Cell("3")])])
    assert [heading.label for heading in table.form("markdown").headings] == ["Here", "Page only"]
    assert "Page only" in write(table)
    assert "Site only" not in write(table)
    assert "Site only" in as_html(table)
    assert "Page only" not in as_html(table)


def test_words_are_escaped_on_the_site_and_keep_their_type() -> None:
    line = Paragraph.of("a <b> & ", Span("x*y", "code"), " ", Span("drift", "emphasis"), ".")
    section = Section("k", "Title", [line, Bullets([Paragraph.of("one|two")])])
    assert write_section(section) == "## Title\n\na <b> & `x*y` *drift*.\n\n- one|two\n"
    page = section_as_html(section)
    assert "<p>a &lt;b&gt; &amp; <code>x*y</code> <em>drift</em>.</p>" in page
    assert "<li>one|two</li>" in page
    assert '<section aria-labelledby="h-k">' in page
