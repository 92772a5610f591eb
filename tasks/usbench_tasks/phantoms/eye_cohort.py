"""A cohort of simulated eyes of the size of the paper's: 54 patients, 118 cases, 29 of them positive, 446 pictures."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from usbench.errors import UsbenchError
from usbench_tasks.phantoms.builder import Item, Progress, build
from usbench_tasks.phantoms.eye import Eye, Scan, simulate_eye

SUBJECTS = 54
_CASES, _POSITIVE, _IMAGES = 118 / SUBJECTS, 29 / 118, 446 / 118
_MOST_VISITS, _MOST_IMAGES = 4, 7
_GRADE_AT_FIRST = (0.30, 0.30, 0.24, 0.16)  # grades 1 to 4


@dataclass(frozen=True)
class Case:
    """One eye at one visit: the unit of decision.

    Attributes:
        subject: Number of the patient, from 1.
        side: ``OD`` (right) or ``OS`` (left).
        visit: Number of the visit, from 1.
        severity: Grade of the hemorrhage, 0 to 4; positive above 0.
        images: Number of pictures taken.
        eye: Anatomy, the same at every visit but for the lens and vitreous.
        frequency: Probe of that visit, MHz.
        gain: Typical gain of that visit, dB.
    """

    subject: int
    side: str
    visit: int
    severity: int
    images: int
    eye: Eye
    frequency: float
    gain: float

    @property
    def name(self) -> str:
        """Identity within the cohort."""
        return f"eye{self.subject:03d}_{self.side}_v{self.visit}"


def build_eye_phantom(
    folder: Path,
    *,
    seed: int = 0,
    n_subjects: int = SUBJECTS,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Path:
    """Write a cohort of ocular B-scans as PNG with a manifest.

    Columns: ``path``, ``subject``, ``case``, ``label`` (1 for a hemorrhage), ``severity`` (0 to 4), ``visit``,
    ``eye`` (OD, OS), ``probe``, ``gain``, and the confounders ``detachment``, ``asteroid``, ``floaters``, ``cataract``
    (0 or 1).

    Args:
        folder: Where to put it; see :func:`usbench_tasks.phantoms.builder.build`.
        seed: Seed.
        n_subjects: Patients; cases, positives and pictures keep the paper's proportions (118, 29 and 446 for
            54).
        progress: Called with files done and all files.
        workers: Threads.

    Returns:
        ``folder``.

    Raises:
        UsbenchError: Fewer than 4 patients.
        DataError: The folder cannot be used.
    """
    if n_subjects < 4:
        raise UsbenchError(f"an eye phantom needs at least 4 subjects, not {n_subjects}, to have both classes.")
    plan = functools.partial(_plan, n_subjects=n_subjects)
    return build(
        folder, "eye", plan, seed=seed, parameters={"n_subjects": n_subjects}, progress=progress, workers=workers
    )


def draw_cohort(rng: np.random.Generator, n_subjects: int) -> list[Case]:
    """Draw patients, their eyes and visits, and who bleeds, ordered by patient, eye and visit."""
    visits = _draw_visits(rng, n_subjects, round(n_subjects * _CASES))
    severity = _draw_severity(rng, visits, round(sum(visits.values()) * _POSITIVE))
    counts = _spread(rng, [(key, v) for key, n in visits.items() for v in range(1, n + 1)], _IMAGES)
    cases = []
    for (subject, side), n_visits in sorted(visits.items()):
        eye = _draw_eye(rng, side)
        for visit in range(1, n_visits + 1):
            grade = severity[subject, side][visit - 1]
            frequency = float(rng.choice([15.0, 20.0]))
            gain = float(rng.normal(0.0, 4.0))
            cases.append(Case(subject, side, visit, grade, counts[(subject, side), visit], eye, frequency, gain))
    return cases


def _draw_visits(rng: np.random.Generator, n_subjects: int, total: int) -> dict[tuple[int, str], int]:
    """Give every patient one case, then hand out the rest: a second eye, or another visit of one."""
    visits = {(subject, str(rng.choice(["OD", "OS"]))): 1 for subject in range(1, n_subjects + 1)}
    while sum(visits.values()) < total:
        subject = int(rng.integers(1, n_subjects + 1))
        side = str(rng.choice(["OD", "OS"]))
        if visits.get((subject, side), 0) < _MOST_VISITS:
            visits[subject, side] = visits.get((subject, side), 0) + 1
    return visits


def _draw_severity(
    rng: np.random.Generator, visits: dict[tuple[int, str], int], positive: int
) -> dict[tuple[int, str], list[int]]:
    """Let eyes bleed, and clear from visit to visit, until exactly ``positive`` cases show a hemorrhage."""
    severity = {key: [0] * n for key, n in visits.items()}
    left = max(1, positive)
    keys = sorted(visits)
    for index in rng.permutation(len(keys)):
        key = keys[index]
        grade = int(rng.choice([1, 2, 3, 4], p=_GRADE_AT_FIRST))
        for visit in range(visits[key]):
            if grade == 0 or left == 0:
                break
            severity[key][visit] = grade
            left -= 1
            grade = max(0, grade - int(rng.integers(0, 3)))
        if left == 0:
            break
    return severity


def _spread(
    rng: np.random.Generator, keys: list[tuple[tuple[int, str], int]], mean: float
) -> dict[tuple[tuple[int, str], int], int]:
    """Give every case at least two pictures, and share out the rest at random up to a limit."""
    counts = dict.fromkeys(keys, 2)
    left = round(len(keys) * mean) - 2 * len(keys)
    while left > 0:
        key = keys[int(rng.integers(len(keys)))]
        if counts[key] < _MOST_IMAGES:
            counts[key] += 1
            left -= 1
    return counts


def _draw_eye(rng: np.random.Generator, side: str) -> Eye:
    """Draw an anatomy. None of this depends on whether the eye bleeds."""
    return Eye(
        axial=float(np.clip(rng.normal(23.6, 0.9), 21.5, 26.5)),
        width=float(np.clip(rng.normal(24.0, 0.5), 22.8, 25.2)),
        nerve_side=1 if side == "OD" else -1,
        fat_level=float(rng.normal(-1.0, 2.5)),
        cataract=float(rng.uniform(-42.0, -18.0)) if rng.random() < 0.3 else -60.0,
        detachment=float(rng.uniform(0.8, 4.5)) if rng.random() < 0.35 else 0.0,
        asteroid=int(rng.integers(15, 90)) if rng.random() < 0.10 else 0,
        floaters=int(rng.integers(3, 25)) if rng.random() < 0.45 else 0,
        seed=int(rng.integers(2**31)),
    )


def _draw_scan(rng: np.random.Generator, case: Case) -> Scan:
    """Draw how one picture of a case is taken. Of the label it knows the severity only."""
    return Scan(
        severity=float(np.clip(case.severity + rng.uniform(-0.25, 0.25), 0.6, 4.0)) if case.severity else 0.0,
        frequency=case.frequency,
        gain=case.gain + float(rng.normal(0.0, 1.5)),
        dynamic_range=float(rng.choice([50.0, 60.0, 70.0])),
        depth=float(rng.choice([32.0, 36.0, 40.0])),
        tilt=float(rng.normal(0.0, 0.14)),
        shift=float(rng.normal(0.0, 1.0)),
        lid=float(rng.uniform(1.2, 3.5)),
        noise=float(rng.normal(-60.0, 3.0)),
    )


def _plan(rng: np.random.Generator, n_subjects: int) -> list[Item]:
    items = []
    for case in draw_cohort(rng, n_subjects):
        for number in range(1, case.images + 1):
            scan = _draw_scan(rng, case)
            columns: dict[str, str | int | float] = {
                "path": f"images/{case.name}_{number}.png",
                "subject": f"eye{case.subject:03d}",
                "case": case.name,
                "label": int(case.severity > 0),
                "severity": case.severity,
                "visit": case.visit,
                "eye": case.side,
                "probe": f"{case.frequency:.0f} MHz",
                "gain": round(scan.gain, 1),
                "detachment": int(case.eye.detachment > 0),
                "asteroid": int(case.eye.asteroid > 0),
                "floaters": int(case.eye.floaters > 0),
                "cataract": int(case.eye.cataract > -50),
            }
            items.append(Item(columns, functools.partial(simulate_eye, case.eye, scan)))
    return items
