"""``tusa corpus`` and every kind of source, on real images."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tusa.errors import TusaError
from tusa.training.builder import build_corpus
from tusa.training.sources import FRAMES_A_VIDEO, read_corpus


@pytest.fixture
def folder(image_files: list[Path], tmp_path: Path) -> Path:
    """Eight images of two 'organs', one stored again as a JPEG, one black, one tiny, one broken."""
    root = tmp_path / "source"
    for number, path in enumerate(image_files[:16:2]):
        target = root / ("breast" if number < 5 else "other") / f"P{number // 2}_view{number}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    first = Image.open(root / "breast" / "P0_view0.png").convert("L")
    first.save(root / "breast" / "P9_again.jpg", quality=80)
    Image.new("L", (200, 200)).save(root / "breast" / "black.png")
    first.resize((40, 40)).save(root / "breast" / "tiny.png")
    (root / "breast" / "zero.png").touch()
    return root


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "manifest.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_what_is_kept_and_what_is_dropped(folder: Path, tmp_path: Path) -> None:
    report = build_corpus([folder], tmp_path / "out", size=96, subject_pattern=r"(P\d+)_")
    assert report.kept == 8
    assert report.organs == {"breast": 5, "other": 3}
    assert report.reasons() == {"duplicate": 1, "flat": 1, "small": 1, "unreadable": 1}
    (duplicate,) = [item for item in report.dropped if item.reason == "duplicate"]
    assert Path(duplicate.name).name == "P9_again.jpg"
    assert Path(duplicate.of).name == "P0_view0.png"
    assert [(Path(a).name, Path(b).name) for a, b in report.crossing] == [("P0_view0.png", "P9_again.jpg")]
    table = rows(tmp_path / "out")
    assert {row["subject"] for row in table} == {"P0", "P1", "P2", "P3"}
    for row in table:
        with Image.open(tmp_path / "out" / row["file"]) as image:
            assert (image.size, image.mode) == ((96, 96), "L")
    assert json.loads((tmp_path / "out" / "report.json").read_text())["reasons"] == report.reasons()


def test_the_result_is_read_as_it_was_written(folder: Path, tmp_path: Path) -> None:
    build_corpus([folder], tmp_path / "out", size=96, subject_pattern=r"(P\d+)_")
    corpus = read_corpus([tmp_path / "out" / "manifest.csv"], 96)
    assert len(corpus) == 8
    assert len(set(corpus.subjects)) == 4
    assert set(corpus.datasets) == {"source"}


def test_a_duplicate_under_another_organ_is_a_conflict(folder: Path, tmp_path: Path) -> None:
    (folder / "other" / "wrong.png").write_bytes((folder / "breast" / "P0_view0.png").read_bytes())
    report = build_corpus([folder], tmp_path / "out")
    assert [(Path(a).name, Path(b).name) for a, b in report.conflicts] == [("P0_view0.png", "wrong.png")]


def test_keeping_everything(folder: Path, tmp_path: Path) -> None:
    assert build_corpus([folder], tmp_path / "out", distance=-1, smallest=1).kept == 10


def write_video(path: Path, pictures: list[np.ndarray]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=10)
        stream.height, stream.width = pictures[0].shape
        stream.pix_fmt = "gray"
        for picture in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="gray")))
        container.mux(stream.encode())


def test_frames_of_a_video_are_one_subject_and_standing_ones_fall_away(image_files: list[Path], tmp_path: Path) -> None:
    pictures = [np.asarray(Image.open(path).convert("L").resize((128, 128))) for path in image_files[:6:2]]
    source = tmp_path / "lung"
    source.mkdir()
    write_video(source / "scan.avi", [picture for picture in pictures for _ in range(15)])
    report = build_corpus([tmp_path], tmp_path / "out")
    assert report.kept == 3
    assert report.subjects == 1
    assert report.reasons() == {"duplicate": FRAMES_A_VIDEO - 3}
    assert not report.crossing
    assert {row["organ"] for row in rows(tmp_path / "out")} == {"lung"}


def test_webdataset_shards(image_files: list[Path], tmp_path: Path) -> None:
    shard = tmp_path / "shard-000.tar"
    with tarfile.open(shard, "w") as tar:
        for number, path in enumerate(image_files[:4:2]):
            about = json.dumps({"organ": "breast", "subject": f"p{number}", "dataset": "bus"}).encode()
            for suffix, data in (("png", path.read_bytes()), ("json", about)):
                entry = tarfile.TarInfo(f"{number:04d}.{suffix}")
                entry.size = len(data)
                tar.addfile(entry, io.BytesIO(data))
    corpus = read_corpus([shard], 64)
    assert corpus.subjects == ["bus/p0", "bus/p1"]
    direct = read_corpus([image_files[0].parent], 64)
    assert np.array_equal(corpus.images[0].numpy(), direct.images[0].numpy())


def test_sources_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TusaError, match="not an empty folder"):
        build_corpus([folder], folder)
    with pytest.raises(TusaError, match="No corpus at"):
        build_corpus([tmp_path / "nowhere"], tmp_path / "out")
    with pytest.raises(TusaError, match="regular expression"):
        build_corpus([folder], tmp_path / "out", subject_pattern="(")
    with pytest.raises(TusaError, match="matches no name of the corpus"):
        build_corpus([folder], tmp_path / "other", subject_pattern=r"(Q\d{9})_")
    assert not (tmp_path / "other" / "manifest.csv").exists()
    (tmp_path / "text").mkdir()
    with pytest.raises(TusaError, match="would be empty"):
        build_corpus([tmp_path / "text"], tmp_path / "out")
    (tmp_path / "bad.csv").write_text("picture,organ\n")
    with pytest.raises(TusaError, match="needs columns file"):
        read_corpus([tmp_path / "bad.csv"], 64)


def test_the_command(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from tusa.cli import main; main()", "corpus", str(folder)]
    done = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "8 images of 8 subjects" in done.stdout
    assert "dropped, unreadable: 1" in done.stdout
    assert "give --subject" in done.stderr
    again = subprocess.run([*command, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.startswith("tusa: ")
    assert len(again.stderr.strip().splitlines()) == 1
