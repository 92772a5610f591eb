"""What is wrong with a table although its cells can be read: two names of one patient, two sides of a split."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

_WHOLE = re.compile(r"(?<=\d)\.0+$")
_LEADING_ZEROS = re.compile(r"(?<!\d)0+(?=\d)")
_BLANKS = re.compile(r"\s+")


@dataclass(frozen=True)
class Straddling:
    """A subject on several sides of the author's split, or in several folds.

    Attributes:
        subject: The subject.
        column: ``split`` or ``fold``.
        values: The sides it is on.
    """

    subject: str
    column: str
    values: tuple[str, ...]


def plain_name(name: str) -> str:
    """Return a name without what spreadsheets and keyboards change: case, Unicode form, zeros before, ``.0`` behind."""
    text = unicodedata.normalize("NFKC", str(name)).casefold().strip()
    text = "".join(c for c in unicodedata.normalize("NFC", text) if unicodedata.category(c) != "Cf")
    return _LEADING_ZEROS.sub("", _WHOLE.sub("", _BLANKS.sub(" ", text)))


def names_alike(names: Iterable[str]) -> list[tuple[str, ...]]:
    """Return groups of different names that :func:`plain_name` makes one, sorted.

    >>> names_alike(["7", "007", "7.0", "8"])
    [('007', '7', '7.0')]
    """
    groups: dict[str, set[str]] = {}
    for name in names:
        groups.setdefault(plain_name(name), set()).add(str(name))
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


def note_of_alike(groups: Sequence[tuple[str, ...]], limit: int = 3) -> str:
    """Say which subjects may be one, in a sentence."""
    shown = "; ".join(" and ".join(repr(name) for name in group) for group in groups[:limit])
    rest = f"; and {len(groups) - limit} more groups" if len(groups) > limit else ""
    return (
        f"Subjects that differ only in zeros, case, '.0' or Unicode form count as different patients: {shown}{rest}. "
        "If they are one patient, write one name."
    )


def straddling(table: pd.DataFrame) -> list[Straddling]:
    """Return the subjects on more than one side of ``split``, or in more than one ``fold``."""
    found = []
    for column in ("split", "fold"):
        if column not in table.columns:
            continue
        given = table.loc[table[column].notna(), ["subject", column]].astype(str)
        for name, group in given.groupby("subject"):
            values = tuple(sorted(set(group[column])))
            if len(values) > 1:
                found.append(Straddling(str(name), column, values))
    return found
