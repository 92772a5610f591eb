from __future__ import annotations

import collections
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usbench.data.frame_sampling import (
    AllFrames,
    BetweenMarks,
    FramePolicy,
    FrameSource,
    LinspaceFrames,
    RandomFrames,
    parse_policy,
    spaced,
)
from usbench.errors import DataError, UsbenchError

VIDEOS = [FrameSource(100, "a.mp4"), FrameSource(60, "b.mp4"), FrameSource(1, "c.png")]


def test_all() -> None:
    chosen = AllFrames().select(VIDEOS, "p")
    assert len(chosen) == chosen.asked == chosen.available == 161
    assert chosen[0] == (0, 0)
    assert chosen[-1] == (2, 0)


class TestRandom:
    def test_draws_over_all_videos_without_replacement(self) -> None:
        chosen = RandomFrames(20).select(VIDEOS, "p")
        assert len(set(chosen)) == 20
        assert not chosen.short
        assert list(chosen) == sorted(chosen)
        assert {0, 1} <= {item for item, _ in chosen}

    def test_depends_on_seed_and_unit_only(self) -> None:
        policy = RandomFrames(20, seed=3)
        assert policy.select(VIDEOS, "p") == policy.select(VIDEOS, "p")
        assert policy.select(VIDEOS, "p").frames != policy.select(VIDEOS, "q").frames
        assert policy.select(VIDEOS, "p").frames != RandomFrames(20, seed=4).select(VIDEOS, "p").frames

    def test_known_draw(self) -> None:
        """The draw must never change between versions: embeddings and results hang on it."""
        chosen = RandomFrames(4, seed=0).select([FrameSource(50, "v.mp4")], "patient 1")
        assert chosen.frames == ((0, 12), (0, 28), (0, 37), (0, 46))

    def test_order_of_items_does_not_matter(self) -> None:
        forward = RandomFrames(20).select(VIDEOS, "p")
        backward = RandomFrames(20).select(VIDEOS[::-1], "p")
        assert {(VIDEOS[i].key, f) for i, f in forward} == {(VIDEOS[::-1][i].key, f) for i, f in backward}

    def test_small_budget_is_part_of_large(self) -> None:
        sets = [set(RandomFrames(n).select(VIDEOS, "p")) for n in (1, 5, 20)]
        assert sets[0] < sets[1] < sets[2]

    def test_short_unit_gives_all_and_says_so(self) -> None:
        chosen = RandomFrames(20).select([FrameSource(7, "x")], "p")
        assert chosen.short
        assert [f for _, f in chosen] == list(range(7))
        assert (chosen.asked, chosen.available) == (20, 7)

    def test_uniform(self) -> None:
        counts = collections.Counter(
            f for u in range(4000) for _, f in RandomFrames(2).select([FrameSource(8, "v")], str(u))
        )
        expected = 4000 * 2 / 8
        chi2 = sum((counts[f] - expected) ** 2 / expected for f in range(8))
        assert chi2 < 24.3  # 99.9 % quantile of chi-squared with 7 degrees of freedom


class TestSpaced:
    @given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 40))
    def test_properties(self, first: int, last: int, n: int) -> None:
        got = spaced(first, last, n)
        assert len(got) == min(n, abs(last - first) + 1)
        assert len(set(got)) == len(got)
        assert got == sorted(got, reverse=last < first)
        assert all(min(first, last) <= g <= max(first, last) for g in got)
        if n > 1:
            assert got[0] == first
            assert got[-1] == last
        gaps = [abs(b - a) for a, b in itertools.pairwise(got)]
        assert not gaps or max(gaps) - min(gaps) <= 1

    def test_examples(self) -> None:
        assert spaced(0, 9, 3) == [0, 5, 9]
        assert spaced(46, 61, 5) == [46, 50, 54, 57, 61]
        assert spaced(61, 46, 5) == [61, 57, 53, 50, 46]
        assert spaced(0, 10, 1) == [5]


def test_linspace_over_items_laid_end_to_end() -> None:
    chosen = LinspaceFrames(3).select([FrameSource(4), FrameSource(3)], "u")
    assert chosen.frames == ((0, 0), (0, 3), (1, 2))
    assert LinspaceFrames(9).select([FrameSource(4)], "u").short
    assert LinspaceFrames(3).select([], "u").frames == ()


class TestBetween:
    def test_between_marks_of_each_item(self) -> None:
        items = [FrameSource(100, "v", {"es": 61, "ed": 46}), FrameSource(9, "w", {"es": 2, "ed": 4})]
        chosen = BetweenMarks(5, "es", "ed").select(items, "p")
        assert chosen.frames == ((0, 61), (0, 57), (0, 53), (0, 50), (0, 46), (1, 2), (1, 3), (1, 4))
        assert chosen.short

    def test_missing_or_impossible_mark(self) -> None:
        with pytest.raises(DataError, match=r"v.avi of 'p': no mark 'ed'"):
            BetweenMarks(5, "es", "ed").select([FrameSource(9, "v.avi", {"es": 1})], "p")
        with pytest.raises(DataError, match="frames 0 to 8"):
            BetweenMarks(5, "es", "ed").select([FrameSource(9, "v.avi", {"es": 1, "ed": 9})], "p")


@pytest.mark.parametrize(
    "policy",
    [AllFrames(), RandomFrames(20), RandomFrames(5, 7), LinspaceFrames(5), BetweenMarks(5), BetweenMarks(2, "a", "b")],
)
def test_text_round_trip(policy: FramePolicy) -> None:
    assert parse_policy(policy.describe()) == policy
    assert str(policy) == policy.describe()


def test_short_spellings() -> None:
    assert parse_policy("random:20") == RandomFrames(20, 0)
    assert parse_policy(" between:5 ") == BetweenMarks(5, "first_frame", "last_frame")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "randon:20",
        "random",
        "random:x",
        "random:0",
        "random:5:seed1:2",
        "linspace",
        "linspace:-1",
        "all:3",
        "between:5:a",
    ],
)
def test_unreadable_text(text: str) -> None:
    with pytest.raises(UsbenchError) as error:
        parse_policy(text)
    assert "\n" not in str(error.value)
