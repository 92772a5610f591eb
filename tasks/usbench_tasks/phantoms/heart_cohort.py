"""A cohort of beating ventricles of known ejection fraction, with the tables of EchoNet-Dynamic beside the manifest."""

from __future__ import annotations

import functools
import math
from pathlib import Path

import numpy as np

from usbench.errors import UsbenchError
from usbench_tasks.phantoms.builder import Cell, Item, Progress, build
from usbench_tasks.phantoms.heart import SIZE, Heart, View, simulate_heart, tracing

SUBJECTS = 160
_TRAIN, _VAL = 0.60, 0.15
_RANGE = (20.0, 75.0)


def build_heart_phantom(
    folder: Path,
    *,
    seed: int = 0,
    n_subjects: int = SUBJECTS,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Path:
    """Write a cohort of echocardiograms as lossless AVI.

    Three tables lie beside the folder ``Videos``. ``manifest.csv`` has ``path``, ``subject``, ``split``, ``frames``
    (end-diastole to end-systole), ``ef`` (%), ``esv`` and ``edv`` (mL), ``fps``, ``heart_rate``, ``gain``, ``depth``.
    ``FileList.csv`` and ``VolumeTracings.csv`` are those of EchoNet-Dynamic, so that code written for it runs here.

    ``ef`` is what the two marked frames show: the volumes are those of the simulated cavity at these two instants.

    Args:
        folder: Where to put it; see :func:`usbench_tasks.phantoms.builder.build`.
        seed: Seed.
        n_subjects: Videos, one a patient; 60 % train, 15 % val, 25 % test.
        progress: Called with files done and all files.
        workers: Threads.

    Returns:
        ``folder``.

    Raises:
        UsbenchError: Fewer than 8 patients.
        DataError: The folder cannot be used.
    """
    if n_subjects < 8:
        raise UsbenchError(f"a heart phantom needs at least 8 subjects, not {n_subjects}, to fill its three splits.")
    plan = functools.partial(_plan, n_subjects=n_subjects)
    return build(
        folder, "heart", plan, seed=seed, parameters={"n_subjects": n_subjects}, progress=progress, workers=workers
    )


def draw_cohort(rng: np.random.Generator, n_subjects: int) -> list[tuple[Heart, View, str]]:
    """Draw hearts, views and splits.

    Ejection fractions are spread evenly over 20 to 75 %, and alike in all three splits. Failing hearts are larger and
    rounder on average, as in patients, but with wide overlap. How a video is taken depends on nothing.
    """
    quantiles = (np.arange(n_subjects) + rng.random(n_subjects)) / n_subjects
    fractions = _RANGE[0] + (_RANGE[1] - _RANGE[0]) * quantiles
    splits = _draw_splits(rng, n_subjects)
    order = rng.permutation(n_subjects)
    cohort = []
    for index in order:
        heart = _draw_heart(rng, float(fractions[index]))
        cohort.append((heart, _draw_view(rng, heart), splits[index]))
    return cohort


def _draw_splits(rng: np.random.Generator, n_subjects: int) -> list[str]:
    """Draw a split for each rank of the ejection fraction, in the right proportion within every 20 neighbours."""
    splits: list[str] = []
    train, val = round(_TRAIN * 20), round(_VAL * 20)
    block = ["TRAIN"] * train + ["VAL"] * val + ["TEST"] * (20 - train - val)
    if n_subjects < 20:
        block = ["TRAIN"] * (n_subjects - 2 * (n_subjects // 4)) + ["VAL", "TEST"] * (n_subjects // 4)
    while len(splits) < n_subjects:
        splits += [block[i] for i in rng.permutation(len(block))]
    return splits[:n_subjects]


def _draw_heart(rng: np.random.Generator, ef: float) -> Heart:
    failing = (60.0 - ef) / 40.0
    return Heart(
        edv=float(np.clip(rng.normal(118.0 + 35.0 * failing, 26.0), 65.0, 240.0)),
        ef=ef,
        sphericity=float(np.clip(rng.normal(0.54 + 0.05 * failing, 0.045), 0.43, 0.75)),
        ellipticity=float(rng.normal(1.0, 0.04)),
        wall=float(np.clip(rng.normal(9.5, 1.3), 6.5, 14.0)),
        level=float(rng.normal(0.0, 2.0)),
        seed=int(rng.integers(2**31)),
    )


def _draw_view(rng: np.random.Generator, heart: Heart) -> View:
    length = heart.shape(0.0)[1]
    apex = float(rng.uniform(16.0, 28.0))
    needed = apex + length + 32.0
    depth = float(rng.choice([d for d in (140.0, 155.0, 170.0, 185.0, 200.0) if d >= needed][:2] or [200.0]))
    rate, fps = float(np.clip(rng.normal(72.0, 11.0), 48.0, 105.0)), float(rng.choice([25.0, 30.0]))
    start = float(rng.uniform(0.72, 0.98))
    # Until a little after the first end-systole.
    frames = math.ceil((1.0 - start + 0.55) * 60.0 / rate * fps) + 2
    return View(
        frames=frames,
        fps=fps,
        rate=rate,
        start=start,
        frequency=float(rng.choice([2.0, 2.5, 3.0])),
        depth=depth,
        apex=apex,
        tilt=float(rng.normal(0.0, 0.09)),
        shift=float(rng.normal(0.0, 3.0)),
        gain=float(rng.normal(0.0, 4.0)),
        dynamic_range=float(rng.choice([45.0, 55.0, 65.0])),
        noise=float(rng.normal(-60.0, 4.0)),
        dropout=float(rng.uniform(8.0, 24.0)) if rng.random() < 0.3 else 0.0,
    )


def _plan(rng: np.random.Generator, n_subjects: int) -> list[Item]:
    items = []
    for number, (heart, view, split) in enumerate(draw_cohort(rng, n_subjects), 1):
        name = f"heart{number:03d}"
        diastole, systole = view.marks(heart)
        edv, esv = (float(heart.volume(view.phases[frame])) for frame in (diastole, systole))
        ef = 100.0 * (edv - esv) / edv
        columns: dict[str, Cell] = {
            "path": f"Videos/{name}.avi",
            "subject": name,
            "split": split.lower(),
            "frames": f"{diastole}-{systole}",
            "ef": round(ef, 2),
            "esv": round(esv, 2),
            "edv": round(edv, 2),
            "fps": view.fps,
            "heart_rate": round(view.rate, 1),
            "gain": round(view.gain, 1),
            "depth": view.depth,
        }
        listed: dict[str, Cell] = {
            "FileName": name,
            "EF": round(ef, 2),
            "ESV": round(esv, 2),
            "EDV": round(edv, 2),
            "FrameHeight": SIZE,
            "FrameWidth": SIZE,
            "FPS": view.fps,
            "NumberOfFrames": view.frames,
            "Split": split,
        }
        traced: list[dict[str, Cell]] = [
            {"FileName": f"{name}.avi", "X1": x1, "Y1": y1, "X2": x2, "Y2": y2, "Frame": frame}
            for frame in (diastole, systole)
            for x1, y1, x2, y2 in (tuple(round(v, 3) for v in line) for line in tracing(heart, view, frame))
        ]
        tables = {"FileList.csv": [listed], "VolumeTracings.csv": traced}
        items.append(Item(columns, functools.partial(simulate_heart, heart, view), tables))
    return items
