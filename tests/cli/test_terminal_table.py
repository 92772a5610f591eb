import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from usbench.cli import main
from usbench.cli.result_table import print_board
from usbench.cli.terminal_table import Column, print_table
from usbench.results.schema import Result, load, save

COLUMNS = (Column("encoder"), Column("AUC", True), Column("interval", True), Column("test", drop=1))
ROWS = [["tusa.random", "0.746", "0.612 to 0.861", "DeLong"], ["a [b] c", "−0.013", "−0.2 to 0.1", "bootstrap"]]


def printed(width: int, *, rows: list[list[str]] = ROWS) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_table(console, "Title", COLUMNS, rows, rule_after=[0])
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    return str(text)


def test_no_figure_is_cut_at_any_width() -> None:
    for width in range(26, 90):
        text = printed(width)
        for row in ROWS:
            assert all(re.search(rf"(^|\s){re.escape(cell)}(\s|$)", text, re.M) for cell in row[:3]), width
        assert "DeLong" in text or "Left out for want of width: test." in text


def test_headings_wrap_before_a_column_goes() -> None:
    columns = [Column("tusa against", wraps=True), Column("AUC within folds", True, wraps=True), Column("test", drop=1)]
    for width in range(34, 60):
        console = Console(file=io.StringIO(), width=width)
        print_table(console, "", columns, [["tusa.random", "0.645", "Obuchowski"]])
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert re.search(r"^tusa.random +0.645 +Obuchowski *$", text, re.M), text


def test_columns_go_first_and_then_rows_become_blocks() -> None:
    assert "DeLong" in printed(80)
    narrow = printed(44)
    assert "DeLong" not in narrow
    assert "Left out for want of width: test." in narrow
    blocks = printed(30)
    assert "interval  0.612 to 0.861" in blocks
    assert "DeLong" in blocks


def test_rows_are_sorted_by_score_as_on_the_pages(make_result: Callable[..., Result]) -> None:
    made = [("z", 3.0, False), ("a", 0.2, False), ("floor-b", 1.0, True), ("floor-a", 0.1, True)]
    results = [make_result(name, signal=signal, floor=floor) for name, signal, floor in made]
    console = Console(file=io.StringIO(), width=100)
    print_board(console, results)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    places = [text.index(f"{name} ") for name, *_ in made]
    assert places == sorted(places)


def output(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(arguments)
    text = capsys.readouterr().out
    assert all(len(line) <= 80 for line in text.splitlines())
    assert "…" not in text
    return text


def test_compare_fits_80_columns(
    session_board: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("--task", "covid", "--results", str(session_board / "results"))
    two = output(capsys, monkeypatch, "compare", "tusa", "tusa.random", *place)
    assert len(re.findall(r" [+−]\d+\.\d+ +[+−]\d+\.\d+ to [+−]\d+\.\d+ +(<0\.001|\d\.\d+)\n", two)) == 7
    assert "Left out for want of width: test." in two
    several = output(capsys, monkeypatch, "compare", "tusa", "usfm", "tusa.random", "pixels", *place)
    assert all(re.search(rf"^{re.escape(name)} +\d", several, re.M) for name in ("usfm", "tusa.random", "pixels"))


def test_differences_between_results_are_whole(
    tmp_path: Path,
    make_result: Callable[..., Result],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = save(tmp_path / "one", make_result("a", citation="A long citation, " * 3 + "[2024]", n=20))
    second = save(tmp_path / "two", make_result("a", citation="Another one", n=20))
    assert load(first) != load(second)
    text = output(capsys, monkeypatch, "results", "diff", str(first), str(second))
    whole = re.sub(r"\s+", "", text)
    assert re.sub(r"\s+", "", "A long citation, " * 3 + "[2024]") in whole
    assert "Anotherone" in whole
