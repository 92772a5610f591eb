"""The one form of predictions: what is tested, what is taken, and the way to a result and back."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.errors import DataError
from usbench.evaluation.scoring import from_stored, to_stored
from usbench.probes import ProbeData, run_protocol
from usbench.results.schema import Units
from usbench.statistics import Predictions, Split, compute, repeated_subject_folds
from usbench.statistics.predictions import UNTESTED

CLASSES = {
    "binary": ("benign", "malignant"),
    "multiclass": ("eye", "liver", "lung"),
    "ordinal": ("0", "1", "2", "3"),
    "regression": (),
}
PROTOCOL = {"regression": "ridge-nested@2", "ordinal": "ordinal-ridge@1"}


def answered(kind: str, held_back: int = 0) -> tuple[Predictions, Units]:
    """A probe's predictions, with some units in no test fold, and the units as a result lists them."""
    rng = np.random.default_rng(4)
    n, names = 90, CLASSES[kind]
    y = rng.normal(95, 3, n) if kind == "regression" else np.arange(n) % len(names)
    subject = np.array([f"s{i // 3:02d}" for i in range(n)])
    data = ProbeData((rng.normal(size=(n, 6)) + 0.3 * y[:, None]).astype(np.float32), np.arange(n), y, subject)
    strata = y if kind in ("binary", "multiclass") else None
    draws = repeated_subject_folds(subject, strata, 3, 2, 0, stratify=strata is not None)
    known = np.arange(n) < n - held_back
    draws = [[Split(s.train, s.test[known[s.test]], s.fold) for s in draw] for draw in draws]
    question = kind if kind in PROTOCOL else "classification"
    found = run_protocol(PROTOCOL.get(kind, "svc-nested@2"), data, draws, question=question).predictions
    target = [float(v) for v in y] if kind == "regression" else [names[int(v)] for v in y]
    return found, Units(id=[f"u{i}" for i in range(n)], subject=subject.tolist(), target=target)


def forty_units() -> ProbeData:
    vectors = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    return ProbeData(vectors, np.arange(40), np.arange(40) % 2, np.arange(40))


@pytest.mark.parametrize("kind", CLASSES)
def test_what_a_result_stores_gives_the_predictions_of_the_probe_to_seven_digits(kind: str) -> None:
    mine, units = answered(kind, held_back=7)
    stored = to_stored(mine, CLASSES[kind])
    assert [r.seed for r in stored] == [0, 1]
    assert all(r.fold[-7:] == [None] * 7 for r in stored)
    back = from_stored(kind, CLASSES[kind], units, stored, None)
    asked = mine.tested()
    assert back.n_units == asked.n_units == 83
    assert back.unit == tuple(units.id[:83])
    assert back.truth == tuple(units.target[:83])
    assert (back.fold == asked.fold).all()
    assert (back.group == asked.group).all()
    assert back.n_groups == asked.n_groups == 28
    assert (back.y == asked.y).all()
    assert back.score == pytest.approx(asked.score, rel=1e-6)
    assert back.predicted == pytest.approx(asked.predicted, rel=1e-6)
    assert to_stored(back, CLASSES[kind], 90, np.arange(83)) == stored
    metric = {"regression": "mae", "ordinal": "quadratic_kappa"}.get(kind, "fold_auc")
    assert compute(metric, back) == pytest.approx(compute(metric, asked), rel=1e-5)


def test_predictions_over_some_units_stand_at_their_place_in_the_result() -> None:
    whole, units = answered("binary")
    some = np.array([2, 40, 41, 89])
    stored = to_stored(whole.take(some), CLASSES["binary"], 90, some)
    assert np.flatnonzero([fold is not None for fold in stored[0].fold]).tolist() == some.tolist()
    everything = to_stored(whole, CLASSES["binary"])
    for part, all_of_it in zip(stored, everything, strict=True):
        assert [part.score[i] for i in some] == [all_of_it.score[i] for i in some]
    assert from_stored("binary", CLASSES["binary"], units, stored, None).unit == ("u2", "u40", "u41", "u89")


def test_subjects_are_numbered_anew_where_units_are_left_out() -> None:
    whole = Predictions.binary([0, 1, 0, 1], [-1.0, 1.0, 1.0, -1.0], groups=["d", "c", "b", "d"])
    assert whole.group.tolist() == [2, 1, 0, 2]
    part = whole.take([0, 1, 3])
    assert part.group.tolist() == [1, 0, 1]
    assert part.n_groups == 2
    assert compute("accuracy", part) == pytest.approx(2 / 3)


def test_a_repeat_can_be_scored_by_itself() -> None:
    both = Predictions.regression([1.0, 2.0], [[1.0, 2.0], [3.0, 4.0]])
    assert [compute("mae", both.repeats(r, r + 1)) for r in range(2)] == [0.0, 2.0]


def test_a_unit_that_two_folds_test_is_refused() -> None:
    data = forty_units()
    first = Split(np.arange(20, 40), np.arange(20), "a")
    second = Split(np.arange(10), np.arange(10, 40), "b")
    with pytest.raises(DataError, match="tests a unit that another fold tests"):
        run_protocol("knn@1", data, [[first, second]])


def test_repeats_that_test_different_units_are_not_scored_together() -> None:
    data = forty_units()
    halves = [np.arange(20), np.arange(20, data.n_units)]
    draws = [[Split(halves[1 - k], halves[k], str(k))] for k in range(2)]
    found = run_protocol("knn@1", data, draws).predictions
    assert (found.fold[0, 20:] == UNTESTED).all()
    with pytest.raises(DataError, match="did not test the same units"):
        found.tested()
    assert found.repeats(1, 2).tested().n_units == data.n_units - 20


def test_only_the_same_units_with_the_same_truth_are_comparable() -> None:
    predictions, units = answered("binary")
    one = from_stored("binary", CLASSES["binary"], units, to_stored(predictions, CLASSES["binary"]), None)
    assert one.comparable(one)
    assert not one.comparable(one.take(range(80)))
    other = Units(units.id, units.subject, units.target[::-1])
    assert not one.comparable(
        from_stored("binary", CLASSES["binary"], other, to_stored(predictions, CLASSES["binary"]), None)
    )
