"""Errors that a user can cause and fix.

The command line prints the message of a :class:`UsbenchError` as one line, without a stack trace, and exits
with status 2. A message therefore says what was wrong, where, and what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UsbenchError(Exception):
    """Base class: the message is meant for the person at the keyboard."""


class UnknownNameError(UsbenchError):
    """A name that no registry tier knows."""


class NameClashError(UsbenchError):
    """Two different objects claim one name."""


class DataError(UsbenchError):
    """A dataset folder, manifest or label that cannot be used as it is."""


class WeightsError(UsbenchError):
    """Weights that are absent, or are not what the encoder needs."""


class EncodingError(UsbenchError):
    """An encoder that broke its contract while encoding (wrong shape, NaN, wrong dtype)."""


class StoreError(UsbenchError):
    """The embedding store cannot be read or written."""


class ResultError(UsbenchError):
    """A result file that is damaged, tampered with or of an unknown schema."""


def did_you_mean(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return ``" Did you mean 'a' or 'b'?"``, or an empty string when nothing is close.

    Args:
        name: What was asked for.
        known: Every valid name.
        limit: The most suggestions to make.
    """
    known = list(known)
    close = difflib.get_close_matches(name, known, n=limit, cutoff=0.5)
    close += [k for k in known if k not in close and (name in k or k in name)][: limit - len(close)]
    if not close:
        return ""
    return " Did you mean " + " or ".join(repr(c) for c in close) + "?"
