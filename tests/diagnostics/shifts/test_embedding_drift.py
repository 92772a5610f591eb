"""Embedding drift against cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.diagnostics.shifts.embedding_drift import drift
from usbench.errors import DataError


def test_by_hand() -> None:
    clean = np.array([[1, 0], [2, 0], [0, 3]], np.float32)
    shifted = np.array([[0, 1], [5, 0], [0, 1]], np.float32)
    found = drift(clean, shifted, ["a", "a", "b"])
    # Subject a: one frame moves by 1, one by 0; b stays. The subjects are at right angles.
    assert found.distance == pytest.approx(0.25)
    assert found.spread == pytest.approx(1.0)
    assert found.value == pytest.approx(0.25)


def test_nothing_moves_and_lengths_do_not_matter() -> None:
    rng = np.random.default_rng(0)
    clean = rng.standard_normal((60, 8)).astype(np.float32)
    found = drift(clean, 3 * clean, np.repeat(np.arange(20), 3))
    assert found.value == pytest.approx(0.0, abs=1e-6)


def test_as_far_as_another_subject_is_one() -> None:
    rng = np.random.default_rng(1)
    clean = rng.standard_normal((400, 30)).astype(np.float32)
    other = rng.standard_normal((400, 30)).astype(np.float32)
    found = drift(clean, other, np.arange(400))
    assert found.value == pytest.approx(1.0, abs=0.03)
    assert found.low is not None
    assert found.high is not None
    assert found.low < 1.0 < found.high


def test_a_subject_counts_once_however_many_frames_it_has() -> None:
    clean = np.array([[1, 0]] * 9 + [[0, 1]], np.float32)
    shifted = np.array([[0, 1]] * 9 + [[0, 1]], np.float32)
    assert drift(clean, shifted, ["a"] * 9 + ["b"]).distance == pytest.approx(0.5)


def test_equal_subjects_have_no_unit() -> None:
    clean = np.ones((6, 3), np.float32)
    found = drift(clean, clean * 2, list("aabbcc"))
    assert found.value is None


def test_empty_vectors() -> None:
    clean = np.array([[0, 0], [1, 0], [0, 1]], np.float32)
    shifted = np.array([[0, 0], [0, 0], [0, 1]], np.float32)
    assert drift(clean, shifted, ["a", "b", "c"]).distance == pytest.approx(1 / 3)


def test_mistakes() -> None:
    one = np.ones((4, 3), np.float32)
    with pytest.raises(DataError, match="at least 2"):
        drift(one, one, ["a"] * 4)
    with pytest.raises(DataError, match="equal sizes"):
        drift(one, one[:3], ["a"] * 4)
