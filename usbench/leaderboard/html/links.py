"""Addresses within the site, relative to its root."""

from __future__ import annotations

from usbench.leaderboard.tables.model import Link
from usbench.results.schema import slug


def board_page(name: str) -> str:
    """Return the page of a board."""
    return f"boards/{name.replace('@', '.on.') if '@' in name else slug(name)}.html"


def encoder_page(name: str) -> str:
    """Return the page of an encoder."""
    return f"encoders/{slug(name)}.html"


def address(link: Link | None) -> str:
    """Return where a link of a table leads, nothing where the site has no such page."""
    if link is None or link.to == "result":
        return ""
    return board_page(link.name) if link.to == "board" else encoder_page(link.name)
