"""What encoders can be filtered by: leakage, licence, size, year, kind and modality of the pre-training.

Everything is read from the result, and from the card of a bundled encoder where an older result does not state it.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any

from usbench.errors import UsbenchError
from usbench.leaderboard.board import Entry

if TYPE_CHECKING:
    from usbench.encoder.card import EncoderCard

OPEN, RESTRICTED, NOT_STATED = "open", "restricted", "not stated"

_OPEN = re.compile(r"\b(apache|mit|bsd|isc|mpl|a?gpl|lgpl|cc0|cc[ -]by([ -]sa)?[ -]\d)\b|\bopenrail\b", re.I)
_RESTRICTED = re.compile(r"\bNC\b|\bND\b|non-?commercial|academic|research (only|use)", re.I)
_SILENT = re.compile(r"not stated|no separate statement|\bown(er's)?\b|^that of\b", re.I)
_OF_WEIGHTS = re.compile(r"weights\)|weights:|for the weights")
_SIZES = ((10e6, "under 10 M"), (100e6, "10 to 100 M"))


def facets(entry: Entry) -> dict[str, str]:
    """Return what an encoder can be filtered by; leakage is that of this result.

    Args:
        entry: An encoder on a board.

    Returns:
        ``leakage``, ``licence``, ``size``, ``year``, ``training`` and ``modality``; what is unknown is ``not stated``.
    """
    facts = entry.result.encoder
    return {
        "leakage": str(entry.result.leakage.get("state", "unknown")),
        "licence": licence_class(str(facts.get("licence") or "")),
        "size": size_class(facts.get("parameters")),
        "year": _stated(entry, "year"),
        "training": _stated(entry, "pretraining_kind"),
        "modality": _stated(entry, "pretraining_modality"),
    }


def licence_class(text: str) -> str:
    """Return whether a licence is open, restricted or not stated.

    Where a text names several, those of the weights decide, or that of the implementation in use, and of these the
    least open one: an open code with weights nobody licensed is not open.

    Args:
        text: A licence as cards state it, parts separated by semicolons.

    Returns:
        ``open``, ``restricted`` or ``not stated``.
    """
    parts = [part.strip() for part in text.split(";") if part.strip()]
    decisive = [p for p in parts if _OF_WEIGHTS.search(p)] or [p for p in parts if "this implementation" in p] or parts
    classes = {_class_of(part) for part in decisive}
    return next((name for name in (RESTRICTED, NOT_STATED, OPEN) if name in classes), NOT_STATED)


def size_class(parameters: float | None) -> str:
    """Return a range of sizes in millions of parameters."""
    if parameters is None:
        return NOT_STATED
    return next((name for limit, name in _SIZES if parameters < limit), "over 100 M")


def _class_of(part: str) -> str:
    if _RESTRICTED.search(part):
        return RESTRICTED
    return OPEN if _OPEN.search(part) and not _SILENT.search(part) else NOT_STATED


def _stated(entry: Entry, key: str) -> str:
    facts: dict[str, Any] = entry.result.encoder
    value = facts.get(key)
    if not value:
        card = _bundled_card(entry.name)
        value = getattr(card, key) if card is not None else None
    return str(value) if value else NOT_STATED


@cache
def _bundled_card(name: str) -> EncoderCard | None:
    """Return the card of a bundled encoder; others are not looked up, as pages must be the same everywhere."""
    from usbench.plugins.catalog import ENCODERS

    if name not in ENCODERS.bundled():
        return None
    try:
        return ENCODERS.get(name).value.card
    except UsbenchError:  # an optional dependency is absent here
        return None
