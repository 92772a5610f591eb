"""Hostile but valid results on every surface: their text is shown as text, and the form of every page stays as it is.

Each free text of real results is replaced by an attack, once, and by plain words, once. Pages of both must have one
form: the same headings, cells, tags, links and cells of CSV, in the same order.
"""

import copy
import csv
import io
import itertools
import json
import re
import shlex
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from usbench.cli import main
from usbench.leaderboard import render
from usbench.leaderboard.html import render_site
from usbench.leaderboard.html.maps import pictures_of
from usbench.leaderboard.markdown.escape import escaped
from usbench.results.checks import digest_of
from usbench.submission.validate import validate_folder

SOURCE = Path(__file__).parents[2] / "leaderboards" / "results"

ATTACKS = (
    "<script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    "</svg><a href='javascript:alert(1)'>x</a>",
    "[click](javascript:alert(1)) ![x](http://evil/x.png)",
    "`a` ``` b ~~~",
    "| a | b |",
    "\\| c \\",
    "# Heading",
    "- item",
    "1. one",
    "> quoted",
    "---",
    "*bold* __strong__ ~~gone~~ _em_",
    '=HYPERLINK("http://evil","x")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(A1:A9)",
    "-2+3",
    "\x1b[31mred\x1b[0m \x1b]8;;http://evil\x07link\x1b]8;;\x07",
    "[bold red]x[/] [/nothing] [link=http://evil]y[/link]",
    "'; rm -rf / #",
    "$(rm -rf ~) `id` && $HOME",
    "one\ntwo\r\n\n# three\n```sh\nfour",
    "\u202egnp.exe\u2066 \u2028 \u200bhidden",
    "&lt;b&gt; &#60;i&#62; &amp;",
    '"><svg/onload=alert(1)>',
    "<!-- comment --> <!-- end of table -->",
    "{{ 7 * 7 }} {% raw %} ${x} %s %(x)s {0}",
    "\x00\x07\x7f\x9b31m",
    "x" * 250,
)

Replace = Callable[[str], str]


def hostile(data: dict[str, Any], replace: Replace, url: str) -> None:
    """Replace every text of a result that is free, in place; names and what diagnostics compute with stay."""
    for part, fields in (
        ("task", ("title", "target", "frames", "split", "reported")),
        ("dataset", ("title", "licence", "citation", "note")),
        ("encoder", ("title", "licence", "citation", "weights", "preprocessing", "pooling")),
    ):
        for field in fields:
            data[part][field] = replace(field)
    data["encoder"]["weights"] = f"sha256:{data['encoder']['weights']}"  # shown in another way than without a colon
    if data["task"]["kind"] == "regression":
        data["task"]["unit_of_target"] = replace("unit")
    data["dataset"]["notes"] = [replace("notes") for _ in range(3)]
    data["dataset"]["url"] = data["encoder"]["url"] = url
    data["leakage"] = {"state": "unknown", "detail": replace("detail")}
    data["inputs"] = replace("inputs").ljust(8, "x")
    for field in ("command", "revision"):
        data["provenance"][field] = replace(field)
    for table in ("machine", "packages"):
        data["provenance"][table] = {key: replace(key) for key in (*data["provenance"][table], replace("key"))}
    for protocol in data["protocols"].values():
        protocol["note"] = replace("note")
    # In the order of the true names: which subjects a resample draws follows from it.
    ids = {name: f"{i:04d} {replace('unit')}" for i, name in enumerate(sorted(set(data["units"]["subject"])))}
    units = data["units"]
    units["id"] = [f"{ids[s]} {i}" for i, s in enumerate(units["subject"])]
    units["subject"] = [ids[s] for s in units["subject"]]
    if data["task"]["kind"] == "binary":
        _labels(data, replace)
    for name, section in data.get("instruments", {}).items():
        section["note"] = replace(f"{name} note") if section.get("note") else section.get("note", "")
        for level in section.get("measured", {}).values():
            level["amount"] = replace("amount")


def _labels(data: dict[str, Any], replace: Replace) -> None:
    labels = {"0": f"a {replace('class')}", "1": f"b {replace('class')}"}
    data["task"]["positive"] = labels["1"]
    data["units"]["target"] = [labels[t] for t in data["units"]["target"]]
    data["dataset"]["counts"]["classes"] = {labels[k]: n for k, n in data["dataset"]["counts"]["classes"].items()}
    for found in _holders_of(data, "predicted"):
        found["predicted"] = [labels.get(p, p) if p is not None else None for p in found["predicted"]]
    for section in data.get("instruments", {}).values():
        for level in section.get("measured", {}).values():
            if "predicted" in level:
                level["predicted"] = [[labels.get(p, p) for p in drawn] for drawn in level["predicted"]]


def _holders_of(value: Any, key: str) -> Iterator[dict[str, Any]]:
    for protocol in value["protocols"].values():
        for repeat in protocol["repeats"]:
            if repeat.get(key):
                yield repeat


def write(folder: Path, texts: Callable[[], Replace], url: str) -> Path:
    """Write a folder of results, sealed and where they belong, whose text comes from ``texts``."""
    replace = texts()
    for board, names in (
        ("covid", ("tusa.open-v1", "tusa.random", "texture")),
        ("oxygen_saturation", ("tusa.open-v1", "texture")),
    ):
        shared: dict[str, Any] | None = None
        for name in names:
            data = json.loads((SOURCE / board / f"{name}.json").read_text("utf-8"))
            del data["digest"]
            hostile(data, replace, url)
            data["task"]["name"] = f"mine-{board}"
            data["dataset"]["name"] = data["task"]["dataset"] = "strange"
            if shared is None:
                shared = copy.deepcopy({key: data["units"][key] for key in ("id", "subject")})
            data["units"].update(shared)  # so that encoders can be compared
            path = folder / f"mine-{board}" / f"{name}.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps({**data, "digest": digest_of(data)}), "utf-8")
    return folder


def texts_of(texts: Sequence[str]) -> Replace:
    """Give one text after the other, round and round; the same label to all encoders, or they could not be compared."""
    following, kept = itertools.cycle(texts), dict[str, str]()
    return lambda field: kept.setdefault(field, next(following)) if field == "class" else next(following)


def attacks() -> Replace:
    return texts_of(ATTACKS)


def plain_words() -> Replace:
    return texts_of([f"words number {i}" for i in range(len(ATTACKS))])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    where = tmp_path_factory.mktemp("hostile")
    bad = write(where / "bad" / "results", attacks, "javascript:alert(1)")
    good = write(where / "good" / "results", plain_words, "")
    return bad, good


def test_they_are_valid(folders: tuple[Path, Path]) -> None:
    count, findings = validate_folder(folders[0])
    assert count == 5
    assert [str(finding) for finding in findings] == []


def markdown_form(text: str) -> list[str]:
    """Return what a page consists of, text left out."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    form = []
    for token in parser.parse(text):
        form.append(token.type)
        for child in token.children or ():
            if child.type not in ("text", "softbreak", "text_special"):
                form.append(f"{child.type} {child.attrs.get('href', '')}{child.attrs.get('src', '')}")
    return form


class _Form(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: list[tuple[str, ...]] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.form.append((tag, *(name for name, _ in attrs)))
        self.links += [value or "" for name, value in attrs if name in ("href", "src")]

    def handle_comment(self, data: str) -> None:
        self.form.append(("comment",))


def html_form(text: str) -> _Form:
    parser = _Form()
    parser.feed(text)
    return parser


def test_pages_keep_their_form(folders: tuple[Path, Path]) -> None:
    bad, good = (render(folder, folder / "no reported") for folder in folders)
    assert sorted(bad) == sorted(good)
    for name, text in bad.items():
        if name.endswith(".md"):
            found, expected = markdown_form(text), markdown_form(good[name])
            # On the overview encoders are in the order of their titles.
            assert found == expected or (name == "README.md" and Counter(found) == Counter(expected)), name
            # What GitHub takes for mathematics or for somebody's name.
            assert "$(" not in text
            assert not re.search(r"(?<!\w)@\w", re.sub(r"(?s)```.*?```", "", text))
        elif name.endswith(".svg"):
            tags = [[e.tag for e in ElementTree.fromstring(t).iter()] for t in (text, good[name])]
            if name == "figures/overview-heatmap.svg":  # whose columns are titles, and wrap: into more texts, if long
                tags = [[tag for tag in found if not tag.endswith("}text")] for found in tags]
            assert tags[0] == tags[1], name
        elif name.endswith(".csv"):
            cells = [list(csv.reader(io.StringIO(t))) for t in (text, good[name])]
            assert [len(row) for row in cells[0]] == [len(row) for row in cells[1]], name
            formula = re.compile(r"[=@\t\r]|[+-](?!\d+(\.\d+)?(e-?\d+)?( [\w ]+)?$)")
            assert not [cell for row in cells[0] for cell in row if formula.match(cell)], name
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u202a-\u202e\u2066-\u2069]", text), name


def test_the_site_keeps_its_form(folders: tuple[Path, Path]) -> None:
    bad, good = (render_site(folder, folder / "no reported") for folder in folders)
    assert sorted(bad) == sorted(good)
    for name, text in bad.items():
        if name.endswith(".html"):
            found, expected = html_form(text), html_form(good[name])
            # Encoders are in the order of their titles.
            forms = [Counter(tag for tag in form if tag[0] != "text") for form in (found.form, expected.form)]
            assert forms[0] == forms[1], name
            # Long titles wrap within a figure: into more texts, of the same attributes.
            texts = [{tag for tag in form if tag[0] == "text"} for form in (found.form, expected.form)]
            assert texts[0] == texts[1], name
            for link in found.links:
                assert re.match(r"(https?://|\.\./|[a-z]+/|[a-z]+\.html|#|data:)", link), (name, link)


def test_commands_print_text(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = folders[0]
    one, other = bad / "mine-covid" / "tusa.open-v1.json", bad / "mine-covid" / "texture.json"
    for command in (
        ["results", "show", str(one)],
        ["results", "show", str(bad / "mine-oxygen_saturation" / "tusa.open-v1.json")],
        ["results", "diff", str(one), str(other)],
        ["results", "row", str(one)],
        ["compare", "tusa.open-v1", "texture", "-t", "mine-covid", "--results", str(bad)],
        ["compare", "tusa.open-v1", "texture", "tusa.random", "-t", "mine-covid", "--results", str(bad)],
        ["compare", "tusa.open-v1", "texture", "-t", "mine-oxygen_saturation", "--results", str(bad)],
        ["submit", str(one), "--out", str(tmp_path / "out"), "--yes"],
        ["leaderboard", "--results", str(bad), "--out", str(tmp_path / "pages")],
        ["leaderboard", "--results", str(bad), "--html", str(tmp_path / "site")],
        ["report", "-e", "tusa.open-v1", "--results", str(bad), "--out", str(tmp_path / "report.html")],
    ):
        with pytest.raises(SystemExit) as stop:
            main(command)
        told = capsys.readouterr()
        assert stop.value.code in (None, 0, 1 if "diff" in command else 0), (command, told.err)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", told.out + told.err), command
    assert {path.name for path in tmp_path.iterdir()} == {"out", "pages", "site", "report.html", "usbench-home"}
    assert html_form((tmp_path / "report.html").read_text("utf-8")).form


def test_the_command_to_reproduce_is_words_of_a_shell(folders: tuple[Path, Path]) -> None:
    page = render(folders[0], folders[0] / "no reported")["mine-covid.md"]
    command = re.findall(r"```sh\n(.*)\n```", page)[-1]
    assert shlex.split(command)[:4] == ["usbench", "run", "--task", "mine-covid"]


def test_markup_of_the_terminal_is_shown_as_it_is(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads((folders[0] / "mine-covid" / "tusa.open-v1.json").read_text("utf-8"))
    data["leakage"]["detail"] = "[bold red]x[/] [/nothing]"
    del data["digest"]
    path = folders[0].parent / "one.json"
    path.write_text(json.dumps({**data, "digest": digest_of(data)}), "utf-8")
    with pytest.raises(SystemExit):
        main(["results", "show", str(path)])
    assert "[bold red]x[/] [/nothing]" in capsys.readouterr().out


@pytest.mark.parametrize("text", [attack for attack in ATTACKS if "\n" not in attack and attack.isprintable()])
def test_escaped_markdown_shows_the_text_itself(text: str) -> None:
    tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(escaped(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    assert {child.type for child in children} <= {"text", "text_special"}
    assert "".join(child.content for child in children).replace("\u200b", "") == text


def test_plain_titles_stay_as_they_are() -> None:
    for text in (
        "TUSA",
        "COVID-19: PCR positive or negative",
        "tusa.random",
        "50-69 %",
        "a@b",
        "A. B. et al., 'X'",
    ):
        assert escaped(text) == text


def test_a_unit_shows_no_picture_from_outside_its_dataset() -> None:
    assert pictures_of(["bus-bra/../../../../../etc/passwd", "bus-bra-subset/../__init__.py"]) == {}
