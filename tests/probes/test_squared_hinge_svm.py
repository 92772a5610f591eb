from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from sklearn.svm import LinearSVC

from usbench.probes import ProbeData
from usbench.probes.fold_svm import solve, standardised
from usbench.probes.kernel_svm import GramProblem, gram_path, gram_paths
from usbench.probes.linear_svm import GRID
from usbench.probes.problem import Problem
from usbench.probes.squared_hinge_svm import balanced_weights, fit_scaler, svc_path
from usbench.statistics import Split


def training_fold(seed: int, n: int, width: int, signal: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Correlated features of uneven scale, and two classes of uneven size."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, width)) @ rng.normal(size=(width, width)) * 10 ** rng.uniform(-2, 2, width)
    positive = signal * features[:, 0] / features[:, 0].std() + rng.normal(size=n) > 0.7
    positive[:2] = [True, False]
    return features, positive


def svc_scores(train, y, n_classes, test, grid):
    """Decision values of one fold: training units first, then those that are tested."""
    features, n = np.concatenate([train, test]), len(train)
    codes = np.concatenate([y, np.zeros(len(test))])
    units = np.arange(len(features))
    data = ProbeData(features.astype(np.float32), units, codes, units)
    problem = Problem(data, "binary", features, codes, units, n_classes, [], 0, 1)
    (found,) = solve([standardised(problem, Split(units[:n], units[n:], "0"))], n_classes, [grid])
    return found.values


def objective(w, b, features, sign, weight, c):
    slack = np.maximum(0, 1 - sign * (features @ w + b))
    return 0.5 * w @ w + c * (weight * slack**2).sum()


@given(st.integers(0, 2**32 - 1), st.integers(8, 60), st.integers(1, 40))
@settings(deadline=None, max_examples=40)
def test_every_point_of_the_path_is_a_stationary_point(seed, n, width) -> None:
    """The objective is convex, so a zero gradient proves the minimum."""
    features, positive = training_fold(seed, n, width)
    z = fit_scaler(features)(features)
    weight, sign = balanced_weights(positive), np.where(positive, 1.0, -1.0)
    coef, intercept = svc_path(z, positive, weight, GRID)
    for w, b, c in zip(coef, intercept, GRID, strict=True):
        pull = 2 * c * weight * sign * np.maximum(0, 1 - sign * (z @ w + b))
        scale = 1 + np.abs(pull).sum()
        assert np.abs(w - z.T @ pull).max() < 1e-8 * scale
        assert abs(pull.sum()) < 1e-8 * scale


@pytest.mark.parametrize(("n", "width"), [(60, 20), (40, 300), (300, 30)])
def test_agrees_with_liblinear_once_its_intercept_is_freed(n, width) -> None:
    features, positive = training_fold(0, n, width)
    z = fit_scaler(features)(features)
    coef, intercept = svc_path(z, positive, balanced_weights(positive), GRID)
    weight, sign = balanced_weights(positive), np.where(positive, 1.0, -1.0)
    for w, b, c in zip(coef, intercept, GRID, strict=True):
        # A large intercept_scaling makes liblinear's penalty on the intercept vanish.
        reference = LinearSVC(
            C=c, class_weight="balanced", dual=False, intercept_scaling=1e4, tol=1e-10, max_iter=10_000
        ).fit(z, positive)
        scores = reference.decision_function(z)
        theirs = 0.5 * (reference.coef_**2).sum() + c * (weight * np.maximum(0, 1 - sign * scores) ** 2).sum()
        mine = objective(w, b, z, sign, weight, c)
        assert mine <= theirs * (1 + 1e-9)
        # Where liblinear stops short of the minimum, ours is the lower one; where it arrives, they agree.
        if theirs <= mine * (1 + 1e-8):
            assert z @ w + b == pytest.approx(scores, abs=2e-3)
        if c <= 1:
            assert z @ w + b == pytest.approx(scores, abs=1e-5)


def test_agrees_with_a_general_optimiser() -> None:
    features, positive = training_fold(3, 50, 6)
    z = fit_scaler(features)(features)
    weight, sign = balanced_weights(positive), np.where(positive, 1.0, -1.0)
    (w,), (b,) = svc_path(z, positive, weight, [2.0])
    found = minimize(
        lambda x: objective(x[:-1], x[-1], z, sign, weight, 2.0), np.zeros(7), method="BFGS", options={"gtol": 1e-9}
    )
    assert objective(w, b, z, sign, weight, 2.0) <= found.fun + 1e-9
    assert np.append(w, b) == pytest.approx(found.x, abs=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(6, 40), st.integers(1, 400))
@settings(deadline=None, max_examples=30)
def test_the_space_of_the_units_keeps_every_decision_value(seed, n, extra) -> None:
    """More features than units: solved by their inner products and in all features, with the same answer."""
    features, positive = training_fold(seed, n, n + extra)
    new = np.random.default_rng(seed + 1).normal(size=(7, n + extra)) * features.std(axis=0)
    scaler = fit_scaler(features)
    full, full_new = scaler(features), scaler(new)
    coef, intercept = svc_path(full, positive, balanced_weights(positive), GRID)
    expected = full_new @ coef.T + intercept
    scale = 1 + np.abs(expected).max()
    problem = GramProblem(full @ full.T, positive)
    for found in (gram_path(problem, GRID), *gram_paths([problem], GRID)):
        mine = full_new @ full.T @ found.alpha.T + found.intercept
        assert np.abs(mine - expected).max() < 1e-7 * scale


def test_the_path_does_not_depend_on_where_it_starts() -> None:
    features, positive = training_fold(1, 80, 30)
    z = fit_scaler(features)(features)
    weight = balanced_weights(positive)
    along, offsets = svc_path(z, positive, weight, GRID)
    for k, c in enumerate(GRID):
        alone, offset = svc_path(z, positive, weight, [c])
        assert z @ alone[0] + offset[0] == pytest.approx(z @ along[k] + offsets[k], abs=1e-7)


def test_scaling_uses_training_units_only_and_silences_constant_features() -> None:
    rng = np.random.default_rng(0)
    train, test = rng.normal(size=(20, 4)), 100 + rng.normal(size=(5, 4))
    train[:, 2] = 7.0
    scaler = fit_scaler(train)
    scaled = scaler(train)
    assert scaled.mean(axis=0) == pytest.approx(np.zeros(4))
    assert (scaled**2).sum(axis=1).mean() == pytest.approx(1.0)
    assert (scaler(test)[:, 2] == 0).all()


def test_units_of_no_consequence_change_nothing() -> None:
    """The decision values of a test unit do not depend on which other units are tested."""
    features, positive = training_fold(2, 40, 60)
    y = positive.astype(np.int64)
    together = svc_scores(features[:30], y[:30], 2, features[30:], GRID)
    alone = svc_scores(features[:30], y[:30], 2, features[30:31], GRID)
    assert together[:, :1] == pytest.approx(alone)


def test_separable_classes_get_the_margin_of_one_for_large_c() -> None:
    features = np.array([[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]])
    positive = np.array([False, False, True, True])
    coef, intercept = svc_path(features, positive, np.ones(4), [1e6])
    assert coef[0] == pytest.approx([0.5, 0.0], abs=1e-4)
    assert intercept[0] == pytest.approx(-1.0, abs=1e-4)


def test_several_classes_are_each_separated_from_the_rest() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [10, 20, 30])
    features = np.eye(3)[y] * 4 + rng.normal(size=(60, 3))
    scores = svc_scores(features, y, 3, features, [1.0])
    assert scores.shape == (1, 60, 3)
    single = svc_scores(features, (y == 2).astype(np.int64), 2, features, [1.0])
    assert scores[0, :, 2] == pytest.approx(single[0])
    assert (scores[0].argmax(axis=1) == y).mean() > 0.9


@pytest.mark.slow
def test_a_breast_sized_training_fold_is_quick() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1500, 576)) / (1 + np.arange(576))
    positive = features[:, 0] + rng.normal(size=1500) > 0.5
    start = time.perf_counter()
    svc_scores(features, positive.astype(np.int64), 2, features[:300], GRID)
    assert time.perf_counter() - start < 10
