"""Every sentence that the tests of a board can lead to, read for a table of outcomes."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from documented import figures

from usbench.leaderboard import number_format
from usbench.leaderboard.board import Board
from usbench.leaderboard.comparison import (
    ALPHA,
    EXACT,
    HALF_SAMPLES,
    PERMUTATION,
    Comparator,
    Difference,
    Standing,
    named_beforehand,
    stand,
)
from usbench.leaderboard.verdicts import between_two, claim, of_board, of_one
from usbench.statistics import Predictions
from usbench.statistics.exact import holm

AUC = number_format.column("fold_auc")
MAE = number_format.column("mae", "%")


def made(value: float, error: float, p_adjusted: float | None = None) -> Difference:
    from usbench.statistics.half_samples import normal_p

    p = normal_p(value, error)
    return Difference("b", value, value - 1.96 * error, value + 1.96 * error, p, p_adjusted or p, HALF_SAMPLES, error)


@pytest.mark.parametrize(
    ("difference", "column", "expected"),
    [
        (made(0.10, 0.02), AUC, "A is better than B by 0.100 in AUC within folds"),
        (made(-0.10, 0.02), AUC, "B is better than A by 0.100 in AUC within folds"),
        (made(-1.0, 0.2), MAE, "A is better than B by 1.00 points in MAE"),
        (made(1.0, 0.2), MAE, "B is better than A by 1.00 points in MAE"),
        (made(0.10, 0.08), AUC, "No difference in AUC within folds is shown between A and B"),
        (made(0.10, 0.04, p_adjusted=0.06), AUC, "No difference in AUC within folds is shown between A and B"),
        (made(0.005, 0.01), AUC, "A and B are equivalent in AUC within folds within 0.030"),
        (made(0.02, 0.004), AUC, "A is better than B by 0.020"),
        (made(0.001, 0.001), MAE, "No difference in MAE is shown between A and B"),
        (None, AUC, "A and B cannot be compared"),
    ],
)
def test_two_encoders(difference, column, expected) -> None:
    told = between_two("A", "B", difference, column, 63)
    assert told.startswith(expected)
    if difference is not None:
        assert "63 subjects" in told
        assert HALF_SAMPLES in told
        assert ("better" in told) == (difference.p_adjusted < ALPHA)


def halves(rng: np.random.Generator, value: float, spread: float) -> list[list[float]]:
    return (value + spread * rng.normal(size=(12, 2))).tolist()


def board(values: dict[str, float], n: int = 120, spread: float = 0.03, seed: int = 0) -> Comparator:
    """Encoders whose scores follow the truth with some strength, on the same subjects and halvings."""
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 2
    common = rng.normal(size=(12, 2))
    scored = {}
    for name, strength in values.items():
        outcome = Predictions.binary(y, strength * (y - 0.5) + rng.normal(size=n), fold=np.arange(n) // 2 % 5)
        auc = Comparator("fold_auc", {name: outcome}).value(name)
        pairs = (auc + 0.02 * common + spread * rng.normal(size=(12, 2))).tolist()
        scored[name] = replace(outcome, halves={"fold_auc": pairs})
    return Comparator("fold_auc", scored)


def told(comparator: Comparator, encoders: list[str], floors: list[str]) -> tuple[str, object]:
    standing = stand(comparator, encoders, floors)
    return of_board(standing, {n: n.upper() for n in comparator.names}, AUC, 120), standing


def test_a_clear_winner_and_a_clear_loser() -> None:
    comparator = board({"a": 3.0, "weak": 0.0, "texture": 1.5, "a.random": 0.2})
    text, standing = told(comparator, ["a", "weak"], ["texture", "a.random"])
    assert "Shown to beat the best baseline (TEXTURE): A." in text
    assert "Shown to be worse than it: WEAK." in text
    assert "Against the baselines named beforehand: A better than A.RANDOM." in text
    assert "Bold: the best and those that a comparison with the best does not tell from it (1)." in text
    assert "With 120 subjects, a true difference to the best baseline of 0.1" in text
    assert standing.detectable == pytest.approx(
        2.8015 * np.median([d.error for d in standing.differences.values()]), 1e-3
    )
    told_by = f"With 120 subjects, a true difference to the best baseline of {standing.detectable:.3f} is found in 80 %"
    assert told_by in text
    assert standing.leaders == {"a"}


def test_nothing_is_shown_among_equals() -> None:
    text, standing = told(board(dict.fromkeys(("a", "b", "texture"), 1.0), spread=0.1), ["a", "b"], ["texture"])
    assert "No encoder is shown to beat the best baseline (TEXTURE)." in text
    assert "worse" not in text
    assert "Nothing is bold" in text
    assert standing.leaders == frozenset()


def test_encoders_are_equivalent_only_where_the_interval_allows() -> None:
    comparator = board({"a": 2.0, "texture": 2.0}, spread=0.001)
    assert "Equivalent" not in told(comparator, ["a"], ["texture"])[0]  # fixed predictions alone vary more than that
    y = np.arange(4000) % 2
    score = y + np.random.default_rng(0).normal(size=4000)
    near = score + 1e-3 * np.random.default_rng(1).normal(size=4000)
    pairs = [[0.76, 0.76]] * 12
    plain = {n: Predictions.binary(y, s) for n, s in (("a", score), ("texture", near))}
    twins = {n: replace(p, halves={"fold_auc": pairs}) for n, p in plain.items()}
    text, _ = told(Comparator("fold_auc", twins), ["a"], ["texture"])
    assert "Equivalent to it within 0.030: A." in text


def test_worse_is_corrected_for_encoders_times_baselines() -> None:
    floors = [f"floor{k}" for k in range(5)]
    comparator = board({"a": 0.7, **{f: 1.0 + 0.1 * k for k, f in enumerate(floors)}})
    standing = stand(comparator, ["a"], floors)
    d = standing.differences["a"]
    family = [comparator.difference("a", floor).p for floor in floors]
    assert comparator.value("a") < comparator.value(standing.best_floor)
    assert d.p_adjusted >= holm(family)[floors.index(standing.best_floor)]
    assert d.p_adjusted >= d.p
    # To beat it, the choice of the best baseline is no advantage, and one encoder is a family of one.
    ahead = stand(board({"a": 3.0, **dict.fromkeys(floors, 0.5)}), ["a"], floors).differences["a"]
    assert ahead.p_adjusted == ahead.p


@pytest.mark.parametrize("seed", range(25))
def test_a_page_never_calls_a_row_both_bold_and_worse(seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = ["a", "b", "c", "texture", "pixels", "a.random"]
    comparator = board({name: float(rng.uniform(0, 2)) for name in names}, n=60, seed=seed)
    standing = stand(comparator, names[:3], names[3:])
    for name in names[:3]:
        verdicts = [claim(d, AUC) for d in (standing.differences[name], *standing.references.get(name, ()))]
        if "worse" in verdicts:
            assert standing.leaders
            assert name not in standing.leaders
        d = standing.differences[name]
        assert (d.p < ALPHA) == (d.low > 0 or d.high < 0)
        assert d.p_adjusted >= d.p


def test_equal_encoders_are_seldom_told_from_the_best() -> None:
    """Six equal encoders on 62 subjects: the joint comparison is better than one by one, but above its nominal 5 %."""
    jointly = one_by_one = 0
    for seed in range(60):
        comparator = board(dict.fromkeys("abcdef", 1.0), n=62, spread=0.05, seed=seed)
        best = comparator.best()
        jointly += bool(comparator.leaders())
        one_by_one += any(comparator.difference(name, best).p < ALPHA for name in comparator.names if name != best)
    assert jointly < one_by_one
    passage = (
        "Of six equal encoders on # subjects one was singled out in # of # simulated boards, which is less than the #"
    )
    assert figures("statistics.md", passage) == [62, jointly, 60, round(100 * one_by_one / 60)]


def test_baselines_named_beforehand_are_the_twin_and_texture() -> None:
    floors = ["constant", "pixels", "texture", "tusa.random", "vit.random"]
    assert named_beforehand("tusa", floors) == ["texture", "tusa.random"]
    assert named_beforehand("usfm", floors) == ["texture"]


def test_without_half_samples_fixed_predictions_are_named() -> None:
    y = np.arange(60) % 2
    rng = np.random.default_rng(0)
    outcomes = {n: Predictions.binary(y, y + rng.normal(size=60)) for n in "ab"}
    assert Comparator("fold_auc", outcomes).difference("a", "b").test == "DeLong"
    assert Comparator("accuracy", outcomes).difference("a", "b").test == "paired bootstrap"
    perfect = {n: Predictions.binary(y, s) for n, s in (("a", y - 0.5), ("b", 0.5 - y))}
    assert Comparator("auc", perfect).difference("a", "b") is None


def test_no_verdict_of_the_committed_boards_claims_more_than_its_test(committed_boards: list[Board]) -> None:
    for one in committed_boards:
        standing = one.standing()
        if standing.metric is None:
            continue
        column = one.column(standing.metric)
        titles = {e.name: e.title for e in one.entries}
        text = of_board(standing, titles, column, 10)
        for name, d in standing.differences.items():
            beats = text.split("Shown to beat")[-1].split(".")[0] if "Shown to beat" in text else ""
            assert (titles[name] in beats) == (d.p_adjusted < ALPHA and column.better(d.value, 0.0)) or not beats
            if name in standing.leaders:
                assert claim(d, column) != "worse"


# Every combination of what two encoders can turn out to be against the best baseline and the one named beforehand.
OUTCOMES = {
    "better": made(0.10, 0.02),
    "worse": made(-0.10, 0.02),
    "equivalent": made(0.005, 0.005),
    "open": made(0.10, 0.08),
    "better, but not when corrected": made(0.10, 0.04, p_adjusted=0.07),
    "worse, but not when corrected": made(-0.10, 0.04, p_adjusted=0.07),
}
BETWEEN = "better|worse|beat|equivalent|differ|significant|superior|outperform|equal|prove|best"


def outcome_of(told: str) -> str:
    return "open" if "corrected" in told else told


@pytest.mark.parametrize("first", OUTCOMES)
@pytest.mark.parametrize("second", OUTCOMES)
def test_no_sentence_of_a_board_claims_more_than_its_test(first: str, second: str) -> None:
    best, named = "FLOOR", "TEXTURE"
    titles = {"a": "Alpha", "b": "Beta", "floor": best, "texture": named}
    differences = {n: replace(OUTCOMES[told], against="floor") for n, told in (("a", first), ("b", second))}
    # Against the baseline named beforehand it turned out the other way round.
    references = {n: (replace(OUTCOMES[told], against="texture"),) for n, told in (("a", second), ("b", first))}
    for leaders in (frozenset(), frozenset({"floor"}), frozenset({"a", "floor"})):
        standing = Standing("fold_auc", Comparator("fold_auc", {}), "floor", differences, leaders, references, 0.12)
        text = of_board(standing, titles, AUC, 63)
        found = {"a": outcome_of(first), "b": outcome_of(second)}
        named_found = {"a": outcome_of(second), "b": outcome_of(first)}
        expected = []
        ahead = [titles[n] for n in "ab" if found[n] == "better"]
        expected.append(
            f"Shown to beat the best baseline ({best}): {' and '.join(ahead)}."
            if ahead
            else f"No encoder is shown to beat the best baseline ({best})."
        )
        for kind, sentence in (("worse", "Shown to be worse than it"), ("equivalent", "Equivalent to it within 0.030")):
            names = [titles[n] for n in "ab" if found[n] == kind]
            expected += [f"{sentence}: {' and '.join(names)}."] if names else []
        spoken = {
            "better": "better than",
            "worse": "worse than",
            "equivalent": "equivalent within 0.030 to",
            "open": "not told from",
        }
        clauses = [
            f"{' and '.join(titles[n] for n in 'ab' if named_found[n] == kind)} {spoken[kind]} {named}"
            for kind in dict.fromkeys(named_found[n] for n in "ab")
        ]
        expected.append(f"Against the baselines named beforehand: {'; '.join(clauses)}.")
        expected.append(
            f"Bold: the best and those that a comparison with the best does not tell from it ({len(leaders)})."
            if leaders
            else "Nothing is bold: a comparison with the best tells nobody apart from it."
        )
        expected.append(
            "With 63 subjects, a true difference to the best baseline of 0.120 is found in 80 % of such cohorts, a "
            "smaller one more seldom."
        )
        assert text == " ".join(expected)


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("better", "It is shown to beat the best baseline, Floor (difference +0.100, "),
        ("worse", "It is shown to be worse than the best baseline, Floor (difference −0.100, "),
        ("equivalent", "It is equivalent, within 0.030, to the best baseline, Floor (difference +0.005, "),
        ("open", "It is not shown to differ from the best baseline, Floor (difference +0.100, "),
        ("better, but not when corrected", "It is not shown to differ from the best baseline, Floor ("),
        ("worse, but not when corrected", "It is not shown to differ from the best baseline, Floor ("),
    ],
)
def test_a_report_says_of_one_encoder_what_the_page_says(told: str, said: str) -> None:
    found = {"a": replace(OUTCOMES[told], against="floor")}
    titles = {"a": "Alpha", "floor": "Floor"}
    standing = Standing("fold_auc", Comparator("fold_auc", {}), "floor", found, frozenset(), {}, None)
    text = of_one(standing, "a", titles, AUC)
    assert text.startswith(said)
    assert "corrected p " in text
    assert len(re.findall(BETWEEN, text.replace("best baseline", "").replace("(difference", ""))) == 1
    assert of_one(standing, "floor", titles, AUC) == ""


def test_a_report_calls_best_only_the_best_score() -> None:
    comparator = board({"a": 3.0, "b": 2.9, "weak": 0.0, "texture": 0.1})
    standing = stand(comparator, ["a", "b", "weak"], ["texture"])
    best = comparator.best()
    other = "b" if best == "a" else "a"
    titles = {n: n for n in comparator.names}
    assert {"a", "b"} <= standing.leaders
    assert of_one(standing, best, titles, AUC).endswith("It has the best score here.")
    assert of_one(standing, other, titles, AUC).endswith("It is not told from the best score by a comparison with it.")
    assert "best score" not in of_one(standing, "weak", titles, AUC)


def test_a_slope_is_different_but_never_better() -> None:
    slope = number_format.column("calibration_slope")
    assert claim(made(0.8, 0.1), slope) == "different"
    text = between_two("A", "B", made(0.8, 0.1), slope, 63)
    assert text.startswith("A and B differ by 0.80 in Calibration slope (")
    assert "more of it is not better by itself" in text
    assert "No difference in Calibration slope is shown" in between_two("A", "B", made(0.1, 0.1), slope, 63)


@pytest.mark.parametrize(("n", "strong", "test"), [(12, 4.0, EXACT), (18, 4.0, PERMUTATION), (60, 1.6, "DeLong")])
def test_few_subjects_are_compared_by_exchanging_the_two(n: int, strong: float, test: str) -> None:
    seen = set()
    for seed in range(30):
        rng = np.random.default_rng(seed)
        y = np.arange(n) % 2
        scored = {
            name: Predictions.binary(y, strength * y + rng.normal(size=n))
            for name, strength in (("a", strong), ("b", 1.0))
        }
        d = Comparator("auc", scored).difference("a", "b")
        assert d.test == test
        assert (d.p < ALPHA) == (d.low > 0 or d.high < 0)
        seen.add(d.p < ALPHA)
    assert seen == {True, False}


def test_a_perfect_score_of_two_and_two_subjects_shows_nothing() -> None:
    y = np.array([0, 0, 1, 1])
    scored = {n: Predictions.binary(y, s) for n, s in (("a", y - 0.5), ("texture", 0.5 - y))}
    standing = stand(Comparator("auc", scored), ["a"], ["texture"])
    d = standing.differences["a"]
    assert d.p >= 0.125
    assert d.low <= 0 <= d.high
    assert standing.leaders == frozenset()
    few = (np.arange(60) < 4).astype(int)  # sixty subjects, of whom four are positive
    rng = np.random.default_rng(0)
    scored = {n: Predictions.binary(few, few + rng.normal(size=60)) for n in "ab"}
    assert Comparator("auc", scored).difference("a", "b").test == PERMUTATION
