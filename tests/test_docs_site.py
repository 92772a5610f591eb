"""The documentation as a site: its links, its references, and its strict build."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

from usbench.cli import COMMANDS, build_app
from usbench.errors import UsbenchError
from usbench.leaderboard.html.links import docs_address

ROOT = Path(__file__).resolve().parents[1]
CONFIG: dict[str, Any] = {"repo_url": "https://example.org/owner/usbench", "extra": {"boards": "../"}}


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"docs_site_{name}", ROOT / "docs" / "_site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    return load("hooks")


@pytest.mark.parametrize(
    ("page", "written", "on_the_site"),
    [
        ("docs/data.md", "[a](statistics.md#x)", "[a](statistics.md#x)"),
        ("docs/data.md", "[a](../encoders/README.md#y)", "[a](encoders.md#y)"),
        ("docs/tusa/README.md", "[`a`](../../tasks/README.md)", "[`a`](../tasks.md)"),
        ("encoders/README.md", "[a](../docs/data.md)", "[a](data.md)"),
        ("docs/index.md", "![a](phantoms.png)", "![a](phantoms.png)"),
        ("docs/index.md", "[a](https://example.org/b.md)", "[a](https://example.org/b.md)"),
        (
            "docs/data.md",
            "[a](../usbench/task/task.py)",
            "[a](https://example.org/owner/usbench/blob/main/usbench/task/task.py)",
        ),
        ("docs/data.md", "[a](../recipes)", "[a](https://example.org/owner/usbench/tree/main/recipes)"),
        ("docs/index.md", "[a](../leaderboards/README.md)", '<a href="../index.html">a</a>'),
        ("docs/data.md", "[a](../leaderboards/covid.md)", '<a href="../../boards/covid.html">a</a>'),
        ("docs/data.md", "[a](no-such-page.md)", "[a](no-such-page.md)"),  # left for the strict build to find
    ],
)
def test_a_link_leads_where_its_target_is_on_the_site(
    hooks: ModuleType, page: str, written: str, on_the_site: str
) -> None:
    place = hooks.TAKEN_IN.get(page, page.removeprefix("docs/"))
    url = "" if place == "index.md" else place.removesuffix("README.md").removesuffix(".md") + "/"
    match = re.fullmatch(hooks._LINK, written)
    assert match is not None
    assert hooks.link(match, page, place, url.replace("//", "/"), CONFIG) == on_the_site


def test_a_link_to_the_repository_is_plain_words_where_its_address_is_unknown(hooks: ModuleType) -> None:
    match = re.fullmatch(hooks._LINK, "[the class](../usbench/task/task.py)")
    assert match is not None
    assert hooks.link(match, "docs/data.md", "data.md", "data/", {**CONFIG, "repo_url": ""}) == "the class"


def test_links_in_code_are_left_alone(hooks: ModuleType) -> None:
    page = type("Page", (), {"file": type("File", (), {"src_uri": "data.md"}), "url": "data/"})
    text = "[a](../encoders/README.md)\n\n```md\n[a](../encoders/README.md)\n```\n"
    rendered = hooks.on_page_markdown(text, page=page, config=CONFIG, files=None)
    assert rendered == "[a](encoders.md)\n\n```md\n[a](../encoders/README.md)\n```\n"


def test_every_page_is_in_the_navigation(hooks: ModuleType) -> None:
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    linked = set(re.findall(r": ([\w/-]+\.md)$", text, flags=re.M))
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").rglob("*.md")}
    made = {*hooks.TAKEN_IN.values(), *hooks.PUBLIC, "reference/usbench.md", "reference/tusa-commands.md"}
    assert linked == pages | made


def test_every_command_and_every_option_is_in_the_reference() -> None:
    text = load("commands").usbench_reference()
    assert re.findall(r"^## `usbench ([\w-]+)`$", text, flags=re.M) == list(COMMANDS)
    for name in COMMANDS:
        group: Any = typer.main.get_command(build_app([name]))
        section = text.split(f"## `usbench {name}`\n")[1].split("\n## ")[0]
        waiting = [group.commands[name]]
        while waiting:
            command = waiting.pop()
            waiting += getattr(command, "commands", {}).values()
            for parameter in command.params:
                if parameter.name == "help":
                    continue
                shown = parameter.opts[0] if parameter.param_type_name == "option" else parameter.name.upper()
                assert f"`{shown}`" in section, f"{name} {shown}"
                assert parameter.help, f"{name} {shown} says nothing of itself"
                assert " ".join(parameter.help.split()).replace("|", "\\|").replace("<", "&lt;") in section


def test_the_commands_of_tusa_are_in_the_reference() -> None:
    from tusa.cli import app

    text = load("commands").tusa_reference()
    names = [command.name for command in app.registered_commands]
    assert re.findall(r"^## `tusa ([\w-]+)`$", text, flags=re.M) == names
    assert "`--channels`" in text


def test_every_public_name_is_documented(hooks: ModuleType) -> None:
    for _, modules in hooks.PUBLIC.values():
        for module in modules:
            names = hooks.public_names(module)
            found = importlib.import_module(module)
            assert sorted(names) == sorted(found.__all__)
            for name in names:
                thing = getattr(found, name)
                if inspect.isclass(thing) or inspect.isfunction(thing):
                    assert thing.__doc__, f"{module}.{name} has no docstring"


def test_the_site_is_configured_to_refuse_dead_links() -> None:
    text = re.sub(r"!(ENV|!python/name:\S+)", "", (ROOT / "mkdocs.yml").read_text("utf-8"))
    assert set(yaml.safe_load(text)["validation"].values()) == {"warn"}  # which --strict makes errors


@pytest.mark.parametrize(
    ("given", "linked"),
    [
        ("", ""),
        ("docs/", "docs/index.html"),
        ("docs", "docs/index.html"),
        ("manual/start.html", "manual/start.html"),
        ("https://example.org/usbench/", "https://example.org/usbench/"),
    ],
)
def test_the_boards_link_the_documentation_where_it_is(given: str, linked: str) -> None:
    assert docs_address(given) == linked


@pytest.mark.parametrize("given", ["javascript:alert(1)", "/docs", "../docs", "ftp://example.org"])
def test_what_is_no_address_of_the_documentation_is_refused(given: str) -> None:
    with pytest.raises(UsbenchError, match=f"--docs {re.escape(given)}"):
        docs_address(given)


# Builds in a process in which nothing heavy can be imported, as the workflow that publishes has none of it.
LIGHT = """
import sys
FORBIDDEN = {"torch", "torchvision", "sklearn", "monai", "pandas", "scipy", "matplotlib", "timm", "transformers", "av"}
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in FORBIDDEN:
            raise ImportError(f"{name} is not installed here")
sys.meta_path.insert(0, Blocker())
from mkdocs.__main__ import cli
cli(sys.argv[1:])
"""


@pytest.mark.slow
def test_the_site_builds_strictly_and_its_links_to_the_boards_hold(tmp_path: Path, hooks: ModuleType) -> None:
    pytest.importorskip("mkdocs", reason="pip install '.[docs]'")
    from usbench.leaderboard.html import write_site

    write_site(ROOT / "leaderboards" / "results", tmp_path / "site", ROOT / "leaderboards" / "reported", docs="docs/")
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "USBENCH_REPOSITORY_URL": CONFIG["repo_url"]}
    done = subprocess.run(
        [sys.executable, "-c", LIGHT, "build", "--strict", "--site-dir", str(tmp_path / "site" / "docs")],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    docs = tmp_path / "site" / "docs"
    assert (docs / "search" / "search_index.json").stat().st_size > 100_000

    reference = (docs / "reference" / "python" / "index.html").read_text("utf-8")
    assert not re.search(r":(class|meth|func|mod|data|attr):", reference)
    for name in hooks.public_names("usbench"):
        assert re.search(rf'id="usbench\.[\w.]*{name}"', reference), name

    leading_out = 0
    for page in docs.rglob("index.html"):
        for target in re.findall(r'href="((?:\.\./)*(?:index\.html|boards/[\w.-]+\.html))"', page.read_text("utf-8")):
            assert (page.parent / target).resolve().is_file(), f"{page}: {target}"
            leading_out += 1
    assert leading_out > 20  # every page names the boards
    for page in (tmp_path / "site").glob("*/*.html"):
        if page.parent.name in ("boards", "encoders"):
            back = re.search(r'href="([./]*docs/index\.html)"', page.read_text("utf-8"))
            assert back is not None
            assert (page.parent / back[1]).resolve() == docs / "index.html"
