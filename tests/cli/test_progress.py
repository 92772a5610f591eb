"""Progress where nobody looks at a terminal: lines with count, rate and time left, and none for short work."""

from __future__ import annotations

import io

from rich.console import Console

from usbench.cli.progress import LOG_SECONDS, EncodingProgress


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def told(frames_a_second: float, seconds: int, total: int, terminal: bool = False) -> str:
    clock, written = Clock(), io.StringIO()
    with EncodingProgress(Console(file=written, force_terminal=terminal, width=60), clock) as progress:
        for second in range(seconds + 1):
            clock.now = 1000.0 + second
            progress.update("tusa on bus-bra", min(total, int(frames_a_second * second)), total)
    return written.getvalue()


def test_a_log_gets_a_line_every_half_minute_with_rate_and_time_left() -> None:
    lines = told(2.5, 95, 10_000).splitlines()
    assert lines == [
        "tusa on bus-bra: 75 of 10000, 2.5 img/s, 1 h 06 min left",
        "tusa on bus-bra: 150 of 10000, 2.5 img/s, 1 h 05 min left",
        "tusa on bus-bra: 225 of 10000, 2.5 img/s, 1 h 05 min left",
    ]
    assert LOG_SECONDS == 30


def test_minutes_and_seconds_are_told_as_such_and_no_rate_where_nothing_is_done() -> None:
    assert told(10, 30, 1000) == "tusa on bus-bra: 300 of 1000, 10.0 img/s, 1 min 10 s left\n"
    assert told(10, 30, 350) == "tusa on bus-bra: 300 of 350, 10.0 img/s, 5 s left\n"
    assert told(0, 31, 350) == "tusa on bus-bra: 0 of 350\n"


def test_short_work_leaves_no_trace_in_a_log() -> None:
    assert told(100, 29, 4000) == ""


def in_steps(*steps: tuple[int, str, int, int]) -> str:
    """What a log holds after updates, each with the seconds that pass before it."""
    clock, written = Clock(), io.StringIO()
    with EncodingProgress(Console(file=written, width=60), clock) as progress:
        for seconds, text, done, total in steps:
            clock.now += seconds
            progress.update(text, done, total)
    return written.getvalue()


def test_the_next_stretch_has_a_rate_of_its_own() -> None:
    # What was in the store already counts for nothing.
    steps = (0, "first", 0, 100), (20, "first", 100, 100), (0, "second", 500, 1000), (40, "second", 700, 1000)
    assert in_steps(*steps) == "second: 700 of 1000, 5.0 img/s, 1 min 00 s left\n"


def test_a_terminal_has_a_bar_and_no_lines() -> None:
    shown = told(2.5, 95, 10_000, terminal=True)
    assert "img/s" in shown
    assert "min left" not in shown


def test_names_in_square_brackets_are_names_and_no_markup() -> None:
    text = "net [v1] on [/data]"
    assert in_steps((0, text, 0, 100), (40, text, 40, 100)) == f"{text}: 40 of 100, 1.0 img/s, 1 min 00 s left\n"


def test_steps_have_a_time_left_and_no_rate_of_images() -> None:
    clock, written = Clock(), io.StringIO()
    with EncodingProgress(Console(file=written, width=60), clock) as progress:
        for done in range(4):
            progress.step("comparing encoders", done, 15)
            clock.now += 16
    assert written.getvalue() == "comparing encoders: 2 of 15, 3 min 28 s left\n"


def test_steps_on_a_terminal_say_what_and_how_many() -> None:
    written = io.StringIO()
    with EncodingProgress(Console(file=written, force_terminal=True, width=80)) as progress:
        for done in range(3):
            progress.step("writing pages", done, 3)
    assert "writing pages" in written.getvalue()
    assert "2/3" in written.getvalue()
    assert "img/s" not in written.getvalue()
