"""The tutorials are run from their pages, and what the pages show is what comes out."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))

PROCESSOR_SECONDS = 600
"""More than that and a tutorial is no longer one of ten minutes."""


@pytest.fixture(scope="module")
def tutorials() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_site_tutorials", ROOT / "docs" / "_site" / "tutorials.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def figures(text: str) -> list[float]:
    """Return the numbers with a decimal point in a text."""
    return [float(number) for number in re.findall(r"[+-]?\d+\.\d+", text.replace("−", "-"))]


def missing(expected: str, printed: str) -> list[float]:
    """Return the figures of a page that were not printed now.

    Processors round differently, and a table may get another column: a figure is there if one within a hundredth of it,
    or within two per cent, is.
    """
    found = figures(printed)
    return [a for a in figures(expected) if not any(abs(a - b) <= max(0.011, 0.02 * abs(a)) for b in found)]


def test_a_figure_that_is_not_printed_is_found() -> None:
    assert missing("AUC 0.76 (0.67–0.84)", "AUC 0.761  0.671  0.838") == []
    assert missing("Δ −0.028, accuracy 73.2", "Δ +0.028, accuracy 70.1") == [-0.028, 73.2]


def test_blocks_are_run_written_and_shown(tutorials: ModuleType, tmp_path: Path) -> None:
    page = (
        "# Page\n\n```toml\n# sub/a.toml\nx = 3\n```\n\n```sh\ncat sub/a.toml\n```\n\n```text\nold\n```\n\n"
        "```python\nprint(6 * 7)\n```\n\n```text\n```\n"
    )
    shown = tutorials.run(page, tmp_path)
    assert [block.printed for block in shown] == ["# sub/a.toml\nx = 3\n", "42\n"]
    assert [block.expected for block in shown] == ["old\n", ""]
    again = tutorials.rewritten(page, shown)
    assert again.count("42\n") == 1
    assert "old" not in again
    assert [block.expected for block in tutorials.run(again, tmp_path)] == [block.printed for block in shown]


@pytest.mark.parametrize("block", ["```sh\nfalse\n```\n", "```text\nx\n```\n", "```toml\nx = 1\n```\n"])
def test_a_block_that_cannot_be_run_is_an_error(tutorials: ModuleType, tmp_path: Path, block: str) -> None:
    with pytest.raises(tutorials.TutorialError):
        tutorials.run(block, tmp_path)


def test_there_are_the_tutorials_that_the_first_page_names() -> None:
    index = (ROOT / "docs" / "index.md").read_text("utf-8")
    assert {path.name for path in PAGES} == set(re.findall(r"\]\(tutorials/([\w-]+\.md)\)", index))
    assert len(PAGES) == 3


@pytest.mark.slow
@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_shows_what_it_prints(tutorials: ModuleType, tmp_path: Path, path: Path) -> None:
    before = tutorials.processor_seconds()
    shown = tutorials.run(path.read_text("utf-8"), tmp_path)
    assert tutorials.processor_seconds() - before < PROCESSOR_SECONDS
    assert shown
    for block in shown:
        assert block.expected.strip(), f"{path.name} shows nothing of {block.printed!r}: run `make tutorials`"
        assert missing(block.expected, block.printed) == [], f"{path.name} shows otherwise: run `make tutorials`"
