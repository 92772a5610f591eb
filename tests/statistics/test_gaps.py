"""Gaps between groups of units: joint resamples, and an interval that allows for picking the largest."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.statistics import Predictions, bootstrap, compute
from usbench.statistics.gaps import largest_gap


def group(rng: np.random.Generator, subjects: np.ndarray, right: float):  # type: ignore[no-untyped-def]
    y = np.arange(len(subjects)) % 2
    return Predictions.binary(y, np.zeros(len(y)), np.where(rng.random(len(y)) < right, y, 1 - y), groups=subjects)


def test_the_gap_of_two_groups_has_the_error_of_their_difference() -> None:
    rng = np.random.default_rng(0)
    subjects = {"a": np.arange(80), "b": np.arange(80, 200)}
    groups = {name: group(rng, s, right) for (name, s), right in zip(subjects.items(), (0.9, 0.7), strict=True)}
    found = largest_gap(groups, subjects, "accuracy", n_resamples=4000)
    assert (found.high, found.low, found.groups) == ("a", "b", 2)
    values = {name: compute("accuracy", outcome) for name, outcome in groups.items()}
    assert found.value == pytest.approx(values["a"] - values["b"])
    # Subjects are drawn over both groups, whose sizes then vary: that adds little to the error of two separate draws.
    errors = [bootstrap(outcome, ["accuracy"], 4000)["accuracy"].error for outcome in groups.values()]
    low, high = found.bounds
    assert high - low == pytest.approx(2 * 1.96 * np.hypot(*errors), rel=0.06)
    assert (found.p < 0.05) == (low > 0)


def test_subjects_in_both_groups_are_drawn_once() -> None:
    rng = np.random.default_rng(1)
    subjects = np.arange(100)
    y = np.arange(100) % 2
    answer = np.where(rng.random(100) < 0.7, y, 1 - y)
    near = np.where(rng.random(100) < 0.95, answer, 1 - answer)
    groups = {name: Predictions.binary(y, np.zeros(100), a) for name, a in (("front", answer), ("side", near))}
    joint = largest_gap(groups, {"front": subjects, "side": subjects}, "accuracy")
    apart = largest_gap(groups, {"front": subjects, "side": subjects + 100}, "accuracy")
    assert np.diff(joint.bounds)[0] < 0.6 * np.diff(apart.bounds)[0]


def test_the_largest_gap_of_equal_groups_keeps_its_level() -> None:
    rng = np.random.default_rng(2)
    shown, cohorts, one_by_one = 0, 120, 0
    for _ in range(cohorts):
        subjects = {str(k): np.arange(40 * k, 40 * k + 40) for k in range(6)}
        groups = {name: group(rng, s, 0.7) for name, s in subjects.items()}
        found = largest_gap(groups, subjects, "accuracy", n_resamples=400)
        shown += found.p < 0.05
        pair = {name: groups[name] for name in (found.high, found.low)}
        one_by_one += largest_gap(pair, {n: subjects[n] for n in pair}, "accuracy", n_resamples=400).p < 0.05
        low, _ = found.bounds
        assert low < 0 or found.p < 0.06
    print(f"largest of 15 pairs: {shown / cohorts:.3f}, as if it had been the only one: {one_by_one / cohorts:.3f}")
    assert shown / cohorts < 0.05 + 3 * np.sqrt(0.05 * 0.95 / cohorts)
    assert one_by_one / cohorts > 0.25


def test_where_nothing_varies_there_is_no_interval() -> None:
    y = np.arange(20) % 2
    perfect = Predictions.binary(y, y - 0.5)
    found = largest_gap(
        {"a": perfect, "b": perfect}, {"a": np.arange(20), "b": np.arange(20, 40)}, "accuracy", n_resamples=200
    )
    assert (found.value, found.bounds, found.p) == (0.0, None, None)
    assert largest_gap({"a": perfect}, {"a": np.arange(20)}, "accuracy", n_resamples=200) is None
    one_class = Predictions.binary(np.zeros(20), y - 0.5)
    both = {"a": perfect, "b": one_class}
    assert largest_gap(both, {"a": np.arange(20), "b": np.arange(20)}, "auc", n_resamples=200) is None
