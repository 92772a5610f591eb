"""Sources of a corpus that claim too much, or that are no files: skipped and told, never waited for."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tusa.errors import TusaError
from tusa.training import sources
from tusa.training.builder import build_corpus
from tusa.training.config import TrainConfig
from tusa.training.sources import frames


def claim(path: Path, side: int) -> None:
    """Write a PNG of some hundred bytes whose header claims ``side`` x ``side`` pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    data = chunk(b"IDAT", zlib.compress(bytes(100_000)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b""))


def folder_with_one_picture(tmp_path: Path) -> Path:
    folder = tmp_path / "in" / "breast"
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (96, 96), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "a.png")
    return folder


def test_a_corpus_leaves_out_pictures_that_unfold_to_too_much(tmp_path: Path) -> None:
    folder = folder_with_one_picture(tmp_path)
    claim(folder / "bomb.png", 60_000)
    result = build_corpus([tmp_path / "in"], tmp_path / "out")
    assert result.kept == 1
    (dropped,) = result.dropped
    assert dropped.name.endswith("bomb.png")


def test_a_corpus_leaves_out_videos_of_gigantic_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    folder = folder_with_one_picture(tmp_path)
    with av.open(str(folder / "b.avi"), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 400, 300, "gray"
        noise = np.random.default_rng(1).integers(0, 256, (300, 400, 3), dtype=np.uint8)
        container.mux(stream.encode(av.VideoFrame.from_ndarray(noise)))
        container.mux(stream.encode())
    assert sum(frame.pixels is not None for frame in frames(tmp_path / "in")) == 2
    monkeypatch.setattr(sources, "MOST_PIXELS", 100_000)
    (lost,) = [frame.name for frame in frames(tmp_path / "in") if frame.pixels is None]
    assert lost.endswith("b.avi")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_no_sources_pictures_or_configurations(tmp_path: Path) -> None:
    folder = folder_with_one_picture(tmp_path)
    for name in ("pipe.png", "pipe.avi"):
        os.mkfifo(folder / name)
    assert sorted(Path(frame.name).name for frame in frames(tmp_path / "in") if frame.pixels is None) == [
        "pipe.avi",
        "pipe.png",
    ]
    for name in ("a.csv", "a.tar", "a.mp4"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(TusaError, match="a pipe or a device"):
            list(frames(tmp_path / name))
    os.mkfifo(tmp_path / "run.toml")
    with pytest.raises(TusaError, match="a pipe or a device"):
        TrainConfig.read(tmp_path / "run.toml")
