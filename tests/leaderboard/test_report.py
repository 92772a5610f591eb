import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from usbench.errors import UnknownNameError, UsbenchError
from usbench.leaderboard import gather
from usbench.leaderboard.html.pdf import print_pdf
from usbench.leaderboard.html.report import render_report, summary_of, verdict_on
from usbench.leaderboard.subgroups import strata_of
from usbench.results.schema import Result, save
from usbench.results.subset import restrict

MakeResult = Callable[..., Result]


def test_the_report_covers_every_board_in_one_file(session_board: Path) -> None:
    text = render_report(session_board / "results", "tusa")
    for told in (
        "COVID-19: PCR positive or negative",
        "Title of saturation",
        "simulated images, not patients",
        "By group",
    ):
        assert told in text
    assert "It is shown to beat the best baseline, TUSA, untrained" in text
    assert "<script" not in text
    assert 'href="assets' not in text
    assert "Made-up detail of tusa." in text


def test_pictures_are_part_of_the_file_and_said_to_be_given(session_board: Path, tmp_path: Path) -> None:
    picture = tmp_path / "my_textures.png"
    picture.write_bytes(b"\x89PNG")
    text = render_report(session_board / "results", "tusa", pictures=[picture])
    assert 'src="data:image/png;base64,iVBORw=="' in text
    assert "My textures" in text
    assert "not computed from the results" in text
    assert "Pictures" not in render_report(session_board / "results", "tusa")
    with pytest.raises(UsbenchError, match="cannot be read"):
        render_report(session_board / "results", "tusa", pictures=[tmp_path / "none.png"])
    with pytest.raises(UsbenchError, match="pictures are taken as"):
        render_report(session_board / "results", "tusa", pictures=[tmp_path / "none.tiff"])


def test_an_unknown_encoder_is_told_what_there_is(session_board: Path) -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'tusa'"):
        render_report(session_board / "results", "tuza")


def test_a_verdict_claims_no_more_than_the_test(session_board: Path) -> None:
    board = next(b for b in gather(session_board / "results", tasks=()) if b.name.startswith("breast"))
    medsam = next(e for e in board.entries if e.name == "medsam")
    assert board.standing().differences["medsam"].p_adjusted > 0.05
    assert "not shown to differ from the best baseline" in verdict_on(board, medsam)


def test_strata_are_scored_on_their_own_units(tmp_path: Path, make_result: MakeResult) -> None:
    result = make_result("a", signal=2.0, repeats=1)
    # Group "bad" has its classes swapped in the predictions; "few" is too small to be scored.
    n = len(result.units.id)
    group = ["few"] * 3 + ["good"] * 27 + ["bad"] * (n - 30)
    result.units.strata["group"] = list(group)
    repeat = result.protocols["svc-nested@1"].repeats[0]
    for i in range(30, n):
        repeat.score[i] = -repeat.score[i]
    save(tmp_path, result)
    board = gather(tmp_path, tasks=())[0]
    entry = next(e for e in board.entries if e.name == "a")
    found = {s.value: s for s in strata_of(board, entry) if s.column == "group"}
    assert found["few"].estimate.value is None
    assert (found["few"].subjects, found["good"].subjects, found["bad"].subjects) == (3, 27, n - 30)
    good, bad = found["good"].estimate.value, found["bad"].estimate.value
    assert good is not None
    assert bad is not None
    assert good > 0.7
    assert bad < 0.3


def test_restricting_keeps_columns_aligned(make_result: MakeResult) -> None:
    result = make_result("a", repeats=2)
    few = restrict(result, [4, 0])
    assert few.units.id == [result.units.id[4], result.units.id[0]]
    assert few.protocols["svc-paper@1"].repeats[1].score[1] == result.protocols["svc-paper@1"].repeats[1].score[0]


def test_without_a_browser_the_message_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsbenchError, match="Write HTML instead"):
        print_pdf("<p>x</p>", tmp_path / "a.pdf")


@pytest.mark.slow
def test_a_pdf_is_printed_where_chromium_is_installed(session_board: Path, tmp_path: Path) -> None:
    if not shutil.which("chromium") and not os.environ.get("USBENCH_REQUIRE_BROWSER"):
        pytest.skip("no chromium here")
    target = tmp_path / "report.pdf"
    print_pdf(render_report(session_board / "results", "usfm"), target)
    assert target.read_bytes().startswith(b"%PDF")
    assert target.stat().st_size > 20_000
    pages = re.findall(rb"/Type\s*/Page\b", target.read_bytes())
    assert 2 <= len(pages) <= 4  # a page of summary, then four boards


def test_the_summary_counts_what_the_tests_support(session_board: Path) -> None:
    boards = gather(session_board / "results", tasks=())
    told = " ".join(summary_of([(b, e) for b in boards for e in b.entries if e.name == "tusa"]))
    assert told.startswith("Measured on 3 boards of real images.")
    counts = re.search(r"better on (\d), worse on (\d), not distinguished on (\d)", told)
    assert counts is not None
    assert sum(map(int, counts.groups())) == 3
    assert "2 clean, 1 with overlap" in told
    assert summary_of([(b, e) for b in boards for e in b.entries if b.synthetic]) == []


def test_the_printed_table_of_a_board_keeps_the_best_the_encoder_and_the_baselines(session_board: Path) -> None:
    text = render_report(session_board / "results", "medsam")
    first = text.split('<div class="paper">')[1].split("</table>")[0]
    cells = re.findall(r"<th scope=\"row\"[^>]*>(.*?)</th>", first)
    names = [re.sub(r"<[^>]+>", "", cell).partition(" ⚠")[0].strip() for cell in cells]
    assert {"TUSA", "USFM", "MedSAM", "TUSA, untrained"} <= set(names)
    assert "Constant (majority class)" not in names
    assert "rows are on the board's page only" in first.replace("&#39;", "'")
    summary = text.split('<header class="summary">')[1].split("</header>")[0]
    assert summary.index("<table") > 0
    assert text.index("</header>") < text.index('<section aria-labelledby="board-1"')
