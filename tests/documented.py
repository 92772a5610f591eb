"""Figures that stand in the hand-written pages, for the tests that compute them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"


def figures(page: str, passage: str) -> list[float]:
    """Return the numbers at the places of a passage.

    Args:
        page: File in ``docs``.
        passage: What the page says, with ``#`` where a number stands; line breaks and bold type do not matter.

    Raises:
        AssertionError: The page does not say so, or more than once.
    """
    text = " ".join((DOCS / page).read_text(encoding="utf-8").replace("**", "").split())
    pattern = re.escape(" ".join(passage.split())).replace(r"\#", "#").replace("#", r"(-?\d[\d,]*(?:\.\d+)?)")
    found = re.findall(pattern, text)
    assert len(found) == 1, f"docs/{page} says {len(found)} times: {passage}"
    numbers = found[0] if isinstance(found[0], tuple) else (found[0],)
    return [float(number.replace(",", "")) for number in numbers]
