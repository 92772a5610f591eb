"""A map as a result: who may vote, what is stored, what the pages say, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

import usbench
from usbench.data.frame_sampling import RandomFrames
from usbench.errors import UsbenchError
from usbench.evaluation.retrieval import score_map
from usbench.leaderboard.board import gather
from usbench.leaderboard.figures import figures_of
from usbench.leaderboard.markdown.task_page import task_page
from usbench.results.schema import Result
from usbench.submission.validate import validate
from usbench.task.cohort import Cohort, Unit
from usbench.task.task import SplitPlan, Task

LESIONS = Task(
    name="lesion_map",
    title="Map of lesions",
    dataset="bus-bra",
    fallback="bus-bra-subset",
    target="birads",
    kind="map",
    unit="image",
    frames=RandomFrames(1, seed=0),
    split=SplitPlan("none"),
    protocols=("neighbours@1", "neighbours-other-source@1"),
    strata=("source",),
)


@pytest.fixture(scope="module")
def cohort() -> tuple[Cohort, np.ndarray]:
    """Two organs of two sources each and one of a single source; the source shows more than the organ does."""
    random = np.random.default_rng(0)
    units, vectors = [], []
    for organ, source, centre in (
        ("breast", "a", (0, 0)),
        ("breast", "b", (0, 9)),
        ("lung", "a", (1, 0)),
        ("lung", "b", (1, 9)),
        ("neck", "c", (30, 0)),
    ):
        for k in range(24):
            # Two images per subject; the organ lies along the first axis, the source along the second.
            units.append(
                Unit(
                    f"{organ}{source}{k}",
                    f"{organ}{source}{k // 2}",
                    organ,
                    (f"{k}.png",),
                    ({},),
                    {"source": source},
                    None,
                    None,
                )
            )
            vectors.append((*(np.array(centre) + random.normal(0, 0.15, 2)), *random.normal(0, 1e-3, 6)))
    classes = ("breast", "lung", "neck")
    return Cohort(tuple(units), classes, ()), np.asarray(vectors, dtype=np.float32)


def test_votes_agree_with_scikit_learn(cohort: tuple[Cohort, np.ndarray]) -> None:
    people, vectors = cohort
    protocols, figures = score_map(LESIONS, people, vectors, range(len(vectors)))
    labels = np.array([unit.target for unit in people.units])
    subjects = np.array(people.groups)
    x = StandardScaler().fit_transform(vectors.astype(np.float64))
    near = NearestNeighbors(n_neighbors=len(x)).fit(x).kneighbors(return_distance=False, X=x)
    expected = []
    for i, row in enumerate(near):
        votes = labels[[j for j in row if subjects[j] != subjects[i]][:15]].tolist()
        expected.append(max(dict.fromkeys(votes), key=votes.count))
    repeat = protocols["neighbours@1"].repeats[0]
    assert repeat.predicted == expected
    assert protocols["neighbours@1"].metrics["balanced_accuracy"].value == pytest.approx(
        balanced_accuracy_score(labels, expected), abs=1e-6
    )
    assert len(figures["map"]["x"]) == len(labels)


def test_a_class_of_one_source_is_not_asked_about_across_sources(cohort: tuple[Cohort, np.ndarray]) -> None:
    people, vectors = cohort
    repeat = score_map(LESIONS, people, vectors, range(len(vectors)))[0]["neighbours-other-source@1"].repeats[0]
    for unit, fold, predicted, score in zip(
        people.units, repeat.fold, repeat.predicted or [], repeat.score, strict=True
    ):
        assert (fold is None) == (unit.target == "neck")
        assert predicted in (("breast", "lung") if fold is not None else (None,))
        assert score is None or (len(score) == 2 and sum(score) == pytest.approx(1, abs=1e-5))


def test_what_only_the_source_gives_away_is_lost_across_sources(cohort: tuple[Cohort, np.ndarray]) -> None:
    """Each set shows one organ by its brightness only: perfect among its own, wrong on the other's."""
    people, vectors = cohort
    sources = np.array([unit.strata["source"] for unit in people.units])
    lung = np.array([unit.target == "lung" for unit in people.units])
    brightness = np.where(sources == "b", ~lung, lung) + vectors[:, 2]  # in b the organs have changed places
    turned = np.stack([brightness, np.where(sources == "b", 1.0, 0.0) - 2.0 * (sources == "c")], axis=1)
    protocols, _ = score_map(LESIONS, people, turned.astype(np.float32), range(len(turned)))
    assert protocols["neighbours@1"].metrics["balanced_accuracy"].value == pytest.approx(1, abs=1e-6)
    assert protocols["neighbours-other-source@1"].metrics["balanced_accuracy"].value == pytest.approx(0, abs=1e-6)


def test_refusals(cohort: tuple[Cohort, np.ndarray]) -> None:
    people, vectors = cohort
    unit_index = range(len(vectors))
    with pytest.raises(UsbenchError, match=r"umap@1.*neighbours@1"):
        score_map(replace(LESIONS, protocols=("umap@1",)), people, vectors, unit_index)
    bare = replace(people, units=tuple(replace(unit, strata={}) for unit in people.units))
    with pytest.raises(UsbenchError, match="needs a 'source' for every unit"):
        score_map(LESIONS, bare, vectors, unit_index)
    alone = replace(people, units=tuple(replace(unit, strata={"source": unit.target}) for unit in people.units))
    with pytest.raises(UsbenchError, match="two classes shown by at least two sources"):
        score_map(LESIONS, alone, vectors, unit_index)


@pytest.fixture(scope="module")
def lesions(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Result]]:
    """Results of a map of real lesions, on disk."""
    folder = tmp_path_factory.mktemp("results")
    task = replace(LESIONS, protocols=("neighbours@1",))
    found = usbench.run(encoder=["texture", "pixels"], task=task, data="subset", results_dir=folder)
    return folder, list(found)


def test_a_map_of_real_lesions_is_a_result_that_can_be_checked(lesions: tuple[Path, list[Result]]) -> None:
    folder, results = lesions
    files = sorted(folder.glob("*/*.json"))
    assert len(files) == len(results) == 2
    for path in files:
        assert validate(path, folder) == []
    # The votes stored and the figure of the map come from two implementations.
    for result in results:
        stated = result.figures["map"]["quality"]["embedding"]["knn_accuracy"]
        assert result.protocols["neighbours@1"].metrics["balanced_accuracy"].value == pytest.approx(stated, abs=0.01)


def test_a_moved_point_and_a_changed_vote_are_found(lesions: tuple[Path, list[Result]], tmp_path: Path) -> None:
    folder, _ = lesions
    path = next(folder.glob("*/texture.json"))
    moved = json.loads(path.read_text())
    moved["figures"]["map"]["x"] = [0.0] * len(moved["figures"]["map"]["x"])
    voted = json.loads(path.read_text())
    repeat = voted["protocols"]["neighbours@1"]["repeats"][0]
    wrong = next(
        i for i, (a, b) in enumerate(zip(repeat["predicted"], voted["units"]["target"], strict=True)) if a != b
    )
    repeat["predicted"][wrong] = voted["units"]["target"][wrong]
    for name, data, where in (("moved", moved, "figures/map"), ("voted", voted, "neighbours@1, accuracy")):
        file = tmp_path / f"{name}.json"
        file.write_text(json.dumps(data))
        found = {finding.where for finding in validate(file)}
        assert "digest" in found
        assert any(text.startswith(where) for text in found), found


def test_the_page_shows_the_map_beside_its_floors(lesions: tuple[Path, list[Result]]) -> None:
    folder, _ = lesions
    board = next(b for b in gather(folder, tasks=[]) if b.entries)
    assert {entry.name for entry in board.entries} == {"texture", "pixels", "constant"}
    figures = {figure.name.rpartition("-")[2]: figure for figure in figures_of(board)}
    n = len(board.entries[0].result.units.id)
    assert figures["map"].csv.count("\n") == 1 + 2 * n
    drawing = figures["map"].drawing.render()
    assert drawing.count("h0") == 2 * n
    assert drawing.count('class="spot ') == len(board.first.dataset["counts"]["classes"])
    page = task_page(board, figures_of(board))
    assert "How far to believe the map" in page
    assert "Constant (majority class)" in page


def test_a_map_has_neither_strata_nor_shifts_nor_audit(tmp_path: Path) -> None:
    task = replace(LESIONS, protocols=("neighbours@1",))
    with pytest.raises(UsbenchError, match="is a map"):
        usbench.run(encoder="pixels", task=task, data="subset", by=["device"])
