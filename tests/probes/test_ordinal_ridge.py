import numpy as np
import pytest

from usbench.errors import UsbenchError
from usbench.probes import ProbeData, run_protocol
from usbench.probes.ordinal import cut_points
from usbench.statistics.metrics import compute
from usbench.statistics.splits import subject_folds


def skewed(n=240, width=12, seed=0, signal=1.0):
    """Grades of unequal frequency in a direction of the embedding, two units per subject."""
    rng = np.random.default_rng(seed)
    y = np.repeat(rng.choice(4, n // 2, p=[0.5, 0.1, 0.15, 0.25]), 2)
    vectors = rng.normal(size=(n, width))
    vectors[:, 0] += signal * y
    return ProbeData(vectors.astype(np.float32), np.arange(n), y, np.repeat(np.arange(n // 2), 2).astype(str))


def answer(data, protocol="ordinal-ridge@1", seed=0):
    splits = [subject_folds(data.groups, data.y, 5, seed)]
    return run_protocol(protocol, data, splits, question="ordinal")


def test_cut_points_give_each_grade_its_share():
    y = np.repeat([0.0, 1.0, 2.0, 3.0], [50, 10, 15, 25])
    scores = np.random.default_rng(0).normal(1.2, 0.2, 100)  # shrunk: rounding would call everything 1
    cuts = cut_points(scores, y, 4)
    grades = np.searchsorted(cuts, scores, side="right")
    assert np.bincount(grades, minlength=4).tolist() == [50, 10, 15, 25]


@pytest.mark.parametrize("absent", [0, 1, 3])
def test_a_grade_without_units_gets_none(absent):
    y = np.array([k for k in range(4) if k != absent for _ in range(20)], float)
    scores = np.random.default_rng(0).normal(size=60)
    grades = np.searchsorted(cut_points(scores, y, 4), scores, side="right")
    assert np.bincount(grades, minlength=4).tolist() == [0 if k == absent else 20 for k in range(4)]


def test_it_names_all_grades_about_as_often_as_they_are():
    data = skewed()
    result = answer(data)
    counts = np.bincount(result.predictions.predicted.astype(int)[0], minlength=4) / 240
    assert np.abs(counts - np.bincount(data.y, minlength=4) / 240).max() < 0.08


def test_it_finds_a_signal_and_none_where_there_is_none():
    strong = skewed(signal=1.5)
    assert compute("quadratic_kappa", answer(strong).predictions.tested()) > 0.7
    nothing = [skewed(seed=s, signal=0.0) for s in range(6)]
    kappas = [compute("quadratic_kappa", answer(d).predictions.tested()) for d in nothing]
    assert abs(np.mean(kappas)) < 0.1


def test_no_test_unit_has_a_say_in_its_own_grade():
    data = skewed()
    splits = [subject_folds(data.groups, data.y, 5, 0)]
    first = run_protocol("ordinal-ridge@1", data, splits, question="ordinal").predictions
    y = data.y.copy()
    tested = splits[0][0].test
    y[tested] = (y[tested] + 1) % 4
    changed = ProbeData(data.embeddings, data.unit, y, data.groups)
    second = run_protocol("ordinal-ridge@1", changed, splits, question="ordinal").predictions
    assert (first.fold[0, tested] == 0).all()
    assert np.array_equal(first.score[0, tested], second.score[0, tested])
    assert np.array_equal(first.predicted[0, tested], second.predicted[0, tested])


@pytest.mark.parametrize("protocol", ["knn@1", "constant@1"])
def test_the_other_protocols_answer_with_grades(protocol):
    data = skewed()
    outcome = answer(data, protocol).predictions.tested(2)
    assert np.isin(outcome.predicted, range(4)).all()
    kappa = compute("quadratic_kappa", outcome)
    assert kappa > 0.2 if protocol == "knn@1" else abs(kappa) < 0.05


def test_protocols_that_do_not_answer_grades_say_so():
    data = skewed()
    with pytest.raises(UsbenchError, match="does not do ordinal: choose from ordinal-ridge@1"):
        answer(data, "svc-nested@1")
