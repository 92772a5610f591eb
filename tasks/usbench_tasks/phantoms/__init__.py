"""Synthetic ultrasound with known truth: the twins of data that not everyone can have.

Each builder writes a folder of pictures or videos with a ``manifest.csv``, and a ``phantom.json`` that says
how it was made. They share one simulator of scatterers, pulse and beam, in
:mod:`usbench_tasks.phantoms.physics`. Phantoms test code and show how a task runs; a score on them says
nothing of patients.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from usbench_tasks.phantoms.eye_cohort import build_eye_phantom
    from usbench_tasks.phantoms.heart_cohort import build_heart_phantom
    from usbench_tasks.phantoms.liver_cohort import build_liver_phantom
    from usbench_tasks.phantoms.lung_cohort import build_lung_phantom

PHANTOM_VERSION: int = 2
"""Raise it whenever a phantom of the same seed changes."""

_HOME = {
    "build_eye_phantom": "eye_cohort",
    "build_heart_phantom": "heart_cohort",
    "build_liver_phantom": "liver_cohort",
    "build_lung_phantom": "lung_cohort",
}

__all__ = [
    "PHANTOM_VERSION",
    "build_eye_phantom",
    "build_heart_phantom",
    "build_liver_phantom",
    "build_lung_phantom",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
