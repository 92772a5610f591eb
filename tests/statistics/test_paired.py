from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from documented import figures
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from usbench.errors import UsbenchError
from usbench.statistics import (
    Predictions,
    auc_covariance,
    auc_test,
    bootstrap,
    compare,
    holm,
    mcnemar_exact,
    permute_labels,
    sign_flip_exact,
)


def two_markers(seed: int, n: int = 50, gap: float = 0.0, per_subject: int = 1) -> tuple[Predictions, Predictions]:
    """Two correlated markers; the first separates the classes better by `gap`."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(n), per_subject)
    y = (np.arange(n) % 2)[groups]
    shared = rng.normal(size=n)[groups] + 0.5 * rng.normal(size=len(groups))
    a = (1 + gap) * y + shared + 0.7 * rng.normal(size=n)[groups]
    b = y + shared + 0.7 * rng.normal(size=n)[groups]
    return Predictions.binary(y, a, groups=groups), Predictions.binary(y, b, groups=groups)


def brute_force_delong(y: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """AUCs and covariance by the definition: an m by n matrix of comparisons for each marker."""
    positive, negative = scores[:, y == 1], scores[:, y == 0]
    wins = (positive[:, :, None] > negative[:, None, :]) + 0.5 * (positive[:, :, None] == negative[:, None, :])
    v10, v01 = wins.mean(axis=2), wins.mean(axis=1)
    return wins.mean(axis=(1, 2)), np.cov(v10) / v10.shape[1] + np.cov(v01) / v01.shape[1]


def test_delong_agrees_with_its_definition_ties_included() -> None:
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1], [23, 17]))
    scores = np.round(rng.normal(size=(2, 40)) + y, 1)
    auc_a, auc_b, covariance = auc_covariance(Predictions.binary(y, scores[0]), Predictions.binary(y, scores[1]))
    aucs, expected = brute_force_delong(y, scores)
    assert (auc_a, auc_b) == pytest.approx(tuple(aucs))
    assert covariance == pytest.approx(expected)


def test_obuchowski_agrees_with_its_definition() -> None:
    """Equations of the 1997 paper, written out with loops over the subjects."""
    rng = np.random.default_rng(1)
    groups = rng.integers(0, 15, 60)
    y = rng.integers(0, 2, 60)
    score = np.round(rng.normal(size=60) + y + 0.5 * groups / 15, 1)
    outcome = Predictions.binary(y, score, groups=groups)
    auc, _, covariance = auc_covariance(outcome, outcome)

    wins = (score[y == 1][:, None] > score[y == 0]) + 0.5 * (score[y == 1][:, None] == score[y == 0])
    v10, v01 = wins.mean(axis=1), wins.mean(axis=0)
    m, n = wins.shape
    g10, g01 = groups[y == 1], groups[y == 0]
    subjects = sorted(set(groups))
    i10, i01, i = len(set(g10)), len(set(g01)), len(subjects)
    x = {s: v10[g10 == s].sum() - (g10 == s).sum() * auc for s in subjects}
    z = {s: v01[g01 == s].sum() - (g01 == s).sum() * auc for s in subjects}
    s10 = i10 / ((i10 - 1) * m) * sum(v**2 for v in x.values())
    s01 = i01 / ((i01 - 1) * n) * sum(v**2 for v in z.values())
    s11 = i / (i - 1) * sum(x[s] * z[s] for s in subjects)
    assert covariance[0, 0] == pytest.approx(s10 / m + s01 / n + 2 * s11 / (m * n))


def test_delong_is_blind_to_how_units_are_ordered_or_scaled() -> None:
    a, b = two_markers(0, gap=1.0)
    order = np.random.default_rng(0).permutation(a.n_units)
    moved = [Predictions.binary(o.y[order], np.exp(o.score[0][order])) for o in (a, b)]
    assert auc_test(*moved).p == pytest.approx(auc_test(a, b).p)


@pytest.mark.parametrize("per_subject", [1, 4])
def test_standard_error_agrees_with_the_subject_bootstrap(per_subject: int) -> None:
    a, b = two_markers(3, n=120, per_subject=per_subject)
    found = auc_test(a, b)
    interval = compare(a, b, "auc", n_resamples=4000)
    width = (interval.high - interval.low) / (2 * 1.96)
    assert found.standard_error == pytest.approx(width, rel=0.08)
    assert found.clustered == (per_subject > 1)


def test_within_folds_error_agrees_with_the_bootstrap() -> None:
    rng = np.random.default_rng(5)
    y = rng.integers(0, 2, 150)
    fold = np.stack([rng.permutation(np.arange(150) % 5) for _ in range(3)])
    offset = 5.0 * rng.normal(size=5)
    score = y + rng.normal(size=150) + 0.3 * rng.normal(size=(3, 150)) + offset[fold]
    outcome = Predictions.binary(y, score, fold=fold)
    _, _, covariance = auc_covariance(outcome, outcome, within_folds=True)
    interval = bootstrap(outcome, ["fold_auc"], n_resamples=4000)["fold_auc"]
    assert np.sqrt(covariance[0, 0]) == pytest.approx((interval.high - interval.low) / (2 * 1.96), rel=0.08)


@pytest.mark.parametrize("per_subject", [1, 3])
def test_auc_test_keeps_its_level_without_a_difference(per_subject: int) -> None:
    """2,000 cohorts of 60 subjects; two standard errors are one point."""
    p = [auc_test(*two_markers(seed, n=60, per_subject=per_subject)).p for seed in range(2000)]
    rejected = np.mean(np.array(p) < 0.05)
    print(f"\n60 subjects, {per_subject} units each, no difference: rejected at 5 % in {rejected:.4f}")
    assert 0.035 <= rejected <= 0.07
    passages = {
        1: "were distinguished at the 5 % level in # % of # cohorts (DeLong)",
        3: "cohorts (DeLong), # % with three units per subject (Obuchowski)",
    }
    expected = [100 * rejected, 2000] if per_subject == 1 else [100 * rejected]
    assert figures("statistics.md", passages[per_subject]) == pytest.approx(expected, abs=0.06)


def test_paired_bootstrap_keeps_its_level_without_a_difference() -> None:
    rejected = 0
    for seed in range(400):
        a, b = two_markers(seed, n=60)
        rejected += compare(a, b, "balanced_accuracy", n_resamples=400, seed=seed).p < 0.05
    print(f"\n60 subjects, no difference in balanced accuracy: bootstrap rejects in {rejected / 400:.4f}")
    assert rejected / 400 <= 0.08
    stated = figures("statistics.md", "(Obuchowski), and # % of # (bootstrap of balanced accuracy)")
    assert stated == pytest.approx([100 * rejected / 400, 400], abs=0.3)


def test_a_true_difference_is_found_and_signed() -> None:
    a, b = two_markers(0, n=300, gap=1.0)
    found = compare(a, b, "auc")
    assert found.p < 1e-4
    assert found.low > 0
    assert found.test == "DeLong"
    mirrored = compare(b, a, "auc")
    assert (mirrored.low, mirrored.high) == pytest.approx((-found.high, -found.low))
    assert mirrored.p == pytest.approx(found.p)


def test_identical_systems_do_not_differ() -> None:
    a, _ = two_markers(0)
    for metric in ("auc", "accuracy", "f1"):
        found = compare(a, a, metric, n_resamples=500)
        assert found.difference == 0
        assert found.p == 1.0


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 1), (12, 4), (30, 30), (400, 350)])
def test_mcnemar_agrees_with_statsmodels(b: int, c: int) -> None:
    expected = 1.0 if b == c == 0 else mcnemar([[9, b], [c, 4]], exact=True).pvalue
    assert mcnemar_exact(b, c) == pytest.approx(min(expected, 1.0))


def test_mcnemar_by_hand() -> None:
    # Six discordant units, one against five: 2 * (1 + 6) / 64.
    assert mcnemar_exact(1, 5) == pytest.approx(14 / 64)


def test_sign_flips_are_mcnemar_for_single_units() -> None:
    assert sign_flip_exact([1] * 12 + [-1] * 4 + [0] * 9) == pytest.approx(mcnemar_exact(12, 4))
    assert sign_flip_exact([0, 0]) == 1.0


def test_sign_flips_agree_with_counting_all_patterns() -> None:
    difference = np.array([3, -1, 2, 2, -4, 5, 1, 0, 2])
    sums = np.array([np.dot(signs, difference) for signs in product([-1, 1], repeat=9)])
    expected = np.mean(np.abs(sums) >= abs(difference.sum()))
    assert sign_flip_exact(difference) == pytest.approx(expected)
    scipy = stats.permutation_test(
        (difference, np.zeros(9)), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=np.inf
    )
    assert sign_flip_exact(difference) == pytest.approx(scipy.pvalue)


def test_accuracy_uses_the_exact_test_that_fits_the_units() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 40)
    one, other = rng.normal(size=40) + y, rng.normal(size=40)
    single = compare(Predictions.binary(y, one), Predictions.binary(y, other), "accuracy", n_resamples=500)
    assert single.test == "exact McNemar"
    grouped = np.arange(40) // 2
    a, b = Predictions.binary(y, one, groups=grouped), Predictions.binary(y, other, groups=grouped)
    assert compare(a, b, "accuracy", n_resamples=500).test == "exact sign-flip test by subject"
    # Repeats: twice the same answers are no new evidence, and three repeats compare with one.
    twice = Predictions.binary(y, np.stack([one] * 3))
    assert compare(twice, Predictions.binary(y, other), "accuracy", n_resamples=500).p == pytest.approx(single.p)


def test_holm_agrees_with_statsmodels_and_keeps_gaps() -> None:
    p = [0.04, 0.001, 0.2, 0.03, 0.03]
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert holm([0.01, None, 0.02]) == [0.02, None, 0.02]
    assert holm([]) == []


def test_lower_is_better_for_errors() -> None:
    rng = np.random.default_rng(0)
    y = 95 + rng.normal(size=80)
    near = Predictions.regression(y, y + 0.1 * rng.normal(size=80))
    far = Predictions.regression(y, y + 3.0 * rng.normal(size=80))
    found = compare(near, far, "mae", n_resamples=500)
    assert found.difference < 0
    assert found.high < 0
    assert found.test == "paired bootstrap"


def test_a_missing_value_makes_no_claim() -> None:
    y = np.array([1.0, 2.0, 3.0, 4.0])
    found = compare(
        Predictions.regression(y, y),
        Predictions.regression(y, np.full(4, 2.0)),
        "pearson_r",
        n_resamples=200,
    )
    assert (found.difference, found.p, found.low) == (None, None, None)


def test_different_units_are_refused() -> None:
    a, _ = two_markers(0)
    shorter, _ = two_markers(0, n=48)
    with pytest.raises(UsbenchError, match="same units"):
        compare(a, shorter, "auc")
    with pytest.raises(UsbenchError, match="same units"):
        compare(a, replace(a, y=1 - a.y), "auc")


def test_multiclass_falls_back_on_the_bootstrap() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    good = Predictions.multiclass(y, np.eye(3)[y] + 0.5 * rng.normal(size=(60, 3)))
    poor = Predictions.multiclass(y, rng.normal(size=(60, 3)))
    assert compare(good, poor, "auc", n_resamples=500).test == "paired bootstrap"
    with pytest.raises(UsbenchError, match="no closed form"):
        auc_test(good, poor)


def test_permuted_labels_stay_with_subjects() -> None:
    groups = np.array([0, 0, 1, 2, 2, 2, 3, 3, 4, 4])
    y = np.array([0, 0, 1, 1, 1, 1, 0, 1, 1, 0])
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(50):
        moved = permute_labels(y, groups, rng)
        assert len({*moved[:2]}) == len({*moved[3:6]}) == 1
        assert sorted([moved[0], moved[2], moved[3]]) == [0, 1, 1]
        assert sorted(map(tuple, (moved[6:8], moved[8:10]))) == [(0, 1), (1, 0)]
        seen.add(tuple(moved.tolist()))
    assert len(seen) == 6
