"""The one error that media raise."""

from __future__ import annotations

import os

from usbench.core.limits import FRAME_PIXELS, MEDIA_BYTES
from usbench.errors import UsbenchError


class MediaError(UsbenchError):
    """A file that cannot be turned into frames. One line: the file, what is wrong, what to do next.

    Args:
        path: The file.
        what: What is wrong with it, as a phrase.
        advice: What the reader can do, as a sentence.
    """

    def __init__(self, path: str | os.PathLike[str], what: str, advice: str) -> None:
        self.path = os.fspath(path)
        self.what = one_line(what).rstrip(".")[:1000]
        self.advice = one_line(advice)
        super().__init__(f"{self.path}: {self.what}. {self.advice}")

    def __reduce__(self) -> tuple[type[MediaError], tuple[str, str, str]]:
        """Cross process borders (worker pools pickle exceptions by their ``args`` alone)."""
        return type(self), (self.path, self.what, self.advice)


def unexpected(path: str | os.PathLike[str], error: Exception) -> MediaError:
    """Turn an error that a decoder raises on a damaged file into one of ours."""
    if isinstance(error, MemoryError):
        return MediaError(path, "asks for more memory than there is; its header may be damaged", COPY_AGAIN)
    told = one_line(error)[:300]
    return MediaError(path, f"damaged ({type(error).__name__}{f': {told}' if told else ''})", COPY_AGAIN)


def one_line(text: object) -> str:
    """Collapse line breaks and runs of blanks."""
    return " ".join(str(text).split())


def check_size(path: str | os.PathLike[str], height: int, width: int, *, unfolded: int = 0) -> None:
    """Refuse a file that claims to be larger than memory should be asked for; called before any pixel is decoded.

    Args:
        path: The file.
        height: Rows of a frame.
        width: Columns of a frame.
        unfolded: Bytes that decoding holds at once, where that is more than a frame.

    Raises:
        MediaError: A frame, or what is held at once, is above its limit.
    """
    told = FRAME_PIXELS.fault(path, height * width) or MEDIA_BYTES.fault(path, unfolded)
    if told:
        what, _, advice = told.removeprefix(f"{path}: ").partition(". ")
        raise MediaError(path, what, advice)


COPY_AGAIN = "Copy or download the file again, or take it out of the table."
"""Advice for files that are damaged."""
