"""Looking at many files: digests, numbers of frames."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

# Files between two looks at the clock, and the seconds per file from which on threads are worth what they cost.
_FILES = 16
_SLOW = 5e-4
_THREADS = 4


def map_in_threads(look: Callable[[str], T], paths: Iterable[str]) -> dict[str, T]:
    """Look at each file once, in threads as soon as files turn out to be slow.

    A small picture is opened in a tenth of a millisecond, and threads that pass the GIL to each other make three
    of it; videos, and files on a network, are what threads are for.

    Args:
        look: What to find out about a path; safe to call from several threads.
        paths: Any number, repetitions allowed.

    Returns:
        The answers by path, in the order of ``paths``.

    Raises:
        Exception: The first that ``look`` raises.
    """
    todo = list(dict.fromkeys(paths))
    found: dict[str, T] = {}
    for first in range(0, len(todo), _FILES):
        some = todo[first : first + _FILES]
        started = time.perf_counter()
        found.update((path, look(path)) for path in some)
        if time.perf_counter() - started > _SLOW * len(some):
            break
    rest = todo[len(found) :]
    if rest:
        with ThreadPoolExecutor(_THREADS) as pool:
            found.update(zip(rest, pool.map(look, rest), strict=True))
    return found
