"""Made-up cohorts for the probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from usbench.probes import ProbeData
from usbench.probes.threads import one_blas_thread

MakeCohort = Callable[..., ProbeData]


@pytest.fixture(autouse=True)
def _one_blas_thread() -> Iterator[None]:
    """Call the solvers as the protocols do, or a busy machine makes them wait for each other."""
    with one_blas_thread():
        yield


@pytest.fixture
def make_cohort() -> MakeCohort:
    """Subjects with several noisy frames each; the label moves the first three features."""

    def make(
        n_subjects: int = 40,
        width: int = 8,
        frames: int = 3,
        signal: float = 1.0,
        n_classes: int = 2,
        units_per_subject: int = 1,
        regression: bool = False,
        seed: int = 0,
    ) -> ProbeData:
        rng = np.random.default_rng(seed)
        n_units = n_subjects * units_per_subject
        subject = np.repeat(np.arange(n_subjects), units_per_subject)
        y = rng.normal(size=n_subjects)[subject] if regression else rng.permutation(subject % n_classes)
        if not regression:
            y = rng.permutation(np.arange(n_subjects) % n_classes)[subject]
        latent = rng.normal(size=(n_subjects, width))[subject] + 0.3 * rng.normal(size=(n_units, width))
        latent[:, :3] += signal * (y[:, None] if regression or n_classes == 2 else np.eye(n_classes)[y][:, :3])
        unit = np.repeat(np.arange(n_units), frames)
        embeddings = latent[unit] + 0.5 * rng.normal(size=(len(unit), width))
        shuffle = rng.permutation(len(unit))
        return ProbeData(
            embeddings[shuffle].astype(np.float32), unit[shuffle], y, np.array([f"p{k:03d}" for k in subject])
        )

    return make
