"""Tasks on the same patients: found, resampled together, and counted once."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from usbench import run
from usbench.leaderboard import gather, render
from usbench.leaderboard.cohorts import cohort_of, cohorts_of, patients, weights_by_board
from usbench.leaderboard.html import render_site
from usbench.leaderboard.ranking import rank
from usbench.plugins.catalog import load_task
from usbench.results.schema import Result, Units, save

MakeResult = Callable[..., Result]
NAMES = ("a", "b", "c", "d")


def saved(folder: Path, make_result: MakeResult, task: str, dataset: str, seed: int = 0, signals=(1.5, 1.2, 1.0, 0.8)):
    for i, (name, signal) in enumerate(zip(NAMES, signals, strict=True)):
        save(folder, make_result(name, task, signal, seed=seed + i, dataset=dataset, declared=dataset))


def test_a_second_task_with_the_same_answers_on_the_same_patients_changes_nothing(tmp_path, make_result):
    """Whoever adds the same board again must not gain by it, neither in the mean nor in the interval."""
    for folder, times in (("once", 1), ("thrice", 3)):
        for k in range(times):
            saved(tmp_path / folder, make_result, f"lung{k}", "covid-blues")
        saved(tmp_path / folder, make_result, "breast", "bus-bra", seed=7, signals=(0.8, 1.0, 1.2, 1.5))
    once, thrice = (rank(gather(tmp_path / folder, tasks=()), n_resamples=200) for folder in ("once", "thrice"))
    assert once is not None
    assert thrice is not None
    assert [cohort.name for cohort in thrice.cohorts] == ["bus-bra", "covid-blues"]
    expected = {row.name: row for row in once.rows}
    for row in thrice.rows:
        assert row.mean_rank == pytest.approx(expected[row.name].mean_rank)
        assert (row.low, row.high) == pytest.approx((expected[row.name].low, expected[row.name].high))


def test_patients_of_two_boards_are_drawn_together(tmp_path, make_result):
    saved(tmp_path, make_result, "whole", "covid-blues")
    for i, name in enumerate(NAMES):  # another task, whose label some of the patients lack
        result = make_result(name, "part", seed=i)
        kept = [k for k in range(len(result.units.id)) if k % 5]
        units = Units(
            *([values[k] for k in kept] for values in (result.units.id, result.units.subject, result.units.target))
        )
        protocols = {
            protocol: replace(
                entry,
                repeats=[
                    replace(
                        r,
                        fold=[r.fold[k] for k in kept],
                        score=[r.score[k] for k in kept],
                        predicted=[r.predicted[k] for k in kept],
                    )
                    for r in entry.repeats
                ],
            )
            for protocol, entry in result.protocols.items()
        }
        save(tmp_path, replace(result, units=units, protocols=protocols))
    boards = {board.name: board for board in gather(tmp_path, tasks=())}
    (cohort,) = cohorts_of([boards["whole"], boards["part"]])
    assert (len(cohort.everyone), cohort.shared) == (60, 48)
    whole, part = cohort.draws(500, seed=0)
    assert whole.sum(axis=1).tolist() == [60.0] * 500
    place = {name: k for k, name in enumerate(cohort.subjects[0])}
    assert np.array_equal(part, whole[:, [place[name] for name in cohort.subjects[1]]])
    assert part.mean() == pytest.approx(1, abs=0.01)
    assert cohort.describe() == "Title of covid-blues (whole, part: 48 of 60 patients on all of them)"
    # The metric of the drawn patients is what it is on a sample with these patients listed as often.
    comparator = boards["whole"].standing().comparator
    drawn = comparator.weighted(whole)
    assert set(drawn) == {*NAMES, "constant"}
    assert drawn["a"].std() == pytest.approx(comparator.resampled(500)["a"].std(), rel=0.15)
    assert np.corrcoef(drawn["a"], boards["part"].standing().comparator.weighted(part)["a"])[0, 1] > 0.6


def test_weights_count_a_cohort_once(tmp_path, make_result):
    for task, dataset in (("x", "one"), ("y", "one"), ("z", "two")):
        saved(tmp_path, make_result, task, dataset)
    assert weights_by_board(cohorts_of(gather(tmp_path, tasks=()))) == {"x": 0.25, "y": 0.25, "z": 0.5}


def test_tasks_on_one_cohort_are_no_ranking(tmp_path, make_result):
    saved(tmp_path, make_result, "x", "covid-blues")
    saved(tmp_path, make_result, "y", "covid-blues", seed=4)
    assert rank(gather(tmp_path, tasks=())) is None


def test_a_second_task_on_known_patients_outweighs_no_encoder(tmp_path, make_result):
    for task, dataset in (("x", "one"), ("y", "two")):
        saved(tmp_path, make_result, task, dataset)
    for i, name in enumerate(NAMES[:3]):
        save(tmp_path, make_result(name, "w", seed=i, dataset="one", declared="one"))
    ranking = rank(gather(tmp_path, tasks=()))
    assert ranking is not None
    assert {board.name for board in ranking.boards} == {"x", "y"}
    assert {row.name for row in ranking.rows} == set(NAMES)


def test_pages_say_which_tasks_share_their_patients(session_board):
    told = "Tasks on the same patients: Title of covid-blues (covid, saturation: 50 of 60 patients on all of them)."
    assert told in render(session_board / "results")["README.md"]
    assert told in render_site(session_board / "results")["index.html"]


def test_a_part_and_a_pair_have_the_cohort_of_the_whole(tmp_path):
    """The embedded parts of both sets: whose patients these are does not depend on how the data were had."""
    names = ("breast_transfer", "breast_transfer_back", "breast_lesion")
    tasks = [replace(load_task(name), protocols=("knn@1",)) for name in names]
    there, back, within = (run("pixels", task, data="subset", results_dir=tmp_path)[0] for task in tasks)
    assert [cohort_of(r) for r in (there, back, within)] == ["breast-lesions-usg", "bus-bra", "bus-bra"]
    assert patients(back, "knn@1") == patients(within, "knn@1")
    without = replace(back, dataset={k: v for k, v in back.dataset.items() if k != "cohort"})
    assert cohort_of(without) == "bus-bra-subset"
    assert patients(without, "knn@1") == patients(back, "knn@1")
