"""Grey uint8 frames from any picture, clip or array a scanner or a person may have stored.

::

    with open_media(Path("clip.mp4")) as media:
        frames = media.frames([0, 10, 20])  # one pass over the clip, stopping after frame 20

Importing this module loads no decoder: names resolve on first use, and each decoder when a file needs it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from usbench.media.base import Media
    from usbench.media.digest import decoder_versions, file_digest
    from usbench.media.errors import MediaError
    from usbench.media.grayscale import to_grey
    from usbench.media.open import open_media

MEDIA_VERSION: int = 2
"""Raise it whenever the grey values that any file decodes to may change: it is part of every cache key."""

_HOME = {
    "Media": "base",
    "MediaError": "errors",
    "decoder_versions": "digest",
    "file_digest": "digest",
    "open_media": "open",
    "to_grey": "grayscale",
}

# Where plugins written for earlier versions import these from.
_MOVED = dict.fromkeys(
    (
        "AllFrames",
        "BetweenMarks",
        "FramePolicy",
        "FrameSource",
        "LinspaceFrames",
        "RandomFrames",
        "Selection",
        "parse_policy",
    ),
    "usbench.data.frame_sampling",
)

__all__ = [
    "MEDIA_VERSION",
    "Media",
    "MediaError",
    "decoder_versions",
    "file_digest",
    "open_media",
    "to_grey",
]


def __getattr__(name: str) -> object:
    home = f"{__name__}.{_HOME[name]}" if name in _HOME else _MOVED.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
