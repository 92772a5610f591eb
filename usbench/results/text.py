"""The text in a result, one string at a time: how a surface makes data of it before it shows anything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from usbench.core.text import one_line, web_address
from usbench.errors import ResultError
from usbench.results.schema import Result

_LABELS = frozenset({"positive", "classes"})
_ADDRESSES = frozenset({"url"})
_PLAIN = frozenset({int, float, bool, type(None)})


def with_text(result: Result, change: Callable[[str], str], labels: bool = True) -> Result:
    """Return a result whose titles, notes, sentences and names within tables are changed.

    Names of units and subjects, true and predicted classes stay, so that nothing can be computed from a result whose
    ``labels`` were changed.

    Args:
        result: The result; it stays as it is.
        change: Applied to each text, keys of tables included.
        labels: Whether the names of classes in the facts of task and dataset are changed as well.
    """
    kept = frozenset[str]() if labels else _LABELS

    def changed(value: Any, key: str = "") -> Any:
        if isinstance(value, str):
            return value if key in kept else change(value)
        if isinstance(value, dict):
            return {
                name if key in kept else change(str(name)): changed(item, str(name)) for name, item in value.items()
            }
        if not isinstance(value, list | tuple):
            return value
        # Most values are in long lists of numbers, and there is no text in those.
        return list(value) if _PLAIN.issuperset(map(type, value)) else [changed(item, key) for item in value]

    protocols = {
        name: replace(entry, note=change(entry.note), hyperparameters=changed(entry.hyperparameters))
        for name, entry in result.protocols.items()
    }
    return replace(
        result,
        task=changed(result.task),
        dataset=changed(result.dataset),
        encoder=changed(result.encoder),
        leakage=changed(result.leakage),
        inputs=change(result.inputs),
        provenance=changed(result.provenance),
        figures=changed(result.figures),
        instruments=changed(result.instruments),
        protocols=protocols,
    )


def shown(result: Result) -> Result:
    """Return a result as any surface may show it: text on one line without control characters, addresses http or none.

    Args:
        result: The result; it stays as it is.
    """
    plain = with_text(result, one_line, labels=False)
    return replace(plain, dataset=_linked(plain.dataset), encoder=_linked(plain.encoder))


@contextmanager
def told_of(*files: object) -> Iterator[None]:
    """Turn what goes wrong while results are shown into one message that names their files.

    Seal, schema and names are checked when a result is read. What diagnostics wrote into it is of many forms, which are
    looked at where they are shown.

    Args:
        files: Files whose content is shown.

    Raises:
        ResultError: Something in them is not what it should be.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, ArithmeticError) as error:
        raise ResultError(
            f"{', '.join(map(str, files)) or 'no result'}: cannot be shown ({type(error).__name__}: "
            f"{one_line(str(error))[:200]}). `usbench results validate` says what is wrong; run the task again, or "
            "take the file away."
        ) from error


def _linked(facts: dict[str, Any]) -> dict[str, Any]:
    return {key: web_address(str(value)) if key in _ADDRESSES else value for key, value in facts.items()}
