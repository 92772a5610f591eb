"""Whether the values of a configuration file are of the right kind and in range, before anything is trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, get_args, get_origin, get_type_hints

from tusa.errors import TusaError

_SHARE = (0.0, 1.0)
_NOT_NEGATIVE = (0.0, math.inf)
_POSITIVE = (math.ulp(0.0), math.inf)
_FROM_ONE = (1.0, math.inf)

RANGES: Mapping[str, Mapping[str, tuple[float, float]]] = {
    "data": {
        "size": (32, math.inf),
        "held_out": (0, 0.5),
        "organs_per_batch": _NOT_NEGATIVE,
        "max_unreadable": _NOT_NEGATIVE,
    },
    "augment": {
        "crop_ratio": _POSITIVE,
        "flip_p": _SHARE,
        "blur_p": _SHARE,
        "erase_p": _SHARE,
        "brightness": _NOT_NEGATIVE,
        "contrast": _NOT_NEGATIVE,
        "gamma": _NOT_NEGATIVE,
        "blur_sigma": _NOT_NEGATIVE,
        "erase_scale": _SHARE,
    },
    "objective": {
        "temperature": _POSITIVE,
        "teacher_temperature": _POSITIVE,
        "head_depth": _NOT_NEGATIVE,
        "head_size": _FROM_ONE,
        "backbone_size": (32, math.inf),
    },
    "run": {
        "seed": _NOT_NEGATIVE,
        "learning_rate": _POSITIVE,
        "final_learning_rate": _NOT_NEGATIVE,
        "warmup_steps": _NOT_NEGATIVE,
        "weight_decay": _NOT_NEGATIVE,
        "clip": _NOT_NEGATIVE,
        "devices": _FROM_ONE,
        "nodes": _FROM_ONE,
        "ema": (0, math.nextafter(1.0, 0.0)),
        "checkpoint_every": _FROM_ONE,
        "log_every": _NOT_NEGATIVE,
        "probe_every": _NOT_NEGATIVE,
        "sheet_every": _NOT_NEGATIVE,
    },
}
"""Table and key to the least and the greatest value; a list must lie in the range with each of its values."""

_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false"}


def check_values(section: type[Any], values: Mapping[str, Any], name: str) -> None:
    """Refuse a value of the wrong kind, one that is not finite, and one outside its range.

    Args:
        section: The dataclass of a table.
        values: The table as read.
        name: Its name.

    Raises:
        TusaError: Which value it is, and what would fit.
    """
    hints = get_type_hints(section)
    for key, value in values.items():
        if not _fits(value, hints[key]):
            raise TusaError(f"{name}.{key} = {value!r}: must be {_told(hints[key])}.")
        numbers = [part for part in (value if isinstance(value, list | tuple) else [value]) if _is_number(part)]
        low, high = RANGES.get(name, {}).get(key, (-math.inf, math.inf))
        if not all(math.isfinite(number) and low <= number <= high for number in numbers):
            raise TusaError(f"{name}.{key} = {value!r}: must be {_range(low, high)}.")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fits(value: Any, hint: Any) -> bool:
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is tuple:
        kinds = get_args(hint)
        if not isinstance(value, list | tuple):
            return False
        if len(kinds) == 2 and kinds[1] is Ellipsis:
            return all(_fits(part, kinds[0]) for part in value)
        return len(value) == len(kinds) and all(_fits(part, kind) for part, kind in zip(value, kinds, strict=True))
    if hint is float:
        return _is_number(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint) if isinstance(hint, type) else True


def _told(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return " or ".join(repr(choice) for choice in get_args(hint))
    if get_origin(hint) is tuple:
        kinds = [kind for kind in get_args(hint) if kind is not Ellipsis]
        return f"a list, each value {_told(kinds[0])}" if len(kinds) == 1 else f"a list of {len(kinds)} values"
    return _KINDS.get(hint, str(getattr(hint, "__name__", hint)))


def _range(low: float, high: float) -> str:
    if low == _POSITIVE[0]:
        return "a finite number above 0"
    if math.isinf(high):
        return "a finite number" if math.isinf(low) else f"a finite number of at least {low:g}"
    return f"from {low:g} to below 1" if high == math.nextafter(1.0, 0.0) else f"from {low:g} to {high:g}"
