"""Downloads from a server on this machine: whole, broken off and continued, changed, wrong."""

import hashlib
import io
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from served_file import serve

from usbench.encoder.card import EncoderCard, WeightsSource
from usbench.encoder.weights.digests import file_sha256, noted_digest
from usbench.encoder.weights.download import fetch
from usbench.errors import WeightsError


def weights(seed: int) -> bytes:
    stream = io.BytesIO()
    torch.save({"w": torch.randn(700_000, generator=torch.Generator().manual_seed(seed))}, stream)
    return stream.getvalue()


@pytest.fixture
def server() -> Iterator[Any]:
    """A server of one file of weights."""
    yield from serve(weights(0), "mine.pth")


def card(server: Any, sha256: str | None = None) -> EncoderCard:
    source = WeightsSource("mine.pth", "https://example.org", server.url, sha256=sha256)
    return EncoderCard(name="mine", title="Mine", embedding_dim=2, weights=source)


def test_whole_file_with_progress_and_checksum(server: Any, tmp_path: Path) -> None:
    digest = hashlib.sha256(server.content).hexdigest()
    seen: list[tuple[int, int | None]] = []
    path = fetch("mine", card(server, digest), tmp_path / "w", lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == server.content
    assert len(seen) > 1
    assert seen == sorted(seen)
    assert seen[-1] == (len(server.content), len(server.content))
    assert [p.name for p in path.parent.iterdir()] == ["mine.pth"]
    fetch("mine", card(server, digest), tmp_path / "w")
    assert len(server.ranges) == 1, "a file that is there is not downloaded again"


def test_broken_download_continues(server: Any, tmp_path: Path) -> None:
    server.break_after = 1_500_000
    with pytest.raises(WeightsError, match=r"broke off.*are kept; the same command continues"):
        fetch("mine", card(server), tmp_path)
    assert not (tmp_path / "mine.pth").exists()
    path = fetch("mine", card(server), tmp_path)
    assert path.read_bytes() == server.content
    assert server.ranges[1].startswith("bytes=")
    assert int(server.ranges[1][6:-1]) > 1_000_000


def test_changed_file_starts_anew(server: Any, tmp_path: Path) -> None:
    server.break_after = 1_500_000
    with pytest.raises(WeightsError):
        fetch("mine", card(server), tmp_path)
    server.content, server.tag = weights(1), '"two"'
    assert fetch("mine", card(server), tmp_path).read_bytes() == server.content


def test_wrong_checksum_leaves_nothing(server: Any, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not the expected SHA-256"):
        fetch("mine", card(server, "0" * 64), tmp_path)
    assert list(tmp_path.glob("mine*")) == []


def test_web_page_instead_of_a_file(server: Any, tmp_path: Path) -> None:
    server.content = b"<!doctype html><html>Sign in</html>"
    with pytest.raises(WeightsError, match="web page"):
        fetch("mine", card(server), tmp_path)
    assert list(tmp_path.glob("mine*")) == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_refusals_of_the_server(status: int, server: Any, tmp_path: Path) -> None:
    server.status = status
    with pytest.raises(WeightsError, match=f"answers {status}"):
        fetch("mine", card(server), tmp_path)


def test_no_server(tmp_path: Path) -> None:
    nowhere = SimpleNamespace(url="http://127.0.0.1:9/mine.pth")
    with pytest.raises(WeightsError, match="no connection"):
        fetch("mine", card(nowhere), tmp_path)


def test_no_direct_link(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"in a browser.*weights add mine"):
        fetch("mine", card(SimpleNamespace(url=None)), tmp_path)


def half(server: Any, tmp_path: Path, size: int = 1_500_000) -> None:
    """Leave a part of a download behind."""
    (tmp_path / "mine.pth.part").write_bytes(server.content[:size])
    (tmp_path / "mine.pth.tag").write_text('"\\"one\\""', "ascii")


def test_a_complete_part_is_taken_when_nothing_is_left_to_send(server: Any, tmp_path: Path) -> None:
    half(server, tmp_path, len(server.content))
    server.status, server.extra = 416, {"Content-Range": f"bytes */{len(server.content)}"}
    assert fetch("mine", card(server), tmp_path).read_bytes() == server.content


def test_a_part_that_is_longer_than_the_file_is_dropped(server: Any, tmp_path: Path) -> None:
    half(server, tmp_path)
    server.status, server.extra = 416, {"Content-Range": "bytes */7"}
    with pytest.raises(WeightsError, match="416"):
        fetch("mine", card(server), tmp_path)
    server.status, server.extra = None, {}
    assert fetch("mine", card(server), tmp_path).read_bytes() == server.content


@pytest.mark.parametrize("claimed", ["bytes 0-9/10", "bytes 1500001-2800000/2800001", "lines 1-2/3", "bytes */5", " "])
def test_another_part_than_asked_for_is_not_appended(claimed: str, server: Any, tmp_path: Path) -> None:
    half(server, tmp_path)
    server.range = claimed
    assert fetch("mine", card(server), tmp_path).read_bytes() == server.content
    assert server.ranges == ["bytes=1500000-", None]


def test_files_are_asked_for_unpacked_and_taken_packed(server: Any, tmp_path: Path) -> None:
    import gzip

    content, server.content = server.content, gzip.compress(server.content)
    server.extra = {"Content-Encoding": "gzip"}
    assert fetch("mine", card(server), tmp_path).read_bytes() == content
    assert server.last["Accept-Encoding"] == "identity"


@pytest.mark.parametrize(
    "place", ["http://[::1", "http://", "file:///etc/passwd", "gopher://x/y", "http://a:99999999/", "http://\xff\xfe/"]
)
def test_a_malformed_redirect_is_one_message(place: str, server: Any, tmp_path: Path) -> None:
    server.status, server.extra = 302, {"Location": place}
    with pytest.raises(WeightsError, match=r"broke off|answers"):
        fetch("mine", card(server), tmp_path)


def test_a_server_that_drips_is_left(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usbench.core.download._PATIENCE", 0.5)
    monkeypatch.setattr("usbench.core.download._SLOWEST", 10**12)
    server.content = server.content * 20
    with pytest.raises(WeightsError, match="no answer in time"):
        fetch("mine", card(server), tmp_path, lambda done, total: time.sleep(0.2))
    assert (tmp_path / "mine.pth.part").exists()


def test_a_file_above_the_limit_is_refused(server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USBENCH_MAX_WEIGHTS_BYTES", "1000")
    with pytest.raises(WeightsError, match="USBENCH_MAX_WEIGHTS_BYTES"):
        fetch("mine", card(server), tmp_path)
    server.length = False
    with pytest.raises(WeightsError, match="USBENCH_MAX_WEIGHTS_BYTES"):
        fetch("mine", card(server), tmp_path)


def test_a_change_after_the_download_is_told(server: Any, tmp_path: Path) -> None:
    path = fetch("mine", card(server), tmp_path)
    assert noted_digest(path) == hashlib.sha256(server.content).hexdigest()
    path.write_bytes(weights(1))
    assert noted_digest(path) != file_sha256(path)
