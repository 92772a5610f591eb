"""The mean of a unit's frames is the same to the last bit however the frames are cut into blocks."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from usbench.errors import DataError
from usbench.probes import ProbeData
from usbench.probes import data as probe_data
from usbench.probes.data import mean_by_unit


def cohort(n_frames: int, width: int, n_units: int, seed: int = 0) -> ProbeData:
    rng = np.random.default_rng(seed)
    unit = np.concatenate([np.arange(n_units), rng.integers(0, n_units, n_frames - n_units)])
    rng.shuffle(unit)
    embeddings = rng.standard_normal((n_frames, width)).astype(np.float32)
    return ProbeData(embeddings, unit, np.arange(n_units) % 2, np.arange(n_units))


@pytest.mark.parametrize(("n_frames", "width", "n_units"), [(900, 33, 7), (900, 1, 7), (300, 40, 300), (500, 20, 1)])
def test_blocks_change_no_bit(n_frames: int, width: int, n_units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = cohort(n_frames, width, n_units)
    whole = mean_by_unit(data)
    for summed in (1, 100, 2500, 10**9):
        monkeypatch.setattr(probe_data, "_SUMMED", summed)
        np.testing.assert_array_equal(mean_by_unit(data), whole)
    for unit in range(n_units):
        own = data.embeddings[data.unit == unit].astype(np.float64)
        np.testing.assert_allclose(whole[unit], own.mean(axis=0), rtol=1e-12, atol=1e-12)


def test_no_copy_of_all_frames_is_made() -> None:
    data = cohort(60_000, 256, 200)
    tracemalloc.start()
    ProbeData(data.embeddings, data.unit, data.y, data.groups)
    mean_by_unit(data)
    _, highest = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert highest < data.embeddings.nbytes / 2


def test_a_frame_that_is_not_finite_is_named_wherever_it_lies() -> None:
    data = cohort(9000, 3, 5)
    for frame in (0, 4095, 4096, 8999):
        embeddings = data.embeddings.copy()
        embeddings[frame, 1] = np.inf
        with pytest.raises(DataError, match=f"embedding of frame {frame} "):
            ProbeData(embeddings, data.unit, data.y, data.groups)
