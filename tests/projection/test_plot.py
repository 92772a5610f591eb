"""``usbench map`` on real images: the files, their numbers, and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

import usbench
from usbench.cli import main
from usbench.core.settings import load_settings
from usbench.errors import UsbenchError
from usbench.pipeline.context import Options
from usbench.pipeline.map import coloured, map_task
from usbench.plugins.catalog import load_encoder, load_task
from usbench.projection.plot import COLOURS, MARKS, _style
from usbench.task.cohort import Cohort, Unit


def test_figures_and_numbers_of_real_lesions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "map"
    command = ["map", "-e", "pixels", "-e", "texture", "-t", "breast_lesion", "--data", "subset", "-o", str(out)]
    with pytest.raises(SystemExit) as end:
        main([*command, "--seeds", "1"])
    assert end.value.code in (0, None)
    assert {path.name for path in out.iterdir()} == {"map.png", "map.svg", "map.html", "map.csv", "quality.json"}
    assert "354 units of 204 subjects" in capsys.readouterr().out
    with (out / "map.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [sum(row["encoder"] == name for row in rows) for name in ("pixels", "texture")] == [354, 354]
    assert {row["class"] for row in rows} == {"benign", "malignant"}
    # The silhouette in the map, from the coordinates that were written.
    quality = json.loads((out / "quality.json").read_text())
    for name in ("pixels", "texture"):
        mine = [row for row in rows if row["encoder"] == name]
        points = np.array([[float(row["x"]), float(row["y"])] for row in mine])
        expected = silhouette_score(points, [row["class"] for row in mine])
        assert quality[name]["quality"]["map"]["silhouette"]["mean"] == pytest.approx(expected, abs=2e-3)
        assert quality[name]["leakage"] == "clean"
    page = (out / "map.html").read_text(encoding="utf-8")
    assert "data:image" not in page.split("plotly.js v", 1)[0][-2000:]
    assert "bus_0010-l" in page
    svg = (out / "map.svg").read_text(encoding="utf-8")
    assert "<text" in svg
    assert COLOURS[0] in svg


def test_the_embedding_is_measured_not_only_the_map() -> None:
    settings, task = load_settings(), load_task("breast_lesion")
    taken = map_task([load_encoder("texture")], task, Options(data="subset"), settings, [0])
    result = usbench.run(encoder="texture", task="breast_lesion", data="subset", label_efficiency=False)
    assert taken.units == next(iter(result)).units.id
    quality = taken.maps[0].figures["quality"]
    # Nearest neighbours of *other* patients: a patient's second image, nearly equal, must not vote.
    assert quality["embedding"]["knn_accuracy"] < quality["embedding"]["knn_accuracy_same_subject"]
    assert 0.5 < quality["map"]["trustworthiness"]["mean"] <= 1


def cohort(targets: list[object], classes: tuple[str, ...] = ()) -> Cohort:
    return Cohort(
        tuple(Unit(str(i), str(i), target, (), (), {}, None, None) for i, target in enumerate(targets)), classes, ()
    )


def test_regression_targets_are_cut_where_the_task_says() -> None:
    task = load_task("ejection_fraction")
    assert task.threshold is not None
    labels, names = coloured(task, cohort([task.threshold - 1, task.threshold, task.threshold + 9]))
    assert labels == [0, 1, 1]
    assert len(names) == 2


def test_one_class_is_refused() -> None:
    with pytest.raises(UsbenchError, match="all units are of one class"):
        coloured(load_task("breast_lesion"), cohort(["benign", "benign"], ("benign", "malignant")))


@pytest.mark.slow
def test_an_encoder_that_saw_one_of_the_sources_is_not_called_clean(data_root: Path) -> None:
    from usbench.pipeline.leakage import leakage
    from usbench.plugins.data_sources import dataset_for

    task = load_task("organ_map")
    located = dataset_for(task, load_settings([data_root]))
    assert {"busi", "covid19-ultrasound", "hc18", "covid-blues"} <= set(located.dataset.constituents())
    assert leakage(load_encoder("tusa"), located, task, {})["state"] == "overlap"
    assert leakage(load_encoder("tusa.random"), located, task, {})["state"] == "clean"


def test_twenty_classes_are_told_apart() -> None:
    assert len({_style(number)[:2] for number in range(20)}) == 20
    assert len(COLOURS) == len(MARKS) == 10


def test_scaled_as_scikit_learn_does() -> None:
    from usbench.projection.umap import standardised

    data = np.random.default_rng(0).normal(size=(30, 4)) * [1, 5, 0.1, 2]
    assert np.allclose(standardised(data), StandardScaler().fit_transform(data), atol=1e-5)
