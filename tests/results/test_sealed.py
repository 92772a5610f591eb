"""A result that is not what was sealed is used by nothing: every flipped bit is found, or changes nothing."""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from usbench.cli import main
from usbench.errors import ResultError
from usbench.leaderboard import gather
from usbench.results.checks import digest_of
from usbench.results.schema import Result, load, save
from usbench.submission.validate import validate

MakeResult = Callable[..., Result]


@pytest.fixture
def path(tmp_path: Path, make_result: MakeResult) -> Path:
    return save(tmp_path / "results", make_result("a", repeats=1, n=20))


def sealed(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change a result and seal it anew, as somebody would who means to deceive."""
    data = json.loads(path.read_text("utf-8"))
    del data["digest"]
    change(data)
    path.write_text(json.dumps({**data, "digest": digest_of(data)}), "utf-8")


def test_a_flipped_bit_is_found_or_changes_nothing(path: Path) -> None:
    content, whole = path.read_bytes(), load(path)
    rng = random.Random(0)
    refused = harmless = 0
    for _ in range(150):
        flipped = bytearray(content)
        flipped[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        try:
            assert load(path) == whole
        except ResultError as error:
            told = str(error)
            refused += told.startswith(str(path)) and "\n" not in told
        else:
            harmless += 1
    assert refused + harmless == 150
    assert refused > 100


def test_a_cut_file_is_found(path: Path) -> None:
    content = path.read_bytes()
    for length in range(0, len(content) - 1, len(content) // 40):
        path.write_bytes(content[:length])
        with pytest.raises(ResultError):
            load(path)


def test_leaderboard_and_compare_name_the_file_and_stop(
    path: Path, tmp_path: Path, make_result: MakeResult, capsys: pytest.CaptureFixture[str]
) -> None:
    other = save(tmp_path / "results", make_result("b", repeats=1, n=20, seed=1))
    other.write_text(other.read_text("utf-8").replace('"sex"', '"age"'), "utf-8")
    for command in (
        ["leaderboard", "--results", str(tmp_path / "results")],
        ["leaderboard", "--results", str(tmp_path / "results"), "--html", str(tmp_path / "site")],
        ["compare", "a", "b", "-t", "covid", "--results", str(tmp_path / "results")],
        ["report", "-e", "a", "--results", str(tmp_path / "results"), "--out", str(tmp_path / "a.html")],
    ):
        with pytest.raises(SystemExit) as stop:
            main(command)
        assert stop.value.code == 2
        told = capsys.readouterr().err
        assert str(other) in told
        assert "changed after the result was written" in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["results"]


def test_a_result_without_a_seal_is_none(path: Path) -> None:
    data = json.loads(path.read_text("utf-8"))
    del data["digest"]
    path.write_text(json.dumps(data), "utf-8")
    with pytest.raises(ResultError, match="no digest"):
        load(path)


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("task", "../../victim"),
        ("task", "README"),
        ("task", "readme.md"),
        ("task", "NUL"),
        ("task", "a/b"),
        ("task", "covid\n"),
        ("task", ".hidden"),
        ("task", ""),
        ("task", "x" * 200),
        ("dataset", "..\\victim"),
        ("dataset", "/etc"),
        ("encoder", "../a"),
        ("encoder", "a b"),
        ("encoder", "a`b"),
    ],
)
def test_names_are_names(part: str, name: str, path: Path) -> None:
    sealed(path, lambda data: data[part].update(name=name))
    with pytest.raises(ResultError, match=part):
        load(path)
    assert validate(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["protocols"].update({"svc|nested@1": data["protocols"]["svc-nested@1"]}),
        lambda data: data["protocols"]["svc-nested@1"]["metrics"].update({"<b>": {"value": 1}}),
        lambda data: data["units"]["strata"].update({"sex\n": data["units"]["strata"]["sex"]}),
        lambda data: data.update(instruments={"strata": {"version": 1, "columns": {"<script>": {}}}}),
        lambda data: data.update(instruments={"shifts": {"version": 1, "measured": {"../gain:1": {}}}}),
        lambda data: data["units"]["target"].__setitem__(3, {"a": 1}),
        lambda data: data["units"]["id"].__setitem__(1, data["units"]["id"][0]),
        lambda data: data["units"]["frames"].__setitem__(1, -1),
        lambda data: data["task"].update(title="x" * 301),
    ],
)
def test_what_readers_cannot_take_is_refused_when_it_is_loaded(
    change: Callable[[dict[str, Any]], None], path: Path
) -> None:
    sealed(path, change)
    with pytest.raises(ResultError, match="not a result of schema"):
        load(path)
    assert validate(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"schema": 1, "a": ' + "[" * 3000 + "]" * 3000 + "}",
        '{"schema": 1, "digest": NaN}',
        '{"schema": 1, "digest": "\\ud800"}',
        '{"schema": 1, "x": 1e999, "digest": "0"}',
        '{"schema": 1, "x": ' + "9" * 5000 + "}",
        '{"schema": true}',
        "7",
        '"\x00"',
        "",
        '{"schema": 99}',
    ],
)
def test_json_of_any_kind_is_one_line(text: str, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text(text, "utf-8")
    with pytest.raises(SystemExit) as stop:
        main(["results", "show", str(path)])
    assert stop.value.code == 2
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert told.count("\n") == 1
    assert len(told) < 600
    assert validate(path)


def test_two_boards_that_differ_only_in_case_are_refused(tmp_path: Path, make_result: MakeResult) -> None:
    save(tmp_path, make_result("a", task="mine", repeats=1, n=20, declared="x", dataset="x"))
    save(tmp_path, make_result("a", task="Mine", repeats=1, n=20, declared="x", dataset="x"))
    with pytest.raises(ResultError, match="upper and lower case"):
        gather(tmp_path, tasks=())


def test_a_link_does_not_lead_a_result_out_of_its_folder(tmp_path: Path, make_result: MakeResult) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "covid").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Exception, match="outside"):
        save(tmp_path / "results", make_result("a", repeats=1, n=20))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_quick_look_keeps_what_the_schema_counts() -> None:
    from usbench.results.checks import _thin

    assert _thin([[1.0, 2.0], [0.5, 3.0]]) == [[1.0, 2.0], [0.5, 3.0]]
    assert _thin([[1.0, 2.0]] * 500) == [[1.0, 2.0]]
    assert _thin([3, 1, "a", None] * 500) == [1, "a", None]
    assert len(_thin([{"value": 1}, {"value": "x"}] * 500)) == 2
