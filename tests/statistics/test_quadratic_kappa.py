import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, roc_auc_score

from usbench.errors import DataError
from usbench.statistics.bootstrap import bootstrap
from usbench.statistics.metrics import compute, prepare
from usbench.statistics.predictions import Predictions


def grades(n=200, repeats=2, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 4, n)
    score = y + rng.normal(0, 1, (repeats, n))
    return y, score, np.clip(np.rint(score), 0, 3)


def test_kappa_is_that_of_an_independent_implementation():
    y, score, predicted = grades()
    outcome = Predictions.ordinal(y, score, predicted, 4, threshold=2)
    expected = np.mean([cohen_kappa_score(y, p, weights="quadratic") for p in predicted])
    assert compute("quadratic_kappa", outcome) == pytest.approx(expected, abs=1e-12)
    assert compute("mae", outcome) == pytest.approx(np.abs(predicted - y).mean())
    assert compute("auc", outcome) == pytest.approx(np.mean([roc_auc_score(y >= 2, s) for s in score]))


def test_weights_count_like_copies():
    y, score, predicted = grades(60, 1)
    weights = np.random.default_rng(1).integers(0, 3, (1, 60)).astype(float)
    copies = np.repeat(np.arange(60), weights[0].astype(int))
    kernel = prepare("quadratic_kappa", Predictions.ordinal(y, score, predicted, 4))
    expected = cohen_kappa_score(y[copies], predicted[0, copies], weights="quadratic")
    assert kernel(weights)[0] == pytest.approx(expected, abs=1e-12)


def test_a_constant_answer_agrees_no_better_than_chance_and_one_grade_has_no_kappa():
    y, *_ = grades(50)
    assert compute("quadratic_kappa", Predictions.ordinal(y, np.ones(50), np.ones(50), 4)) == 0
    assert compute("quadratic_kappa", Predictions.ordinal(np.ones(50), np.ones(50), np.ones(50), 4)) is None
    assert compute("auc", Predictions.ordinal(y, np.ones(50), np.ones(50), 4)) is None  # without a threshold


def test_the_interval_covers_the_value_and_respects_subjects():
    y, score, predicted = grades(120, 1)
    alone = bootstrap(Predictions.ordinal(y, score, predicted, 4), ["quadratic_kappa"])["quadratic_kappa"]
    assert alone.low < alone.value < alone.high
    twice = [np.tile(v, 2) for v in (y, score[0], predicted[0])]
    doubled = Predictions.ordinal(*twice, 4, groups=np.tile(np.arange(120), 2))
    again = bootstrap(doubled, ["quadratic_kappa"])["quadratic_kappa"]
    assert (again.low, again.value, again.high) == pytest.approx((alone.low, alone.value, alone.high))


def test_a_grade_that_does_not_exist_is_refused():
    with pytest.raises(DataError, match="not one of the class numbers 0 to 3"):
        Predictions.ordinal([0, 4], [0, 1], [0, 1], 4)
