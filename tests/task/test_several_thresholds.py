"""A regression target with more than one clinical threshold: an AUC at each, in results and on pages."""

import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from usbench import run
from usbench.errors import UsbenchError
from usbench.leaderboard import number_format
from usbench.leaderboard.board import gather
from usbench.leaderboard.constant_baseline import constant_floor
from usbench.leaderboard.markdown.task_page import task_page
from usbench.leaderboard.pairwise import compare_pair
from usbench.plugins.catalog import load_task
from usbench.statistics.auc_variance import auc_test
from usbench.statistics.metrics import compute, find_metric, get_metric
from usbench.statistics.paired import compare
from usbench.statistics.predictions import Predictions
from usbench.statistics.thresholds import auc_name, threshold_of
from usbench.submission.validate import validate
from usbench.task.toml import read_task_file

FILE = """
title = "BI-RADS as a number"
dataset = "bus-bra-subset"
target = "birads"
kind = "regression"
unit = "image"
protocols = ["ridge-nested@2"]
unit_of_target = "points"
threshold = {threshold}
split = {{ kind = "grouped", folds = 3, repeats = 1 }}
"""


@pytest.fixture
def task(tmp_path):
    path = tmp_path / "grades.toml"
    path.write_text(FILE.format(threshold="[4, 4.5, 3]"))
    return read_task_file(path)


def test_every_threshold_has_an_auc_of_the_same_predictions(task, tmp_path):
    (first, second) = run(["texture", "pixels"], task, results_dir=tmp_path / "results", label_efficiency=False)
    assert first.task["threshold"] == 4.0
    assert first.task["further_thresholds"] == [4.5, 3.0]
    for result in (first, second):
        entry = result.protocols["ridge-nested@2"]
        score, truth = pd.Series(entry.repeats[0].score), pd.Series(result.units.target)
        for name, cut in (("auc", 4), ("auc_at_4_5", 4.5), ("auc_at_3", 3)):
            found = entry.metrics[name]
            assert found.value == pytest.approx(roc_auc_score(truth >= cut, score), abs=1e-6)
            assert found.low < found.value < found.high
            assert name in entry.uncertainty["halves"]
    assert constant_floor(first).protocols["ridge-nested@2"].metrics["auc_at_3"].value == pytest.approx(0.5, abs=0.1)
    files = sorted((tmp_path / "results").glob("*/*.json"))
    assert [fault for path in files for fault in validate(path, tmp_path / "results")] == []

    (board,) = gather(tmp_path / "results", tasks=())
    assert board.shown("ridge-nested@2") == [
        "mae",
        "rmse",
        "fold_pearson_r",
        "fold_auc",
        "pearson_r",
        "auc",
        "auc_at_3",
        "auc_at_4_5",
    ]
    page = task_page(board)
    assert "**AUC**: of the prediction, for values at or above 4 and 4.5 and 3 points." in page
    for heading in ("AUC at 4 points ↑", "AUC at 4.5 points ↑", "AUC at 3 points ↑"):
        assert heading in page
    pair = compare_pair(tmp_path / "results", "texture", "pixels", board.name, metrics=["auc_at_3"])
    assert pair.rows[0].difference.test == "half-sample refits"


def test_results_of_one_threshold_are_as_they_were(make_result):
    result = make_result(kind="regression", task="saturation")
    assert "further_thresholds" not in result.task
    assert "further_thresholds" not in repr(load_task("oxygen_saturation"))
    assert not [name for entry in result.protocols.values() for name in entry.metrics if name.startswith("auc_at")]


@pytest.mark.parametrize(
    ("threshold", "name"),
    [(40.0, "auc_at_40"), (-2.5, "auc_at_minus_2_5"), (0.1, "auc_at_0_1"), (1e6, "auc_at_1000000")],
)
def test_the_name_of_a_metric_states_its_threshold(threshold, name):
    assert auc_name(threshold) == name
    assert threshold_of(name) == threshold
    assert get_metric(name).title == f"AUC at {threshold:g}"
    assert number_format.column(name).higher_is_better


@pytest.mark.parametrize("name", ["auc", "auc_at_", "auc_at_x", "auc_at_1_2_3", "auc_at_4 ", "auc_at_" + "9" * 40])
def test_what_is_no_such_name_is_no_metric(name):
    assert threshold_of(name) is None
    assert (find_metric(name) is None) == (name != "auc")


def test_a_test_uses_the_threshold_of_the_metric():
    y = [30.0, 35.0, 38.0, 45.0, 48.0, 55.0, 60.0, 65.0, 42.0, 52.0]
    a = Predictions.regression(y, [35, 30, 50, 40, 52, 56, 58, 70, 33, 41], threshold=50)
    b = Predictions.regression(y, [60, 30, 44, 51, 40, 50, 66, 61, 45, 49], threshold=50)
    at_40 = [Predictions.regression(y, o.score[0], threshold=40) for o in (a, b)]
    assert compute("auc_at_40", a) == compute("auc", at_40[0]) != compute("auc", a)
    assert compare(a, b, "auc_at_40").p == auc_test(*at_40).p != auc_test(a, b).p


@pytest.mark.parametrize(
    ("threshold", "message"),
    [
        ("[]", "'threshold' must be a finite number or a list of them"),
        ('[50, "40"]', "'threshold' must be a finite number or a list of them"),
        ("nan", "'threshold' must be a finite number or a list of them"),
        ("[50, 50]", "1 to 10 different thresholds"),
        ("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]", "1 to 10 different thresholds"),
        ("[1, 1e-30]", "more digits than a metric's name"),
    ],
)
def test_thresholds_that_are_none_are_refused(tmp_path, threshold, message):
    (tmp_path / "t.toml").write_text(FILE.format(threshold=threshold))
    with pytest.raises(UsbenchError, match=message):
        read_task_file(tmp_path / "t.toml")


def test_grades_have_one_threshold(tmp_path):
    text = FILE.format(threshold="[3, 4]").replace('"regression"', '"ordinal"').replace("ridge-nested@2", "knn@1")
    (tmp_path / "t.toml").write_text(text)
    with pytest.raises(UsbenchError, match="several thresholds have a meaning for kind 'regression' only"):
        read_task_file(tmp_path / "t.toml")
