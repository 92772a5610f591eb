"""The second versions of the nested protocols: the same solutions on wider grids, tuned by what ranks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from usbench.errors import DataError
from usbench.probes import ProbeData, mean_by_unit, run_protocol
from usbench.probes.half_samples import refit_halves
from usbench.probes.kernel_svm import GramProblem, gram_paths
from usbench.probes.nested_ridge import GRID as PENALTIES
from usbench.probes.nested_ridge import RidgeFit
from usbench.probes.nested_svm import GRID, near
from usbench.probes.ridge import ridge_scores
from usbench.probes.squared_hinge_svm import balanced_weights, fit_scaler, svc_path
from usbench.probes.wide_grid import auc_loss, choose
from usbench.statistics import compute, repeated_subject_folds, subject_folds


def folds(data, n=5, repeats=2, seed=0):
    y = None if data.y.dtype.kind == "f" else data.y
    return repeated_subject_folds(data.groups, y, n, repeats, seed, stratify=y is not None)


def test_gram_matrices_lead_to_the_solution_that_features_lead_to() -> None:
    """Sets of unequal size, more features than units, overlapping and separable classes, all of the grid."""
    rng = np.random.default_rng(0)
    raw, problems = [], []
    for k in range(12):
        n = int(rng.integers(8, 40))
        x = rng.normal(size=(n, 90)) / np.sqrt(1 + np.arange(90))
        y = rng.permutation(np.arange(n) % 3 == 0)
        x[y, :3] += 0.2 * k
        z = fit_scaler(x)(x)
        raw.append((z, y))
        problems.append(GramProblem(z @ z.T, y))
    for (z, y), found in zip(raw, gram_paths(problems, GRID), strict=True):
        coef, intercept = svc_path(z, y, balanced_weights(y), GRID)
        expected = coef @ z.T + intercept[:, None]
        mine = found.alpha @ (z @ z.T) + found.intercept[:, None]
        assert mine == pytest.approx(expected, abs=1e-7 * np.abs(expected).max())


@pytest.mark.parametrize(("n", "width"), [(40, 100), (90, 12)])
def test_left_out_residuals_are_those_of_fitting_again(n, width) -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(n, width))
    y = 95 + x[:, 0] + rng.normal(size=n)
    fit, scaled = RidgeFit(x, y), fit_scaler(x)(x)
    out = np.arange(0, n, 4)
    rest = np.setdiff1d(np.arange(n), out)
    penalties = np.array([1e-6, 1e-3, 1.0, 1e3])
    for penalty, mine in zip(penalties, fit.left_out(out, penalties), strict=True):
        again = Ridge(alpha=n * penalty, solver="svd").fit(scaled[rest], y[rest])
        assert mine == pytest.approx(y[out] - again.predict(scaled[out]), abs=1e-6)
        assert fit.predict(x[out], penalty) == pytest.approx(ridge_scores(x, y, x[out], [penalty])[0])


def test_the_c_of_a_fold_has_the_best_auc_within_its_inner_folds(make_cohort) -> None:
    data = make_cohort(signal=0.6, width=12, units_per_subject=2)
    (splits,) = folds(data, repeats=1)
    result = run_protocol("svc-nested@2", data, [splits], seed=4)
    features = mean_by_unit(data)
    for k, (split, choice) in enumerate(zip(splits, result.choices, strict=True)):
        seed = int(np.random.SeedSequence([4, 0, k]).generate_state(1)[0])
        inner = subject_folds(data.groups[split.train], data.y[split.train], 4, seed)
        scaled = fit_scaler(features[split.train])(features[split.train])
        y = data.y[split.train]
        aucs = []
        for c in GRID:
            won = pairs = 0.0
            for s in inner:
                coef, b = svc_path(scaled[s.train], y[s.train] == 1, balanced_weights(y[s.train] == 1), [c])
                size = (y[s.test] == 1).sum() * (y[s.test] == 0).sum()
                won += size * roc_auc_score(y[s.test], scaled[s.test] @ coef[0] + b[0])
                pairs += size
            aucs.append(won / pairs)
        best = int(np.argmax(np.array(aucs) >= max(aucs) - 1e-12))
        assert choice.parameters["C"] == GRID[best]
        assert choice.score == pytest.approx(aucs[best])


def test_scores_are_distances_that_do_not_grow_with_c(make_cohort) -> None:
    data = make_cohort(signal=1.0)
    (splits,) = folds(data, repeats=1)
    weak, strong = (run_protocol("svc-nested@2", data, [splits], grid=(c,)).predictions for c in (1e-6, 1e-5))
    assert strong.score == pytest.approx(weak.score, rel=1e-3, abs=1e-5)


def test_a_signal_that_only_a_weak_penalty_finds_is_found(make_cohort) -> None:
    """The first version ends at 1e-3 of the mean squared length; the signal lies in a direction far below that."""
    rng = np.random.default_rng(0)
    n = 160
    common = rng.normal(size=n)
    y = rng.normal(size=n)
    features = np.outer(common, np.ones(40)) + 0.01 * rng.normal(size=(n, 40))
    features[:, 0] += 0.05 * y
    data = ProbeData(features.astype(np.float32), np.arange(n), 100 + 10 * y, np.arange(n))
    splits = folds(data)
    r = {}
    for version in ("ridge-nested@1", "ridge-nested@2"):
        result = run_protocol(version, data, splits, question="regression")
        r[version] = compute("pearson_r", result.predictions.tested())
        chosen = [c.parameters["penalty"] for c in result.choices]
        if version == "ridge-nested@1":
            assert set(chosen) == {min(chosen)}
            assert min(chosen) == pytest.approx(1e-3)
        else:
            assert max(chosen) < 1e-3
            assert not any(c.edge for c in result.choices)
    assert r["ridge-nested@2"] > r["ridge-nested@1"] + 0.05


def test_an_edge_is_an_end_that_still_improves() -> None:
    assert choose(np.array([0.5, 0.4, 0.3]), 1.0) == (2, True)
    assert choose(np.array([0.3, 0.4, 0.5]), 1.0) == (0, True)
    assert choose(np.array([0.3, 0.3, 0.5]), 1.0) == (0, False)
    assert choose(np.array([0.5, 0.3004, 0.3]), 1.0) == (2, False)
    assert choose(np.array([0.5, 0.3, 0.4]), 1.0) == (1, False)
    assert choose(np.array([0.5, 0.3, 0.3, 0.4]), 1.0) == (1, False)
    assert choose(np.array([3.0]), 10.0) == (0, False)


def test_a_short_grid_says_that_it_is_short(make_cohort) -> None:
    data = make_cohort(n_subjects=60, width=30, signal=1.0, regression=True)
    short = run_protocol("ridge-nested@2", data, folds(data), question="regression", grid=(1.0, 10.0))
    whole = run_protocol("ridge-nested@2", data, folds(data), question="regression")
    assert all(c.edge for c in short.choices)
    assert not any(c.edge for c in whole.choices)
    assert min(PENALTIES) < min(c.parameters["penalty"] for c in whole.choices)


def test_the_auc_of_a_grid_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    y = rng.integers(0, 3, 60)
    scores = np.round(rng.normal(size=(4, 60, 3)), 1)
    binary = auc_loss([(scores[:, :, 0], y == 1)], 2)
    assert 1 - binary == pytest.approx([roc_auc_score(y == 1, s) for s in scores[:, :, 0]])
    each = auc_loss([(scores, y)], 3)
    expected = [np.mean([roc_auc_score(y == k, s[:, k]) for k in range(3)]) for s in scores]
    assert 1 - each == pytest.approx(expected)
    assert auc_loss([(scores[:, :5, 0], np.zeros(5))], 2) is None


def test_halves_share_no_subject_and_are_the_same_for_every_encoder(make_cohort) -> None:
    data = make_cohort(n_subjects=45, units_per_subject=2, signal=0.8)
    other = ProbeData(data.embeddings[:, ::-1].copy(), data.unit, data.y, data.groups)
    splits = folds(data, repeats=1)[0]
    first, second = (refit_halves("svc-nested@2", d, splits, ["fold_auc", "accuracy"], folds=5) for d in (data, other))
    # The features in another order are the same encoder: equal refits in equal halves give equal scores.
    for a, b in zip(np.ravel(first.metrics["fold_auc"]), np.ravel(second.metrics["fold_auc"]), strict=True):
        assert a == pytest.approx(b, abs=0.02)
    assert len(first.metrics["accuracy"]) == 12
    assert 0.5 < np.mean(first.metrics["fold_auc"]) < 1
    again = refit_halves("svc-nested@2", data, splits, ["fold_auc"], folds=5, n_jobs=2)
    assert again.metrics["fold_auc"] == first.metrics["fold_auc"]


@pytest.mark.parametrize("protocol", ["svc-nested@1", "svc-paper@1", "knn@1", "constant@1"])
def test_every_classifier_is_refitted(make_cohort, protocol) -> None:
    data = make_cohort(n_subjects=40)
    found = refit_halves(protocol, data, folds(data)[0], ["balanced_accuracy"], folds=5, n_halvings=2)
    assert np.isfinite(np.array(found.metrics["balanced_accuracy"], dtype=float)).all()


def test_official_folds_and_fixed_splits_stay_what_they_are_in_a_half(make_cohort) -> None:
    data = make_cohort(n_subjects=60)
    official = folds(data)[0]
    assert refit_halves("svc-nested@2", data, official, ["fold_auc"], n_halvings=2).metrics["fold_auc"]
    fixed = refit_halves("svc-nested@2", data, official[:1], ["auc"], n_halvings=2)
    assert not fixed.reason


def test_attention_heads_are_refitted(make_cohort) -> None:
    data = make_cohort(n_subjects=24, regression=True, width=4, frames=2)
    found = refit_halves(
        "attention-paper@1", data, folds(data, n=3)[0], ["mae"], folds=3, question="regression", n_halvings=1
    )
    assert np.isfinite(np.array(found.metrics["mae"], dtype=float)).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"n_subjects": 18}, "18 subjects are too few"),
        ({"n_subjects": 27, "n_classes": 3}, "9 subjects of class 0 are too few"),
    ],
)
def test_too_few_subjects_to_halve_is_said(make_cohort, change, reason) -> None:
    data = make_cohort(**change)
    found = refit_halves("svc-nested@2", data, folds(data, n=3)[0], ["auc"], folds=3)
    assert found.metrics == {}
    assert reason in found.reason


def test_a_half_that_cannot_be_trained_on_is_said(make_cohort) -> None:
    """Official folds in which one class lies in a single fold."""
    data = make_cohort(n_subjects=40)
    order = np.argsort(data.y, kind="stable")
    from usbench.statistics import official_folds

    fold = np.empty(40, dtype=int)
    fold[order] = [*([0] * 20), *([1] * 10), *([2] * 10)]
    with pytest.raises(DataError):
        run_protocol("svc-nested@2", data, [official_folds(fold, data.groups)])
    found = refit_halves("svc-nested@2", data, official_folds(fold, data.groups), ["auc"])
    assert "not enough to train on" in found.reason


def test_refits_look_near_the_values_chosen_on_the_whole(make_cohort) -> None:
    data = make_cohort(signal=0.7)
    choices = run_protocol("svc-nested@2", data, folds(data)).choices
    part = near(choices)
    chosen = {c.parameters["C"] for c in choices}
    assert chosen <= set(part)
    assert min(part) >= min(chosen) / 101
    assert max(part) <= max(chosen) * 101
