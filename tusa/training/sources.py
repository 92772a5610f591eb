"""Where a corpus comes from: manifests, folders, videos, WebDataset shards."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from tusa.errors import TusaError
from tusa.files import regular
from tusa.training.corpus import Corpus

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp"})
VIDEO_SUFFIXES = frozenset({".mp4", ".avi", ".mov", ".mkv", ".webm"})
FRAMES_A_VIDEO = 32
# A file of a few bytes can claim any number of pixels. Pillow's own limit for pictures, held for videos too.
MOST_PIXELS = 2 * 89_478_485


@dataclass(frozen=True)
class Frame:
    """One grey frame on its way into a corpus.

    Attributes:
        pixels: uint8 ``[H, W]``; ``None`` where the file could not be read.
        name: the file, for messages.
        organ: organ group.
        subject: patient or video.
        dataset: source.
    """

    pixels: NDArray[np.uint8] | None
    name: str
    organ: str
    subject: str
    dataset: str


def read_corpus(sources: Sequence[str | Path], size: int, max_unreadable: int = 20) -> Corpus:
    """Read every source into memory as grey squares.

    Args:
        sources: ``.csv`` manifests (columns ``file`` or ``path``, ``organ``, ``subject``, optionally
            ``dataset``), folders ``organ/.../image`` of images and videos, single videos, and ``.tar`` shards.
        size: side of the squares in pixels.
        max_unreadable: how many unreadable files are skipped before giving up.

    Raises:
        TusaError: when a source is missing or of an unknown kind, nothing could be read, or too much could not.
    """
    images: list[NDArray[np.uint8]] = []
    rows: list[Frame] = []
    unreadable: list[str] = []
    for frame in (frame for source in sources for frame in frames(Path(source))):
        if frame.pixels is None:
            unreadable.append(frame.name)
            if len(unreadable) > max_unreadable:
                raise TusaError(
                    f"More than {max_unreadable} unreadable images, {', '.join(unreadable[:3])} among them. "
                    "Repair or remove them, or raise data.max_unreadable."
                )
            continue
        images.append(square(frame.pixels, size))
        rows.append(Frame(None, frame.name, frame.organ, frame.subject, frame.dataset))
    if not rows:
        where = ", ".join(str(source) for source in sources) or "no source at all"
        raise TusaError(f"The corpus is empty: no readable image in {where}. Check data.sources.")
    return Corpus(
        images=torch.from_numpy(np.stack(images)),
        organs=[row.organ for row in rows],
        subjects=[f"{row.dataset}/{row.subject}" for row in rows],
        datasets=[row.dataset for row in rows],
        unreadable=unreadable,
    )


def frames(source: Path) -> Iterator[Frame]:
    """Stream the frames of one source.

    Raises:
        TusaError: when it is missing or of an unknown kind.
    """
    if not source.exists():
        raise TusaError(f"No corpus at {source}. Check data.sources.")
    suffix = source.suffix.lower()
    if not source.is_dir():
        regular(source)
    if suffix == ".csv":
        yield from _manifest(source)
    elif source.is_dir():
        yield from _folder(source)
    elif suffix == ".tar":
        yield from _shard(source)
    elif suffix in VIDEO_SUFFIXES:
        yield from _video(source, organ="unknown", dataset=source.parent.name)
    else:
        raise TusaError(f"{source} is no corpus: give a .csv manifest, a folder, a video or a .tar shard.")


def read_gray(path: Path) -> NDArray[np.uint8] | None:
    """An image file as grey uint8 ``[H, W]``, by ITU-R 601 luma; ``None`` when it cannot be read."""
    if not path.is_file():  # reading a pipe or a device could last for ever
        return None
    try:
        with Image.open(path) as image:
            return _gray(image)
    except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def square(pixels: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Resize to a square, aspect ignored, bilinear with antialias."""
    if pixels.shape == (size, size):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def _gray(image: Image.Image) -> NDArray[np.uint8]:
    if image.mode in ("I;16", "I", "F"):  # more than 8 bits: spread what is there over 0-255
        values = np.asarray(image, dtype=np.float64)
        low, high = float(values.min()), float(values.max())
        return np.round((values - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
    return np.asarray(image.convert("L"))


def _manifest(path: Path) -> Iterator[Frame]:
    with path.open(newline="", encoding="utf-8") as file:
        table = csv.DictReader(file)
        columns = table.fieldnames or []
        column = next((name for name in ("file", "path") if name in columns), None)
        if column is None or not {"organ", "subject"} <= set(columns):
            raise TusaError(f"{path} needs columns file (or path), organ and subject; it has {list(columns)}.")
        # Decoding leaves Python's lock alone: threads use all cores. A few hundred rows at a time bound the memory.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            while rows := list(islice(table, 256)):
                items = [path.parent / row[column] for row in rows]
                pictures = pool.map(lambda item: None if _is_video(item) else read_gray(item), items)
                for row, item, pixels in zip(rows, items, pictures, strict=True):
                    dataset = row.get("dataset") or path.parent.name
                    if _is_video(item):
                        yield from _video(item, row["organ"], dataset, row["subject"])
                    else:
                        yield Frame(pixels, str(item), row["organ"], row["subject"], dataset)


def _is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES


def _folder(root: Path) -> Iterator[Frame]:
    """Files below ``root``: the first folder names the organ, and a stem is a subject of its own."""
    for path in sorted(root.rglob("*")):
        suffix = path.suffix.lower()
        parts = path.relative_to(root).parts
        organ = parts[0] if len(parts) > 1 else "unknown"
        if suffix in IMAGE_SUFFIXES:
            subject = "/".join((*parts[:-1], path.stem))
            yield Frame(read_gray(path), str(path), organ, subject, root.name)
        elif suffix in VIDEO_SUFFIXES:
            yield from _video(path, organ, root.name, "/".join((*parts[:-1], path.stem)))


def _video(path: Path, organ: str, dataset: str, subject: str | None = None) -> Iterator[Frame]:
    """At most ``FRAMES_A_VIDEO`` frames, evenly spaced over the video; all of one subject."""
    import av

    subject = subject or path.stem
    try:
        if not path.is_file():
            raise FileNotFoundError(path)
        with av.open(str(path)) as container:
            shape = container.streams.video[0].codec_context
            if shape.width * shape.height > MOST_PIXELS:
                raise OSError("its frames are too large")
            count = sum(1 for _ in container.decode(video=0))
        wanted = set(np.unique(np.linspace(0, count - 1, min(count, FRAMES_A_VIDEO)).round().astype(int)).tolist())
        with av.open(str(path)) as container:
            for number, frame in enumerate(container.decode(video=0)):
                if number in wanted:
                    yield Frame(frame.to_ndarray(format="gray"), f"{path}#{number}", organ, subject, dataset)
    except (av.FFmpegError, OSError, IndexError):
        yield Frame(None, str(path), organ, subject, dataset)


def _shard(path: Path) -> Iterator[Frame]:
    """Samples of a WebDataset shard: an image, and ``.json`` with organ, subject and dataset where known."""
    import io
    import json

    import webdataset

    samples: Any = webdataset.WebDataset(str(path), shardshuffle=False, empty_check=False)
    for sample in samples:
        key = str(sample["__key__"])
        about = json.loads(sample["json"]) if "json" in sample else {}
        data = next((sample[s[1:]] for s in sorted(IMAGE_SUFFIXES) if s[1:] in sample), None)
        if data is None:
            continue
        try:
            with Image.open(io.BytesIO(data)) as image:
                pixels: NDArray[np.uint8] | None = _gray(image)
        except (OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError):
            pixels = None
        yield Frame(
            pixels,
            f"{path}#{key}",
            str(about.get("organ", "unknown")),
            str(about.get("subject", key)),
            str(about.get("dataset", path.stem)),
        )
