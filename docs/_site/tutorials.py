"""Runs the tutorials from their pages, and writes what they print into them.

A page is Markdown that reads well on GitHub. In it

- a block of ``sh`` or ``python`` is run, in the order of the page, in one folder of its own;
- a block whose first line is a comment with a file's name, such as ``# mine.py``, is written to that file instead;
- a block of ``text`` after one that was run shows what it printed.

``python docs/_site/tutorials.py [PAGE ...]`` runs them and writes these blocks anew; tests/test_tutorials.py runs them
and compares.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r"^```(sh|python|toml|text)\n(.*?)^```$", flags=re.M | re.S)
_FILE = re.compile(r"# ([\w./-]+\.\w+)\n")


class TutorialError(Exception):
    """A block of a tutorial failed."""


@dataclass(frozen=True)
class Shown:
    """A block that shows what the one before it printed.

    Attributes:
        start: Where its text begins in the page.
        end: Where its text ends.
        expected: The text in the page.
        printed: What was printed now.
    """

    start: int
    end: int
    expected: str
    printed: str


def run(page: str, folder: Path) -> list[Shown]:
    """Run a page.

    Args:
        page: Its Markdown.
        folder: Where its files are written and its commands are run; configuration and stores lie in it too.

    Returns:
        Every block that shows what was printed.

    Raises:
        TutorialError: A block ended with another status than 0.
    """
    hidden = ("USBENCH_",)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(hidden)}
    environment |= {
        "COLUMNS": "100",
        "MPLBACKEND": "Agg",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]]),
        "PYTHONPATH": os.pathsep.join(str(ROOT / part) for part in ("", "encoders", "tasks")),
        "USBENCH_CACHE": str(folder / ".usbench" / "cache"),
        "USBENCH_CONFIG": str(folder / ".usbench" / "config.toml"),
        "USBENCH_WEIGHTS": str(folder / ".usbench" / "weights"),
    }
    shown: list[Shown] = []
    printed: str | None = None
    for block in _BLOCK.finditer(page):
        language, text = block.groups()
        if language == "text":
            if printed is None:
                raise TutorialError(f"a block of text follows none that was run:\n{text}")
            shown.append(Shown(*block.span(2), text, printed))
            printed = None
        elif file := _FILE.match(text):
            (folder / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file[1]).write_text(text, encoding="utf-8")
            printed = None
        elif language == "toml":
            raise TutorialError(f"a block of TOML has no file name in its first line:\n{text}")
        else:
            command = ["bash", "-euc", text] if language == "sh" else [sys.executable, "-c", text]
            done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise TutorialError(f"exit status {done.returncode} of\n{text}\n{done.stdout}{done.stderr}")
            printed = "".join(f"{line.rstrip()}\n" for line in done.stdout.strip("\n").splitlines())
    return shown


def rewritten(page: str, shown: list[Shown]) -> str:
    """Return a page with what was printed now in place of what it had."""
    for block in reversed(shown):
        page = page[: block.start] + block.printed + page[block.end :]
    return page


def processor_seconds() -> float:
    """Return the time that finished child processes have spent on processors, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(names: list[str]) -> None:
    """Run pages and write their output into them.

    Args:
        names: Files; all tutorials if none is named.
    """
    for path in [Path(name) for name in names] or PAGES:
        page, before = path.read_text(encoding="utf-8"), processor_seconds()
        with tempfile.TemporaryDirectory(prefix="usbench-tutorial-") as folder:
            shown = run(page, Path(folder))
        path.write_text(rewritten(page, shown), encoding="utf-8")
        print(f"{path}: {len(shown)} outputs, {processor_seconds() - before:.0f} s of processor time")


if __name__ == "__main__":
    main(sys.argv[1:])
