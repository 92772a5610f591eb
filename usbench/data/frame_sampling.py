"""Which frames of a subject, case or video are encoded.

A policy sees one *unit* of decision at a time: the videos and pictures of one subject, for example. Its
choice depends on that unit alone, so that adding or removing other subjects changes nothing. This module
imports nothing
heavy: tasks name their policy when they are declared.
"""

from __future__ import annotations

import abc
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import overload

from usbench.errors import DataError, UsbenchError, did_you_mean


@dataclass(frozen=True)
class FrameSource:
    """One image or video of a unit, as a policy sees it.

    Attributes:
        n_frames: How many frames it has.
        key: Stable name, such as its path in the index. Random choices depend on it and not on its position,
            so list the items in any order. Empty: its position is used.
        marks: Frame numbers from 0 by column name, for :class:`BetweenMarks`.
    """

    n_frames: int
    key: str = ""
    marks: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Selection(Sequence[tuple[int, int]]):
    """The frames of one unit: a sequence of ``(position of the item, frame number)``, ascending by item.

    Attributes:
        frames: The pairs.
        asked: How many frames the policy wanted; equal to ``len(frames)`` unless the unit has too few.
        available: How many it could choose from.
    """

    frames: tuple[tuple[int, int], ...]
    asked: int
    available: int

    @property
    def short(self) -> bool:
        """Whether the unit had fewer frames than asked, and so gave all of them."""
        return len(self.frames) < self.asked

    @overload
    def __getitem__(self, index: int) -> tuple[int, int]: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[int, int], ...]: ...
    def __getitem__(self, index: int | slice) -> tuple[int, int] | tuple[tuple[int, int], ...]:
        return self.frames[index]

    def __len__(self) -> int:
        return len(self.frames)


class FramePolicy(abc.ABC):
    """A rule for choosing frames. Subclasses are frozen dataclasses: equal rules compare equal."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Return the rule as text that :func:`parse_policy` reads back, such as ``random:20:seed0``."""

    @abc.abstractmethod
    def select(self, items: Sequence[FrameSource], unit: str) -> Selection:
        """Choose frames of one unit.

        Args:
            items: Its images and videos.
            unit: Its identity, for example the subject. Random choices depend on it.

        Returns:
            The choice; ``.short`` tells that the unit had too few frames.

        Raises:
            DataError: The rule cannot be applied to an item.
        """

    def __str__(self) -> str:
        return self.describe()


@dataclass(frozen=True)
class AllFrames(FramePolicy):
    """Every frame of every item."""

    def describe(self) -> str:
        """Return ``all``."""
        return "all"

    def select(self, items: Sequence[FrameSource], unit: str) -> Selection:
        """Choose everything."""
        pool = _pool(items)
        return Selection(tuple(pool), len(pool), len(pool))


@dataclass(frozen=True)
class RandomFrames(FramePolicy):
    """``n`` frames per unit, drawn without replacement over all frames of all its items alike.

    Every frame gets a pseudo-random rank, the hash of (seed, unit, item, frame number), and the ``n``
    smallest win. The draw is therefore uniform, the same on every platform and library version, independent
    of other units and of the order of items, and *nested*: the 5 frames of a unit are among its 20. A curve
    of score against the number of frames then compares budgets on shared frames, and re-uses their
    embeddings.

    Attributes:
        n: Frames per unit.
        seed: Seed of the draw.
    """

    n: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Check ``n``."""
        _check_count(self.n)

    def describe(self) -> str:
        """Return for example ``random:20:seed0``."""
        return f"random:{self.n}:seed{self.seed}"

    def select(self, items: Sequence[FrameSource], unit: str) -> Selection:
        """Draw the frames; in the result they are in their natural order."""
        pool = _pool(items)
        keys = [item.key or f"#{position}" for position, item in enumerate(items)]

        def rank(frame: tuple[int, int]) -> bytes:
            return frame_rank(self.seed, unit, keys[frame[0]], frame[1])

        chosen = pool if len(pool) <= self.n else sorted(sorted(pool, key=rank)[: self.n])
        return Selection(tuple(chosen), self.n, len(pool))


def frame_rank(seed: int, unit: str, key: str, frame: int) -> bytes:
    """Return the pseudo-random rank of a frame in a draw: those of lowest rank are taken first.

    Args:
        seed: Seed of the draw.
        unit: Identity of the unit.
        key: Name of the item, as of :class:`FrameSource`.
        frame: Number of the frame in the item, from 0.

    Returns:
        8 bytes, to be compared as they are.
    """
    return hashlib.blake2b(f"{seed}\0{unit}\0{key}\0".encode() + frame.to_bytes(8, "little"), digest_size=8).digest()


@dataclass(frozen=True)
class LinspaceFrames(FramePolicy):
    """``n`` linearly spaced frames per unit, first and last included; several items count as laid end to end.

    Attributes:
        n: Frames per unit. One frame is the middle one.
    """

    n: int

    def __post_init__(self) -> None:
        """Check ``n``."""
        _check_count(self.n)

    def describe(self) -> str:
        """Return for example ``linspace:5``."""
        return f"linspace:{self.n}"

    def select(self, items: Sequence[FrameSource], unit: str) -> Selection:
        """Choose evenly."""
        pool = _pool(items)
        if not pool:
            return Selection((), self.n, 0)
        chosen = [pool[index] for index in spaced(0, len(pool) - 1, self.n)]
        return Selection(tuple(chosen), self.n, len(pool))


@dataclass(frozen=True)
class BetweenMarks(FramePolicy):
    """``n`` linearly spaced frames of each item between two marked ones, both included.

    The paper's rule for EchoNet-Dynamic: five frames from end-systole to end-diastole. The marks may stand in
    either order; the frames are chosen from the first towards the last.

    Attributes:
        n: Frames an item.
        first_column: Name of the mark to begin with.
        last_column: Name of the mark to end with.
    """

    n: int
    first_column: str = "first_frame"
    last_column: str = "last_frame"

    def __post_init__(self) -> None:
        """Check ``n`` and the names."""
        _check_count(self.n)
        for column in (self.first_column, self.last_column):
            if not column or ":" in column:
                raise UsbenchError(f"a mark's column must have a name without ':', not {column!r}.")

    def describe(self) -> str:
        """Return for example ``between:5:first_frame:last_frame``."""
        return f"between:{self.n}:{self.first_column}:{self.last_column}"

    def select(self, items: Sequence[FrameSource], unit: str) -> Selection:
        """Choose evenly between the marks of each item.

        Raises:
            DataError: An item lacks a mark, or a mark lies outside it.
        """
        chosen: list[tuple[int, int]] = []
        available = 0
        for position, item in enumerate(items):
            first, last = (self._mark(item, column, unit) for column in (self.first_column, self.last_column))
            available += abs(last - first) + 1
            chosen += [(position, index) for index in spaced(first, last, self.n)]
        return Selection(tuple(chosen), self.n * len(items), available)

    @staticmethod
    def _mark(item: FrameSource, column: str, unit: str) -> int:
        where = f"{item.key or 'an item'} of {unit!r}"
        if column not in item.marks:
            raise DataError(
                f"{where}: no mark {column!r}. Take the row out of the table, or choose another frame policy."
            )
        mark = item.marks[column]
        if not 0 <= mark < item.n_frames:
            raise DataError(f"{where}: mark {column!r} is frame {mark}, but it has frames 0 to {item.n_frames - 1}.")
        return mark


def spaced(first: int, last: int, n: int) -> list[int]:
    """Return ``n`` evenly spaced whole numbers from ``first`` to ``last``, ends included, each at most once.

    Halves round towards ``last``, in integer arithmetic, so that no platform rounds otherwise. One is the
    middle.
    """
    span, step = abs(last - first), 1 if last >= first else -1
    if n == 1:
        return [first + step * ((span + 1) // 2)]
    if n > span:
        return [first + step * offset for offset in range(span + 1)]
    return [first + step * ((2 * i * span + (n - 1)) // (2 * (n - 1))) for i in range(n)]


def parse_policy(text: str) -> FramePolicy:
    """Read a policy from text.

    ``all``, ``random:20:seed0``, ``linspace:5`` or ``between:5:first_frame:last_frame``. ``random:20`` has
    seed 0; ``between:5`` uses the columns ``first_frame`` and ``last_frame``.

    Raises:
        UsbenchError: The text names no policy.
    """
    name, *fields = text.strip().split(":")
    if name not in _PARSERS:
        raise UsbenchError(
            f"unknown frame policy {text!r}.{did_you_mean(name, _PARSERS)} "
            f"Give {', '.join(_EXAMPLES[:-1])} or {_EXAMPLES[-1]}."
        )
    try:
        return _PARSERS[name](fields)
    except (ValueError, IndexError):
        example = _EXAMPLES[list(_PARSERS).index(name)]
        raise UsbenchError(
            f"frame policy {text!r} is not complete or not a number. Give for example {example}."
        ) from None


def _parse_all(fields: list[str]) -> FramePolicy:
    if fields:
        raise ValueError
    return AllFrames()


def _parse_random(fields: list[str]) -> FramePolicy:
    count, seed = fields if len(fields) == 2 else (*fields, "seed0")
    return RandomFrames(int(count), int(seed.removeprefix("seed")))


def _parse_linspace(fields: list[str]) -> FramePolicy:
    (count,) = fields
    return LinspaceFrames(int(count))


def _parse_between(fields: list[str]) -> FramePolicy:
    if len(fields) == 1:
        return BetweenMarks(int(fields[0]))
    count, first, last = fields
    return BetweenMarks(int(count), first, last)


_PARSERS: dict[str, Callable[[list[str]], FramePolicy]] = {
    "all": _parse_all,
    "random": _parse_random,
    "linspace": _parse_linspace,
    "between": _parse_between,
}
_EXAMPLES = ("all", "random:20:seed0", "linspace:5", "between:5:first_frame:last_frame")


def _pool(items: Sequence[FrameSource]) -> list[tuple[int, int]]:
    return [(position, index) for position, item in enumerate(items) for index in range(item.n_frames)]


def _check_count(n: int) -> None:
    if n < 1:
        raise UsbenchError(f"a frame policy needs at least 1 frame, not {n}.")
