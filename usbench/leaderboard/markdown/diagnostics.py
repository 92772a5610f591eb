"""Sections of a page as Markdown: paragraphs, lists, tables, and the figures that belong to them."""

from __future__ import annotations

from collections.abc import Sequence

from usbench.leaderboard.figures import Figure
from usbench.leaderboard.markdown.table import write
from usbench.leaderboard.tables.model import Bullets, Paragraph, Section, Table

_MARKS = {"plain": "", "code": "`", "emphasis": "*"}


def write_section(section: Section, figures: Sequence[Figure] = ()) -> str:
    """Return a section as Markdown, with a newline at its end.

    Args:
        section: The section.
        figures: Figures of the board, of which those that belong to the section stand at its end.
    """
    blocks = [f"## {section.title}", *(_block(block) for block in section.blocks)]
    for figure in figures:
        if section.figure and figure.name.endswith(f"-{section.figure}"):
            blocks.append(f"![{figure.caption}](figures/{figure.name}.svg)")
            whole = "All severities" if section.figure == "shifts" else "Numbers"
            blocks.append(f"{figure.caption} {whole}: [CSV](figures/{figure.name}.csv).")
    return "\n\n".join(blocks) + "\n"


def _block(block: Table | Paragraph | Bullets) -> str:
    if isinstance(block, Table):
        return write(block).rstrip("\n")
    if isinstance(block, Bullets):
        return "\n".join(f"- {_line(item)}" for item in block.items)
    return _line(block)


def _line(paragraph: Paragraph) -> str:
    return "".join(f"{_MARKS[span.style]}{span.text}{_MARKS[span.style]}" for span in paragraph.spans)
