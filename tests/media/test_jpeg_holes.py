"""Holes in progressive JPEG streams of real images are told, and intact ones are read."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from usbench.media import jpeg, open_media
from usbench.media.errors import MediaError
from usbench.media.jpeg_scans import hole, scans

HOLE = 512  # a lost block of a disk


@pytest.fixture(scope="module")
def progressive(bus_bra_subset: Path) -> list[bytes]:
    made = []
    for number, path in enumerate(sorted(bus_bra_subset.rglob("*.png"))[:40]):
        with Image.open(path) as picture:
            large = picture.convert("L" if number % 2 else "RGB").resize((picture.width * 2, picture.height * 2))
        buffer = io.BytesIO()
        large.save(buffer, "JPEG", quality=(75, 95)[number // 2 % 2], progressive=True)
        made.append(buffer.getvalue())
    assert len(made) == 40
    return made


def test_intact_streams_are_read(progressive: list[bytes]) -> None:
    assert [jpeg.damage(content) for content in progressive] == [""] * len(progressive)
    # All coefficients are passed through at least once: the walk through the scans reaches the end.
    for content in progressive:
        assert {(scan.is_dc, scan.refines) for scan in scans(content)} == {(a, b) for a in (0, 1) for b in (0, 1)}


def test_holes_where_zeros_are_no_picture_are_all_found(progressive: list[bytes], tmp_path: Path) -> None:
    tried, silent, last = 0, 0, b""
    for content in progressive:
        for scan in scans(content):
            room = scan.end - scan.start - HOLE
            if not scan.zeros_are_no_picture or room < 100:
                continue
            damaged = bytearray(content)
            at = scan.start + room // 2
            damaged[at : at + HOLE] = bytes(HOLE)
            found = hole(bytes(damaged))
            assert found is not None
            assert at - 2 <= found <= at + 2
            assert jpeg.damage(bytes(damaged))
            last = bytes(damaged)
            tried += 1
            silent += not told_by_libjpeg(bytes(damaged))
    assert tried > 40
    assert silent > 0, "libjpeg tells all of these by itself by now, and this module can go"
    path = tmp_path / "a.jpg"
    path.write_bytes(last)
    with pytest.raises(MediaError, match=r"a\.jpg: damaged"), open_media(path) as media:
        media.frames()


def told_by_libjpeg(content: bytes) -> bool:
    import simplejpeg

    try:
        simplejpeg.decode_jpeg(content, "GRAY")
    except ValueError:
        return True
    return False
