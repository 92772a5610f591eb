"""A cohort of livers with a known share of fat, of the size of Byra et al.: 55 patients, 38 of them above 5 %."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path

import numpy as np

from usbench.errors import UsbenchError
from usbench_tasks.phantoms.builder import Cell, Item, Progress, build
from usbench_tasks.phantoms.liver import Liver, Scan, simulate_liver

SUBJECTS = 55
THRESHOLD = 5.0
"""Steatosis begins above this share of hepatocytes, %."""

_STEATOTIC = 38 / 55
_IMAGES = 10


def build_liver_phantom(
    folder: Path,
    *,
    seed: int = 0,
    n_subjects: int = SUBJECTS,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Path:
    """Write a cohort of liver pictures as PNG, ten a patient, with a manifest.

    Columns: ``path``, ``subject``, ``fat`` (% of hepatocytes), ``steatosis`` (1 above 5 %), ``probe``, ``gain``,
    ``depth``, ``skin`` (mm of fat under the skin).

    Args:
        folder: Where to put it; see :func:`usbench_tasks.phantoms.builder.build`.
        seed: Seed.
        n_subjects: Patients; the share with steatosis is that of Byra et al.
        progress: Called with files done and all files.
        workers: Threads.

    Returns:
        ``folder``.

    Raises:
        UsbenchError: Fewer than 4 patients.
        DataError: The folder cannot be used.
    """
    if n_subjects < 4:
        raise UsbenchError(f"a liver phantom needs at least 4 subjects, not {n_subjects}, to have both classes.")
    plan = functools.partial(_plan, n_subjects=n_subjects)
    return build(
        folder, "liver", plan, seed=seed, parameters={"n_subjects": n_subjects}, progress=progress, workers=workers
    )


def draw_cohort(rng: np.random.Generator, n_subjects: int) -> list[tuple[Liver, Scan]]:
    """Draw patients and the settings of their examination, which know nothing of the fat."""
    steatotic = round(n_subjects * _STEATOTIC)
    healthy = rng.uniform(0.0, THRESHOLD - 0.5, n_subjects - steatotic)
    # Evenly on a logarithmic scale: many mild ones, few severe.
    share = (np.arange(steatotic) + rng.random(steatotic)) / steatotic
    fatty = np.exp(np.log(6.0) + share * np.log(85.0 / 6.0))
    fats = np.concatenate([healthy, fatty])
    return [(_draw_liver(rng, float(fats[i])), _draw_scan(rng)) for i in rng.permutation(n_subjects)]


def _draw_liver(rng: np.random.Generator, fat: float) -> Liver:
    return Liver(
        fat=fat,
        offset=float(rng.normal(0.0, 1.2)),
        extra=float(rng.normal(0.0, 0.04)),
        skin=float(rng.uniform(9.0, 24.0)),
        kidney=float(rng.uniform(80.0, 96.0)),
        kidney_x=float(rng.uniform(15.0, 40.0)),
        kidney_turn=float(rng.uniform(0.2, 0.7)),
        seed=int(rng.integers(2**31)),
    )


def _draw_scan(rng: np.random.Generator) -> Scan:
    return Scan(
        frequency=float(rng.choice([2.5, 3.0, 3.5])),
        depth=float(rng.choice([130.0, 140.0, 150.0])),
        focus=float(rng.choice([60.0, 80.0])),
        tgc=float(rng.normal(0.56, 0.03)),
        gain=float(rng.normal(-4.0, 4.0)),
        dynamic_range=float(rng.choice([55.0, 65.0])),
        noise=float(rng.normal(-72.0, 3.0)),
    )


def _plan(rng: np.random.Generator, n_subjects: int) -> list[Item]:
    items = []
    for number, (liver, scan) in enumerate(draw_cohort(rng, n_subjects), 1):
        name = f"liver{number:03d}"
        for frame in range(1, _IMAGES + 1):
            columns: dict[str, Cell] = {
                "path": f"images/{name}_{frame:02d}.png",
                "subject": name,
                "fat": round(liver.fat, 2),
                "steatosis": int(liver.fat > THRESHOLD),
                "probe": f"{scan.frequency} MHz",
                "gain": round(scan.gain, 1),
                "depth": scan.depth,
                "skin": round(liver.skin, 1),
            }
            now = replace(scan, breath=float(rng.normal(0.0, 2.5)))
            items.append(Item(columns, functools.partial(simulate_liver, liver, now)))
    return items
