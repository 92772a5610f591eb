"""Frames of a unit that have roles: which place each fills, and how the places are joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from usbench.errors import UsbenchError, did_you_mean

Join = Literal["differences", "side-by-side"]


@dataclass(frozen=True)
class Slots:
    """Named places that every unit fills, such as two views at two phases of the heart.

    Attributes:
        column: Column of the index that says which place an image or video fills.
        names: The places. Every unit must fill each; several frames in one place are averaged.
        join: ``differences`` joins the mean over all places and one difference for each pair; ``side-by-side`` puts
            the vectors of the places one after the other.
        differences: Pairs of places, the second taken from the first.
    """

    column: str
    names: tuple[str, ...]
    join: Join = "differences"
    differences: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a declaration that cannot run.

        Raises:
            UsbenchError: Fewer than two places, a place named twice, or pairs that do not fit the way of joining.
        """
        if len(self.names) < 2 or len(set(self.names)) < len(self.names):
            raise UsbenchError(f"slots: name at least two different places, not {list(self.names)}.")
        if self.join not in get_args(Join):
            hint = did_you_mean(str(self.join), get_args(Join))
            raise UsbenchError(
                f"slots: join = {self.join!r} is not known.{hint} Choose from {', '.join(get_args(Join))}."
            )
        if (self.join == "differences") != bool(self.differences):
            raise UsbenchError(
                'slots: give `differences`, pairs of places such as [["ED", "ES"]], with join = "differences" and '
                "only then."
            )
        for pair in self.differences:
            if len(pair) != 2 or pair[0] == pair[1] or not set(pair) <= set(self.names):
                raise UsbenchError(
                    f"slots: {list(pair)} is not a pair of two different places out of {list(self.names)}."
                )

    @property
    def pairs(self) -> tuple[tuple[int, int], ...] | None:
        """The differences as positions of places; ``None`` where they are joined side by side."""
        if self.join == "side-by-side":
            return None
        return tuple((self.names.index(a), self.names.index(b)) for a, b in self.differences)

    def describe(self) -> str:
        """Return one phrase for tables."""
        if self.join == "side-by-side":
            return f"{', '.join(self.names)}, side by side"
        told = ", ".join(f"{a} minus {b}" for a, b in self.differences)
        return f"mean of {', '.join(self.names)}, and {told}"

    @classmethod
    def from_table(cls, given: Mapping[str, Any]) -> Slots:
        """Build from a table of TOML.

        Args:
            given: Keys as the attributes.

        Raises:
            UsbenchError: A key is unknown or missing, or of the wrong type.
        """
        keys = ("column", "names", "join", "differences")
        for key in given:
            if key not in keys:
                raise UsbenchError(f"slots: unknown key {key!r}.{did_you_mean(key, keys)} Keys: {', '.join(keys)}.")
        names, pairs = given.get("names"), given.get("differences", [])
        if not isinstance(given.get("column"), str) or not _texts(names):
            raise UsbenchError('slots: give `column`, a text, and `names`, a list of text, such as ["ED", "ES"].')
        if not isinstance(pairs, list) or not all(_texts(pair) for pair in pairs):
            raise UsbenchError('slots: `differences` is a list of pairs, such as [["ED", "ES"]].')
        join = given.get("join", "differences" if pairs else "side-by-side")
        return cls(given["column"], tuple(names or ()), join, tuple((*pair,) for pair in pairs))


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)
