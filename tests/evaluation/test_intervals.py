"""Intervals where little is known: perfect scores, few positives, too few subjects of a class."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest, norm

from usbench.diagnostics import perturbation
from usbench.evaluation.intervals import FIXED, MIN_FOR_INTERVAL, estimates, fewest_subjects, interval_note
from usbench.statistics import Predictions, auc_covariance, bootstrap

STATED = {"method": FIXED}


def perfect(n: int = 30, positives: int = 12):  # type: ignore[no-untyped-def]
    y = (np.arange(n) < positives).astype(int)
    return Predictions.binary(y, y - 0.5)


@pytest.mark.parametrize("stated", [STATED, None])
def test_a_perfect_score_has_the_exact_bound_of_clopper_and_pearson(stated: dict[str, str] | None) -> None:
    found = estimates(perfect(), ["accuracy", "sensitivity", "specificity", "auc", "fold_auc"], stated)
    subjects = {"accuracy": 30, "sensitivity": 12, "specificity": 18, "auc": 12, "fold_auc": 12}
    for name, n in subjects.items():
        one_sided = binomtest(n, n, alternative="greater").proportion_ci(0.95, "exact").low
        assert found[name].value == found[name].high == 1.0
        assert found[name].low == pytest.approx(one_sided, abs=1e-6), name


def test_diagnostics_have_it_too() -> None:
    found = perturbation.estimate(perfect(), "auc")
    assert (found.value, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.05 ** (1 / 12), abs=1e-6)


def test_nothing_right_has_the_bound_of_the_other_end() -> None:
    y = np.arange(20) % 2
    found = estimates(Predictions.binary(y, 0.5 - y), ["auc"], STATED)["auc"]
    assert (found.value, found.low) == (0.0, 0.0)
    assert found.high == pytest.approx(1 - 0.05**0.1, abs=1e-6)


def test_an_auc_without_half_samples_has_delongs_error_on_the_logit_scale() -> None:
    rng = np.random.default_rng(0)
    y = (np.arange(40) < 9).astype(int)
    outcome = Predictions.binary(y, y + rng.normal(size=40))
    value, _, covariance = auc_covariance(outcome, outcome)
    reach = norm.ppf(0.975) * covariance[0, 0] ** 0.5 / (value * (1 - value))
    found = estimates(outcome, ["auc"], STATED)["auc"]
    logit = np.log(value / (1 - value))
    assert [found.low, found.high] == pytest.approx(1 / (1 + np.exp([reach - logit, -reach - logit])), abs=1e-6)


def test_few_positives_and_a_high_auc_are_covered_better_than_by_resampling() -> None:
    """Six positives of 36 and a true AUC of .92: percentiles of resamples leave it out in one cohort of eight."""
    truth, rng, cohorts = 0.92, np.random.default_rng(1), 250
    apart = np.sqrt(2) * norm.ppf(truth)
    covered = {"logit": 0, "percentile": 0}
    y = (np.arange(36) < 6).astype(int)
    for _ in range(cohorts):
        outcome = Predictions.binary(y, apart * y + rng.normal(size=36))
        found = estimates(outcome, ["auc"], STATED)["auc"]
        covered["logit"] += found.low <= truth <= found.high
        resampled = bootstrap(outcome, ["auc"], n_resamples=400)["auc"]
        covered["percentile"] += resampled.low <= truth <= resampled.high
    share = {name: count / cohorts for name, count in covered.items()}
    print(share)
    assert share["logit"] > 0.92
    assert share["percentile"] < share["logit"]


def test_fewer_than_five_subjects_of_a_class_have_no_interval_and_a_reason() -> None:
    y = (np.arange(30) < 4).astype(int)
    outcome = Predictions.binary(y, y + np.random.default_rng(2).normal(size=30))
    found = estimates(outcome, ["auc", "accuracy"], STATED)
    assert found["auc"].value is not None
    assert found["auc"].low is found["auc"].high is None
    assert found["accuracy"].low is not None  # it rests on all subjects
    told = interval_note(outcome, ["auc", "accuracy"])
    assert told.startswith("No interval, unless a score is perfect, for AUC: 4 subjects are too few")
    assert interval_note(outcome, ["accuracy"]) == ""
    assert MIN_FOR_INTERVAL == 5


def test_subjects_are_counted_and_not_images() -> None:
    y = np.arange(40) % 2
    outcome = Predictions.binary(y, np.arange(40.0), groups=np.where(y, np.arange(40) % 3, 10 + np.arange(40)))
    assert fewest_subjects("auc", outcome) == 3  # twenty positive images of three patients
    assert fewest_subjects("accuracy", outcome) == outcome.n_groups
    values = Predictions.regression(np.arange(12.0), np.arange(12.0)[::-1], threshold=9)
    assert fewest_subjects("mae", values) == 12
    assert fewest_subjects("auc", values) == 3
