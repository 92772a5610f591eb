"""Options in the name of an encoder: ``timm:vit_tiny_patch16_224,num_heads=12,mean=imagenet``.

They say what no file of weights can: the number of heads, the size of the input, the statistics of its pixels. Being in
the name, they are part of the identity under which vectors and results are kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from usbench.errors import UsbenchError, did_you_mean
from usbench_encoders import pixels

Parser = Callable[[str], Any]


def split(argument: str) -> tuple[str, dict[str, str]]:
    """Part an argument into the model's name and its options.

    Args:
        argument: For example ``vit_tiny_patch16_224,num_heads=12``.

    Returns:
        The name, and options in the order of the alphabet.
    """
    name, *texts = re.split(r",(?=[a-z_]+=)", argument)
    pairs = (text.partition("=") for text in texts)
    return name, dict(sorted((key, value) for key, _, value in pairs))


def parse(label: str, texts: Mapping[str, str], offered: Mapping[str, Parser]) -> dict[str, Any]:
    """Turn the texts of options into values.

    Args:
        label: Name of the encoder, for messages.
        texts: Options as written.
        offered: What the encoder takes, and how it is read.

    Raises:
        UsbenchError: An option is unknown, or its value is not one.
    """
    values = {}
    for key, text in texts.items():
        if key not in offered:
            raise UsbenchError(
                f"{label}: unknown option {key!r}; it takes {', '.join(offered)}.{did_you_mean(key, offered)}"
            )
        try:
            values[key] = offered[key](text)
        except ValueError as error:
            raise UsbenchError(f"{label}: {key}={text} is not understood ({error}).") from None
    return values


def numbers(text: str) -> tuple[float, ...]:
    """Read one number, or one a channel with slashes between, such as ``0.485/0.456/0.406``."""
    try:
        return tuple(float(part) for part in text.split("/"))
    except ValueError:
        raise ValueError("write a number, or one a channel: 0.485/0.456/0.406") from None


def mean(text: str) -> tuple[float, ...] | str:
    """Read means as :func:`numbers`, or the name of known statistics, which bring their deviations."""
    return text if text in pixels.STATISTICS else numbers(text)


def deviation(text: str) -> tuple[float, ...]:
    """Read deviations as :func:`numbers`; none may be zero."""
    values = numbers(text)
    if not all(values):
        raise ValueError("a deviation of zero")
    return values


def size(text: str) -> tuple[int, int]:
    """Read ``224`` or ``224x320``, height first, in pixels."""
    sides = [int(part) for part in text.split("x")]
    if len(sides) not in (1, 2) or min(sides) < 1:
        raise ValueError("write 224, or height x width: 224x320")
    return sides[0], sides[-1]


def whole(text: str) -> int:
    """Read a whole number above zero."""
    value = int(text)
    if value < 1:
        raise ValueError("must be above zero")
    return value


def one_of(*names: str) -> Parser:
    """Return a reader that accepts these words alone."""

    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"write one of {', '.join(names)}")
        return text

    return read


def statistics(
    label: str, options: Mapping[str, Any], channels: int = 3
) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Return means and deviations from the options ``mean`` and ``std``, or ``None`` where neither is given.

    Raises:
        UsbenchError: One is given without the other, or of another number of channels.
    """
    given, spread = options.get("mean"), options.get("std")
    if isinstance(given, str):
        if spread is not None:
            raise UsbenchError(f"{label}: mean={given} brings its deviations; leave std out.")
        known = pixels.STATISTICS[given]
        return known[0][:channels], known[1][:channels]
    if given is None and spread is None:
        return None
    if given is None or spread is None:
        raise UsbenchError(f"{label}: give mean and std together, or mean={'|'.join(pixels.STATISTICS)}.")
    for what, values in (("mean", given), ("std", spread)):
        if len(values) not in (1, channels):
            raise UsbenchError(f"{label}: {what} has {len(values)} numbers; the network takes {channels} channels.")
    return given, spread
