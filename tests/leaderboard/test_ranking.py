from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from usbench.leaderboard import gather, render
from usbench.leaderboard.html import render_site
from usbench.leaderboard.ranking import _ranks, rank
from usbench.leaderboard.wording import NO_RANKING
from usbench.results.schema import Result, save

MakeResult = Callable[..., Result]


def test_ranks_are_shared_between_ties_and_follow_the_direction() -> None:
    values = np.array([[0.9, 0.7, 0.9, 0.1]])
    assert _ranks(values, -1.0).tolist() == [[1.5, 3.0, 1.5, 4.0]]
    assert _ranks(values, 1.0).tolist() == [[3.5, 2.0, 3.5, 1.0]]


def test_clear_winners_lead_with_an_interval_and_simulated_boards_do_not_count(session_board: Path) -> None:
    ranking = rank(gather(session_board / "results", tasks=()))
    assert ranking is not None
    assert {b.name for b in ranking.boards} == {"covid", "breast_lesion@bus-bra-subset", "saturation"}
    assert [row.name for row in ranking.rows[:2]] == ["tusa", "usfm"]
    for row in ranking.rows:
        of_covid_blues = (row.ranks["covid"] + row.ranks["saturation"]) / 2  # the same patients
        assert row.mean_rank == pytest.approx((of_covid_blues + row.ranks["breast_lesion@bus-bra-subset"]) / 2)
        assert row.low <= row.mean_rank <= row.high
    assert sum(row.mean_rank for row in ranking.rows) == pytest.approx(sum(range(1, len(ranking.rows) + 1)))


def test_only_encoders_measured_on_the_same_tasks_are_ranked(tmp_path: Path, make_result: MakeResult) -> None:
    for task, dataset in (("covid", "covid-blues"), ("other", "elsewhere")):
        for i, name in enumerate(("a", "b", "c")):
            save(tmp_path, make_result(name, task, seed=i, signal=3.0 - i, dataset=dataset, declared=dataset))
    save(tmp_path, make_result("partial", "covid", seed=9, signal=5.0))
    ranking = rank(gather(tmp_path, tasks=()))
    assert ranking is not None
    assert [row.name for row in ranking.rows] == ["a", "b", "c"]
    assert ranking.left_out == ("Partial",)


def test_one_task_is_no_ranking(tmp_path: Path, make_result: MakeResult) -> None:
    for i, name in enumerate(("a", "b")):
        save(tmp_path, make_result(name, seed=i))
    assert rank(gather(tmp_path, tasks=())) is None
    assert NO_RANKING in render(tmp_path)["README.md"]
    assert NO_RANKING in render_site(tmp_path)["index.html"]


def test_equal_encoders_have_intervals_that_overlap(tmp_path: Path, make_result: MakeResult) -> None:
    for t, task in enumerate(("covid", "other", "third")):
        for i, name in enumerate(("a", "b", "c")):
            save(tmp_path, make_result(name, task, seed=10 * t + i, signal=1.0, dataset=task, declared=task))
    ranking = rank(gather(tmp_path, tasks=()))
    assert ranking is not None
    best, worst = ranking.rows[0], ranking.rows[-1]
    assert best.high > worst.low
