"""Looking at many files: each once, in order, in threads only where files are slow."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from usbench.core.thread_map import map_in_threads
from usbench.media import MediaError, file_digest


def test_each_file_once_and_in_order(bus_bra_subset: Path) -> None:
    pictures = [str(path) for path in sorted((bus_bra_subset / "Images").glob("*.png"))]
    found = map_in_threads(file_digest, [*pictures, *pictures[:5]])
    assert list(found) == pictures
    assert list(found.values()) == [file_digest(path) for path in pictures]


def test_quick_files_need_no_threads_and_slow_ones_get_them() -> None:
    def quick(path: str) -> int:
        return threading.get_ident()

    def slow(path: str) -> int:
        time.sleep(0.005)
        return threading.get_ident()

    names = [str(number) for number in range(100)]
    assert set(map_in_threads(quick, names).values()) == {threading.get_ident()}
    assert len(set(map_in_threads(slow, names).values())) > 1


def test_one_pause_in_many_quick_files_needs_no_threads() -> None:
    now = [0.0]

    def look(path: str) -> int:
        now[0] += 0.1 if path == "900" else 1e-4
        return threading.get_ident()

    found = map_in_threads(look, [str(number) for number in range(2000)], lambda: now[0])
    assert set(found.values()) == {threading.get_ident()}


def test_threads_share_a_few_slow_files() -> None:
    def slow(path: str) -> int:
        time.sleep(0.02)
        return threading.get_ident()

    found = map_in_threads(slow, [str(number) for number in range(32)])
    assert len(set(list(found.values())[16:])) == 4


@pytest.mark.parametrize("position", [0, 40])
def test_what_is_wrong_with_a_file_is_told(bus_bra_subset: Path, position: int) -> None:
    pictures = [str(path) for path in sorted((bus_bra_subset / "Images").glob("*.png"))[:50]]
    pictures[position] = "absent.png"
    with pytest.raises(MediaError, match="absent"):
        map_in_threads(file_digest, pictures)


def test_nothing_to_look_at() -> None:
    assert map_in_threads(file_digest, []) == {}
