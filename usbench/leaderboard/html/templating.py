"""The templates of the site and of reports, and what they know of links."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usbench.core.text import web_address
from usbench.leaderboard.figures.svg import page_style
from usbench.leaderboard.html import links

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE = Path(__file__).resolve().parent
TEMPLATE_FOLDERS = [_HERE / "templates"]


def environment() -> Environment:
    """Return the environment in which templates are rendered: everything is escaped, nothing may be missing."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDERS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["address"] = links.address
    made.filters["web_address"] = web_address
    made.filters["board_page"] = links.board_page
    return made


def style() -> str:
    """Return the style sheet, that of the figures included."""
    return asset("style.css") + page_style()


def asset(name: str) -> str:
    """Return the text of a file that belongs to every page."""
    return (_HERE / "assets" / name).read_text("utf-8")
