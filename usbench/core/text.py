"""Text from strangers on its way to a screen: without what would steer a terminal, turn the line round or hide."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

# Control characters, separators of lines and paragraphs, marks and overrides of direction, halves of surrogate pairs
# and what XML forbids.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)


def printable(text: str) -> str:
    """Put a space in the place of every character that steers or cannot be shown, line breaks included.

    Args:
        text: Any text.
    """
    return _UNPRINTABLE.sub(" ", text)


def one_line(text: str) -> str:
    """Return text on one line, without control characters, and with runs of white space as one space.

    Args:
        text: Any text.
    """
    return " ".join(printable(text).split())


def web_address(text: str) -> str:
    """Return an address that a link may lead to: http or https, with nothing in it that could end the link.

    Args:
        text: What claims to be an address.

    Returns:
        The address, or nothing where it is of another kind, such as ``javascript:``.
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or _UNPRINTABLE.search(text):
        return ""
    return quote(text, safe="/:?#@!$&*+,;=~%-._")
