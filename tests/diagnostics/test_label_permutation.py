"""The permutation test: exact under the null, its probe the same as a plain one."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.diagnostics.label_permutation import GRID, _balanced, _FoldProbe, permutation_of_labels
from usbench.errors import DataError, UsbenchError
from usbench.probes.squared_hinge_svm import fit_scaler
from usbench.statistics.splits import Split


def test_the_probe_is_ridge_regression_tuned_by_leaving_one_out() -> None:
    """Against scikit-learn, one target and one left-out unit at a time."""
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    features = rng.standard_normal((36, 12))
    split = Split(np.arange(28), np.arange(28, 36), "0")
    targets = rng.standard_normal((28, 5)) + features[:28, :5]
    scores = _FoldProbe(features, split)(targets)
    scaled = fit_scaler(features[:28])
    x, test = scaled(features[:28]), scaled(features[28:])
    for column in range(5):
        y = targets[:, column]
        errors = []
        for penalty in GRID:
            total = 0.0
            for k in range(28):
                rest = np.delete(np.arange(28), k)
                # The penalty is a share of all training units, and the centre that of the whole fold.
                model = Ridge(alpha=28 * penalty).fit(x[rest], y[rest])
                total += float((model.predict(x[k : k + 1])[0] - y[k]) ** 2)
            errors.append(total)
        chosen = GRID[int(np.argmin(errors))]
        expected = Ridge(alpha=28 * chosen).fit(x, y).predict(test)
        assert scores[:, column] == pytest.approx(expected, abs=1e-8)


def test_classes_pull_alike_whatever_their_shares() -> None:
    member = np.array([[True, False], [False, False], [False, True], [False, False]])
    coded = _balanced(member)
    assert coded.sum(axis=0) == pytest.approx([0, 0])
    assert (_balanced(np.ones((3, 1), bool)) == 0).all()


def test_p_is_uniform_without_a_signal() -> None:
    ps = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        features = rng.standard_normal((40, 6))
        ps.append(permutation_of_labels(features, rng.integers(0, 2, 40), np.arange(40), n_permutations=39).p)
    assert 0.35 < np.mean(ps) < 0.65
    assert np.mean(np.array(ps) <= 0.1) < 0.25
    assert min(ps) >= 1 / 40


@pytest.mark.parametrize("classes", [2, 3])
def test_a_signal_is_found(classes: int) -> None:
    rng = np.random.default_rng(1)
    y = np.arange(60) % classes
    features = rng.standard_normal((60, 8))
    features[:, 0] += 2.0 * y
    test = permutation_of_labels(features, y, np.arange(60), n_permutations=199)
    assert test.p == pytest.approx(1 / 200)
    assert test.observed > 0.75
    assert test.null.mean() == pytest.approx(0.5, abs=0.04)


def test_values_are_permuted_too() -> None:
    rng = np.random.default_rng(2)
    features = rng.standard_normal((50, 5))
    test = permutation_of_labels(features, features[:, 0] + 0.3 * rng.standard_normal(50), np.arange(50), True, 99)
    assert test.statistic == "pearson_r"
    assert test.observed > 0.8
    assert test.p == pytest.approx(0.01)


def test_patients_with_many_images_do_not_make_chance_significant() -> None:
    """Features that name the patient say nothing of the label; permuting images would call them significant."""
    ps = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        person = np.repeat(np.arange(16), 5)
        features = rng.standard_normal((16, 10))[person] + 0.05 * rng.standard_normal((80, 10))
        label = rng.permutation(np.arange(16) % 2)[person]
        ps.append(permutation_of_labels(features, label, person, n_permutations=39).p)
    assert np.mean(np.array(ps) <= 0.05) < 0.25
    assert np.mean(ps) > 0.35


def test_mistakes() -> None:
    features = np.random.default_rng(0).standard_normal((10, 3))
    with pytest.raises(UsbenchError, match="at least 19"):
        permutation_of_labels(features, np.arange(10) % 2, np.arange(10), n_permutations=5)
    with pytest.raises(DataError, match="4 are the least"):
        permutation_of_labels(features, np.arange(10) % 2, np.arange(10) // 5, n_permutations=19)
