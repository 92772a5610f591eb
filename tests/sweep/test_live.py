"""The live table says what is done, running and failed, and why; without a terminal it says so line by line."""

from __future__ import annotations

import io

from rich.console import Console

from usbench.cli.sweep_table import SweepTable
from usbench.sweep.cell_state import Record
from usbench.sweep.specs import Cell, EncoderSpec, TaskSpec


def records() -> list[Record]:
    tasks = [TaskSpec("covid"), TaskSpec("/far/away/mine.toml", "subset")]
    made = [Record(Cell(EncoderSpec(name), task), name) for name in ("tusa", "texture") for task in tasks]
    made[0].state = "done"
    made[1].state, made[1].shards, made[1].shards_done, made[1].lost = "encoding", 12, 5, 2
    made[2].state, made[2].error = "failed", "no such file"
    return made


def test_the_table_shows_every_cell_and_every_reason() -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)
    with SweepTable(screen, records()) as table:
        table.tell("tusa on covid", 3, 10)
        table.tell("said once")
        table.tell("said once")
    told = screen.file.getvalue()  # type: ignore[attr-defined]
    for text in ("2 of 4 cells", "mine (subset)", "encoding 5/12, 2 begun again", "texture on covid: no such file"):
        assert text in told
    assert "tusa on covid: 3 of 10 frames" in told
    assert told.count("said once") == 1


def test_without_a_terminal_each_cell_is_a_line() -> None:
    plain = Console(file=io.StringIO(), width=120)
    cells = records()
    with SweepTable(plain, cells) as table:
        for record in cells:
            table.update(record)
    lines = plain.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == ["2/4 tusa on covid: done", "2/4 texture on covid: failed: no such file"]
