from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from helpers import colours, ramp, write_video

from usbench.media import MediaError, open_media, to_grey
from usbench.media.video import grey_frame

FRAMES = [ramp(64, 80, shift=9 * i) for i in range(24)]


def _decode_count(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the frames that are turned to grey, and so how far decoding went."""
    seen: list[int] = []

    def counting(frame: object) -> np.ndarray:
        seen.append(1)
        return grey_frame(frame)

    monkeypatch.setattr("usbench.media.video.grey_frame", counting)
    return seen


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.mp4", "libx264"),
        ("a.mov", "mpeg4"),
        ("a.avi", "mjpeg"),
        ("a.avi", "mpeg4"),
        ("a.mkv", "libx264"),
        ("a.avi", "ffv1"),
    ],
)
def test_formats(tmp_path: Path, name: str, codec: str) -> None:
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    path = write_video(tmp_path / name, FRAMES, codec, pix_fmt=pix_fmt)
    with open_media(path) as media:
        assert media.n_frames == 24
        frames = media.frames()
    assert len(frames) == 24
    error = np.mean([np.abs(f.astype(int) - g).mean() for f, g in zip(frames, FRAMES, strict=True)])
    assert error < (1.0 if codec == "ffv1" else 8.0)


def test_lossless_grey_is_exact(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", FRAMES, "ffv1", pix_fmt="gray")
    assert np.array_equal(np.stack(open_media(path).frames()), np.stack(FRAMES))


def test_lossless_colour_gives_luma(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", [colours()] * 3, "ffv1", pix_fmt="bgr0")
    assert np.array_equal(open_media(path).frames([2])[0], to_grey(colours()))


def test_television_range_becomes_full_range() -> None:
    frame = av.VideoFrame(256, 2, "yuv420p")
    luma_plane = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    padded = np.zeros((2, frame.planes[0].line_size), np.uint8)
    padded[:, :256] = luma_plane
    frame.planes[0].update(padded.tobytes())
    for plane in frame.planes[1:]:
        plane.update(np.full(plane.buffer_size, 128, np.uint8).tobytes())
    grey = grey_frame(frame)
    assert grey[0, 16] == 0
    assert grey[0, 235] == 255
    assert grey[0, 126] == round((126 - 16) * 255 / 219)
    frame.color_range = 2
    assert np.array_equal(grey_frame(frame), luma_plane)


def test_one_by_one_equals_batch(tmp_path: Path) -> None:
    # B-frames: packets are not in the order of display.
    path = write_video(tmp_path / "a.mp4", FRAMES, codec_options={"bf": "3", "g": "12"})
    batch = open_media(path).frames()
    for index in (0, 1, 7, 22, 23):
        assert np.array_equal(open_media(path).frames([index])[0], batch[index])
    with open_media(path) as media:
        mixed = media.frames([23, 0, 7, 0])
        again = media.frames(np.array([7]))  # type: ignore[arg-type]
    assert [np.array_equal(m, batch[i]) for m, i in zip(mixed, (23, 0, 7, 0), strict=True)] == [True] * 4
    assert np.array_equal(again[0], batch[7])


def test_decodes_once_and_no_further_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", FRAMES)
    opened: list[str] = []
    real_open = av.open
    monkeypatch.setattr(av, "open", lambda *a, **k: (opened.append(a[0]), real_open(*a, **k))[1])
    turned = _decode_count(monkeypatch)
    media = open_media(path)
    opened.clear()
    media.frames([9, 3, 9, 5])
    assert len(opened) == 1
    assert len(turned) == 3


@pytest.mark.parametrize("faststart", [False, True])
@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
def test_truncation_anywhere_is_found(tmp_path: Path, name: str, faststart: bool) -> None:
    options = {"movflags": "faststart"} if faststart and name == "a.mp4" else {}
    path = write_video(tmp_path / name, FRAMES, "mpeg4", options=options)
    content = path.read_bytes()
    for cut in (
        1,
        50,
        len(content) // 4,
        len(content) // 2,
        len(content) * 3 // 4,
        len(content) * 99 // 100,
        len(content) - 2,
    ):
        short = tmp_path / f"short{path.suffix}"
        short.write_bytes(content[:cut])
        with pytest.raises(MediaError) as error:
            open_media(short).frames()
        assert "\n" not in str(error.value)
        assert str(short) in str(error.value)


def test_index_lists_more_than_there_is(tmp_path: Path) -> None:
    """A file cut short whose outer length was then made to fit."""
    path = write_video(tmp_path / "a.mp4", FRAMES, options={"movflags": "faststart"})
    content = bytearray(path.read_bytes())
    at = content.index(b"mdat") - 4
    length = (len(content) - at) // 2
    content[at : at + 4] = length.to_bytes(4, "big")
    path.write_bytes(content[: at + length])
    with pytest.raises(MediaError, match="cut off"):
        open_media(path)


def test_no_frames_and_no_pictures(tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        out = container.add_stream("aac", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 2048), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(out.encode(frame))
        container.mux(out.encode())
    with pytest.raises(MediaError, match="no video stream"):
        open_media(path)
    empty = tmp_path / "empty.avi"
    with av.open(str(empty), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuvj420p"
        container.start_encoding()
    with pytest.raises(MediaError):
        open_media(empty)


def test_covid_blues(data_root: Path) -> None:
    """Frame counts of the published set: 362 videos, 31,746 frames; and pictures as a second decoder gives them."""
    folder = data_root / "covid_blues" / "lus_videos"
    if not folder.is_dir():
        pytest.skip("COVID-BLUES is not there")
    paths = sorted(folder.glob("*.mp4"))
    counts = [open_media(path).n_frames for path in paths]
    assert (len(counts), sum(counts)) == (362, 31746)
    (frame,) = open_media(paths[0]).frames([5])
    assert frame.shape == (350, 350)
    with av.open(str(paths[0])) as container:
        shown = [f.to_ndarray(format="rgb24") for f, _ in zip(container.decode(video=0), range(6), strict=False)][5]
    assert np.abs(frame.astype(int) - to_grey(shown)).max() <= 2
