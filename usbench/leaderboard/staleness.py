"""Finding what differs between committed pages and what the results say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from os.path import normpath
from pathlib import Path

from usbench.core.atomic_files import atomic_write
from usbench.core.names import inside

OWNED = ("*.md", "figures/*.svg", "figures/*.csv")
"""Files of the leaderboard folder that rendering owns: one that it would not write is drift as well."""

_FRONT = re.compile(r"\.\./[A-Za-z0-9_-]+\.md")


@dataclass(frozen=True)
class Drift:
    """One file that differs.

    Attributes:
        path: The file.
        line: First line that differs, counted from 1; 0 where the whole file is absent or superfluous.
        what: Description with both versions of the line.
    """

    path: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}" if self.line else f"{self.path}: {self.what}"


def find_drift(pages: Mapping[str, str], folder: Path) -> list[Drift]:
    """Compare rendered pages with those on disk.

    Args:
        pages: Relative path to text, as rendered.
        folder: Where the committed ones lie.

    Returns:
        What differs, in the order of paths.
    """
    found = []
    for name, text in sorted(pages.items()):
        path = Path(normpath(folder / name))  # the front page lies one folder above: README.md, not pages/../README.md
        try:
            # Bytes, so that a changed line ending is seen as well.
            present = path.read_bytes().decode("utf-8")
        except FileNotFoundError:
            found.append(Drift(path, 0, "missing; `usbench leaderboard` writes it"))
            continue
        except (OSError, UnicodeDecodeError) as error:
            found.append(Drift(path, 0, f"cannot be read ({error})"))
            continue
        if present != text:
            found.append(_first_difference(path, present, text))
    found += [Drift(path, 0, "no result or task calls for this file; delete it") for path in superfluous(pages, folder)]
    return sorted(found, key=lambda drift: str(drift.path))


def superfluous(pages: Mapping[str, str], folder: Path, owned: Sequence[str] = OWNED) -> list[Path]:
    """Return files that rendering owns but would not write."""
    return sorted(
        path for pattern in owned for path in folder.glob(pattern) if path.relative_to(folder).as_posix() not in pages
    )


def write_pages(pages: Mapping[str, str], folder: Path, owned: Sequence[str] = OWNED) -> list[Path]:
    """Write rendered pages; files that are equal already are left alone, superfluous ones are deleted.

    Args:
        pages: Relative path to text.
        folder: Where they go.
        owned: Patterns of files that are deleted when no page calls for them.

    Returns:
        What was written or deleted.

    Raises:
        StoreError: The folder cannot be written.
        UsbenchError: A page would lie outside the folder, for example by way of a link.
    """
    changed = []
    for name, text in sorted(pages.items()):
        path, content = _place(folder, name), text.encode("utf-8")
        if not path.is_file() or path.read_bytes() != content:
            atomic_write(path, content)
            changed.append(path)
    for path in superfluous(pages, folder, owned):
        path.unlink()
        changed.append(path)
    return changed


def _place(folder: Path, name: str) -> Path:
    """Return where a page goes: inside the folder, but for the front page one above it, whose name is in the code."""
    path = folder / name
    return path if _FRONT.fullmatch(name) else inside(folder, path)


def _first_difference(path: Path, present: str, text: str) -> Drift:
    pairs = zip_longest(present.split("\n"), text.split("\n"))
    for number, (old, new) in enumerate(pairs, start=1):
        if old != new:
            return Drift(path, number, f"has {_shown(old)}, the results give {_shown(new)}")
    raise AssertionError("equal texts have no difference")


def _shown(line: str | None) -> str:
    if line is None:
        return "no such line"
    text = line if len(line) <= 100 else line[:97] + "..."
    return repr(text)
