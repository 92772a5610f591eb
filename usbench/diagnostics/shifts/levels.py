"""Reading ``--shift gain:1..5``: names and severities, without importing what computes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from usbench.errors import UsbenchError, did_you_mean

NAMES = ("gain", "dynamic_range", "tgc", "speckle", "blur", "shadow", "crop", "text")
"""Every shift, in the order of pages."""

LEVELS = (1, 2, 3, 4, 5)
"""Severities, from barely visible to what an operator would correct at once."""

_FORM = "Write for example gain:1..5, shadow:3, blur:1,3,5, gain (all five) or all:2..4."
_RANGE = re.compile(r"(\d+)\s*\.\.\s*(\d+)")


@dataclass(frozen=True, order=True)
class Level:
    """One grade of one shift.

    Attributes:
        shift: Name of the shift.
        severity: 1 to 5.
    """

    shift: str
    severity: int

    def __str__(self) -> str:
        return f"{self.shift}:{self.severity}"


def parse_shifts(texts: Iterable[str | Level]) -> list[Level]:
    """Read what was asked for.

    Args:
        texts: Such as ``gain:1..5``, ``shadow:3``, ``blur:1,3,5``, ``text`` for all severities, or ``all:2`` for every
            shift; levels stay as they are.

    Returns:
        Levels in the order of :data:`NAMES` and by severity, each once.

    Raises:
        UsbenchError: A shift is unknown, or a severity is not a number from 1 to 5.
    """
    asked: set[Level] = set()
    for text in texts:
        if isinstance(text, Level):
            asked.add(text)
            continue
        name, colon, grades = (part.strip() for part in text.partition(":"))
        if name != "all" and name not in NAMES:
            hint = did_you_mean(name, NAMES)
            raise UsbenchError(f"--shift {text}: unknown shift {name!r}.{hint} There are {', '.join(NAMES)}, and all.")
        severities = _severities(grades, text) if colon else list(LEVELS)
        asked |= {Level(shift, s) for shift in (NAMES if name == "all" else (name,)) for s in severities}
    return sorted(asked, key=lambda level: (NAMES.index(level.shift), level.severity))


def _severities(grades: str, text: str) -> list[int]:
    found: list[int] = []
    for part in grades.split(","):
        span = _RANGE.fullmatch(part.strip())
        if span:
            first, last = int(span[1]), int(span[2])
            if first > last:
                raise UsbenchError(f"--shift {text}: {first}..{last} runs backwards. {_FORM}")
            found += [first, last]  # the ends first: a range of a million is refused before it is listed
            _check(found, text)
            found += range(first, last + 1)
        elif part.strip().isdigit():
            found.append(int(part))
        else:
            raise UsbenchError(f"--shift {text}: {part.strip()!r} is not a severity. {_FORM}")
    _check(found, text)
    return found


def _check(severities: Iterable[int], text: str) -> None:
    for severity in severities:
        if severity not in LEVELS:
            raise UsbenchError(f"--shift {text}: severity {severity} is out of range, which is 1 to 5. {_FORM}")
