from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from usbench.diagnostics.optimism import optimism
from usbench.errors import UsbenchError
from usbench.evaluation.scoring import metric_names
from usbench.probes import PROTOCOLS, ProbeData, get_protocol, mean_by_unit, run_protocol
from usbench.probes.ridge import ridge_scores
from usbench.probes.squared_hinge_svm import Scaler, fit_scaler
from usbench.statistics import Split, compute, repeated_subject_folds, subject_folds
from usbench.statistics.predictions import UNTESTED, Predictions

CLASSIFIERS = ["svc-paper@1", "svc-nested@1", "svc-nested@2", "knn@1", "constant@1"]
REGRESSORS = ["ridge-nested@1", "ridge-nested@2", "knn@1", "constant@1"]


def folds(data: ProbeData, n: int = 5, repeats: int = 2, seed: int = 0, stratify: bool = True) -> list[list[Split]]:
    return repeated_subject_folds(data.groups, data.y, n, repeats, seed, stratify)


def all_metrics(predictions: Predictions) -> dict[str, float | None]:
    return {name: compute(name, predictions) for name in metric_names(predictions)}


def run(name, data, splits, **options):
    question = "regression" if data.y.dtype.kind == "f" else "classification"
    if PROTOCOLS.get(name) is not None and PROTOCOLS[name].questions == ("ordinal",):
        question = "ordinal"
    return run_protocol(name, data, splits, question=question, **options)


def test_mean_by_unit_averages_scattered_frames() -> None:
    data = ProbeData(
        np.array([[1, 2], [3, 4], [5, 6], [7, 9]], np.float32),
        np.array([1, 0, 1, 1]),
        np.array([0, 1]),
        np.array([7, 8]),
    )
    assert mean_by_unit(data).tolist() == [[3.0, 4.0], [pytest.approx(13 / 3), pytest.approx(17 / 3)]]


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classifiers_predict_each_unit_once_a_repeat_and_find_a_signal(make_cohort, name) -> None:
    data = make_cohort(units_per_subject=2)
    result = run(name, data, folds(data))
    outcome = result.predictions.tested()
    assert outcome.score.shape == (2, 80)
    assert outcome.n_groups == 40
    assert len(result.choices) == 10
    value = compute("fold_auc", outcome)
    assert value == 0.5 if name == "constant@1" else value > 0.75


@pytest.mark.parametrize("name", REGRESSORS)
def test_regressors_predict_each_unit_once_a_repeat(make_cohort, name) -> None:
    data = make_cohort(regression=True)
    result = run(name, data, folds(data, stratify=False))
    found = all_metrics(result.predictions.tested(0.0))
    assert result.classes == ()
    if name == "constant@1":
        assert found["mae"] == pytest.approx(np.abs(data.y - np.median(data.y)).mean(), rel=0.1)
        assert found["fold_auc"] == 0.5
    else:
        assert found["pearson_r"] > 0.4
        assert found["auc"] > 0.65


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_three_classes(make_cohort, name) -> None:
    data = make_cohort(n_subjects=60, n_classes=3, signal=2.0)
    data = ProbeData(data.embeddings, data.unit, np.array(["liver", "lung", "eye"])[data.y], data.groups)
    result = run_protocol(name, data, folds(data))
    assert result.classes == ("eye", "liver", "lung")
    found = all_metrics(result.predictions.tested())
    assert "sensitivity" not in found
    if name != "constant@1":
        assert found["accuracy"] > 0.6
        assert found["auc"] > 0.7


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_answers_do_not_depend_on_threads_or_on_the_order_of_frames(make_cohort, name) -> None:
    options = {"n_initialisations": 2, "max_epochs": 5, "dtype": "float64"} if name.startswith("attention") else {}
    regression = "regression" in PROTOCOLS[name].questions and "classification" not in PROTOCOLS[name].questions
    data = make_cohort(n_subjects=24, regression=regression)
    splits = folds(data, n=3, repeats=1, stratify=not regression)
    once = run(name, data, splits, **options).predictions
    threaded = run(name, data, splits, n_jobs=2, **options).predictions
    order = np.lexsort((data.embeddings[:, 0], data.unit))[::-1]
    turned = ProbeData(data.embeddings[order], data.unit[order], data.y, data.groups)
    moved = run(name, turned, splits, **options).predictions
    assert threaded.score == pytest.approx(once.score, abs=1e-7)
    assert moved.score == pytest.approx(once.score, abs=1e-5)
    assert (threaded.fold == once.fold).all()


def plain_pipeline(features: np.ndarray, **svc: object):
    """The paper's classifier as scikit-learn would put it together, scaled as ours."""
    scaler: list[Scaler] = []

    class Scale(FunctionTransformer):
        def fit(self, x, y=None):
            scaler[:] = [fit_scaler(x)]
            self.scaler_ = scaler[0]
            return self

        def transform(self, x):
            return self.scaler_(x)

    return make_pipeline(
        Scale(), LinearSVC(class_weight="balanced", dual=False, intercept_scaling=1e4, tol=1e-8, max_iter=50_000, **svc)
    )


def test_the_paper_protocol_is_a_grid_search_on_the_scored_folds(make_cohort) -> None:
    data = make_cohort(signal=0.5)
    (splits,) = folds(data, repeats=1)
    result = run_protocol("svc-paper@1", data, [splits])
    fold = np.empty(data.n_units, dtype=int)
    for k, split in enumerate(splits):
        fold[split.test] = k
    features = mean_by_unit(data)
    grid = [10.0**k for k in range(-3, 4)]
    search = GridSearchCV(
        plain_pipeline(features), {"linearsvc__C": grid}, cv=PredefinedSplit(fold), scoring="accuracy"
    )
    search.fit(features, data.y)
    # Folds of 8 units each: the mean of fold accuracies is the pooled accuracy.
    assert compute("accuracy", result.predictions.tested()) == pytest.approx(search.best_score_)
    assert {c.parameters["C"] for c in result.choices} == {search.best_params_["linearsvc__C"]}


def test_the_nested_protocol_is_a_grid_search_inside_the_training_fold(make_cohort) -> None:
    data = make_cohort(signal=0.5, width=12)
    (splits,) = folds(data, repeats=1)
    result = run_protocol("svc-nested@1", data, [splits], seed=4)
    features = mean_by_unit(data)
    for k, (split, choice) in enumerate(zip(splits, result.choices, strict=True)):
        seed = int(np.random.SeedSequence([4, 0, k]).generate_state(1)[0])
        inner = subject_folds(data.groups[split.train], data.y[split.train], 4, seed)
        fold = np.empty(len(split.train), dtype=int)
        for j, s in enumerate(inner):
            fold[s.test] = j
        search = GridSearchCV(
            plain_pipeline(features), {"linearsvc__C": [10.0**k for k in range(-3, 4)]}, cv=PredefinedSplit(fold)
        ).fit(features[split.train], data.y[split.train])
        assert choice.parameters["C"] == search.best_params_["linearsvc__C"]
        mine = result.predictions.score[result.predictions.fold == k]
        assert mine == pytest.approx(search.decision_function(features[split.test]), abs=1e-4)


@pytest.mark.parametrize(
    "name", ["svc-nested@1", "svc-nested@2", "ridge-nested@1", "ridge-nested@2", "knn@1", "constant@1"]
)
def test_test_labels_are_never_seen(make_cohort, name) -> None:
    """Turning the labels of a fold's test subjects upside down leaves that fold's predictions as they are."""
    regression = "classification" not in PROTOCOLS[name].questions
    data = make_cohort(regression=regression)
    (splits,) = folds(data, repeats=1, stratify=not regression)
    y = data.y.copy()
    y[splits[0].test] = y[splits[0].test][::-1] + 100 if regression else 1 - y[splits[0].test]
    changed = ProbeData(data.embeddings, data.unit, y, data.groups)
    before, after = (run(name, d, [splits[:1]]).predictions.tested().score for d in (data, changed))
    assert (before == after).all()


def test_test_embeddings_do_not_move_the_scaling(make_cohort) -> None:
    data = make_cohort()
    (splits,) = folds(data, repeats=1)
    target, other = splits[0].test[0], splits[0].test[1:]
    far = data.embeddings.copy()
    far[np.isin(data.unit, other)] += 50.0
    changed = ProbeData(far, data.unit, data.y, data.groups)
    for name in ("svc-nested@1", "knn@1"):
        p, q = (run_protocol(name, d, [splits[:1]]).predictions for d in (data, changed))
        assert p.score[0, target] == pytest.approx(q.score[0, target], abs=1e-9)


def test_ridge_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    for width in (5, 80):
        train, test = rng.normal(size=(30, width)), rng.normal(size=(9, width))
        y = 95 + train[:, 0] + rng.normal(size=30)
        scaler = fit_scaler(train)
        for penalty, mine in zip((0.01, 1.0), ridge_scores(train, y, test, [0.01, 1.0]), strict=True):
            reference = Ridge(alpha=30 * penalty).fit(scaler(train), y).predict(scaler(test))
            assert mine == pytest.approx(reference)


def test_knn_regression_agrees_with_scikit_learn(make_cohort) -> None:
    data = make_cohort(regression=True)
    (splits,) = folds(data, repeats=1, stratify=False)
    result = run("knn@1", data, [splits])
    features, split = mean_by_unit(data), splits[0]
    scaler = fit_scaler(features[split.train])
    reference = KNeighborsRegressor(5, weights="distance").fit(scaler(features[split.train]), data.y[split.train])
    mine = result.predictions.score[result.predictions.fold == 0]
    assert mine == pytest.approx(reference.predict(scaler(features[split.test])))


def test_constant_pools_to_less_than_chance_but_not_within_folds(make_cohort) -> None:
    """With one subject per fold, the prior alone ranks every positive below every negative."""
    data = make_cohort(n_subjects=20)
    from usbench.statistics import leave_one_group_out

    outcome = run_protocol("constant@1", data, [leave_one_group_out(data.groups)]).predictions.tested()
    assert compute("auc", outcome) == 0.0
    assert compute("fold_auc", outcome) is None


def test_a_fixed_split_scores_its_test_units_only(make_cohort) -> None:
    data = make_cohort()
    split = folds(data, repeats=1)[0][0]
    result = run_protocol("svc-nested@1", data, [[split]])
    assert np.flatnonzero(result.predictions.fold[0] != UNTESTED).tolist() == split.test.tolist()
    assert result.predictions.tested().n_units == len(split.test)


def test_the_positive_class_can_be_named(make_cohort) -> None:
    data = make_cohort()
    named = ProbeData(data.embeddings, data.unit, np.array(["normal", "hematoma"])[data.y], data.groups)
    splits = folds(data, repeats=1)
    result = run_protocol("svc-nested@1", named, splits, positive="hematoma")
    assert result.classes == ("normal", "hematoma")
    reference = run_protocol("svc-nested@1", data, splits)
    assert result.predictions.score == pytest.approx(reference.predictions.score)


def test_optimism_compares_like_with_like(make_cohort) -> None:
    data = make_cohort(signal=0.0, width=20)
    splits = folds(data, repeats=2)
    flat, nested = (run_protocol(n, data, splits).predictions.tested() for n in ("svc-paper", "svc-nested"))
    found = optimism(flat, nested, n_resamples=200)["accuracy"]
    assert found.difference == pytest.approx(found.flat - found.nested)
    assert found.low <= found.difference <= found.high
    other = run_protocol("svc-nested", data, folds(data, seed=9)).predictions.tested()
    with pytest.raises(UsbenchError, match="different splits"):
        optimism(flat, other)


def test_names_resolve_to_the_latest_version_and_misses_suggest() -> None:
    assert get_protocol("svc-nested").key == "svc-nested@2"
    with pytest.raises(UsbenchError, match=r"'svc-nestd'.*svc-nested"):
        get_protocol("svc-nestd")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": "regression"}, "does not do regression"),
        ({"gird": [1.0]}, "no option 'gird': it has grid, inner_folds"),
        ({"positive": "x"}, "'x' is not one of two classes"),
        ({"splits_by_repeat": []}, "No splits"),
    ],
)
def test_bad_questions_are_refused(make_cohort, change, message) -> None:
    data = make_cohort()
    arguments = {"splits_by_repeat": folds(data), **change}
    with pytest.raises(UsbenchError, match=message):
        run_protocol("svc-nested@1", data, **arguments)


def test_bad_labels_are_refused(make_cohort) -> None:
    data = make_cohort()
    splits = folds(data, repeats=1)

    def ask(y, question="classification", name="knn@1"):
        run_protocol(name, ProbeData(data.embeddings, data.unit, np.asarray(y), data.groups), splits, question=question)

    with pytest.raises(UsbenchError, match=r"Only one class \(1\)"):
        ask(np.ones(40, dtype=int))
    with pytest.raises(UsbenchError, match=r"1 of 40 labels are missing .first: unit 3"):
        ask([*data.y[:3], np.nan, *data.y[4:]])
    with pytest.raises(UsbenchError, match="constant cannot be learnt"):
        ask(np.full(40, 98.0), "regression")
    with pytest.raises(UsbenchError, match="2 of 40 targets are missing"):
        ask([*np.arange(38.0), np.nan, np.inf], "regression")
    with pytest.raises(UsbenchError, match="not a number"):
        ask(["a"] * 40, "regression")
    lone, pair = np.zeros(40, dtype=int), np.zeros(40, dtype=int)
    lone[splits[0][2].test[0]] = 1
    pair[[splits[0][2].test[0], splits[0][3].test[0]]] = 1
    with pytest.raises(UsbenchError, match="trains without class 1"):
        ask(lone)
    with pytest.raises(UsbenchError, match="needs at least 2 of each"):
        ask(pair, name="svc-nested@1")


def test_a_leaking_split_is_refused(make_cohort) -> None:
    data = make_cohort()
    split = Split(np.arange(20), np.arange(19, 40), "0")
    with pytest.raises(UsbenchError, match="p019"):
        run_protocol("knn@1", data, [[split]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"embeddings": np.zeros((4, 0))}, "expected .frames, features"),
        ({"unit": [0, 0, 1]}, "4 frames with 3 unit numbers"),
        ({"unit": [0, 0, 0, 0]}, "1 units have no frame .first: unit 1, subject b"),
        ({"unit": [0, 1, 1, 2]}, "units 0 to 1"),
        ({"embeddings": [[1], [2], [np.nan], [3]]}, "embedding of frame 2 .unit 1. is not finite"),
        ({"order": [1, 2]}, "2 frame positions for 4 frames"),
    ],
)
def test_bad_arrays_are_refused(change, message) -> None:
    good = {"embeddings": np.ones((4, 3)), "unit": [0, 0, 1, 1], "y": [0, 1], "groups": ["a", "b"]}
    with pytest.raises(UsbenchError, match=message):
        ProbeData(**{**good, **change})


def test_importing_is_light() -> None:
    code = (
        "import sys, usbench.probes, usbench.statistics\n"
        "print([m for m in ('torch', 'sklearn', 'scipy', 'pandas', 'umap', 'joblib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
