"""Operating points and calibration: computed with every two-class result, switched on by the reader of the site."""

from __future__ import annotations

from pathlib import Path

import pytest
from sklearn.metrics import average_precision_score

import usbench
from usbench.cli import main
from usbench.leaderboard import render
from usbench.leaderboard.board import gather
from usbench.leaderboard.html import render_site
from usbench.leaderboard.tables import task_page
from usbench.task.kinds import KINDS

TASK = """
title = "Toy"
dataset = "bus-bra-subset"
target = "pathology"
positive = "malignant"
unit = "image"
protocols = ["svc-nested@2"]
split = {{ kind = "grouped", folds = 5, repeats = {repeats} }}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("optional")
    (folder / "toy.toml").write_text(TASK.format(repeats=2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USBENCH_CACHE", str(folder / "cache"))
        task, results = str(folder / "toy.toml"), folder / "results"
        usbench.run(["pixels", "texture"], task, results_dir=results, label_efficiency=False)
    return folder / "results"


def test_they_stand_in_the_result_with_intervals_that_know_of_refitting(results: Path) -> None:
    for entry in gather(results, tasks=())[0].entries:
        if not entry.file:
            continue
        found = entry.result.protocols["svc-nested@2"]
        for name in KINDS["binary"].optional:
            estimate = found.metrics[name]
            assert estimate.low < estimate.value < estimate.high, name
            assert len(found.uncertainty["halves"][name]) == 12
        truth = [t == "malignant" for t in entry.result.units.target]
        expected = [average_precision_score(truth, repeat.score) for repeat in found.repeats]
        assert found.metrics["auprc"].value == pytest.approx(sum(expected) / 2, abs=1e-6)
        assert 0.3 < found.metrics["calibration_slope"].value < 1.7


def test_the_site_offers_them_switched_off_and_markdown_leaves_them_out(results: Path) -> None:
    (board,) = [b for b in gather(results, tasks=()) if b.entries]
    table = task_page.scores(board, "svc-nested@2", headline=True)
    offered = {h.key: h for h in table.headings if h.key in KINDS["binary"].optional}
    assert list(offered) == list(KINDS["binary"].optional)
    assert all(h.hidden for h in offered.values())
    page = render(results)[f"{board.name}.md"]
    assert "AUPRC" not in page
    assert "Calibration slope" not in page
    site = render_site(results)[f"boards/{board.name}.html"]
    head = site.split('data-key="auprc"')[1].split(">")[0]
    assert "data-hidden" in head
    assert "Sensitivity at 90 % specificity, % ↑" in site
    assert "Calibration slope</span>" in site  # no arrow: more of it is not better


def test_two_encoders_are_compared_in_them_on_request(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = next(b.name for b in gather(results, tasks=()) if b.entries)
    base = ["compare", "pixels", "texture", "--task", board, "--results", str(results)]
    with pytest.raises(SystemExit) as ended:
        main([*base, "--metric", "brier", "--metric", "calibration_slope"])
    assert not ended.value.code
    assert "Brier score" in (told := capsys.readouterr().out)
    assert "Calibration slope" in told
    with pytest.raises(SystemExit):
        main(base)
    assert "Brier" not in capsys.readouterr().out
