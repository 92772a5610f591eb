"""One encoder against several: corrected for their number, and said in sentences."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from statsmodels.stats.multitest import multipletests

from usbench.cli import main
from usbench.errors import UnknownNameError
from usbench.leaderboard.pairwise import compare_pair, compare_with_each

RESULTS = Path(__file__).resolve().parents[2] / "leaderboards" / "results"
OTHERS = ["pixels", "tusa.random", "random-projection"]


def test_holm_over_all_of_them_agrees_with_statsmodels() -> None:
    pairs = compare_with_each(RESULTS, "texture", OTHERS, "breast_lesion@bus-bra-subset")
    alone = [
        compare_pair(RESULTS, "texture", other, "breast_lesion@bus-bra-subset", None, ["fold_auc"]) for other in OTHERS
    ]
    raw = [next(r for r in pair.rows if r.column.metric == pair.primary).difference.p for pair in alone]
    expected = multipletests(raw, method="holm")[1]
    assert [pair.rows[0].difference.p for pair in pairs] == raw
    assert [pair.rows[0].difference.p_adjusted for pair in pairs] == pytest.approx(list(expected))
    for pair in pairs:
        assert "Holm over 3 comparisons" in pair.sentence
        sure = pair.rows[0].difference.p_adjusted < 0.05
        assert ("is better than" in pair.sentence) == sure


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["texture", "pixels", "pixels"], "'pixels' is named twice"),
        (["texture", "pixels", "texture"], "'texture' is named twice"),
        (["texture", "pixels", "tusa.randon"], "Did you mean 'tusa.random'"),
    ],
)
def test_mistakes(arguments: list[str], told: str) -> None:
    with pytest.raises(UnknownNameError, match=told):
        compare_with_each(RESULTS, arguments[0], arguments[1:], "breast_lesion@bus-bra-subset")


def test_the_command_prints_tests_and_sentences(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "180")
    with pytest.raises(SystemExit) as stop:
        main(["compare", "texture", *OTHERS, "--task", "breast_lesion@bus-bra-subset", "--results", str(RESULTS)])
    assert not stop.value.code
    told = capsys.readouterr().out
    assert "p, Holm" in told
    assert len(re.findall(r" half-sample refits$", told, re.M)) == 3
    assert " ".join(told.split()).count("Holm over 3 comparisons") == 3
    with pytest.raises(SystemExit) as stop:
        main(["compare", "texture", "pixels", "--task", "covid", "--results", str(RESULTS)])
    told = capsys.readouterr().out
    assert len(re.findall(r" half-sample refits$", told, re.M)) == 7
    with pytest.raises(SystemExit) as stop:
        main(["compare", "texture", *OTHERS, "--task", "covid", "--metric", "auc", "--results", str(RESULTS)])
    assert stop.value.code == 2
