"""Looking at many files: digests, numbers of frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# Files between two looks at the clock; the seconds per file from which on threads are worth what they cost; and the
# seconds that a thread is given work for at a time, so that quick files are not handed over one by one.
_FILES = 16
_SLOW = 5e-4
_SPELL = 5e-3
_THREADS = 4


def map_in_threads(
    look: Callable[[str], T], paths: Iterable[str], clock: Callable[[], float] = time.perf_counter
) -> dict[str, T]:
    """Look at each file once, in threads as soon as files turn out to be slow.

    A small picture is opened in a tenth of a millisecond, and threads that pass the GIL to each other make three
    of it; videos, and files on a network, are what threads are for.

    Args:
        look: What to find out about a path; safe to call from several threads.
        paths: Any number, repetitions allowed.
        clock: Returns the seconds by which files are found to be slow.

    Returns:
        The answers by path, in the order of ``paths``.

    Raises:
        Exception: The first that ``look`` raises.
    """
    todo = list(dict.fromkeys(paths))

    def look_at(some: list[str]) -> list[tuple[str, T]]:
        return [(path, look(path)) for path in some]

    found: dict[str, T] = {}
    started, each = clock(), 0.0
    # Of all so far: a moment in which the machine was busy says nothing about the files.
    while len(found) < len(todo) and each <= _SLOW:
        found.update(look_at(todo[len(found) : len(found) + _FILES]))
        each = (clock() - started) / len(found)
    rest = todo[len(found) :]
    if rest:
        size = min(_FILES, max(1, int(_SPELL / each)))
        with ThreadPoolExecutor(_THREADS) as pool:
            for seen in pool.map(look_at, [rest[first : first + size] for first in range(0, len(rest), size)]):
                found.update(seen)
    return found
