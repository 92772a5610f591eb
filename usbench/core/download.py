"""Downloading a published file: with progress, resumed after a break, and checked; the one downloader there is."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import explain_os_error
from usbench.core.limits import Limit
from usbench.errors import UsbenchError

Progress = Callable[[int, int | None], None]

_CHUNK = 1 << 20
_PATIENCE = 30.0  # seconds without a byte
_SLOWEST = 2000  # bytes per second, on average; below, a file of weights would take days


@dataclass(frozen=True)
class Remote:
    """A file that its publisher gives a direct link to.

    Attributes:
        name: What it belongs to, for messages.
        url: Address that yields the file itself.
        page: Page on which a person finds it.
        sha256: Expected digest, ``None`` where none is known.
    """

    name: str
    url: str
    page: str
    sha256: str | None = None


def retrieve(
    remote: Remote, target: Path, limit: Limit, error: type[UsbenchError], progress: Progress | None = None
) -> None:
    """Download a file, unless it is there.

    An interrupted download is continued by the next call, unless the server's file has changed since. The file appears
    under its own name only when it is complete and has the expected digest, where one is known.

    Args:
        remote: What to download.
        target: Where it goes; its folder is made.
        limit: The most that it may hold.
        error: What is raised.
        progress: Called with bytes done and bytes in all, ``None`` where the server does not say.

    Raises:
        UsbenchError: The server fails, or what arrived is not the file; of class ``error``.
    """
    import pooch

    known = None if remote.sha256 is None else f"sha256:{remote.sha256}"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        pooch.get_logger().setLevel("ERROR")
        downloader = Resuming(target, limit, error, progress)
        pooch.retrieve(remote.url, known, fname=target.name, path=target.parent, downloader=downloader)
    except ValueError:  # what pooch raises on a wrong digest
        _part(target).unlink(missing_ok=True)
        raise error(
            f"{remote.name}: what {remote.url} gave has not the expected SHA-256 {remote.sha256}. The file was changed "
            f"or damaged on the way; compare with {remote.page}."
        ) from None
    except OSError as fault:
        raise error(explain_os_error(target, fault)) from None


class Resuming:
    """A downloader for pooch that keeps what has arrived and asks for the rest.

    Args:
        target: The file wanted; parts are kept beside it.
        limit: The most that it may hold.
        error: What is raised.
        progress: As for :func:`retrieve`.
    """

    def __init__(self, target: Path, limit: Limit, error: type[UsbenchError], progress: Progress | None = None) -> None:
        self._limit, self._error = limit, error
        self._part = _part(target)
        self._tag_file = self._part.with_suffix(".tag")
        self._progress = progress

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download ``url`` to ``output_file``; the interface pooch asks for.

        Raises:
            UsbenchError: The server cannot be reached, refuses, sends something else than was asked for, or breaks off.
        """
        import http.client

        import requests
        import urllib3

        try:
            if not self._attempt(url, self._cached()):
                # What is here does not fit what the server has: once more, from the beginning.
                self._forget()
                if not self._attempt(url, (0, None)):
                    raise requests.ConnectionError("the server sends another part than was asked for")
        except (
            requests.RequestException,
            urllib3.exceptions.HTTPError,
            http.client.HTTPException,
            ValueError,
        ) as fault:
            kept = self._part.stat().st_size if self._part.exists() else 0
            again = f" {kept / 1e6:.0f} MB are kept; the same command continues." if kept else ""
            raise self._error(f"{url}: the download broke off ({_reason(fault)}).{again}") from None
        self._part.replace(output_file)
        self._tag_file.unlink(missing_ok=True)

    def _attempt(self, url: str, cached: tuple[int, str | None]) -> bool:
        """Ask once; false when the answer does not fit the part that is here."""
        import requests

        have, tag = cached
        # Packed on the way, neither the number of bytes nor a place to continue from would mean anything.
        headers = {"Accept-Encoding": "identity"}
        if have and tag:
            headers |= {"Range": f"bytes={have}-", "If-Range": tag}
        with requests.get(url, stream=True, timeout=_PATIENCE, headers=headers) as answer:
            if url.startswith("https:") and not answer.url.startswith("https:"):
                raise requests.ConnectionError(f"it leads to {answer.url}, which is not encrypted")
            if answer.status_code == 416 and have:  # nothing is left to send: complete, or of another file
                return answer.headers.get("Content-Range", "").replace(" ", "") == f"bytes*/{have}"
            if answer.status_code >= 400:
                raise self._error(f"{url}: the server answers {answer.status_code} {answer.reason}.")
            if answer.status_code == 206:
                if not have or _range_start(answer.headers.get("Content-Range", "")) != have:
                    return False
                self._receive(url, answer, have)
            else:
                self._receive(url, answer, 0)
        return True

    def _forget(self) -> None:
        self._part.unlink(missing_ok=True)
        self._tag_file.unlink(missing_ok=True)

    def _cached(self) -> tuple[int, str | None]:
        try:
            tag = json.loads(self._tag_file.read_text("utf-8"))
            return (self._part.stat().st_size, tag) if isinstance(tag, str) else (0, None)
        except (OSError, ValueError):
            return 0, None

    def _receive(self, url: str, answer: Any, start: int) -> None:
        import requests

        packed = answer.headers.get("Content-Encoding", "identity").lower() not in ("identity", "")
        length = answer.headers.get("Content-Length")
        total = None if length is None or packed else start + int(length)
        if total is not None:
            self._limit.check(url, total, self._error)
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        self._tag_file.write_text(json.dumps(None if packed else tag), "utf-8")
        done, began = start, time.monotonic()
        with self._part.open("ab" if start else "wb") as file:
            # read1 gives what has arrived: a server that drips must not fill a long buffer first.
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                file.write(chunk)
                done += len(chunk)
                self._limit.check(url, done, self._error)
                if self._progress:
                    self._progress(done, total)
                spent = time.monotonic() - began
                if spent > _PATIENCE and (done - start) / spent < _SLOWEST:
                    raise requests.Timeout(f"fewer than {_SLOWEST} bytes per second")
        if total is not None and done != total:
            raise requests.ConnectionError(f"{done} of {total} bytes arrived")


def _range_start(text: str) -> int | None:
    """Return where the part that a server sends begins, ``None`` where it does not say so in order."""
    found = re.fullmatch(r"bytes (\d{1,18})-\d{1,18}/(?:\d{1,18}|\*)", text.strip())
    return int(found[1]) if found else None


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError) and "arrived" not in str(error):
        return "no connection"
    return str(error) or type(error).__name__
