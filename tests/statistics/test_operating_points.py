"""Operating points and calibration beside independent implementations, with and without weights."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn import metrics as reference
from sklearn.calibration import CalibratedClassifierCV

from usbench.statistics import Predictions, bootstrap, compute
from usbench.statistics.calibration import fit_logistic, platt_probabilities
from usbench.statistics.metrics import prepare


def cohort(seed: int, n: int = 120, signal: float = 1.0, decimals: int = 1, repeats: int = 1) -> Predictions:
    """Scores with ties, five folds, four positives in ten."""
    rng = np.random.default_rng(seed)
    y = (rng.permutation(n) < 0.4 * n).astype(int)
    score = np.round(signal * y + rng.normal(size=(repeats, n)), decimals)
    fold = np.stack([rng.permutation(n) % 5 for _ in range(repeats)])
    return Predictions.binary(y, score, fold=fold)


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_is_that_of_scikit_learn(seed: int) -> None:
    outcome = cohort(seed)
    weights = np.random.default_rng(seed).integers(0, 3, (4, outcome.n_units)).astype(float)
    found = prepare("auprc", outcome)(np.vstack([np.ones((1, outcome.n_units)), weights]))
    for value, w in zip(found, [None, *weights], strict=True):
        expected = reference.average_precision_score(outcome.y, outcome.score[0], sample_weight=w)
        assert value == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("percent", [90, 95])
@pytest.mark.parametrize("seed", range(6))
def test_sensitivity_at_a_specificity_is_read_from_the_roc_curve(seed: int, percent: int) -> None:
    outcome = cohort(seed, n=100)
    weights = np.random.default_rng(seed).integers(0, 3, (4, outcome.n_units)).astype(float)
    found = prepare(f"sensitivity_at_{percent}_specificity", outcome)(np.vstack([np.ones((1, 100)), weights]))
    for value, w in zip(found, [None, *weights], strict=True):
        alarms, hits, _ = reference.roc_curve(outcome.y, outcome.score[0], sample_weight=w, drop_intermediate=False)
        assert value == pytest.approx(hits[alarms <= 1 - percent / 100 + 1e-9].max(), abs=1e-12)


def test_operating_points_of_repeats_are_averaged() -> None:
    outcome = cohort(3, repeats=4)
    for name in ("auprc", "sensitivity_at_90_specificity", "brier", "calibration_slope"):
        single = [compute(name, outcome.repeats(r, r + 1)) for r in range(4)]
        assert compute(name, outcome) == pytest.approx(np.mean(single))


@pytest.mark.parametrize("seed", range(3))
def test_logistic_regression_is_that_of_statsmodels(seed: int) -> None:
    outcome = cohort(seed, decimals=6)
    x, y = outcome.score[0], outcome.y
    weights = np.random.default_rng(seed).integers(0, 4, (5, len(y))).astype(float)
    for beta, w in zip(fit_logistic(x, y, weights), weights, strict=True):
        fit = sm.GLM(y, sm.add_constant(x), family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-12)
        np.testing.assert_allclose(beta, fit.params, atol=1e-6)


def test_a_logistic_curve_without_a_maximum_does_not_exist() -> None:
    x = np.arange(8.0)
    ones = np.ones((1, 8))
    assert np.isnan(fit_logistic(x, (x > 3).astype(float), ones)).all()  # a threshold separates the classes
    assert np.isnan(fit_logistic(np.zeros(8), (x > 3).astype(float), ones)).all()
    far = fit_logistic(np.array([0.0, 1, 2, 1000]), np.array([0.0, 1, 0, 1]), np.ones((1, 4)))
    assert np.isfinite(far).all()  # full steps of Newton's method would leave the range of floats


def test_platt_scaling_fits_on_the_other_folds_what_scikit_learn_fits() -> None:
    """One classifier that returns the score as it is, calibrated on four folds and asked about the fifth."""

    class Given:
        classes_ = np.array([0, 1])

        def decision_function(self, x: np.ndarray) -> np.ndarray:
            return x[:, 0]

        def fit(self, x: np.ndarray, y: np.ndarray) -> Given:
            return self

        def get_params(self, deep: bool = True) -> dict[str, object]:
            return {}

        def set_params(self, **_: object) -> Given:
            return self

        def __sklearn_tags__(self) -> object:
            from sklearn.svm import LinearSVC

            return LinearSVC().__sklearn_tags__()

        def __sklearn_is_fitted__(self) -> bool:
            return True

    outcome = cohort(0, n=150, decimals=6)
    found = platt_probabilities(outcome)
    assert found is not None
    x = outcome.score[0][:, None]
    for fold in range(5):
        tested = outcome.fold[0] == fold
        everything = [(np.arange((~tested).sum()), np.arange((~tested).sum()))]
        model = CalibratedClassifierCV(Given(), method="sigmoid", cv=everything, ensemble=True)
        model.fit(x[~tested], outcome.y[~tested].astype(int))
        np.testing.assert_allclose(found[0, tested], model.predict_proba(x[tested])[:, 1], atol=2e-4)


@pytest.mark.parametrize("seed", range(3))
def test_brier_score_and_slope_are_those_of_the_libraries(seed: int) -> None:
    outcome = cohort(seed, decimals=6)
    p = platt_probabilities(outcome)
    assert p is not None
    weights = np.random.default_rng(seed).integers(0, 4, (5, outcome.n_units)).astype(float)
    briers, slopes = prepare("brier", outcome)(weights), prepare("calibration_slope", outcome)(weights)
    design = sm.add_constant(np.log(p[0] / (1 - p[0])))
    for brier, slope, w in zip(briers, slopes, weights, strict=True):
        assert brier == pytest.approx(reference.brier_score_loss(outcome.y, p[0], sample_weight=w), abs=1e-12)
        fit = sm.GLM(outcome.y, design, family=sm.families.Binomial(), freq_weights=w).fit(tol=1e-12)
        assert slope == pytest.approx(fit.params[1], abs=1e-5)


def test_scaling_out_of_fold_is_calibrated_whatever_the_scale_of_the_scores() -> None:
    big = cohort(1, n=6000, decimals=6)
    slope = bootstrap(big, ["calibration_slope"], n_resamples=200)["calibration_slope"]
    assert slope.low < 1 < slope.high
    assert slope.high - slope.low < 0.3
    stretched = Predictions(**{**vars(big), "score": 1000 * big.score + 7})
    for name in ("brier", "calibration_slope"):
        assert compute(name, stretched) == pytest.approx(compute(name, big), rel=1e-6)


def test_no_unit_takes_part_in_scaling_itself() -> None:
    outcome = cohort(2, decimals=6)
    before = platt_probabilities(outcome)
    flipped = outcome.y.copy()
    members = outcome.fold[0] == 0
    flipped[members] = 1 - flipped[members]
    after = platt_probabilities(Predictions(**{**vars(outcome), "y": flipped}))
    np.testing.assert_allclose(before[0, members], after[0, members], rtol=1e-12)
    assert not np.allclose(before[0, ~members], after[0, ~members])


def test_what_does_not_exist_is_none_and_extremes_are_exact() -> None:
    y = np.arange(40) % 2
    one_fold = Predictions.binary(y, y + 0.1 * np.arange(40))
    constant = Predictions.binary(y, np.zeros(40), fold=np.arange(40) // 2 % 5)
    perfect = Predictions.binary(y, 2.0 * y - 1 + 0.001 * np.arange(40), fold=np.arange(40) // 2 % 5)
    for name in ("brier", "calibration_slope"):
        assert compute(name, one_fold) is None  # no other fold to fit the curve on
        assert compute(name, constant) is None
    assert compute("auprc", constant) == 0.5
    assert compute("sensitivity_at_90_specificity", constant) == 0.0
    assert compute("auprc", perfect) == compute("sensitivity_at_95_specificity", perfect) == 1.0
    assert compute("calibration_slope", perfect) is None
    assert 0 < compute("brier", perfect) < 0.05
    nobody = Predictions.binary(np.zeros(10), np.arange(10.0), fold=np.arange(10) % 5)
    assert all(compute(name, nobody) is None for name in ("auprc", "sensitivity_at_90_specificity", "brier"))
