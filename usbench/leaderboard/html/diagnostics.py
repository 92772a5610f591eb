"""What instruments found, for the web site: the sections of the Markdown page, read back as paragraphs and tables.

One text serves both, so that page and site cannot tell different things. Only what those sections use is understood:
headings, tables, lists, paragraphs, ``code``, ``*emphasis*``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from markupsafe import Markup, escape

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board
from usbench.leaderboard.markdown import diagnostics
from usbench.leaderboard.tables import Cell, Heading, Row, Table

_NUMBER = re.compile(r"^[+−-]?\d+(\.\d+)?")
_MARKS = re.compile(r"`(?P<code>[^`]+)`|\*\*(?P<bold>[^*]+)\*\*|\*(?P<emphasis>[^*]+)\*")
_CELLS = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class Block:
    """One piece of a section.

    Attributes:
        kind: Which of the others holds it.
        text: A paragraph, safe HTML.
        items: Entries of a list, safe HTML.
        table: A table.
    """

    kind: Literal["text", "list", "table"]
    text: str = ""
    items: Sequence[str] = ()
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it.

    Attributes:
        id: Unique on its page.
        title: The heading.
        blocks: Its pieces, in order.
    """

    id: str
    title: str
    blocks: Sequence[Block]


def instrument_sections(board: Board) -> list[Section]:
    """Return what instruments found on a board, nothing where none was used.

    Args:
        board: The board; its figures are shown elsewhere on the page.
    """
    found = []
    for text in diagnostics.sections(board):
        first, _, rest = text.partition("\n")
        title = first.removeprefix("## ")
        key = re.sub(r"[^a-z]+", "-", title.lower())
        found.append(Section(f"h-{key}", title, list(_blocks(rest, key, title))))
    return found


def inline(text: str) -> Markup:
    """Return a line of Markdown as HTML; anything that looks like HTML in it is escaped."""
    return Markup(_MARKS.sub(_marked, str(escape(text.replace("\\|", "|")))))


def _marked(found: re.Match[str]) -> str:
    tag = {"code": "code", "bold": "strong", "emphasis": "em"}[str(found.lastgroup)]
    return f"<{tag}>{found[str(found.lastgroup)]}</{tag}>"


def _blocks(text: str, key: str, title: str) -> Iterator[Block]:
    tables = 0
    for kind, group in groupby(text.splitlines(), _kind):
        lines = list(group)
        if kind == "table":
            tables += 1
            yield Block("table", table=_table(lines, f"{key}-{tables}", title))
        elif kind == "list":
            yield Block("list", items=[inline(line.removeprefix("- ")) for line in lines])
        elif kind == "text":
            yield Block("text", text=inline(" ".join(lines)))


def _kind(line: str) -> str:
    return "table" if line.startswith("|") else "list" if line.startswith("- ") else "text" if line.strip() else "gap"


def _table(lines: Sequence[str], id_: str, title: str) -> Table:
    names, rule, *rows = [[cell.strip() for cell in _CELLS.split(line)[1:-1]] for line in lines]
    headings = [
        Heading(f"c{i}", _plain(name), numeric=side.endswith(":"), ascending=not side.endswith(":"))
        for i, (name, side) in enumerate(zip(names, rule, strict=True))
    ]
    caption = title if names[0] == "Encoder" else f"{title}: {_plain(names[0]).lower()}"
    return Table(id_, caption, headings, [_row(row, headings) for row in rows], mixed=True)


def _row(cells: Sequence[str], headings: Sequence[Heading]) -> Row:
    made = []
    for text, heading in zip(map(_plain, cells), headings, strict=True):
        number = _NUMBER.match(text)
        value, _, interval = text.partition(" (") if number and heading.numeric else (text, "", "")
        sort = (number[0].replace(number_format.MINUS, "-") if number else "") if heading.numeric else text.lower()
        made.append(Cell(value, sort, interval.removesuffix(")")))
    return Row(made, floor=cells[0].startswith("*"))


def _plain(text: str) -> str:
    return text.replace("\\|", "|").strip("*").removesuffix(" →")
