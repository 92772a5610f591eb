"""Results as data on a terminal: no colour, no link, no movement of the cursor that a title could ask for."""

from __future__ import annotations

from rich.markup import escape

from usbench.core.text import one_line
from usbench.results.schema import Result
from usbench.results.text import shown, with_text


def as_data(text: str) -> str:
    """Return text on one line that rich prints as it is.

    Args:
        text: From a result, a table or a file.
    """
    return escape(one_line(text))


def printable_result(result: Result) -> Result:
    """Return a result all of whose text rich prints as it is.

    Args:
        result: The result; it stays as it is.
    """
    return with_text(shown(result), escape)
