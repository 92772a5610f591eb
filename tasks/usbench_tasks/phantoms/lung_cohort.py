"""A cohort of lungs of the size of COVID-BLUES: 63 patients, 33 positive, videos at up to six BLUE points."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from usbench.errors import UsbenchError
from usbench_tasks.phantoms.builder import Cell, Item, Progress, build
from usbench_tasks.phantoms.lung import GRADES, Lung, View, simulate_lung

SUBJECTS = 63
POINTS = ("L1", "L2", "L3", "R1", "R2", "R3")
"""BLUE points: upper, lower and posterolateral of either side."""

B_LINES = ((0, 1), (1, 2), (3, 4), (5, 7))
"""Fewest and most B-lines at each severity."""

_POSITIVE, _SATURATION_KNOWN = 33 / 63, 56 / 63
_ALL_POINTS = 0.8
_AGES = {"under 50": 50, "50-69": 70, "70 and over": 200}
_UNEVEN = 0.55
"""Standard deviation of the severity within a patient, grades."""


@dataclass(frozen=True)
class Patient:
    """A patient.

    Attributes:
        number: From 1.
        positive: Result of the PCR test.
        disease: How ill the lungs are on the whole, in grades, about 0 to 3.
        saturation: Oxygen saturation, %; None where it was not taken without oxygen.
        sex: ``female`` or ``male``.
        age: Years.
        points: BLUE points filmed.
        pleura: Usual depth of the pleura, mm.
        frequency: Probe of the examination, MHz.
        gain: Usual gain, dB.
    """

    number: int
    positive: bool
    disease: float
    saturation: int | None
    sex: str
    age: int
    points: tuple[str, ...]
    pleura: float
    frequency: float
    gain: float

    @property
    def name(self) -> str:
        """Identity within the cohort."""
        return f"lung{self.number:03d}"


def build_lung_phantom(
    folder: Path,
    *,
    seed: int = 0,
    n_subjects: int = SUBJECTS,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Path:
    """Write a cohort of lung videos as lossless AVI with a manifest.

    Columns of COVID-BLUES: ``path``, ``subject``, ``case`` (a BLUE point), ``bluepoint``, ``side``, ``take``,
    ``cov_test`` (0 or 1), ``oxygen_saturation_without_ox`` (%, empty for one patient in nine), ``sex``, ``age``,
    ``age_group``, ``severity`` (0 to 3, of the video), ``a_lines`` and ``b_lines`` (``yes``/``no``). The
    simulator's own are ``n_b_lines``, ``pleura`` (mm), ``probe``, ``gain``, ``depth`` and ``fps``.

    Args:
        folder: Where to put it; see :func:`usbench_tasks.phantoms.builder.build`.
        seed: Seed.
        n_subjects: Patients; the shares of positive ones and of known saturations are those of COVID-BLUES.
        progress: Called with files done and all files.
        workers: Threads.

    Returns:
        ``folder``.

    Raises:
        UsbenchError: Fewer than 4 patients.
        DataError: The folder cannot be used.
    """
    if n_subjects < 4:
        raise UsbenchError(f"a lung phantom needs at least 4 subjects, not {n_subjects}, to have both classes.")
    plan = functools.partial(_plan, n_subjects=n_subjects)
    return build(
        folder, "lung", plan, seed=seed, parameters={"n_subjects": n_subjects}, progress=progress, workers=workers
    )


def draw_cohort(rng: np.random.Generator, n_subjects: int) -> list[Patient]:
    """Draw patients.

    The test decides how ill lungs are on average, with overlap: a positive patient may have clear lungs, a negative one
    another pneumonia. Saturation falls with disease, with scatter. Sex, age and acquisition depend on nothing.
    """
    positive = rng.permutation(np.arange(n_subjects) < round(n_subjects * _POSITIVE))
    known = rng.permutation(np.arange(n_subjects) < max(4, round(n_subjects * _SATURATION_KNOWN)))
    return [_draw_patient(rng, i + 1, bool(positive[i]), bool(known[i])) for i in range(n_subjects)]


def draw_severity(rng: np.random.Generator, patient: Patient) -> int:
    """Draw the severity, 0 to 3, of one place on a patient's chest."""
    return int(np.clip(np.rint(rng.normal(patient.disease, _UNEVEN)), 0, GRADES - 1))


def _draw_patient(rng: np.random.Generator, number: int, positive: bool, known: bool) -> Patient:
    disease = float(np.clip(rng.normal(1.7 if positive else 0.7, 0.65), 0.0, 3.0))
    saturation = int(np.clip(np.rint(98.0 - 3.4 * disease + rng.normal(0.0, 2.2)), 78, 100))
    points: tuple[str, ...] = POINTS
    if rng.random() >= _ALL_POINTS:
        chosen = rng.choice(len(POINTS), int(rng.integers(2, len(POINTS))), replace=False)
        points = tuple(POINTS[i] for i in sorted(chosen))
    return Patient(
        number=number,
        positive=positive,
        disease=disease,
        saturation=saturation if known else None,
        sex="male" if rng.random() < 0.65 else "female",
        age=int(np.clip(rng.normal(65.0, 16.0), 21, 97)),
        points=points,
        pleura=float(rng.uniform(17.0, 30.0)),
        frequency=float(rng.choice([3.0, 3.5, 4.0])),
        gain=float(rng.normal(0.0, 3.0)),
    )


def _draw_lung(rng: np.random.Generator, patient: Patient, severity: int) -> Lung:
    fewest, most = B_LINES[severity]
    return Lung(
        severity=severity,
        b_lines=int(rng.integers(fewest, most + 1)),
        width=float(rng.uniform(0.9, 1.5) * (1.0 + 0.35 * severity)),
        pleura=float(np.clip(patient.pleura + rng.normal(0.0, 2.0), 14.0, 34.0)),
        a_line=float(rng.normal(-10.0, 2.0)),
        space=float(rng.uniform(28.0, 40.0)),
        seed=int(rng.integers(2**31)),
    )


def _draw_view(rng: np.random.Generator, patient: Patient) -> View:
    return View(
        frequency=patient.frequency,
        depth=float(rng.choice([100.0, 120.0, 140.0])),
        gain=patient.gain + float(rng.normal(0.0, 1.5)),
        dynamic_range=float(rng.choice([50.0, 60.0, 70.0])),
        noise=float(rng.normal(-66.0, 3.0)),
        shift=float(rng.normal(0.0, 4.0)),
        slide=float(rng.uniform(1.5, 6.0)),
        start=float(rng.uniform(0.0, 6.28)),
    )


def _plan(rng: np.random.Generator, n_subjects: int) -> list[Item]:
    items = []
    for patient in draw_cohort(rng, n_subjects):
        for point in patient.points:
            severity = draw_severity(rng, patient)
            lung, view = _draw_lung(rng, patient, severity), _draw_view(rng, patient)
            columns: dict[str, Cell] = {
                "path": f"videos/{patient.name}_{point}.avi",
                "subject": patient.name,
                "case": f"{patient.name}_{point}",
                "bluepoint": point,
                "side": {"L": "left", "R": "right"}[point[0]],
                "take": 1,
                "cov_test": int(patient.positive),
                "oxygen_saturation_without_ox": "" if patient.saturation is None else patient.saturation,
                "sex": patient.sex,
                "age": patient.age,
                "age_group": next(band for band, end in _AGES.items() if patient.age < end),
                "severity": severity,
                "a_lines": "yes" if severity < 2 else "no",
                "b_lines": "yes" if lung.b_lines else "no",
                "n_b_lines": lung.b_lines,
                "pleura": round(lung.pleura, 1),
                "probe": f"{view.frequency} MHz",
                "gain": round(view.gain, 1),
                "depth": view.depth,
                "fps": view.fps,
            }
            items.append(Item(columns, functools.partial(simulate_lung, lung, view)))
    return items
