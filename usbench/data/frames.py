"""Frames by reference: which frame of which file, and the key of its content."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

KEY_BYTES = 32


def frame_key(file_sha256: str, frame: int, decoding: str) -> bytes:
    """Return the key of one frame.

    Args:
        file_sha256: Digest of the file's content.
        frame: Position in the file, from 0.
        decoding: Version of the decoding code and of what else changed the pixels, such as an acquisition shift.

    Returns:
        32 bytes.
    """
    return hashlib.sha256(f"{file_sha256}|{frame}|{decoding}".encode()).digest()


@dataclass(frozen=True, slots=True)
class FrameRef:
    """One frame of a dataset.

    Attributes:
        path: Value of the index's ``path`` column.
        frame: Position in the file, from 0.
        key: Key in the embedding store.
    """

    path: str
    frame: int
    key: bytes


def decoding_versions() -> str:
    """Return the versions of everything between file and pixels, for the keys of frames."""
    from usbench.media import MEDIA_VERSION, decoder_versions

    return json.dumps({"media": MEDIA_VERSION, **decoder_versions()}, sort_keys=True)
