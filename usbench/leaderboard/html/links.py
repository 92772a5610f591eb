"""Addresses within the site, relative to its root."""

from __future__ import annotations

from usbench.core.text import web_address
from usbench.errors import UsbenchError
from usbench.leaderboard.tables.model import Link
from usbench.results.schema import slug


def board_page(name: str) -> str:
    """Return the page of a board."""
    return f"boards/{name.replace('@', '.on.') if '@' in name else slug(name)}.html"


def encoder_page(name: str) -> str:
    """Return the page of an encoder."""
    return f"encoders/{slug(name)}.html"


def docs_address(text: str) -> str:
    """Return the first page of the documentation.

    Args:
        text: An address, a folder seen from the site's root, or nothing.

    Returns:
        What a link needs; a folder is named with its page, so that the site works from disk as well.

    Raises:
        UsbenchError: It is neither a web address nor a folder below the site.
    """
    if not text or web_address(text):
        return text
    if ":" in text or text.startswith("/") or ".." in text.split("/"):
        raise UsbenchError(
            f"--docs {text}: neither a web address nor a folder within the site. Give https://... or docs/."
        )
    return text if text.endswith(".html") else f"{text.rstrip('/')}/index.html"


def address(link: Link | None) -> str:
    """Return where a link of a table leads, nothing where the site has no such page."""
    if link is None or link.to == "result":
        return ""
    return board_page(link.name) if link.to == "board" else encoder_page(link.name)
