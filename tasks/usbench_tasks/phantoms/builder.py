"""Writing a phantom to a folder: all of it or nothing, on several cores, the same for the same seed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from usbench.core.atomic_files import folder_aside
from usbench.errors import DataError
from usbench_tasks.phantoms import PHANTOM_VERSION

Progress = Callable[[int, int], None]
"""Called with the number of files done and the number of all."""

Cell = str | int | float

NOTICE = (
    "Simulated, not from patients. For testing software and showing how a task runs; "
    "scores on it say nothing of clinical data."
)


@dataclass(frozen=True)
class Item:
    """One file to simulate.

    Attributes:
        columns: Its row in the manifest; ``path`` is relative to the folder, its suffix tells the format:
            ``.png`` for a picture, ``.avi`` (lossless) or ``.npy`` for frames.
        simulate: Returns the pixels, uint8 ``[H, W]`` or ``[N, H, W]``, from a generator of the item's own.
        rows: Rows of further tables, keyed by the table's file name.
    """

    columns: Mapping[str, Cell]
    simulate: Callable[[np.random.Generator], npt.NDArray[np.uint8]]
    rows: Mapping[str, Sequence[Mapping[str, Cell]]] = field(default_factory=dict)


def build(
    folder: Path,
    kind: str,
    plan: Callable[[np.random.Generator], Sequence[Item]],
    *,
    seed: int,
    parameters: Mapping[str, Any],
    progress: Progress | None = None,
    workers: int | None = None,
) -> Path:
    """Write a phantom, or return at once if the same one is already there.

    Files are written to a temporary folder beside ``folder``, which is renamed when complete: an interrupted
    build leaves no half phantom, and the next one removes what a kill has left. Every item has a random generator of
    its own, so that neither the order nor the number of workers matters. Threads are used, as NumPy and SciPy work
    outside the interpreter's lock.

    Args:
        folder: Where to put it.
        kind: Name of the phantom, such as ``eye``.
        plan: Returns the items of the whole phantom.
        seed: Seed of everything.
        parameters: What else determines it; written to ``phantom.json``.
        progress: Called after each file.
        workers: Threads; by default the cores this process may use.

    Returns:
        ``folder``, with ``manifest.csv`` and ``phantom.json``.

    Raises:
        DataError: ``folder`` holds something else, or cannot be written.
    """
    folder = Path(folder)
    about = {
        "synthetic": True,
        "notice": NOTICE,
        "kind": kind,
        "generator": "usbench_tasks.phantoms",
        "phantom_version": PHANTOM_VERSION,
        "seed": seed,
        "parameters": dict(parameters),
    }
    if _is_there(folder, about):
        return folder
    items = plan(np.random.default_rng([PHANTOM_VERSION, seed]))
    try:
        with folder_aside(folder) as temporary:
            _write_items(temporary, items, seed, progress, workers or usable_cores())
            for name, rows in _tables(items).items():
                (temporary / name).write_text(csv_text(rows), encoding="utf-8")
            libraries = {"libraries": {"numpy": np.__version__}, "files": len(items)}
            (temporary / "phantom.json").write_text(json.dumps(about | libraries, indent=2) + "\n", encoding="utf-8")
            return _move(temporary, folder, about)
    except OSError as error:
        raise DataError(
            f"{folder}: the phantom cannot be written ({error.strerror or error}). Free space or choose another folder."
        ) from None


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def csv_text(rows: Sequence[Mapping[str, Cell]]) -> str:
    """Return rows that share their columns as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _tables(items: Sequence[Item]) -> dict[str, list[Mapping[str, Cell]]]:
    """Return the manifest and the further tables by file name."""
    tables: dict[str, list[Mapping[str, Cell]]] = {"manifest.csv": [item.columns for item in items]}
    for item in items:
        for name, rows in item.rows.items():
            tables.setdefault(name, []).extend(rows)
    return tables


def _is_there(folder: Path, about: Mapping[str, Any]) -> bool:
    """Notify whether the same phantom is complete in ``folder``.

    Raises:
        DataError: Something else is.
    """
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    try:
        found = json.loads((folder / "phantom.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = {}
    if (folder / "manifest.csv").is_file() and all(found.get(key) == value for key, value in about.items()):
        return True
    what = "another phantom" if found.get("synthetic") else "something else"
    raise DataError(f"{folder}: holds {what}, which will not be overwritten. Remove it or choose another folder.")


def _move(temporary: Path, folder: Path, about: Mapping[str, Any]) -> Path:
    try:
        temporary.replace(folder)
    except OSError:
        # Another process finished the same phantom first.
        if not _is_there(folder, about):
            raise
    return folder


def _write_items(root: Path, items: Sequence[Item], seed: int, progress: Progress | None, workers: int) -> None:
    for parent in {(root / str(item.columns["path"])).parent for item in items}:
        parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(_write_item, root, item, seed, index) for index, item in enumerate(items)]
        try:
            for done, future in enumerate(as_completed(futures), 1):
                future.result()
                if progress is not None:
                    progress(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _write_item(root: Path, item: Item, seed: int, index: int) -> None:
    pixels = item.simulate(np.random.default_rng([PHANTOM_VERSION, seed, 1, index]))
    path = root / str(item.columns["path"])
    if path.suffix == ".npy":
        np.save(path, pixels)
    elif path.suffix == ".avi":
        _write_video(path, pixels, float(item.columns["fps"]))
    else:
        from PIL import Image

        Image.fromarray(pixels).save(path, compress_level=3)


def _write_video(path: Path, frames: npt.NDArray[np.uint8], rate: float) -> None:
    """Write grey frames as AVI without loss, and without anything that differs from run to run."""
    from fractions import Fraction

    import av

    with av.open(str(path), "w", format="avi", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("ffv1", rate=Fraction(rate).limit_denominator(1000))
        stream.height, stream.width = frames.shape[1:]
        stream.pix_fmt = "gray"
        stream.codec_context.thread_count = 1
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for pixels in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="gray")))
        container.mux(stream.encode())
