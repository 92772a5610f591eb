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
    from usbench.media.grey import to_grey
    from usbench.media.opening import open_media
    from usbench.media.policies import (
        AllFrames,
        BetweenMarks,
        FramePolicy,
        FrameSource,
        LinspaceFrames,
        RandomFrames,
        Selection,
        parse_policy,
    )

MEDIA_VERSION: int = 1
"""Raise it whenever the grey values that any file decodes to may change: it is part of every cache key."""

_HOME = {
    "Media": "base",
    "MediaError": "errors",
    "decoder_versions": "digest",
    "file_digest": "digest",
    "open_media": "opening",
    "to_grey": "grey",
    "AllFrames": "policies",
    "BetweenMarks": "policies",
    "FramePolicy": "policies",
    "FrameSource": "policies",
    "LinspaceFrames": "policies",
    "RandomFrames": "policies",
    "Selection": "policies",
    "parse_policy": "policies",
}

__all__ = [
    "MEDIA_VERSION",
    "AllFrames",
    "BetweenMarks",
    "FramePolicy",
    "FrameSource",
    "LinspaceFrames",
    "Media",
    "MediaError",
    "RandomFrames",
    "Selection",
    "decoder_versions",
    "file_digest",
    "open_media",
    "parse_policy",
    "to_grey",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
