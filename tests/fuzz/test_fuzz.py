"""A short run of the fuzzer, on every kind of file: the same files each time."""

from __future__ import annotations

import logging
import random
import sys
import warnings
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from harness import TABLES, corpus, mutated, read

TRIES = 25


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return {**corpus(tmp_path_factory.mktemp("sound")), **TABLES}


def test_sound_files_are_read(sound: dict[str, bytes], tmp_path: Path) -> None:
    from usbench.media import open_media

    for name, content in sound.items():
        (tmp_path / name).write_bytes(content)
        if name not in TABLES:
            assert open_media(tmp_path / name).frames(), name


@pytest.mark.parametrize("seed", range(TRIES))
def test_damaged_files_end_in_a_message(sound: dict[str, bytes], tmp_path: Path, seed: int) -> None:
    warnings.simplefilter("ignore")
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    generator = random.Random(seed)
    for name, content in sound.items():
        path = tmp_path / name
        path.write_bytes(mutated(content, generator))
        read(path)
