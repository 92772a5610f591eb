"""No image of a board's data was trained on: by perceptual hash, where both are at hand."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(os.environ.get("USBENCH_DATA_ROOT", "missing"))
CORPORA = ("pretrain160", "pretrain160_more")
BOARDS = ("busbra", "camus", "sgus", "breast_lesions_usg", "covid_blues")


def pictures(folder: Path) -> list[Path]:
    """Every image below a folder."""
    return sorted(file for file in folder.rglob("*") if file.suffix in {".png", ".webp", ".jpg"})


def codes(files: list[Path]) -> np.ndarray:
    """256-bit perceptual hashes, four 64-bit words each."""
    import imagehash
    from PIL import Image

    found = []
    for file in files:
        with Image.open(file) as image:
            square = image.convert("L").resize((160, 160))
        found.append(np.packbits(imagehash.phash(square, hash_size=16).hash.ravel()).view(np.uint64))
    return np.stack(found)


def nearest(some: np.ndarray, others: np.ndarray) -> int:
    """The least number of bits in which one of ``some`` differs from one of ``others``."""
    return min(int(np.bitwise_count(others ^ code).sum(axis=1).min()) for code in some)


@pytest.mark.slow
@pytest.mark.skipif(not all((ROOT / name).is_dir() for name in CORPORA), reason="the corpus is not at hand")
@pytest.mark.parametrize("board", BOARDS)
def test_no_image_of_a_board_is_in_the_corpus(board: str, tmp_path: Path) -> None:
    if not (ROOT / board).is_dir():
        pytest.skip(f"{board} is not at hand")
    corpus = codes([file for name in CORPORA for file in pictures(ROOT / name)])
    files = pictures(ROOT / board)
    if board == "covid_blues":
        files = first_frames(sorted((ROOT / board).rglob("*.mp4")), tmp_path)
    assert len(files) > 50
    assert nearest(codes(files), corpus) > 20  # copies at another size or quality stay within about 10 of 256


def first_frames(videos: list[Path], folder: Path) -> list[Path]:
    """The first frame of every second video, as PNG."""
    import av
    from PIL import Image

    files = []
    for video in videos[::2]:
        with av.open(str(video)) as container:
            frame = next(container.decode(video=0)).to_ndarray(format="gray")
        files.append(folder / f"{video.stem}.png")
        Image.fromarray(frame).save(files[-1])
    return files
