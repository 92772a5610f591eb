"""What `--shift` understands, and one clear line for what it does not."""

from __future__ import annotations

import pytest

from usbench.diagnostics.shifts import Level, parse_shifts
from usbench.diagnostics.shifts.catalogue import SHIFTS
from usbench.diagnostics.shifts.levels import LEVELS, NAMES
from usbench.errors import UsbenchError


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["gain:1..5"], [("gain", s) for s in LEVELS]),
        (["gain"], [("gain", s) for s in LEVELS]),
        (["shadow:3"], [("shadow", 3)]),
        (["blur:5,1,3..4"], [("blur", s) for s in (1, 3, 4, 5)]),
        (["text:2", "gain:2", "gain:1..2"], [("gain", 1), ("gain", 2), ("text", 2)]),
        (["all:4"], [(name, 4) for name in NAMES]),
        ([], []),
    ],
)
def test_requests(texts: list[str], expected: list[tuple[str, int]]) -> None:
    assert parse_shifts(texts) == [Level(*pair) for pair in expected]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("gian:1", "unknown shift 'gian'. Did you mean 'gain'"),
        ("gain:6", "severity 6 is out of range, which is 1 to 5"),
        ("gain:0..3", "severity 0 is out of range"),
        ("gain:1..99999999999", "severity 99999999999 is out of range"),
        ("gain:4..2", "runs backwards"),
        ("gain:", "'' is not a severity"),
        ("gain:strong", "'strong' is not a severity"),
        ("gain:-1", "'-1' is not a severity"),
        ("", "unknown shift ''"),
    ],
)
def test_mistakes(text: str, told: str) -> None:
    with pytest.raises(UsbenchError) as caught:
        parse_shifts([text])
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_names_and_catalogue_agree() -> None:
    assert tuple(SHIFTS) == NAMES
    for shift in SHIFTS.values():
        assert len(set(shift.amounts)) == len(LEVELS)
        assert shift.physics
        assert shift.limits


def test_cards_speak_of_shifts_that_exist() -> None:
    from usbench.plugins.catalog import ENCODERS

    trained = {name: ENCODERS.get(name).value.card.trained_shifts for name in ENCODERS.names() if ":" not in name}
    assert trained["tusa"]
    assert not trained["tusa.random"]
    assert all(set(shifts) <= set(NAMES) for shifts in trained.values())


def test_levels_that_are_read_already_stay_as_they_are() -> None:
    levels = parse_shifts(["blur:2", "gain:1..2"])
    assert parse_shifts(levels) == levels
    assert parse_shifts([*levels, "gain:2,3"]) == [Level("gain", 1), Level("gain", 2), Level("gain", 3), levels[-1]]
