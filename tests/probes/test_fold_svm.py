"""Folds of every size and shape lead to one solution, and protocols that share folds share it."""

from __future__ import annotations

import numpy as np
import pytest

from usbench.probes import ProbeData, fold_svm, run_protocol
from usbench.probes.fold_svm import FoldSet, solve, solve_folds, standardised
from usbench.probes.half_samples import refit_halves
from usbench.probes.kernel_svm import GramProblem, gram_path
from usbench.probes.nested_svm import GRID
from usbench.probes.protocols import pose
from usbench.probes.solved import Solved
from usbench.probes.squared_hinge_svm import balanced_weights, fit_scaler, svc_path
from usbench.statistics import repeated_subject_folds


def features_and_classes(n: int, width: int, signal: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, width)) / np.sqrt(1 + np.arange(width))
    y = rng.permutation(np.arange(n) % 3 == 0)
    x[y, :3] += signal
    return x, y


@pytest.mark.parametrize(("n", "width"), [(400, 700), (400, 330), (400, 60), (30, 90)])
@pytest.mark.parametrize("signal", [0.0, 0.7, 8.0], ids=["chance", "overlapping", "separable"])
def test_the_space_of_the_units_has_the_solution_of_the_space_of_the_features(n, width, signal) -> None:
    x, y = features_and_classes(n, width, signal)
    z = fit_scaler(x)(x)
    coef, intercept = svc_path(z, y, balanced_weights(y), GRID)
    expected = coef @ z.T + intercept[:, None]
    gram = z @ z.T
    found = gram_path(GramProblem(gram, y), GRID)
    mine = found.alpha @ gram + found.intercept[:, None]
    # Within rounding of the worst conditioned problem, whose units are all but repeated by 60 features.
    for k in range(len(GRID)):
        assert mine[k] == pytest.approx(expected[k], abs=1e-6 * np.abs(expected[k]).max())


def test_a_solution_does_not_depend_on_the_grid_that_led_there() -> None:
    x, y = features_and_classes(350, 500, 0.5)
    z = fit_scaler(x)(x)
    problem = GramProblem(z @ z.T, y)
    whole, alone = gram_path(problem, GRID), gram_path(problem, GRID[8:9])
    assert (whole.alpha[8] == alone.alpha[0]).all()
    assert whole.intercept[8] == alone.intercept[0]


@pytest.mark.parametrize("width", [40, 400])
def test_inner_folds_are_parts_of_the_standardised_fold(make_cohort, width) -> None:
    data = make_cohort(signal=0.5, width=width, units_per_subject=8)
    problem, _ = pose(data, folds(data), 0, "classification", None, 1)
    (split, *_), (cut, *_) = problem.splits[0], problem.inner_folds(0, 0, problem.splits[0][0], 4)
    whole = standardised(problem, split)
    assert whole.by_gram == (width == 400)
    scaled = fit_scaler(problem.features[split.train])(problem.features[split.train])
    plain = FoldSet(whole.y[cut.train], scaled[cut.train], scaled[cut.test], width, False)
    (mine,), (expected,) = (solve([s], 2, [GRID]) for s in (whole.part(cut), plain))
    assert mine.distances == pytest.approx(expected.distances, abs=1e-7)


def folds(data, repeats=1):
    return repeated_subject_folds(data.groups, data.y, 5, repeats, 0)


@pytest.mark.parametrize("units", [1, 9], ids=["small", "large"])
def test_what_one_protocol_solved_the_next_does_not_solve_again(make_cohort, monkeypatch, units) -> None:
    data = make_cohort(signal=0.5, width=300, units_per_subject=units)
    shared = ProbeData(data.embeddings, data.unit, data.y, data.groups, solved=Solved())
    first = [refit_halves(p, shared, folds(data)[0], ["fold_auc"], folds=5) for p in ("svc-nested@2", "svc-paper@1")]
    alone = [refit_halves(p, data, folds(data)[0], ["fold_auc"], folds=5) for p in ("svc-nested@2", "svc-paper@1")]
    for mine, expected in zip(first, alone, strict=True):
        assert np.array(mine.metrics["fold_auc"]) == pytest.approx(np.array(expected.metrics["fold_auc"]), abs=1e-9)
    monkeypatch.setattr(fold_svm, "solve", None)
    again = refit_halves("svc-paper@1", shared, folds(data)[0], ["fold_auc"], folds=5)
    assert again.metrics == first[1].metrics
    # Without a store to share, everything is solved for each call.
    with pytest.raises(TypeError):
        refit_halves("svc-paper@1", data, folds(data)[0], ["fold_auc"], folds=5)


def test_other_classes_of_the_same_units_are_another_problem(make_cohort) -> None:
    data = make_cohort(signal=0.5)
    solved = Solved()
    for positive in (0, 1):
        shared = ProbeData(data.embeddings, data.unit, data.y, data.groups, solved=solved)
        mine = run_protocol("svc-paper@1", shared, folds(data), positive=positive).predictions
        plain = run_protocol("svc-paper@1", data, folds(data), positive=positive).predictions
        assert (mine.score == plain.score).all()


def test_three_classes_share_too(make_cohort) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(3), [20, 25, 30])
    embeddings = (np.eye(3)[y] @ rng.normal(size=(3, 40)) + rng.normal(size=(75, 40))).astype(np.float32)
    data = ProbeData(embeddings, np.arange(75), y, np.arange(75), solved=Solved())
    problem, _ = pose(data, folds(data), 0, "classification", None, 1)
    first, second = (solve_folds(problem, problem.splits[0], GRID) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert a.values.shape == (len(GRID), a.values.shape[1], 3)
        assert a.norm.shape == (len(GRID), 3)
        assert (a.values == b.values).all()
        assert (a.distances == a.values).all()
