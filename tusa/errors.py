"""The one exception that a user of TUSA can cause."""

from __future__ import annotations


class TusaError(Exception):
    """A mistake that the user can correct.

    The message is one sentence or two that say what was wrong, where, and what to do next; the command line
    prints it alone, without a traceback.
    """
